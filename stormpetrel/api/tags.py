"""`/api/v1/tags/…`: view, follow and feature hashtags; list the followed hashtags."""

from __future__ import annotations

from stormpetrel.api.json.entities import Tag
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import PageQuery, page_of
from stormpetrel.api.search import encoded_tags
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.text import tag_key, tags_in
from stormpetrel.rules import featured_tags as featured_rules
from stormpetrel.rules import followed_tags as rules

TAGS_DEFAULT = 100
TAGS_MOST = 200


@answers(Tag)
async def show(request: Request) -> Response:
    """View a hashtag"""
    name = request.parameters["name"]
    if not tags_in(f"#{name}"):
        raise NotFound
    return await _tag(request, tag_key(name))


@answers(Tag)
async def follow(request: Request) -> Response:
    """Follow a hashtag: its public posts appear in the home timeline"""
    key = await request.site.database.write(
        rules.follow_tag,
        account_id=request.account_id,
        name=request.parameters["name"],
        now_ms=request.now_ms,
    )
    return await _tag(request, key)


@answers(Tag)
async def unfollow(request: Request) -> Response:
    """Unfollow a hashtag"""
    key = await request.site.database.write(
        rules.unfollow_tag, account_id=request.account_id, name=request.parameters["name"]
    )
    return await _tag(request, key)


@answers(Tag)
async def feature(request: Request) -> Response:
    """Feature a hashtag on the profile, by its name"""
    tag = await request.site.database.write(
        featured_rules.feature,
        account_id=request.account_id,
        name=request.parameters["name"],
        now_ms=request.now_ms,
    )
    return await _tag(request, tag.name)


@answers(Tag)
async def unfeature(request: Request) -> Response:
    """Stop featuring a hashtag on the profile, by its name"""
    key = await request.site.database.write(
        featured_rules.unfeature_named, account_id=request.account_id, name=request.parameters["name"]
    )
    return await _tag(request, key)


async def _tag(request: Request, key: str) -> Response:
    (body,) = await encoded_tags(request, [key])
    return Response(body=body)


@answers(list[Tag], takes=PageQuery, paged=True)
async def followed(request: Request) -> Response:
    """View followed hashtags"""
    page = page_of(request.query(PageQuery), default=TAGS_DEFAULT, most=TAGS_MOST)
    rows = await request.site.database.read(rules.followed_tags, account_id=request.account_id, page=page)
    body = array(await encoded_tags(request, [name for _, name in rows]))
    return paged(request, body, [row_id for row_id, _ in rows])
