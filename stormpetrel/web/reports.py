"""Report a post or an account to the moderators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.ids import parse_id
from stormpetrel.model.moderation import MAX_COMMENT, Category, InstanceRule, Report
from stormpetrel.model.relationship import Relationship
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import instance as instance_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.rules import relationships as relationship_rules
from stormpetrel.rules import reports as rules
from stormpetrel.web.fragments import PostListData, Reading, gather, reading
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

CATEGORIES = (
    (Category.VIOLATION, "It breaks a server rule"),
    (Category.SPAM, "It is spam"),
    (Category.LEGAL, "It is illegal"),
    (Category.OTHER, "Something else"),
)


@dataclass(frozen=True, slots=True)
class ReportView:
    """The account to report, the post (0: none), and the instance's rules to choose from."""

    account: Account
    post_id: int
    gathered: PostListData
    rules: tuple[InstanceRule, ...]
    reader: Reader | None


def read_report(
    connection: Connection, by: Reading, *, post_id: int | None, account_id: int | None
) -> ReportView:
    """Read the data of the form. Raise NotFound if the reader may not see the target, or is the target."""
    if post_id is not None:
        post = post_rules.post(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
        if post.boost_of_id is not None:
            raise NotFound
        account_id = post.author_id
    if account_id is None or account_id == by.reader_id:
        raise NotFound
    account = account_rules.account(connection, account_id=account_id)
    return ReportView(
        account,
        post_id or 0,
        gather(connection, by, post_ids=[post_id] if post_id else []),
        tuple(instance_rules.rules(connection)),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def report_post(request: Request) -> Response:
    """GET and POST /posts/ID/report: report a post."""
    return await _report(request, post_id=request.id(), account_id=None)


async def report_person(request: Request) -> Response:
    """GET and POST /people/ID/report: report an account."""
    return await _report(request, post_id=None, account_id=request.id())


async def _report(request: Request, *, post_id: int | None, account_id: int | None) -> Response:
    seen = await request.site.database.read(
        read_report, reading(request), post_id=post_id, account_id=account_id
    )
    problem, typed = "", {"comment": "", "category": ""}
    if request.method == "POST":
        form = await request.form()
        typed = {name: form.get(name, "") for name in typed}
        named = [parse_id(name.removeprefix("rule_")) for name in form if name.startswith("rule_")]
        try:
            report = await request.site.database.write(
                rules.create_report,
                reporter_id=request.account_id,
                account_id=seen.account.id,
                post_ids=[seen.post_id] if seen.post_id else [],
                comment=typed["comment"],
                category=typed["category"],
                rule_ids=[rule_id for rule_id in named if rule_id is not None],
                now_ms=request.now_ms,
            )
            return redirect(f"/reports/{report.id}")
        except Invalid as refusal:
            problem = refusal.safe_text
    return pages_of(request).page(
        request,
        "report.html",
        status=422 if problem else 200,
        reader=seen.reader,
        account=seen.account,
        items=pages_of(request).items(seen.gathered),
        rules=seen.rules,
        categories=CATEGORIES,
        max_comment=MAX_COMMENT,
        problem=problem,
        typed=typed,
    )


@dataclass(frozen=True, slots=True)
class ReportedView:
    """The reader's own report. `account`: the reported one, None if it no longer exists."""

    report: Report
    account: Account | None
    relationship: Relationship
    reader: Reader | None


def read_reported(connection: Connection, by: Reading, *, report_id: int) -> ReportedView:
    """Read the data of the confirmation. Raise NotFound for other reporters' reports."""
    assert by.reader_id is not None
    report = rules.own_report(connection, reporter_id=by.reader_id, report_id=report_id)
    found = account_rules.accounts(connection, account_ids=[report.account_id])
    relationship = relationship_rules.relationships(
        connection, reader_id=by.reader_id, account_ids=[report.account_id], now_ms=by.now_ms
    )[0]
    return ReportedView(
        report,
        found[0] if found else None,
        relationship,
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def reported(request: Request) -> Response:
    """GET /reports/ID: confirm to the reporter that the moderators have the report."""
    seen = await request.site.database.read(read_reported, reading(request), report_id=request.id())
    return pages_of(request).page(
        request,
        "reported.html",
        reader=seen.reader,
        report=seen.report,
        account=seen.account,
        relationship=seen.relationship,
        reason=dict(CATEGORIES)[seen.report.category],
    )
