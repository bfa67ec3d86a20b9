"""Moderators' pages: the queue of reports, one report, one account, the audit log; and their actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account, Role
from stormpetrel.model.moderation import MAX_REASON, AuditEntry, InstanceRule, Report
from stormpetrel.model.page import Page
from stormpetrel.model.post import Post
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import instance as instance_rules
from stormpetrel.rules import moderation as rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.web.paging import page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

REPORTS_A_PAGE = 20
LINES_A_PAGE = 40


@dataclass(frozen=True, slots=True)
class QueueView:
    """Open reports, oldest first, and the names of the accounts in them."""

    reports: tuple[Report, ...]
    names: dict[int, str]
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class CaseView:
    """An account that a moderator reviews. `report` is None if the page is about the account alone."""

    account: Account | None
    account_id: int
    name: str
    report: Report | None
    posts: tuple[Post, ...]
    rules: tuple[InstanceRule, ...]
    reports: tuple[Report, ...]
    entries: tuple[AuditEntry, ...]
    names: dict[int, str]
    suspended: bool
    silenced: bool
    role: Role
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class LogView:
    """A page of the audit log."""

    entries: tuple[AuditEntry, ...]
    reader: Reader | None


class QueueQuery(msgspec.Struct):
    """`after`: the id of the last report on the previous page."""

    after: int = 0


def read_queue(connection: Connection, *, reader_id: int, after_id: int, now_ms: int) -> QueueView:
    """Read one page of open reports. Raise Forbidden if the reader is not a moderator."""
    rules.moderator(connection, account_id=reader_id)
    found = rules.open_reports(connection, after_id=after_id, limit=REPORTS_A_PAGE)
    return QueueView(
        tuple(found),
        _names(connection, found),
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
    )


def _names(connection: Connection, reports: list[Report]) -> dict[int, str]:
    ids = [one_id for one in reports for one_id in (one.account_id, one.reporter_id, one.assigned_id or 0)]
    return account_rules.names(connection, account_ids=ids)


def read_case(
    connection: Connection, *, reader_id: int, report_id: int | None, account_id: int, now_ms: int
) -> CaseView:
    """Read a report, or an account without one. Raise NotFound, and Forbidden for non-moderators."""
    rules.moderator(connection, account_id=reader_id)
    report = None
    if report_id is not None:
        report = rules.report(connection, report_id=report_id)
        account_id = report.account_id
    account = rules.any_account(connection, account_id=account_id)
    reports, entries = rules.history(connection, account_id=account_id)
    return CaseView(
        account=account,
        account_id=account_id,
        name=account.username,
        report=report,
        posts=tuple(post_rules.posts(connection, post_ids=report.post_ids)) if report else (),
        rules=tuple(instance_rules.rules(connection)),
        reports=tuple(reports),
        entries=tuple(entries),
        names=_names(connection, [*reports, *([report] if report else [])]),
        suspended=account.state == "suspended",
        silenced=account.silenced,
        role=rules.role_of(connection, account_id=account_id),
        reader=read_reader(connection, reader_id=reader_id, now_ms=now_ms),
    )


def read_log(connection: Connection, *, reader_id: int, page: Page, now_ms: int) -> LogView:
    """Read one page of the audit log. Raise Forbidden if the reader is not a moderator."""
    rules.moderator(connection, account_id=reader_id)
    found = rules.log(connection, page=page)
    return LogView(tuple(found), read_reader(connection, reader_id=reader_id, now_ms=now_ms))


async def queue(request: Request) -> Response:
    """GET /admin/reports: list the open reports, oldest first."""
    after_id = min(max(request.query(QueueQuery).after, 0), (1 << 63) - 1)
    seen = await request.site.database.read(
        read_queue, reader_id=request.account_id, after_id=after_id, now_ms=request.now_ms
    )
    full = len(seen.reports) == REPORTS_A_PAGE
    return pages_of(request).page(
        request,
        "admin_reports.html",
        reader=seen.reader,
        reports=seen.reports,
        names=seen.names,
        later=f"/admin/reports?after={seen.reports[-1].id}" if full else "",
        first=after_id == 0,
    )


async def show_report(request: Request) -> Response:
    """GET /admin/reports/ID: show a report."""
    return await _case(request, report_id=request.id(), account_id=0)


async def show_account(request: Request) -> Response:
    """GET /admin/people/ID: show an account in the same way, without a report."""
    return await _case(request, report_id=None, account_id=request.id())


async def _case(request: Request, *, report_id: int | None, account_id: int) -> Response:
    seen = await request.site.database.read(
        read_case,
        reader_id=request.account_id,
        report_id=report_id,
        account_id=account_id,
        now_ms=request.now_ms,
    )
    return pages_of(request).page(
        request,
        "admin_case.html",
        reader=seen.reader,
        case=seen,
        rule_texts={str(rule.id): rule.text for rule in seen.rules},
        max_reason=MAX_REASON,
    )


async def log(request: Request) -> Response:
    """GET /admin/log: list the moderators' actions, with their targets and reasons."""
    page = page_of(request, limit=LINES_A_PAGE)
    seen = await request.site.database.read(
        read_log, reader_id=request.account_id, page=page, now_ms=request.now_ms
    )
    return pages_of(request).page(
        request,
        "admin_log.html",
        reader=seen.reader,
        entries=seen.entries,
        pager=pager(request, page, [entry.id for entry in seen.entries]),
    )


def _act(connection: Connection, /, *, reader_id: int, rule: Any, **values: Any) -> None:
    """Check that the reader is a moderator and run the rule as them, in one transaction."""
    rule(connection, rules.moderator(connection, account_id=reader_id), **values)


async def _do(request: Request, rule: Any, subject: str, back: str) -> Response:
    form = await request.form()
    await request.site.database.write(
        _act,
        reader_id=request.account_id,
        rule=rule,
        verb=request.parameters["verb"],
        reason=form.get("reason", ""),
        now_ms=request.now_ms,
        **{subject: request.id()},
    )
    return redirect(back)


async def act_on_report(request: Request) -> Response:
    """POST /admin/reports/ID/VERB: act on a report."""
    return await _do(request, rules.act_on_report, "report_id", f"/admin/reports/{request.id()}")


async def act_on_account(request: Request) -> Response:
    """POST /admin/people/ID/VERB: act on an account."""
    return await _do(request, rules.act_on_account, "account_id", f"/admin/people/{request.id()}")


async def act_on_post(request: Request) -> Response:
    """POST /admin/posts/ID/VERB: act on a post."""
    return await _do(request, rules.act_on_post, "post_id", "/admin/log")
