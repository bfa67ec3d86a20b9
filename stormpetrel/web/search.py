"""The search page: accounts by name, hashtags, and for members posts by their words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.search import parse
from stormpetrel.model.text import tags_in
from stormpetrel.rules import search as rules
from stormpetrel.shield.percent import quoted
from stormpetrel.web.fragments import NOTHING, PostListData, Reading, gather, reading
from stormpetrel.web.links import profile_path, same_site, tag_path
from stormpetrel.web.paging import Pager, page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PEOPLE_FOUND = 20
TAGS_FOUND = 10
_LONGEST_SEARCH = 200


class SearchPageQuery(msgspec.Struct):
    """The text to search for."""

    q: str = ""


@dataclass(frozen=True, slots=True)
class SearchMatches:
    """The accounts and hashtags whose name begins with the text, best match first, and the posts."""

    people: list[Account]
    tags: list[str]
    posts: PostListData
    reader: Reader | None


def read_found(
    connection: Connection, by: Reading, *, name: str, tag: str, post_ids: list[int]
) -> SearchMatches:
    """Read the accounts for `name`, the hashtags that begin with `tag` (none for ""), and the posts."""
    people = (
        rules.find_people(connection, reader_id=by.reader_id, text=name, limit=PEOPLE_FOUND, now_ms=by.now_ms)
        if name
        else []
    )
    tags = rules.find_tags(connection, text=tag, limit=TAGS_FOUND) if tag else []
    posts = gather(connection, by, post_ids=post_ids) if post_ids else NOTHING
    return SearchMatches(
        people, tags, posts, read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms)
    )


def _with_text(links: Pager, text: str) -> Pager:
    """Return the links with the search text added."""

    def with_text(link: str | None) -> str | None:
        return None if link is None else f"{link}{'&' if '?' in link else '?'}q={quoted(text)}"

    return replace(links, older=with_text(links.older), newer=with_text(links.newer))


async def search(request: Request) -> Response:
    """GET /search?q=: show accounts, hashtags and posts, or redirect to the hashtag or account named."""
    text = " ".join(request.query(SearchPageQuery).q.replace("\0", " ").split())[:_LONGEST_SEARCH]
    site, page = request.site, page_of(request)
    if text.startswith(f"{site.base_url}/@"):
        return redirect(same_site(text.removeprefix(site.base_url)))
    if text.startswith("#"):
        named = tags_in(text)
        if len(named) == 1 and " " not in text:
            return redirect(tag_path(named[0][1]))
    name, _, domain = text.removeprefix("@").partition("@")
    # Accounts of other instances are not known yet, so their addresses match no account.
    wanted = name if domain.lower() in ("", site.domain) else ""
    by = reading(request)
    query = parse(text)
    post_ids: list[int] = []
    if request.reader_id is not None and not (query.is_empty or text.startswith("@")):
        request.release_slot()
        post_ids = await site.database.read_slow(
            request.reader_id,
            rules.find_posts,
            reader_id=request.reader_id,
            query=query,
            page=page,
            now_ms=request.now_ms,
        )
    # Only the first page shows accounts and hashtags.
    first = page.max_id == MAX_ID and not page.upward
    found = await site.database.read(
        read_found,
        by,
        name=wanted if first else "",
        tag=text if first and not text.startswith("@") else "",
        post_ids=post_ids,
    )
    exact = [account for account in found.people if account.username.lower() == wanted.lower()]
    if text.startswith("@") and exact:
        return redirect(profile_path(exact[0].username))
    return pages_of(request).page(
        request,
        "search.html",
        reader=found.reader,
        text=text,
        first=first,
        people=found.people,
        tags=found.tags,
        items=pages_of(request).items(found.posts),
        pager=_with_text(pager(request, page, post_ids), text),
    )
