"""Accounts that the reader mutes or blocks, or whose boosts they hide, each with a button to undo it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.account import Account
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import relationships as rules
from stormpetrel.web.fragments import Reading, reading
from stormpetrel.web.paging import PEOPLE_A_PAGE, page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection


@dataclass(frozen=True, slots=True)
class HiddenList:
    """One of the lists: its path and texts. `undo`: the last part of the path to which the button posts."""

    path: str
    tab: str
    title: str
    effect: str
    undo: str
    undo_label: str
    nothing: str


MUTED = HiddenList(
    "/settings/muted",
    "Muted",
    "Muted people",
    "You do not see their posts. They are not notified.",
    "unmute",
    "Unmute",
    "You have not muted anyone.",
)
BLOCKED = HiddenList(
    "/settings/blocked",
    "Blocked",
    "Blocked people",
    "They cannot follow you or see your posts here, and you do not see theirs.",
    "unblock",
    "Unblock",
    "You have not blocked anyone.",
)
HIDDEN_BOOSTS = HiddenList(
    "/settings/hidden_boosts",
    "Boosts hidden",
    "People whose boosts you hide",
    "You follow them, but only see their own posts.",
    "show_boosts",
    "Show boosts",
    "You have not hidden anyone's boosts.",
)
LISTS = (MUTED, BLOCKED, HIDDEN_BOOSTS)


@dataclass(frozen=True, slots=True)
class HiddenPeopleView:
    """One page of a list: (account, end in ms or 0 for never) pairs, newest first; `ids` are for paging."""

    people: tuple[tuple[Account, int], ...]
    ids: tuple[int, ...]
    reader: Reader | None


def read_hidden_people(
    connection: Connection, by: Reading, *, shown: HiddenList, page: Page
) -> HiddenPeopleView:
    """Read one page of the reader's own list."""
    assert by.reader_id is not None
    until_ms: dict[int, int] = {}
    if shown is MUTED:
        rows = rules.muted(connection, account_id=by.reader_id, page=page, now_ms=by.now_ms)
        pairs = [(internal_id, account_id) for internal_id, account_id, _ in rows]
        until_ms = {account_id: expires_at_ms for _, account_id, expires_at_ms in rows}
    elif shown is BLOCKED:
        pairs = rules.blocked(connection, account_id=by.reader_id, page=page)
    else:
        pairs = rules.hidden_boosts(connection, account_id=by.reader_id, page=page)
    ids = [account_id for _, account_id in pairs]
    return HiddenPeopleView(
        tuple((one, until_ms.get(one.id, 0)) for one in account_rules.accounts(connection, account_ids=ids)),
        tuple(internal_id for internal_id, _ in pairs),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def muted(request: Request) -> Response:
    """GET /settings/muted: list the muted accounts."""
    return await _page(request, MUTED)


async def blocked(request: Request) -> Response:
    """GET /settings/blocked: list the blocked accounts, also those whose profile the reader cannot open
    because they block the reader."""
    return await _page(request, BLOCKED)


async def hidden_boosts(request: Request) -> Response:
    """GET /settings/hidden_boosts: list the accounts whose boosts are hidden."""
    return await _page(request, HIDDEN_BOOSTS)


async def _page(request: Request, shown: HiddenList) -> Response:
    page = page_of(request, PEOPLE_A_PAGE)
    seen = await request.site.database.read(read_hidden_people, reading(request), shown=shown, page=page)
    return pages_of(request).page(
        request,
        "hidden_people.html",
        reader=seen.reader,
        shown=shown,
        lists=LISTS,
        people=seen.people,
        pager=pager(request, page, seen.ids),
    )
