"""Paging of web pages: parse `?max_id=` and `?min_id=`, make the links "Older" and "Newer"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from stormpetrel.http.request import Request
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.page import Page
from stormpetrel.web.links import encoded

POSTS_A_PAGE = 20
PEOPLE_A_PAGE = 40
PARAMETERS = ("max_id", "min_id")
"""The parameters by which cached hot pages differ (Route.hot)."""

_Id = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]


class WebPageQuery(msgspec.Struct):
    """The part of a list that the URL names."""

    max_id: _Id | None = None
    min_id: _Id | None = None


@dataclass(frozen=True, slots=True)
class Pager:
    """URLs of the adjacent pages; None at an end of the list. `first`: this is the newest page."""

    older: str | None
    newer: str | None
    first: bool


def page_of(request: Request, limit: int = POSTS_A_PAGE) -> Page:
    """Return the page that the URL names. Raise Invalid for a value that cannot be an id."""
    query = request.query(WebPageQuery)
    return Page(limit=limit, max_id=MAX_ID if query.max_id is None else query.max_id, min_id=query.min_id)


def pager(request: Request, page: Page, ids: Sequence[int]) -> Pager:
    """Return the links around `ids`, newest first, which `page` returned.

    Other parameters are dropped: a cached page must not contain its first visitor's query.
    """
    first = page.max_id == MAX_ID and page.min_id is None
    path = encoded(request.path)
    full = len(ids) >= page.limit
    if not ids:
        # Past the end of the list: link only to its beginning.
        return Pager(older=None, newer=None if first else path, first=first)
    older = f"{path}?max_id={ids[-1]}" if full or page.upward else None
    at_the_top = first or (page.upward and not full)
    newer = None if at_the_top else f"{path}?min_id={ids[0]}"
    return Pager(older=older, newer=newer, first=first)
