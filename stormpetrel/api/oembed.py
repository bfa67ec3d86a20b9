"""`GET /api/oembed`: embed a post in another site (https://oembed.com). No script: a sandboxed iframe."""

from __future__ import annotations

import math
from html import escape
from typing import Annotated, Literal

import msgspec

from stormpetrel.api.json.entities import Entity
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Malformed, NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.account import Account
from stormpetrel.model.post import Post
from stormpetrel.model.text import excerpt
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.rules import search as search_rules
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

WIDTH, LEAST_WIDTH = 500, 220
"""Pixels: a comfortable width for a post, and the least width at which its header fits on one line."""
LEAST_HEIGHT, MOST_HEIGHT = 160, 600
"""Pixels. Without a script the frame cannot grow; longer content scrolls."""
_FRAME_HEIGHT, _LINE_HEIGHT, _CHARACTER_WIDTH = 150, 24, 8
"""Pixels, from style.css: the frame without text, the height of a line, the average width of a character."""
CACHE_AGE_S = 86_400
TITLE_CHARACTERS = 100

_Pixels = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class OembedQuery(msgspec.Struct):
    """`url`: the URL of a post. `maxwidth` and `maxheight`: the available space in pixels."""

    url: str = ""
    maxwidth: _Pixels | None = None
    maxheight: _Pixels | None = None
    format: str = "json"


class Oembed(Entity, frozen=True):
    """oEmbed 1.0, type rich."""

    type: Literal["rich"]
    version: Literal["1.0"]
    title: str
    author_name: str
    author_url: str
    provider_name: str
    provider_url: str
    cache_age: int
    html: str
    width: int
    height: int


@hot
def read_post(connection: Connection, *, post_id: int, now_ms: int) -> tuple[Post, Account]:
    """Return a public or unlisted post and its author. Raise NotFound."""
    post = post_rules.post(connection, reader_id=None, post_id=post_id, now_ms=now_ms)
    if post.boost_of_id:
        raise NotFound
    return post, account_rules.account(connection, account_id=post.author_id)


@answers(Oembed, takes=OembedQuery)
async def show(request: Request) -> Response:
    """View the HTML that embeds a post in another site (oEmbed)"""
    site, query = request.site, request.query(OembedQuery)
    if query.format.lower() != "json":
        raise Malformed("Only the format json is supported")
    target = search_rules.address(
        query.url.strip().partition("?")[0].removesuffix("/embed"), base_url=site.base_url
    )
    if target is None or target.post_id is None:
        raise NotFound
    post, author = await site.database.read(read_post, post_id=target.post_id, now_ms=request.now_ms)
    request.keep_hot(f"post:{post.id}", f"account:{author.id}", "instance")
    width = max(LEAST_WIDTH, min(WIDTH, query.maxwidth or WIDTH))
    shown = post.spoiler_text or post.text
    lines = sum(math.ceil(len(line) * _CHARACTER_WIDTH / width) or 1 for line in shown.split("\n"))
    height = max(LEAST_HEIGHT, min(MOST_HEIGHT, _FRAME_HEIGHT + lines * _LINE_HEIGHT))
    if query.maxheight:
        height = max(LEAST_HEIGHT, min(height, query.maxheight))
    author_url = f"{site.base_url}/@{author.username}"
    title = f"{author.shown_name}: {excerpt(shown, TITLE_CHARACTERS)}"
    return json(
        Oembed(
            type="rich",
            version="1.0",
            title=title,
            author_name=author.shown_name,
            author_url=author_url,
            provider_name=site.config.title,
            provider_url=f"{site.base_url}/",
            cache_age=CACHE_AGE_S,
            html=(
                f'<iframe src="{author_url}/{post.id}/embed" title="{escape(title)}" '
                f'width="{width}" height="{height}" loading="lazy" style="border:0;max-width:100%" '
                'sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>'
            ),
            width=width,
            height=height,
        )
    )
