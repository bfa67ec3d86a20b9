"""Settings: which accounts the reader is notified of, and the notifications that wait for the reader's decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.notification_policy import Choice, NotificationPolicy, NotificationRequest
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import notification_policy as rules
from stormpetrel.web.fragments import Reading, reading
from stormpetrel.web.paging import PEOPLE_A_PAGE, page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PATH = "/settings/notifications"

FIELDS = (
    ("for_not_following", "People you do not follow", ""),
    (
        "for_not_followers",
        "People who do not follow you",
        "Also those who began to follow you less than three days ago.",
    ),
    ("for_new_accounts", "New accounts", "Younger than 30 days, unless you follow them."),
    (
        "for_private_mentions",
        "Direct posts you did not ask for",
        "From people you do not follow, unless they answer you.",
    ),
    ("for_bots", "Bots", "Unless you follow them."),
)
"""The fields of the form: name, label and hint."""

CHOICES = (
    (Choice.ACCEPT, "Notify me"),
    (Choice.FILTER, "Let them wait below"),
    (Choice.DROP, "Ignore them"),
)


@dataclass(frozen=True, slots=True)
class NotificationPolicyView:
    """The reader's policy, and one page of requests with their senders."""

    policy: NotificationPolicy
    requests: tuple[NotificationRequest, ...]
    people: dict[int, Account]
    reader: Reader | None


def read_policy(connection: Connection, by: Reading, *, page: Page) -> NotificationPolicyView:
    """Read the reader's policy and one page of requests."""
    assert by.reader_id is not None
    chosen, _, _ = rules.policy(connection, account_id=by.reader_id, now_ms=by.now_ms)
    found = rules.requests(connection, account_id=by.reader_id, page=page, now_ms=by.now_ms)
    people = account_rules.accounts(connection, account_ids=[one.from_account_id for one in found])
    return NotificationPolicyView(
        chosen,
        tuple(found),
        {account.id: account for account in people},
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def show(request: Request) -> Response:
    """GET /settings/notifications: show the policy as a form, and the requests."""
    page = page_of(request, PEOPLE_A_PAGE)
    seen = await request.site.database.read(read_policy, reading(request), page=page)
    return pages_of(request).page(
        request,
        "settings_notifications.html",
        reader=seen.reader,
        fields=FIELDS,
        choices=CHOICES,
        policy=asdict(seen.policy),
        requests=[
            (one, seen.people[one.from_account_id])
            for one in seen.requests
            if one.from_account_id in seen.people
        ],
        pager=pager(request, page, [one.id for one in seen.requests]),
    )


async def save(request: Request) -> Response:
    """POST /settings/notifications: save the policy."""
    fields = await request.form()
    try:
        choices = {name: Choice(fields[name]) for name, _, _ in FIELDS if name in fields}
    except ValueError:
        raise Invalid("Validation failed: Choose one of the values of the form") from None
    await request.site.database.write(
        rules.change_policy, account_id=request.account_id, choices=choices, now_ms=request.now_ms
    )
    return redirect(PATH)


async def accept(request: Request) -> Response:
    """POST /settings/notifications/ID/accept: accept the sender."""
    return await _decide(request, rules.accept)


async def dismiss(request: Request) -> Response:
    """POST /settings/notifications/ID/dismiss: delete the notifications of the request."""
    return await _decide(request, rules.dismiss)


async def _decide(request: Request, rule: Callable[..., int]) -> Response:
    # A request that another page has answered already is no error.
    await request.site.database.write(rule, account_id=request.account_id, request_ids=[request.id()])
    return redirect(PATH)
