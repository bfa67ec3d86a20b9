"""`POST /api/v1/reports`, and the entities of reports and warnings in notifications."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Account, AccountWarning, Report
from stormpetrel.api.paging import Id, ids_of, one_id
from stormpetrel.api.shapes import answers
from stormpetrel.errors import BLANK, Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.account import Account as ModelAccount
from stormpetrel.model.moderation import MAX_REPORTED_POSTS, MAX_RULES, Act, Warning
from stormpetrel.model.moderation import Report as ModelReport
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import reports as rules
from stormpetrel.storage.engine.connection import Connection

ACTIONS = {
    Act.HIDE: "delete_statuses",
    Act.DELETE_POST: "delete_statuses",
    Act.MARK_SENSITIVE: "mark_statuses_as_sensitive",
    Act.SILENCE: "silence",
    Act.SUSPEND: "suspend",
}
"""Mastodon's names for acts. It has none for undone acts ("none"): the warning's text describes them."""

_HEADINGS = {
    Act.HIDE: "Your post was hidden by the moderators; only you and they can see it.",
    Act.UNHIDE: "Your post is visible again.",
    Act.UNSILENCE: "Your account is no longer limited.",
    Act.UNSUSPEND: "Your account is no longer suspended.",
}


class ReportInput(msgspec.Struct):
    """The account and posts to report, and the reason. `forward` is ignored: there are no other servers."""

    account_id: Id | None = None
    status_ids: list[Id] = []
    comment: str = ""
    forward: bool = False
    category: str = ""
    rule_ids: list[Id] = []


@answers(Report, takes=ReportInput)
async def create(request: Request) -> Response:
    """Report an account to the moderators"""
    given = await request.input(ReportInput)
    account_id = one_id(given.account_id, "account_id")
    if account_id is None:
        raise Invalid("Validation failed: Account can't be blank", fields={"account_id": BLANK})
    report, account = await request.site.database.write(
        _create,
        reporter_id=request.account_id,
        account_id=account_id,
        post_ids=ids_of(given.status_ids, most=MAX_REPORTED_POSTS + 1),
        comment=given.comment,
        category=given.category,
        rule_ids=ids_of(given.rule_ids, most=MAX_RULES + 1),
        now_ms=request.now_ms,
    )
    return json(report_entity(report, convert.account(account, base_url=request.site.base_url)))


def _create(
    connection: Connection,
    *,
    reporter_id: int,
    account_id: int,
    post_ids: Sequence[int],
    comment: str,
    category: str,
    rule_ids: Sequence[int],
    now_ms: int,
) -> tuple[ModelReport, ModelAccount]:
    report = rules.create_report(
        connection,
        reporter_id=reporter_id,
        account_id=account_id,
        post_ids=post_ids,
        comment=comment,
        category=category,
        rule_ids=rule_ids,
        now_ms=now_ms,
    )
    return report, account_rules.account(connection, account_id=account_id)


def report_entity(report: ModelReport, target: Account) -> Report:
    """Return the entity of a report, with the reported account."""
    done = report.resolved_at_ms
    return Report(
        id=str(report.id),
        action_taken=bool(done),
        action_taken_at=convert.timestamp(done) if done else None,
        category=report.category.value,
        comment=report.comment,
        forwarded=False,
        created_at=convert.timestamp(report.created_at_ms),
        status_ids=[str(post_id) for post_id in report.post_ids],
        rule_ids=[str(rule_id) for rule_id in report.rule_ids],
        target_account=target,
    )


def warning_entity(warning: Warning, target: Account) -> AccountWarning:
    """Return the entity of a warning for the warned account."""
    heading = _HEADINGS.get(warning.act)
    return AccountWarning(
        id=str(warning.id),
        action=ACTIONS.get(warning.act, "none"),
        text=f"{heading} {warning.reason}" if heading else warning.reason,
        status_ids=[str(warning.post_id)] if warning.post_id else None,
        target_account=target,
        appeal=None,
        created_at=convert.timestamp(warning.created_at_ms),
    )
