"""Followed hashtags: public posts with them appear in the follower's home timeline."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.event import FollowedTagsChanged
from stormpetrel.model.page import Page
from stormpetrel.model.text import tag_key, tags_in
from stormpetrel.storage import followed_tags as stored
from stormpetrel.storage import posts
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

MAX_FOLLOWED_TAGS = 100
"""Each followed tag adds an index range to a read of the home timeline from the store."""


def follow_tag(connection: Connection, *, account_id: int, name: str, now_ms: int) -> str:
    """Follow the tag, even one without posts so far; return its key.

    Raise NotFound if the name cannot be a tag.
    """
    key, tag_id = known_tag(connection, name=name, now_ms=now_ms)
    if stored.followed_among(connection, account_id=account_id, names=[key]):
        return key
    if stored.count(connection, account_id=account_id) >= MAX_FOLLOWED_TAGS:
        raise Invalid(f"Validation failed: You can follow at most {MAX_FOLLOWED_TAGS} hashtags")
    if stored.insert(connection, id=connection.new_id(now_ms), account_id=account_id, tag_id=tag_id):
        connection.tell(FollowedTagsChanged(account_id))
    return key


def unfollow_tag(connection: Connection, *, account_id: int, name: str) -> str:
    """Stop following the tag; return its key. Raise NotFound if the name cannot be a tag."""
    key, _ = tag_named(name)
    tag_id = posts.tag_ids(connection, names=[key]).get(key)
    if tag_id is not None and stored.delete(connection, account_id=account_id, tag_id=tag_id):
        connection.tell(FollowedTagsChanged(account_id))
    return key


@hot
def followed_among(connection: Connection, *, account_id: int, names: Sequence[str]) -> set[str]:
    """Return those of the tags that the account follows, as keys."""
    return stored.followed_among(connection, account_id=account_id, names=[tag_key(name) for name in names])


def followed_tags(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, str]]:
    """Return (internal id, key) of the tags that the account follows, newest first."""
    return stored.followed(connection, account_id=account_id, page=page)


def known_tag(connection: Connection, *, name: str, now_ms: int) -> tuple[str, int]:
    """Return (key, id) of the tag with that name; create the tag if it does not exist.

    Raise NotFound if the name cannot be a tag.
    """
    key, written = tag_named(name)
    tag_id = posts.tag_ids(connection, names=[key]).get(key)
    if tag_id is None:
        posts.insert_tag(connection, name=key, display=written, now_ms=now_ms)
        tag_id = posts.tag_ids(connection, names=[key])[key]
    return key, tag_id


def tag_named(name: str) -> tuple[str, str]:
    """Return (key, as written) of a tag, with or without its #. Raise NotFound if the name cannot be a tag."""
    word = name.removeprefix("#")
    found = tags_in(f"#{word}")
    if not found or found[0][1] != word:
        raise NotFound
    return found[0]
