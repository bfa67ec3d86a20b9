"""Queries about edited posts: store former versions and change the current one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from stormpetrel.model.post import Post, Version
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

# Locks the row, so that concurrent edits run one after another.
_LOCK = sql("UPDATE posts SET edited_at_ms = edited_at_ms WHERE id = :post_id")
_UPDATE = sql(
    "UPDATE posts SET text = :text, spoiler_text = :spoiler_text, sensitive = :sensitive, language = :language, "
    "edited_at_ms = :edited_at_ms WHERE id = :post_id"
)
_KEEP = sql(
    "INSERT INTO post_edits (id, post_id, text, spoiler_text, sensitive, poll_options, written_at_ms, media) "
    "VALUES (:id, :post_id, :text, :spoiler_text, :sensitive, :poll_options, :written_at_ms, :media)"
)
_VERSIONS = sql(
    "SELECT text, spoiler_text, sensitive, poll_options, written_at_ms, media FROM post_edits "
    "WHERE post_id = :post_id ORDER BY id"
)
_COUNT = sql("SELECT count(*) FROM post_edits WHERE post_id = :post_id")
_REMOVE_MENTIONS = sql("DELETE FROM mentions WHERE post_id = :post_id AND account_id IN :account_ids[]")
_REMOVE_TAGS = sql("DELETE FROM post_tags WHERE post_id = :post_id")
_BOOSTERS = sql(
    "SELECT author_id FROM posts WHERE boost_of_id = :post_id AND author_id > :after_id "
    "ORDER BY author_id LIMIT :count"
)

_decode_titles = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_media = msgspec.json.Decoder(tuple[tuple[int, str], ...]).decode


def lock(connection: Connection, *, post_id: int) -> None:
    """Lock the post against other edits until the transaction ends."""
    connection.run(_LOCK, post_id=post_id)


def update(connection: Connection, post: Post) -> None:
    """Store the text, content warning, sensitivity, language and edit time of `post`."""
    connection.run(
        _UPDATE,
        post_id=post.id,
        text=post.text,
        spoiler_text=post.spoiler_text,
        sensitive=post.sensitive,
        language=post.language,
        edited_at_ms=post.edited_at_ms,
    )


def keep(connection: Connection, *, id: int, post_id: int, version: Version) -> None:
    """Store a version that is being replaced."""
    connection.run(
        _KEEP,
        id=id,
        post_id=post_id,
        text=version.text,
        spoiler_text=version.spoiler_text,
        sensitive=version.sensitive,
        poll_options=msgspec.json.encode(version.poll_options).decode() if version.poll_options else "",
        written_at_ms=version.written_at_ms,
        media=msgspec.json.encode(version.media).decode() if version.media else "",
    )


def versions(connection: Connection, *, post_id: int) -> list[Version]:
    """Return the former versions of the post, oldest first, without the current one."""
    return [
        Version(
            text=row[0],
            spoiler_text=row[1],
            sensitive=bool(row[2]),
            poll_options=_decode_titles(row[3]) if row[3] else (),
            written_at_ms=row[4],
            media=_decode_media(row[5]) if row[5] else (),
        )
        for row in connection.all(_VERSIONS, post_id=post_id)
    ]


def count(connection: Connection, *, post_id: int) -> int:
    """Return how often the post was edited."""
    row = connection.one(_COUNT, post_id=post_id)
    return 0 if row is None else int(row[0])


def remove_mentions(connection: Connection, *, post_id: int, account_ids: Sequence[int]) -> None:
    """Remove the mentions of these accounts from the post."""
    connection.run(_REMOVE_MENTIONS, post_id=post_id, account_ids=account_ids)


def remove_tags(connection: Connection, *, post_id: int) -> None:
    """Remove all hashtags from the post."""
    connection.run(_REMOVE_TAGS, post_id=post_id)


def boosters(connection: Connection, *, post_id: int, after_id: int, count: int) -> Iterable[int]:
    """Return the accounts that boosted the post, by account id, from after `after_id`."""
    rows = connection.all(_BOOSTERS, post_id=post_id, after_id=after_id, count=count)
    return [row[0] for row in rows]
