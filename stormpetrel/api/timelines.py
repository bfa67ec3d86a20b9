"""`/api/v1/timelines/…`, and the lists of favourited and bookmarked posts."""

from __future__ import annotations

from functools import partial

import msgspec

from stormpetrel.api.json.entities import Status
from stormpetrel.api.json.render import keep_finished, renderer
from stormpetrel.api.paging import PageQuery, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.page import Page
from stormpetrel.model.text import tag_key
from stormpetrel.rules import timelines as rules

FEW_POSTS = 5
"""Posts of the newest page of home under overload, for a reader whose home is not in memory."""
MAX_TAGS_ASKED = 10
"""Further hashtags are ignored. Mastodon's columns allow 4 of each kind; more have no practical use."""


@answers(list[Status], takes=PageQuery, paged=True)
async def home(request: Request) -> Response:
    """View the home timeline"""
    home, reader_id = request.site.home, request.account_id
    page = page_of(request.query(PageQuery))
    # An app that gives a bound may take a short page for the end of the list, and skip posts.
    is_newest = page == Page(page.limit)
    # Nothing is prepared for this reader, and more readers wait than can be served.
    is_cut = is_newest and page.limit > FEW_POSTS and request.site.is_stressed() and not home.holds(reader_id)
    ids, version = await home.versioned_page(reader_id, Page(FEW_POSTS) if is_cut else page)
    body = await renderer(request).statuses(ids, reader_id=reader_id)
    if version and not is_cut:
        await keep_finished(request, ids, still_holds=partial(home.is_at, reader_id, version))
    return paged(request, body, ids)


class PublicQuery(PageQuery, kw_only=True):
    local: bool = False
    remote: bool = False
    only_media: bool = False


@answers(list[Status], takes=PublicQuery, paged=True)
async def public(request: Request) -> Response:
    """View the public timeline"""
    query = request.query(PublicQuery)
    ids = await request.site.database.read(
        rules.public,
        reader_id=request.reader_id,
        page=page_of(query),
        now_ms=request.now_ms,
        local=query.local,
        remote=query.remote,
        only_media=query.only_media,
    )
    request.keep_hot("public")
    return paged(request, await renderer(request).statuses(ids, reader_id=request.reader_id), ids)


class TagQuery(PublicQuery, kw_only=True):
    any_of: list[str] = msgspec.field(name="any", default_factory=list)
    all_of: list[str] = msgspec.field(name="all", default_factory=list)
    none_of: list[str] = msgspec.field(name="none", default_factory=list)


@answers(list[Status], takes=TagQuery, paged=True)
async def tag(request: Request) -> Response:
    """View the public posts with a hashtag"""
    query = request.query(TagQuery)
    name = tag_key(request.parameters["name"].removeprefix("#"))
    ids: list[int] = []
    if not query.remote and not query.only_media:
        ids = await request.site.database.read(
            rules.tag,
            reader_id=request.reader_id,
            page=page_of(query),
            name=name,
            now_ms=request.now_ms,
            any_of=_keys(query.any_of),
            all_of=_keys(query.all_of),
            none_of=_keys(query.none_of),
        )
    request.keep_hot(f"tag:{name}")
    return paged(request, await renderer(request).statuses(ids, reader_id=request.reader_id), ids)


def _keys(names: list[str]) -> tuple[str, ...]:
    return tuple(tag_key(name.removeprefix("#")) for name in names[:MAX_TAGS_ASKED])


@answers(list[Status], takes=PageQuery, paged=True)
async def favourites(request: Request) -> Response:
    """View favourited posts"""
    return await _rows(
        request,
        await request.site.database.read(
            rules.favourites,
            account_id=request.account_id,
            page=page_of(request.query(PageQuery)),
            now_ms=request.now_ms,
        ),
    )


@answers(list[Status], takes=PageQuery, paged=True)
async def bookmarks(request: Request) -> Response:
    """View bookmarked posts"""
    return await _rows(
        request,
        await request.site.database.read(
            rules.bookmarks,
            account_id=request.account_id,
            page=page_of(request.query(PageQuery)),
            now_ms=request.now_ms,
        ),
    )


async def _rows(request: Request, rows: list[tuple[int, int]]) -> Response:
    """Return the posts of (row id, post id) pairs; the Link header uses the row ids."""
    body = await renderer(request).statuses([post_id for _, post_id in rows], reader_id=request.reader_id)
    return paged(request, body, [row_id for row_id, _ in rows])
