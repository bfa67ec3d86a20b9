"""Paging of pages: `?max_id=` and `?min_id=` in, "Older" and "Newer" out."""

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
"""What the hot-page cache tells apart (Route.hot)."""

_Id = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]


class PageQuery(msgspec.Struct):
    """The part of a list that an address names."""

    max_id: _Id | None = None
    min_id: _Id | None = None


@dataclass(frozen=True, slots=True)
class Pager:
    """Where the list goes on, as addresses; None where it ends. `first`: this is the newest page."""

    older: str | None
    newer: str | None
    first: bool


def page_of(request: Request, limit: int = POSTS_A_PAGE) -> Page:
    """The page that the address names. Raises Invalid for what cannot be an id."""
    query = request.query(PageQuery)
    return Page(limit=limit, max_id=MAX_ID if query.max_id is None else query.max_id, min_id=query.min_id)


def pager(request: Request, page: Page, ids: Sequence[int]) -> Pager:
    """The links around `ids`, newest first, which `page` gave.

    Other parameters are dropped: a cached page must not carry what its first visitor's address had.
    """
    first = page.max_id == MAX_ID and page.min_id is None
    path = encoded(request.path)
    full = len(ids) >= page.limit
    if not ids:
        # Past an end of the list: the only way on is its beginning.
        return Pager(older=None, newer=None if first else path, first=first)
    older = f"{path}?max_id={ids[-1]}" if full or page.upward else None
    at_the_top = first or (page.upward and not full)
    newer = None if at_the_top else f"{path}?min_id={ids[0]}"
    return Pager(older=older, newer=newer, first=first)
