"""`GET /api/v2/search`: accounts by name, hashtags, and the address of a post or profile of ours.

Posts are not searched by their words yet: `statuses` holds only a post whose address was given.
"""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from stormpetrel.api import convert
from stormpetrel.api.entities import Search
from stormpetrel.api.paging import POSTS_DEFAULT, POSTS_MOST, PageQuery, page_of
from stormpetrel.api.render import array, renderer
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.ids import parse_id
from stormpetrel.model.page import Page
from stormpetrel.model.text import tag_key, tags_in
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import followed_tags as tag_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.rules import timelines as timeline_rules
from stormpetrel.storage.connection import Connection

MAX_OFFSET = 10_000
MAX_QUERY_CHARACTERS = 2048
_encode = msgspec.json.Encoder().encode


class SearchQuery(msgspec.Struct):
    """`type`: accounts, hashtags or statuses; without it, all three."""

    q: str = ""
    type: str = ""
    limit: int | None = None
    offset: int = 0
    following: bool = False
    resolve: bool = False


@answers(Search, takes=SearchQuery)
async def search(request: Request) -> Response:
    """Find accounts, hashtags, and a post by its address"""
    query = request.query(SearchQuery)
    text = query.q.strip()[:MAX_QUERY_CHARACTERS]
    limit = page_of(PageQuery(limit=query.limit), default=POSTS_DEFAULT, most=POSTS_MOST).limit
    account_ids, post_ids, tags = await request.site.database.read(
        _found,
        text=text,
        kind=query.type,
        limit=limit,
        offset=min(max(query.offset, 0), MAX_OFFSET),
        reader_id=request.reader_id,
        following_of=request.reader_id if query.following else None,
        base_url=request.site.base_url,
        domain=request.site.domain,
        now_ms=request.now_ms,
    )
    bytes_of = renderer(request)
    followed: set[str] | None = None
    if request.reader_id is not None:
        followed = await request.site.database.read(
            tag_rules.followed_among, account_id=request.reader_id, names=tags
        )
    hashtags = [
        _encode(
            convert.tag(
                name,
                base_url=request.site.base_url,
                following=None if followed is None else name in followed,
            )
        )
        for name in tags
    ]
    return Response(
        body=b'{"accounts":%b,"statuses":%b,"hashtags":%b,"collections":[]}'
        % (
            await bytes_of.accounts(account_ids),
            await bytes_of.statuses(post_ids, reader_id=request.reader_id),
            array(hashtags),
        )
    )


def _found(
    connection: Connection,
    *,
    text: str,
    kind: str,
    limit: int,
    offset: int,
    reader_id: int | None,
    following_of: int | None,
    base_url: str,
    domain: str,
    now_ms: int,
) -> tuple[list[int], list[int], list[str]]:
    """Ids of accounts, ids of posts, names of hashtags."""
    if not text:
        return [], [], []
    address = address_of_ours(text, base_url)
    if address is not None:
        username, post_id = address
        if post_id is not None:
            asked = [post_id] if kind in ("", "statuses") else []
            seen = post_rules.visible_ids(connection, reader_id=reader_id, post_ids=asked, now_ms=now_ms)
            return [], seen, []
        text = f"@{username}"
    account_ids: list[int] = []
    if kind in ("", "accounts") and not text.startswith("#"):
        name, _, asked_domain = text.removeprefix("@").partition("@")
        if name and (not asked_domain or asked_domain.lower() == domain):
            accounts = account_rules.search_accounts(
                connection, text=name, limit=limit, offset=offset, following_of=following_of
            )
            account_ids = [account.id for account in accounts]
    tags: list[str] = []
    if kind in ("", "hashtags") and not text.startswith("@") and offset == 0:
        tags = _tag(connection, reader_id, text, now_ms)
    return account_ids, [], tags


def address_of_ours(text: str, base_url: str) -> tuple[str, int | None] | None:
    """(username, post id) of an address of ours: `…/@name` or `…/@name/ID`; None for any other text."""
    if not text.startswith(f"{base_url}/@"):
        return None
    username, slash, rest = unquote(text.removeprefix(f"{base_url}/@")).partition("/")
    if not slash or not rest:
        return username, None
    post_id = parse_id(rest)
    return None if post_id is None else (username, post_id)


def _tag(connection: Connection, reader_id: int | None, text: str, now_ms: int) -> list[str]:
    """The hashtag of that very name, if anybody has used it in public."""
    word = text.removeprefix("#")
    if [name for _, name in tags_in(f"#{word}")] != [word]:
        return []
    used = timeline_rules.tag(
        connection, reader_id=reader_id, page=Page(limit=1), name=tag_key(word), now_ms=now_ms
    )
    return [tag_key(word)] if used else []
