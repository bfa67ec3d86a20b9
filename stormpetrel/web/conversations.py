"""Direct posts by conversation: list them with the last post, mark one as read, remove one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.conversation import Conversation
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import conversations as rules
from stormpetrel.web.fragments import Fragment, ListedPost, PostListData, Reading, gather, reading
from stormpetrel.web.links import same_site
from stormpetrel.web.paging import page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

HERE = "/conversations"
PEOPLE_SHOWN = 3
"""The number of participants shown by name; the others are counted."""


@dataclass(frozen=True, slots=True)
class ConversationsView:
    """A page of conversations with their participants and last posts."""

    conversations: tuple[Conversation, ...]
    people: dict[int, Account]
    gathered: PostListData
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One conversation as shown. `others`: how many more take part; `own`: the reader posted last."""

    id: int
    people: tuple[Account, ...]
    others: int
    alone: bool
    last: Fragment
    own: bool
    unread: bool

    @property
    def named(self) -> str:
        """Return the participants' names as text."""
        if self.alone:
            return "yourself"
        names = ", ".join(person.shown_name for person in self.people)
        return f"{names} and {self.others} more" if self.others else names


def read_conversations(connection: Connection, by: Reading, *, page: Page) -> ConversationsView:
    """Read one page of the reader's conversations, with the data to show them."""
    assert by.reader_id is not None
    found = rules.conversations(connection, account_id=by.reader_id, page=page, now_ms=by.now_ms)
    wanted = {account_id for one in found for account_id in one.participant_ids[:PEOPLE_SHOWN]}
    people = account_rules.accounts(connection, account_ids=sorted(wanted)) if wanted else []
    return ConversationsView(
        tuple(found),
        {account.id: account for account in people},
        gather(connection, by, post_ids=[one.last_post_id for one in found]),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def index(request: Request) -> Response:
    """GET /conversations: list them, the one with the newest post first."""
    site, page = request.site, page_of(request)
    seen = await site.database.read(read_conversations, reading(request), page=page)
    return pages_of(request).page(
        request,
        "conversations.html",
        reader=seen.reader,
        entries=entries(seen, pages_of(request).items(seen.gathered)),
        pager=pager(request, page, [one.place for one in seen.conversations]),
    )


def entries(seen: ConversationsView, items: list[ListedPost]) -> list[ConversationRow]:
    """Return the entries to show; omit conversations whose last post was deleted during the read."""
    by_id = {item.id: item.fragment for item in items}
    shown = []
    for one in seen.conversations:
        last = by_id.get(one.last_post_id)
        if last is None:
            continue
        ids = one.participant_ids
        shown.append(
            ConversationRow(
                id=one.id,
                people=tuple(
                    seen.people[account_id] for account_id in ids[:PEOPLE_SHOWN] if account_id in seen.people
                ),
                others=max(0, len(ids) - PEOPLE_SHOWN),
                alone=ids == (one.account_id,),
                last=last,
                own=last.author_id == one.account_id,
                unread=one.unread,
            )
        )
    return shown


async def mark_read(request: Request) -> Response:
    """POST /conversations/ID/read: mark it as read."""
    await request.site.database.write(
        rules.mark_read,
        account_id=request.account_id,
        conversation_id=request.id(),
        now_ms=request.now_ms,
    )
    return await _back(request)


async def remove(request: Request) -> Response:
    """POST /conversations/ID/remove: remove it from the reader's list until a new post arrives."""
    await request.site.database.write(
        rules.remove, account_id=request.account_id, conversation_id=request.id()
    )
    return await _back(request)


async def _back(request: Request) -> Response:
    wanted = (await request.form()).get("next", "")
    return redirect(same_site(wanted) if wanted else HERE)
