"""`/api/v1/tags/…`: a hashtag, following it, and the hashtags that one follows."""

from __future__ import annotations

from stormpetrel.api import convert
from stormpetrel.api.entities import Tag
from stormpetrel.api.paging import PageQuery, page_of
from stormpetrel.api.search import encoded_tags
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json, paged
from stormpetrel.model.text import tag_key, tags_in
from stormpetrel.rules import followed_tags as rules

TAGS_DEFAULT = 100
TAGS_MOST = 200


@answers(Tag)
async def show(request: Request) -> Response:
    """A hashtag"""
    name = request.parameters["name"]
    if not tags_in(f"#{name}"):
        raise NotFound
    (body,) = await encoded_tags(request, [tag_key(name)])
    return Response(body=body)


@answers(Tag)
async def follow(request: Request) -> Response:
    """Follow a hashtag: public posts with it appear in the home timeline"""
    key = await request.site.database.write(
        rules.follow_tag,
        account_id=request.account_id,
        name=request.parameters["name"],
        now_ms=request.now_ms,
    )
    return json(convert.tag(key, base_url=request.site.base_url, following=True))


@answers(Tag)
async def unfollow(request: Request) -> Response:
    """Stop following a hashtag"""
    key = await request.site.database.write(
        rules.unfollow_tag, account_id=request.account_id, name=request.parameters["name"]
    )
    return json(convert.tag(key, base_url=request.site.base_url, following=False))


@answers(list[Tag], takes=PageQuery, paged=True)
async def followed(request: Request) -> Response:
    """Hashtags that one follows"""
    page = page_of(request.query(PageQuery), default=TAGS_DEFAULT, most=TAGS_MOST)
    rows = await request.site.database.read(rules.followed_tags, account_id=request.account_id, page=page)
    base_url = request.site.base_url
    response = json([convert.tag(name, base_url=base_url, following=True) for _, name in rows])
    return paged(request, response.body, [row_id for row_id, _ in rows])
