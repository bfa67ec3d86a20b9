"""Hashtags that an account features on its profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.text import tag_key
from stormpetrel.rules.followed_tags import known_tag, tag_named
from stormpetrel.rules.relationships import require_listable
from stormpetrel.storage import featured_tags as stored
from stormpetrel.storage.engine.connection import Connection

MAX_FEATURED_TAGS = 10
"""Mastodon's limit, announced in `/api/v2/instance`."""
SUGGESTED_TAGS = 10


@dataclass(frozen=True, slots=True)
class FeaturedTag:
    """A hashtag on a profile: how many of its owner's posts have it, and when the last was written (0: none)."""

    id: int
    name: str
    posts_count: int
    last_post_at_ms: int


def feature(connection: Connection, *, account_id: int, name: str, now_ms: int) -> FeaturedTag:
    """Feature the tag, even one that no post has used yet. A tag that is featured already stays unchanged.

    Raise NotFound for a name that cannot be a tag, Invalid above MAX_FEATURED_TAGS.
    """
    key, tag_id = known_tag(connection, name=name, now_ms=now_ms)
    known = {shown for _, shown in stored.featured(connection, account_id=account_id)}
    if key not in known:
        if len(known) >= MAX_FEATURED_TAGS:
            raise Invalid(f"Validation failed: You can feature at most {MAX_FEATURED_TAGS} hashtags")
        stored.insert(connection, id=connection.new_id(now_ms), account_id=account_id, tag_id=tag_id)
    return next(tag for tag in _featured(connection, account_id) if tag.name == key)


def unfeature(connection: Connection, *, account_id: int, featured_id: int) -> None:
    """Stop featuring the tag. Raise NotFound for a tag that the account does not feature."""
    if not stored.delete(connection, account_id=account_id, id=featured_id):
        raise NotFound


def unfeature_named(connection: Connection, *, account_id: int, name: str) -> str:
    """Stop featuring the tag, if it was featured; return its key. Raise NotFound if the name cannot be a tag."""
    key, _ = tag_named(name)
    for row_id, shown in stored.featured(connection, account_id=account_id):
        if shown == key:
            stored.delete(connection, account_id=account_id, id=row_id)
    return key


def featured_tags(connection: Connection, *, reader_id: int | None, account_id: int) -> list[FeaturedTag]:
    """Return the account's featured tags, most used first. Raise NotFound if the account blocks the reader."""
    require_listable(connection, reader_id, account_id)
    return _featured(connection, account_id)


def _featured(connection: Connection, account_id: int) -> list[FeaturedTag]:
    shown = stored.featured(connection, account_id=account_id)
    used = stored.used(connection, account_id=account_id) if shown else {}
    found = [FeaturedTag(row_id, name, *used.get(name, (0, 0))) for row_id, name in shown]
    return sorted(found, key=lambda tag: (-tag.posts_count, tag.id))


def featured_among(connection: Connection, *, account_id: int, names: Sequence[str]) -> set[str]:
    """Return those of the tags that the account features, as keys."""
    return stored.featured_among(connection, account_id=account_id, names=[tag_key(name) for name in names])


def suggested(connection: Connection, *, account_id: int) -> list[str]:
    """Return the keys of the tags that the account uses most and does not feature yet."""
    shown = {name for _, name in stored.featured(connection, account_id=account_id)}
    used = stored.used(connection, account_id=account_id)
    return [name for name in used if name not in shown][:SUGGESTED_TAGS]
