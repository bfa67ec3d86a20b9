"""Queries about media and their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stormpetrel.model.media import Decoded, Media, MediaKind, MediaState
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.engine.statement import sql

_COLUMNS = (
    "id, account_id, post_id, state, description, focus_x, focus_y, created_at_ms, kind, key, preview_key, "
    "width, height, preview_width, preview_height, duration_ms, bit_rate, frame_rate, blurhash"
)
_BY_ID = sql(f"SELECT {_COLUMNS} FROM media WHERE id = :media_id")
_BY_IDS = sql(f"SELECT {_COLUMNS} FROM media WHERE id IN :media_ids[]")
_OF_POSTS = sql(f"SELECT {_COLUMNS} FROM media WHERE post_id IN :post_ids[] ORDER BY post_id, position, id")
_INSERT = sql(
    "INSERT INTO media (id, account_id, state, description, focus_x, focus_y, created_at_ms, detached_at_ms) "
    "VALUES (:id, :account_id, 'processing', :description, :focus_x, :focus_y, :now_ms, :now_ms)"
)
_DONE = sql(
    "UPDATE media SET state = 'done', kind = :kind, key = :key, preview_key = :preview_key, width = :width, "
    "height = :height, preview_width = :preview_width, preview_height = :preview_height, "
    "duration_ms = :duration_ms, bit_rate = :bit_rate, frame_rate = :frame_rate, blurhash = :blurhash "
    "WHERE id = :media_id AND state = 'processing'"
)
_FAILED = sql("UPDATE media SET state = 'failed' WHERE id = :media_id AND state = 'processing'")
_FAIL_LOST = sql(
    "UPDATE media SET state = 'failed' WHERE id IN (SELECT id FROM media WHERE post_id IS NULL "
    "AND state = 'processing' AND detached_at_ms < :before_ms "
    "AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.id = media.id) ORDER BY detached_at_ms LIMIT :count)"
)
# The lane is short, because uploads are counted before they enter it.
_WAITING = sql(
    "SELECT count(*), coalesce(sum(CASE WHEN m.account_id = :account_id THEN 1 ELSE 0 END), 0) "
    "FROM outbox o LEFT JOIN media m ON m.id = o.id WHERE o.lane = :lane"
)
_DESCRIBE = sql(
    "UPDATE media SET description = :description, focus_x = :focus_x, focus_y = :focus_y WHERE id = :media_id"
)
_PREVIEW = sql(
    "UPDATE media SET preview_key = :key, preview_width = :width, preview_height = :height, "
    "blurhash = :blurhash WHERE id = :media_id"
)
_ATTACH = sql("UPDATE media SET post_id = :post_id, position = :position WHERE id = :media_id")
_DETACH = sql(
    "UPDATE media SET post_id = NULL, position = 0, detached_at_ms = :now_ms WHERE id IN :media_ids[]"
)
_COUNT = sql("UPDATE posts SET media_count = :count WHERE id = :post_id")
_DELETE = sql("DELETE FROM media WHERE id IN :media_ids[]")
_OLD = sql(
    f"SELECT {_COLUMNS} FROM media WHERE post_id IS NULL AND detached_at_ms < :before_ms "
    "ORDER BY detached_at_ms LIMIT :count"
)
_PUT_FILE = sql("INSERT INTO media_files (key, account_id) VALUES (:key, :account_id)")
_DELETE_FILES = sql("DELETE FROM media_files WHERE key IN :keys[text]")
_KNOWN_FILES = sql("SELECT key FROM media_files WHERE key IN :keys[text]")
_SERVED = sql(
    "SELECT 1 FROM media_files f JOIN accounts a ON a.id = f.account_id "
    "WHERE f.key = :key AND a.state = 'active'"
)


def _media(row: Row) -> Media:
    return Media(
        id=row[0],
        account_id=row[1],
        post_id=row[2],
        state=MediaState(row[3]),
        description=row[4],
        focus=(row[5], row[6]),
        created_at_ms=row[7],
        decoded=Decoded(MediaKind(row[8]), *row[9:]),
    )


def one(connection: Connection, *, media_id: int) -> Media | None:
    """Return the attachment, or None."""
    row = connection.one(_BY_ID, media_id=media_id)
    return None if row is None else _media(row)


def several(connection: Connection, *, media_ids: Sequence[int]) -> dict[int, Media]:
    """Return the existing ones of these attachments, by id."""
    return {row[0]: _media(row) for row in connection.all(_BY_IDS, media_ids=media_ids)}


def of_posts(connection: Connection, *, post_ids: Sequence[int]) -> dict[int, tuple[Media, ...]]:
    """Return the attachments of each post, in order; posts without any are left out."""
    found: dict[int, tuple[Media, ...]] = {}
    for row in connection.all(_OF_POSTS, post_ids=post_ids):
        found[row[2]] = (*found.get(row[2], ()), _media(row))
    return found


def insert(
    connection: Connection,
    *,
    media_id: int,
    account_id: int,
    description: str,
    focus: tuple[int, int],
    now_ms: int,
) -> None:
    """Insert an attachment that is being processed."""
    connection.run(
        _INSERT,
        id=media_id,
        account_id=account_id,
        description=description,
        focus_x=focus[0],
        focus_y=focus[1],
        now_ms=now_ms,
    )


def set_done(connection: Connection, *, media_id: int, decoded: Decoded) -> bool:
    """Store the result of processing; return False if the attachment is not waiting for it any more."""
    return (
        connection.run(
            _DONE,
            media_id=media_id,
            kind=decoded.kind.value,
            key=decoded.key,
            preview_key=decoded.preview_key,
            width=decoded.width,
            height=decoded.height,
            preview_width=decoded.preview_width,
            preview_height=decoded.preview_height,
            duration_ms=decoded.duration_ms,
            bit_rate=decoded.bit_rate,
            frame_rate=decoded.frame_rate,
            blurhash=decoded.blurhash,
        )
        == 1
    )


def set_failed(connection: Connection, *, media_id: int) -> None:
    """Mark the attachment's processing as failed."""
    connection.run(_FAILED, media_id=media_id)


def fail_lost(connection: Connection, *, before_ms: int, count: int) -> int:
    """Fail old attachments in processing without a job in the outbox (of the same id); return how many."""
    return connection.run(_FAIL_LOST, before_ms=before_ms, count=count)


def waiting(connection: Connection, *, lane: int, account_id: int) -> tuple[int, int]:
    """Return (uploads that wait in the lane for the courier, how many of them are the account's)."""
    row = connection.one(_WAITING, lane=lane, account_id=account_id)
    assert row is not None
    return int(row[0]), int(row[1])


def describe(connection: Connection, *, media_id: int, description: str, focus: tuple[int, int]) -> None:
    """Change the description and the focus of an attachment."""
    connection.run(_DESCRIBE, media_id=media_id, description=description, focus_x=focus[0], focus_y=focus[1])


def set_preview(connection: Connection, *, media_id: int, preview: Decoded) -> None:
    """Replace the attachment's preview image."""
    connection.run(
        _PREVIEW,
        media_id=media_id,
        key=preview.preview_key,
        width=preview.preview_width,
        height=preview.preview_height,
        blurhash=preview.blurhash,
    )


def attach(connection: Connection, *, media_id: int, post_id: int, position: int) -> None:
    """Attach it to a post."""
    connection.run(_ATTACH, media_id=media_id, post_id=post_id, position=position)


def detach(connection: Connection, *, media_ids: Sequence[int], now_ms: int) -> None:
    """Detach attachments from their posts."""
    connection.run(_DETACH, media_ids=media_ids, now_ms=now_ms)


def set_count(connection: Connection, *, post_id: int, count: int) -> None:
    """Store how many attachments the post has."""
    connection.run(_COUNT, post_id=post_id, count=count)


def delete(connection: Connection, *, media_ids: Sequence[int]) -> None:
    """Delete the rows of attachments, but not those of their files."""
    connection.run(_DELETE, media_ids=media_ids)


def old_loose(connection: Connection, *, before_ms: int, count: int) -> list[Media]:
    """Return attachments that have been without a post since before then, oldest first."""
    return [_media(row) for row in connection.all(_OLD, before_ms=before_ms, count=count)]


def put_files(connection: Connection, *, keys: Iterable[str], account_id: int) -> None:
    """Register files of the account: they are served from now on."""
    for key in keys:
        connection.run(_PUT_FILE, key=key, account_id=account_id)


def delete_files(connection: Connection, *, keys: Sequence[str]) -> None:
    """Unregister files: they are not served any more."""
    connection.run(_DELETE_FILES, keys=keys)


def known_files(connection: Connection, *, keys: Sequence[str]) -> set[str]:
    """Return those of the keys that have a row."""
    return {row[0] for row in connection.all(_KNOWN_FILES, keys=keys)}


@hot
def is_served(connection: Connection, *, key: str) -> bool:
    """Return whether the file exists and its account is active."""
    return connection.one(_SERVED, key=key) is not None
