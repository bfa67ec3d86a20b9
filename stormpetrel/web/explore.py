"""The page of trending hashtags and posts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.filter import FilterContext
from stormpetrel.rules import trends as rules
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import PostListData, Reading, gather, reading
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

TAGS_SHOWN = 10
POSTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ExploreData:
    """Hashtags with the count of accounts using them today and yesterday; posts, most points first."""

    tags: list[tuple[str, int]]
    posts: PostListData
    reader: Reader | None


def read_explore(connection: Connection, by: Reading) -> ExploreData:
    """Read the trends for this reader."""
    names = rules.tags(connection, limit=TAGS_SHOWN, now_ms=by.now_ms)
    days = rules.history(connection, names=names, now_ms=by.now_ms)
    ids = rules.posts(connection, reader_id=by.reader_id, limit=POSTS_SHOWN, now_ms=by.now_ms)
    return ExploreData(
        [(name, days[name][0].accounts + days[name][1].accounts) for name in names],
        gather(connection, by, post_ids=ids),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def explore(request: Request) -> Response:
    """GET /explore: show trending hashtags and posts."""
    seen = await request.site.database.read(read_explore, reading(request))
    request.keep_hot("public", "instance")
    return pages_of(request).page(
        request,
        "explore.html",
        reader=seen.reader,
        tags=seen.tags,
        items=await filtered(request, pages_of(request).items(seen.posts), FilterContext.PUBLIC),
    )
