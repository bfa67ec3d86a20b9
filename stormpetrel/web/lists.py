"""The reader's lists: create and read them, change their members; and follow hashtags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.filter import FilterContext
from stormpetrel.model.lists import MAX_MEMBERS, AccountList, RepliesPolicy
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import followed_tags as tag_rules
from stormpetrel.rules import lists as rules
from stormpetrel.rules import timelines as timeline_rules
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import PostListData, Reading, gather, reading
from stormpetrel.web.links import tag_path
from stormpetrel.web.paging import page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

REPLIES = (
    (RepliesPolicy.LIST, "To members of the list"),
    (RepliesPolicy.FOLLOWED, "To anyone I follow"),
    (RepliesPolicy.NONE, "none"),
)
MOST_TAGS = tag_rules.MAX_FOLLOWED_TAGS


@dataclass(frozen=True, slots=True)
class OwnView:
    """The reader's lists and followed hashtags."""

    lists: Sequence[AccountList]
    tags: tuple[str, ...]
    reader: Reader | None


def read_own(connection: Connection, *, reader_id: int, now_ms: int) -> OwnView:
    """Read the data of the page of lists."""
    tags = tag_rules.followed_tags(connection, account_id=reader_id, page=Page(limit=MOST_TAGS))
    return OwnView(
        rules.lists(connection, account_id=reader_id),
        tuple(name for _, name in tags),
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
    )


async def index(request: Request) -> Response:
    """GET /lists: show the reader's lists and followed hashtags."""
    seen = await request.site.database.read(read_own, reader_id=request.account_id, now_ms=request.now_ms)
    return pages_of(request).page(
        request,
        "lists.html",
        reader=seen.reader,
        lists=seen.lists,
        tags=[(name, tag_path(name)) for name in seen.tags],
        replies=REPLIES,
    )


async def create(request: Request) -> Response:
    """POST /lists: create a list."""
    fields = await request.form()
    made = await request.site.database.write(
        rules.create_list,
        account_id=request.account_id,
        title=fields.get("title", ""),
        replies_policy=fields.get("replies_policy", "list"),
        exclusive="exclusive" in fields,
        now_ms=request.now_ms,
    )
    return redirect(f"/lists/{made.id}")


@dataclass(frozen=True, slots=True)
class ListView:
    """A list with a page of its timeline and all members."""

    one: AccountList
    members: tuple[Account, ...]
    gathered: PostListData
    ids: tuple[int, ...]
    reader: Reader | None


def read_list(connection: Connection, by: Reading, *, list_id: int, page: Page) -> ListView:
    """Read one of the reader's lists. Raise NotFound for a list of another account."""
    assert by.reader_id is not None
    whose = {"account_id": by.reader_id, "list_id": list_id}
    one = rules.one_list(connection, **whose)
    member_ids = rules.members(connection, page=Page(limit=MAX_MEMBERS), **whose)
    ids = timeline_rules.list_timeline(connection, page=page, now_ms=by.now_ms, **whose)
    return ListView(
        one,
        tuple(account_rules.accounts(connection, account_ids=member_ids)),
        gather(connection, by, post_ids=ids),
        tuple(ids),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def show(request: Request) -> Response:
    """GET /lists/ID: show its members' posts, its members, and its settings."""
    page = page_of(request)
    seen = await request.site.database.read(read_list, reading(request), list_id=request.id(), page=page)
    return pages_of(request).page(
        request,
        "list.html",
        reader=seen.reader,
        list=seen.one,
        members=seen.members,
        items=await filtered(request, pages_of(request).items(seen.gathered), FilterContext.HOME),
        pager=pager(request, page, seen.ids),
        replies=REPLIES,
    )


async def change(request: Request) -> Response:
    """POST /lists/ID: change its title or settings."""
    fields = await request.form()
    await request.site.database.write(
        rules.change_list,
        account_id=request.account_id,
        list_id=request.id(),
        title=fields.get("title", ""),
        replies_policy=fields.get("replies_policy", "list"),
        exclusive="exclusive" in fields,
    )
    return redirect(f"/lists/{request.id()}")


async def delete(request: Request) -> Response:
    """POST /lists/ID/delete: delete it."""
    await request.site.database.write(rules.delete_list, account_id=request.account_id, list_id=request.id())
    return redirect("/lists")


def _add_named(connection: Connection, *, account_id: int, list_id: int, username: str) -> None:
    found = account_rules.account_named(connection, username=username)
    rules.add_members(connection, account_id=account_id, list_id=list_id, member_ids=[found.id])


async def add(request: Request) -> Response:
    """POST /lists/ID/add: add a followed account to the list, by name."""
    username = (await request.form()).get("username", "").strip().removeprefix("@").partition("@")[0]
    await request.site.database.write(
        _add_named, account_id=request.account_id, list_id=request.id(), username=username
    )
    return redirect(f"/lists/{request.id()}")


async def remove(request: Request) -> Response:
    """POST /lists/ID/remove: remove an account from it."""
    member = (await request.form()).get("account_id", "")
    await request.site.database.write(
        rules.remove_members,
        account_id=request.account_id,
        list_id=request.id(),
        member_ids=[int(member)] if member.isascii() and member.isdigit() and len(member) < 19 else [],
    )
    return redirect(f"/lists/{request.id()}")


async def follow_tag(request: Request) -> Response:
    """POST /followed_tags: follow a hashtag."""
    await request.site.database.write(
        tag_rules.follow_tag,
        account_id=request.account_id,
        name=(await request.form()).get("name", "").strip(),
        now_ms=request.now_ms,
    )
    return redirect("/lists")


async def unfollow_tag(request: Request) -> Response:
    """POST /followed_tags/end: unfollow a hashtag."""
    await request.site.database.write(
        tag_rules.unfollow_tag,
        account_id=request.account_id,
        name=(await request.form()).get("name", "").strip(),
    )
    return redirect("/lists")
