"""`/api/v1/featured_tags`: the hashtags on the caller's profile."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import FeaturedTag, Nothing, Tag
from stormpetrel.api.json.view import array
from stormpetrel.api.search import encoded_tags
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid, NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import featured_tags as rules


def _entity(request: Request, tag: rules.FeaturedTag) -> FeaturedTag:
    return FeaturedTag(
        id=str(tag.id),
        name=tag.name,
        url=convert.tag_url(tag.name, request.site.base_url),
        statuses_count=str(tag.posts_count),
        last_status_at=convert.timestamp(tag.last_post_at_ms)[:10] if tag.last_post_at_ms else None,
    )


async def shown_by(request: Request, account_id: int) -> list[FeaturedTag]:
    """Return the hashtags that an account features. Raise NotFound if the reader may not see the account."""
    found = await request.site.database.read(
        rules.featured_tags, reader_id=request.reader_id, account_id=account_id
    )
    return [_entity(request, tag) for tag in found]


@answers(list[FeaturedTag])
async def index(request: Request) -> Response:
    """View the hashtags featured on the caller's profile"""
    return json(await shown_by(request, request.account_id))


@answers(list[FeaturedTag])
async def of_account(request: Request) -> Response:
    """View the hashtags featured on an account's profile"""
    return json(await shown_by(request, request.id()))


class FeaturedTagInput(msgspec.Struct):
    """`name`: with or without the #."""

    name: str = ""


@answers(FeaturedTag, takes=FeaturedTagInput)
async def create(request: Request) -> Response:
    """Feature a hashtag on the profile"""
    name = (await request.input(FeaturedTagInput)).name.strip()
    try:
        tag = await request.site.database.write(
            rules.feature, account_id=request.account_id, name=name, now_ms=request.now_ms
        )
    except NotFound as error:
        # The input is wrong (422), not the URL (404).
        raise Invalid(
            "Validation failed: Name is not a hashtag", fields={"name": "is not a hashtag"}
        ) from error
    return json(_entity(request, tag))


@answers(Nothing)
async def delete(request: Request) -> Response:
    """Stop featuring a hashtag on the profile"""
    await request.site.database.write(
        rules.unfeature, account_id=request.account_id, featured_id=request.id()
    )
    return json({})


@answers(list[Tag])
async def suggestions(request: Request) -> Response:
    """View suggestions: the hashtags that the caller uses most"""
    names = await request.site.database.read(rules.suggested, account_id=request.account_id)
    return Response(body=array(await encoded_tags(request, names)))
