"""`GET /api/v2/search`: posts by their words, accounts by name, hashtags, and our own URLs."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Search
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import Id, PageQuery, one_id, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.search import MAX_QUERY_CHARACTERS, parse
from stormpetrel.rules import featured_tags as featured_rules
from stormpetrel.rules import followed_tags as tag_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.rules import search as rules
from stormpetrel.rules import trends as trend_rules
from stormpetrel.storage.engine.connection import Connection

MAX_OFFSET = 10_000
MAX_POSTS_OFFSET = 200
"""Page further back with max_id: each skipped post must be found first."""
_encode = msgspec.json.Encoder().encode


class SearchRequest(PageQuery, kw_only=True):
    """`type`: accounts, hashtags or statuses; without it, all three."""

    q: str = ""
    type: str = ""
    offset: int = 0
    following: bool = False
    resolve: bool = False
    account_id: Id | None = None
    exclude_unreviewed: bool = False


@answers(Search, takes=SearchRequest)
async def search(request: Request) -> Response:
    """Search for posts, accounts and hashtags, or open a URL"""
    query = request.query(SearchRequest)
    text = query.q.strip()[:MAX_QUERY_CHARACTERS].replace("\0", " ")
    page = page_of(query)
    offset = min(max(query.offset, 0), MAX_OFFSET)
    author_id = one_id(query.account_id, "account_id")
    site = request.site
    account_ids, post_ids, names, is_address = await site.database.read(
        _found,
        text=text,
        kind=query.type,
        limit=page.limit,
        offset=offset,
        reader_id=request.reader_id,
        only_followed=query.following and request.reader_id is not None,
        base_url=site.base_url,
        domain=site.domain,
        now_ms=request.now_ms,
    )
    wanted = parse(text)
    if (
        request.reader_id is not None
        and query.type in ("", "statuses")
        and not (is_address or wanted.is_empty or text.startswith("@"))
    ):
        request.release_slot()
        post_ids = await site.database.read_slow(
            request.reader_id,
            rules.find_posts,
            reader_id=request.reader_id,
            query=wanted,
            author_id=author_id,
            page=page,
            offset=min(offset, MAX_POSTS_OFFSET),
            now_ms=request.now_ms,
        )
    bytes_of = renderer(request)
    hashtags = await encoded_tags(request, names)
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
    only_followed: bool,
    base_url: str,
    domain: str,
    now_ms: int,
) -> tuple[list[int], list[int], list[str], bool]:
    """Return ids of accounts, ids of posts, names of hashtags, and True if `text` is a URL of ours."""
    if not text:
        return [], [], [], False
    target = rules.address(text, base_url=base_url)
    if target is not None:
        if target.post_id is not None:
            asked = [target.post_id] if kind in ("", "statuses") else []
            seen = post_rules.visible_ids(connection, reader_id=reader_id, post_ids=asked, now_ms=now_ms)
            return [], seen, [], True
        text = f"@{target.username}"
    account_ids: list[int] = []
    if kind in ("", "accounts") and not text.startswith("#"):
        name, _, asked_domain = text.removeprefix("@").partition("@")
        if name and (not asked_domain or asked_domain.lower() == domain):
            account_ids = rules.find_people_ids(
                connection,
                reader_id=reader_id,
                text=name,
                limit=limit,
                offset=offset,
                only_followed=only_followed,
                now_ms=now_ms,
            )
    names: list[str] = []
    if kind in ("", "hashtags") and not text.startswith("@"):
        names = rules.find_tags(connection, text=text, limit=limit, offset=offset)
    return account_ids, [], names, target is not None


async def encoded_tags(request: Request, names: list[str]) -> list[bytes]:
    """Return the hashtags with their last seven days, in the given order."""
    if not names:
        return []
    site = request.site
    days = await site.database.read(trend_rules.history, names=names, now_ms=request.now_ms)
    followed: set[str] = set()
    featured: set[str] = set()
    if request.reader_id is not None:
        followed = await site.database.read(
            tag_rules.followed_among, account_id=request.reader_id, names=names
        )
        featured = await site.database.read(
            featured_rules.featured_among, account_id=request.reader_id, names=names
        )
    return [
        _encode(
            convert.tag(
                name,
                base_url=site.base_url,
                following=None if request.reader_id is None else name in followed,
                featuring=name in featured,
                days=days[name],
            )
        )
        for name in names
    ]
