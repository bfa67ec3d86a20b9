"""Parameters that many endpoints share: paging, and lists of ids."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stormpetrel.errors import Invalid
from stormpetrel.model.ids import MAX_ID, parse_id
from stormpetrel.model.page import Page

POSTS_DEFAULT = 20
POSTS_MOST = 40
ACCOUNTS_DEFAULT = 40
ACCOUNTS_MOST = 80
MAX_ID_DIGITS = 19

Id = str | int
"""An id as apps send it: text, or a number in JSON."""


class PageQuery(msgspec.Struct, kw_only=True):
    """The part of a long list to return: `max_id` older, `since_id` newest above it, `min_id` next above
    it."""

    limit: int | None = None
    max_id: Id | None = None
    since_id: Id | None = None
    min_id: Id | None = None


def page_of(query: PageQuery, *, default: int = POSTS_DEFAULT, most: int = POSTS_MOST) -> Page:
    """Return the requested page; clamp the limit to 1..`most`. Raise Invalid if a bound is not an id."""
    limit = default if query.limit is None else min(max(query.limit, 1), most)
    if query.max_id is None and query.since_id is None and query.min_id is None:
        return Page(limit=limit)
    return Page(
        limit=limit,
        max_id=_bound(query.max_id, "max_id", MAX_ID),
        since_id=_bound(query.since_id, "since_id", 0),
        min_id=None if query.min_id in (None, "") else _bound(query.min_id, "min_id", 0),
    )


def _bound(value: Id | None, name: str, otherwise: int) -> int:
    if value is None or value == "":
        return otherwise
    text = str(value)
    if not text.isascii() or not text.isdigit():
        raise Invalid(f"{name} is not an id", fields={name: "is not an id"})
    # A number larger than any id has the same effect as the largest id.
    return min(int(text), MAX_ID) if len(text) <= MAX_ID_DIGITS else MAX_ID


def ids_of(values: Iterable[Id], *, most: int) -> list[int]:
    """Return the ids in `values` in order, without duplicates; ignore values that cannot be ids."""
    ids = (parse_id(str(value)) for value in values)
    return list(dict.fromkeys(some_id for some_id in ids if some_id is not None))[:most]


def one_id(value: Id | None, name: str) -> int | None:
    """Return the id in a parameter, or None if it is absent or empty. Raise Invalid if it is not an id."""
    if value is None or value == "":
        return None
    found = parse_id(str(value))
    if found is None:
        raise Invalid(f"{name} is not an id", fields={name: "is not an id"})
    return found
