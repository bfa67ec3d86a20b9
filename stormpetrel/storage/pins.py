"""Queries about posts pinned to a profile, and about muted threads."""

from __future__ import annotations

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_PUT = sql(
    "INSERT INTO pins (id, account_id, post_id) VALUES (:id, :account_id, :post_id) ON CONFLICT DO NOTHING"
)
_DELETE = sql("DELETE FROM pins WHERE account_id = :account_id AND post_id = :post_id")
_PINNED = sql("SELECT post_id FROM pins WHERE account_id = :account_id ORDER BY id DESC")
# Locks the account's row, so that two concurrent pins cannot both take the last allowed place.
_LOCK = sql("UPDATE accounts SET posts_count = posts_count WHERE id = :account_id")
_MUTE = sql(
    "INSERT INTO thread_mutes (account_id, thread_id) VALUES (:account_id, :thread_id) ON CONFLICT DO NOTHING"
)
_UNMUTE = sql("DELETE FROM thread_mutes WHERE account_id = :account_id AND thread_id = :thread_id")
_MUTES = sql(
    "SELECT 1 FROM posts p JOIN thread_mutes m ON m.thread_id = coalesce(p.thread_id, p.id) "
    "AND m.account_id = :account_id WHERE p.id = :post_id"
)


def lock(connection: Connection, *, account_id: int) -> None:
    """Lock the account's pins until the transaction ends."""
    connection.run(_LOCK, account_id=account_id)


def pinned(connection: Connection, *, account_id: int) -> list[int]:
    """Return the account's pinned posts, last pinned first; a rule bounds their number."""
    return [row[0] for row in connection.all(_PINNED, account_id=account_id)]


def put(connection: Connection, *, id: int, account_id: int, post_id: int) -> None:
    """Insert a pin."""
    connection.run(_PUT, id=id, account_id=account_id, post_id=post_id)


def delete(connection: Connection, *, account_id: int, post_id: int) -> bool:
    """Delete a pin; return False if there was none."""
    return connection.run(_DELETE, account_id=account_id, post_id=post_id) > 0


def mute(connection: Connection, *, account_id: int, thread_id: int) -> bool:
    """Mute the thread for the account; return False if it was muted before."""
    return connection.run(_MUTE, account_id=account_id, thread_id=thread_id) > 0


def unmute(connection: Connection, *, account_id: int, thread_id: int) -> bool:
    """Unmute the thread for the account; return False if it was not muted."""
    return connection.run(_UNMUTE, account_id=account_id, thread_id=thread_id) > 0


def mutes(connection: Connection, *, account_id: int, post_id: int) -> bool:
    """Return whether the account muted the post's thread."""
    return connection.one(_MUTES, account_id=account_id, post_id=post_id) is not None
