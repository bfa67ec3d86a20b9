"""Hashtags that somebody shows on their profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.text import tag_key
from stormpetrel.rules.followed_tags import known_tag, tag_named
from stormpetrel.rules.relationships import require_listable
from stormpetrel.storage import featured_tags as stored
from stormpetrel.storage.connection import Connection

MAX_FEATURED_TAGS = 10
"""Mastodon's limit, announced in `/api/v2/instance`."""
SUGGESTED_TAGS = 10


@dataclass(frozen=True, slots=True)
class FeaturedTag:
    """A hashtag on a profile: posts of its owner that have it, and when the last was written (0: none)."""

    id: int
    name: str
    posts_count: int
    last_post_at_ms: int


def feature(connection: Connection, *, account_id: int, name: str, now_ms: int) -> FeaturedTag:
    """Shows the tag, also one that nobody has used yet. Raises NotFound for what cannot be one, Invalid for one too
    many. A tag that is shown stays as it is."""
    key, tag_id = known_tag(connection, name=name, now_ms=now_ms)
    known = {shown for _, shown in stored.featured(connection, account_id=account_id)}
    if key not in known:
        if len(known) >= MAX_FEATURED_TAGS:
            raise Invalid(f"Validation failed: You can feature at most {MAX_FEATURED_TAGS} hashtags")
        stored.insert(connection, id=connection.new_id(now_ms), account_id=account_id, tag_id=tag_id)
    return next(tag for tag in _featured(connection, account_id) if tag.name == key)


def unfeature(connection: Connection, *, account_id: int, featured_id: int) -> None:
    """Shows it no longer. Raises NotFound for what the account does not show."""
    if not stored.delete(connection, account_id=account_id, id=featured_id):
        raise NotFound


def unfeature_named(connection: Connection, *, account_id: int, name: str) -> str:
    """Shows the tag no longer, and nothing happens where it was not shown; its key. Raises NotFound for what cannot
    be one."""
    key, _ = tag_named(name)
    for row_id, shown in stored.featured(connection, account_id=account_id):
        if shown == key:
            stored.delete(connection, account_id=account_id, id=row_id)
    return key


def featured_tags(connection: Connection, *, reader_id: int | None, account_id: int) -> list[FeaturedTag]:
    """What the account shows, most used first. Raises NotFound for a reader whom the account blocks."""
    require_listable(connection, reader_id, account_id)
    return _featured(connection, account_id)


def _featured(connection: Connection, account_id: int) -> list[FeaturedTag]:
    shown = stored.featured(connection, account_id=account_id)
    used = stored.used(connection, account_id=account_id) if shown else {}
    found = [FeaturedTag(row_id, name, *used.get(name, (0, 0))) for row_id, name in shown]
    return sorted(found, key=lambda tag: (-tag.posts_count, tag.id))


def featured_among(connection: Connection, *, account_id: int, names: Sequence[str]) -> set[str]:
    """Those of the tags that the account shows, as keys."""
    return stored.featured_among(connection, account_id=account_id, names=[tag_key(name) for name in names])


def suggested(connection: Connection, *, account_id: int) -> list[str]:
    """Keys of the tags that the account uses most and does not show yet."""
    shown = {name for _, name in stored.featured(connection, account_id=account_id)}
    used = stored.used(connection, account_id=account_id)
    return [name for name in used if name not in shown][:SUGGESTED_TAGS]
