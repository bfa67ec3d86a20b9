"""`POST /api/v1/reports`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Report
from stormpetrel.api.json.report_entities import report_entity
from stormpetrel.api.paging import Id, ids_of, one_id
from stormpetrel.api.shapes import answers
from stormpetrel.errors import BLANK, Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.account import Account
from stormpetrel.model.moderation import MAX_REPORTED_POSTS, MAX_RULES
from stormpetrel.model.moderation import Report as ModelReport
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import reports as rules
from stormpetrel.storage.engine.connection import Connection


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
) -> tuple[ModelReport, Account]:
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
