"""`/api/v1/trends/…`: hashtags and posts that are popular now."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json import entities
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import POSTS_DEFAULT, POSTS_MOST, PageQuery, page_of
from stormpetrel.api.search import encoded_tags
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.rules import trends as rules

TAGS_DEFAULT, TAGS_MOST = 10, 20
MAX_OFFSET = 500


class TrendsQuery(msgspec.Struct):
    """The part of the list to return."""

    limit: int | None = None
    offset: int = 0


def _part(query: TrendsQuery, default: int, most: int) -> tuple[int, int]:
    limit = page_of(PageQuery(limit=query.limit), default=default, most=most).limit
    return limit, min(max(query.offset, 0), MAX_OFFSET)


@answers(list[entities.Tag], takes=TrendsQuery)
async def tags(request: Request) -> Response:
    """View trending hashtags"""
    limit, offset = _part(request.query(TrendsQuery), TAGS_DEFAULT, TAGS_MOST)
    names = await request.site.database.read(rules.tags, limit=limit, offset=offset, now_ms=request.now_ms)
    request.keep_hot("public")
    return Response(body=array(await encoded_tags(request, names)))


@answers(list[entities.Status], takes=TrendsQuery)
async def statuses(request: Request) -> Response:
    """View trending posts"""
    limit, offset = _part(request.query(TrendsQuery), POSTS_DEFAULT, POSTS_MOST)
    ids = await request.site.database.read(
        rules.posts, reader_id=request.reader_id, limit=limit, offset=offset, now_ms=request.now_ms
    )
    request.keep_hot("public")
    return Response(body=await renderer(request).statuses(ids, reader_id=request.reader_id))
