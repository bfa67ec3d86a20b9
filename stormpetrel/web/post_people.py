"""The accounts that boosted or favourited a post, for every reader who may see the post."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.page import Page
from stormpetrel.model.post import Post
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as rules
from stormpetrel.web.fragments import Reading, reading
from stormpetrel.web.links import post_path
from stormpetrel.web.paging import PEOPLE_A_PAGE, page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

RULES = {"boosts": rules.boosted_by, "favourites": rules.favourited_by}
"""By the last part of the path."""


@dataclass(frozen=True, slots=True)
class PostPeopleView:
    """One page of accounts, newest first; `ids` are for paging. `moved_to`: the correct path, if the request
    had another."""

    post: Post
    author: Account
    people: tuple[Account, ...]
    ids: tuple[int, ...]
    reader: Reader | None
    moved_to: str = ""


def read_post_people(
    connection: Connection, by: Reading, *, username: str, post_id: int, tab: str, page: Page
) -> PostPeopleView:
    """Read one page of accounts. Raise NotFound if the reader may not see the post."""
    post = rules.visible_original(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    author = account_rules.account(connection, account_id=post.author_id)
    if post.id != post_id or author.username != username:
        return PostPeopleView(post, author, (), (), None, f"{post_path(author.username, post.id)}/{tab}")
    pairs = RULES[tab](connection, reader_id=by.reader_id, post_id=post.id, page=page, now_ms=by.now_ms)
    return PostPeopleView(
        post,
        author,
        tuple(account_rules.accounts(connection, account_ids=[account_id for _, account_id in pairs])),
        tuple(internal_id for internal_id, _ in pairs),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def boosts(request: Request) -> Response:
    """GET /@NAME/ID/boosts: list the accounts that boosted it."""
    return await _page(request, "boosts")


async def favourites(request: Request) -> Response:
    """GET /@NAME/ID/favourites: list the accounts that favourited it."""
    return await _page(request, "favourites")


async def _page(request: Request, tab: str) -> Response:
    page = page_of(request, PEOPLE_A_PAGE)
    seen = await request.site.database.read(
        read_post_people,
        reading(request),
        username=request.parameters["name"],
        post_id=request.id(),
        tab=tab,
        page=page,
    )
    if seen.moved_to:
        return redirect(seen.moved_to, 302)
    return pages_of(request).page(
        request,
        "post_people.html",
        reader=seen.reader,
        post=seen.post,
        author=seen.author,
        people=seen.people,
        pager=pager(request, page, seen.ids),
        tab=tab,
    )
