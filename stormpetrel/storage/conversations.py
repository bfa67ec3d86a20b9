"""Queries about conversations. A post is in conversations of its author and of mentioned accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql


def _hides(other: str) -> str:
    """Return a condition: the account (`c.account_id`) blocks or mutes `other`."""
    return (
        f"(EXISTS (SELECT 1 FROM blocks b WHERE b.account_id = c.account_id AND b.target_id = {other}) "
        f"OR EXISTS (SELECT 1 FROM mutes x WHERE x.account_id = c.account_id AND x.target_id = {other} "
        "AND (x.expires_at_ms = 0 OR x.expires_at_ms > :now_ms)))"
    )


# The rules of may_see and may_list (model/visibility.py), for a direct post that the account
# wrote or is mentioned in. For its own posts the mentioned accounts count: a conversation with a
# blocked account is hidden.
_COUNTS = (
    "CASE WHEN p.author_id = c.account_id THEN "
    "NOT EXISTS (SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id <> c.account_id) "
    "OR EXISTS (SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id <> c.account_id "
    f"AND NOT {_hides('m.account_id')}) "
    "ELSE p.hidden = FALSE AND a.state = 'active' "
    "AND (a.silenced = FALSE OR EXISTS (SELECT 1 FROM follows f "
    "WHERE f.follower_id = c.account_id AND f.followed_id = p.author_id)) "
    "AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.account_id = p.author_id AND b.target_id = c.account_id) "
    f"AND NOT {_hides('p.author_id')} END"
)
# Nearly always found at the newest post, so that a conversation's length does not matter.
_SHOWN = (
    "(SELECT cp.post_id FROM conversation_posts cp JOIN posts p ON p.id = cp.post_id "
    "JOIN accounts a ON a.id = p.author_id "
    f"WHERE cp.account_id = c.account_id AND cp.thread_id = c.thread_id AND {_COUNTS} "
    "ORDER BY cp.post_id DESC LIMIT 1)"
)
_SELECT = (
    f"SELECT c.last_post_id, c.thread_id, c.read_to_id, {_SHOWN} FROM conversations c "
    "WHERE c.account_id = :account_id"
)
_CONVERSATIONS = paged(f"{_SELECT} AND {_SHOWN} IS NOT NULL", "c.last_post_id")
# Each page of a member runs this query, so it must not read all of thousands of conversations.
_UNREAD = sql(
    "SELECT count(*) FROM (SELECT 1 FROM ("
    f"SELECT c.account_id, c.read_to_id, {_SHOWN} AS shown_id FROM ("
    "SELECT account_id, thread_id, read_to_id, last_post_id FROM conversations "
    "WHERE account_id = :account_id ORDER BY last_post_id DESC LIMIT :newest) c "
    "WHERE c.read_to_id < c.last_post_id) s WHERE s.shown_id > s.read_to_id "
    "AND (SELECT w.author_id FROM posts w WHERE w.id = s.shown_id) <> s.account_id LIMIT :limit) f"
)
_ONE = sql(f"{_SELECT} AND c.thread_id = :thread_id")
_BETWEEN = sql(
    "SELECT id, 0, author_id FROM posts WHERE id IN :post_ids[] "
    "UNION ALL SELECT post_id, 1, account_id FROM mentions WHERE post_id IN :post_ids[]"
)
_BLOCKED = sql(
    "SELECT target_id FROM blocks WHERE account_id = :author_id AND target_id IN :account_ids[] "
    "UNION SELECT account_id FROM blocks WHERE target_id = :author_id AND account_id IN :account_ids[]"
)
_PUT = sql(
    "INSERT INTO conversations (account_id, thread_id, last_post_id, read_to_id) "
    "VALUES (:account_id, :thread_id, :post_id, :read_to_id) "
    "ON CONFLICT (account_id, thread_id) DO UPDATE SET "
    "last_post_id = CASE WHEN excluded.last_post_id > conversations.last_post_id "
    "THEN excluded.last_post_id ELSE conversations.last_post_id END, "
    "read_to_id = CASE WHEN excluded.read_to_id > conversations.read_to_id "
    "AND (NOT :keeps_unread OR conversations.read_to_id >= conversations.last_post_id) "
    "THEN excluded.read_to_id ELSE conversations.read_to_id END"
)
_PUT_POST = sql(
    "INSERT INTO conversation_posts (account_id, thread_id, post_id) "
    "VALUES (:account_id, :thread_id, :post_id) ON CONFLICT DO NOTHING"
)
_OF_POST = sql("SELECT account_id, thread_id FROM conversation_posts WHERE post_id = :post_id")
_LOCK = sql(
    "UPDATE conversations SET read_to_id = read_to_id WHERE account_id = :account_id AND thread_id = :thread_id"
)
_TAKE_POST = sql(
    "DELETE FROM conversation_posts "
    "WHERE account_id = :account_id AND thread_id = :thread_id AND post_id = :post_id"
)
_SETTLE = sql(
    "UPDATE conversations SET last_post_id = coalesce((SELECT max(cp.post_id) FROM conversation_posts cp "
    "WHERE cp.account_id = :account_id AND cp.thread_id = :thread_id), 0) "
    "WHERE account_id = :account_id AND thread_id = :thread_id AND last_post_id = :post_id"
)
_DELETE_EMPTY = sql(
    "DELETE FROM conversations WHERE account_id = :account_id AND thread_id = :thread_id AND last_post_id = 0"
)
_MARK_READ = sql(
    "UPDATE conversations SET read_to_id = last_post_id "
    "WHERE account_id = :account_id AND thread_id = :thread_id AND read_to_id < last_post_id"
)
_MARK_UNREAD = sql(
    "UPDATE conversations SET read_to_id = :post_id - 1 "
    "WHERE account_id = :account_id AND thread_id = :thread_id AND read_to_id >= :post_id"
)
_DELETE = sql("DELETE FROM conversations WHERE account_id = :account_id AND thread_id = :thread_id")


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """A stored conversation. `shown_id`: the newest post that its account may see, None if there is none."""

    place: int
    thread_id: int
    read_to_id: int
    shown_id: int | None


def _stored(row: Row) -> StoredConversation:
    return StoredConversation(*row)


def conversations(
    connection: Connection, *, account_id: int, page: Page, now_ms: int
) -> list[StoredConversation]:
    """Return the account's conversations with a visible post, the one with the newest post first."""
    return [
        _stored(row) for row in _CONVERSATIONS.run(connection, page, account_id=account_id, now_ms=now_ms)
    ]


def unread_count(connection: Connection, *, account_id: int, newest: int, limit: int, now_ms: int) -> int:
    """Return how many of the account's `newest` conversations are unread, at most `limit`."""
    row = connection.one(_UNREAD, account_id=account_id, newest=newest, limit=limit, now_ms=now_ms)
    assert row is not None
    return int(row[0])


def conversation(
    connection: Connection, *, account_id: int, thread_id: int, now_ms: int
) -> StoredConversation | None:
    """Return one of the account's conversations, or None."""
    row = connection.one(_ONE, account_id=account_id, thread_id=thread_id, now_ms=now_ms)
    return None if row is None else _stored(row)


def between(connection: Connection, *, post_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return the accounts of each post: its author and the mentioned ones, the author first."""
    found: dict[int, dict[int, None]] = {}
    for post_id, _, account_id in sorted(connection.all(_BETWEEN, post_ids=post_ids)):
        found.setdefault(post_id, {})[account_id] = None
    return {post_id: tuple(account_ids) for post_id, account_ids in found.items()}


def blocked(connection: Connection, *, author_id: int, account_ids: Sequence[int]) -> set[int]:
    """Return those of the accounts that block the author, or that the author blocks."""
    rows = connection.all(_BLOCKED, author_id=author_id, account_ids=account_ids)
    return {row[0] for row in rows}


def put(
    connection: Connection,
    *,
    account_id: int,
    thread_id: int,
    post_id: int,
    is_read: bool,
    keeps_unread: bool = False,
) -> None:
    """Add the post to the account's conversation; `is_read`: it and all posts before it are read.

    `keeps_unread`: not if one before it is unread.
    """
    connection.run(
        _PUT,
        account_id=account_id,
        thread_id=thread_id,
        post_id=post_id,
        read_to_id=post_id if is_read else 0,
        keeps_unread=keeps_unread,
    )
    connection.run(_PUT_POST, account_id=account_id, thread_id=thread_id, post_id=post_id)


def of_post(connection: Connection, *, post_id: int) -> list[tuple[int, int]]:
    """Return (account, thread) of every conversation with the post, sorted: lock them in this order."""
    return sorted((row[0], row[1]) for row in connection.all(_OF_POST, post_id=post_id))


def lock(connection: Connection, *, account_id: int, thread_id: int) -> None:
    """Lock the conversation against new and removed posts until the transaction ends."""
    connection.run(_LOCK, account_id=account_id, thread_id=thread_id)


def take_out(connection: Connection, *, account_id: int, thread_id: int, post_id: int) -> None:
    """Remove the post from the account's conversation; call `settle` afterwards."""
    connection.run(_TAKE_POST, account_id=account_id, thread_id=thread_id, post_id=post_id)


def settle(connection: Connection, *, account_id: int, thread_id: int, post_id: int) -> bool:
    """Find the newest post again after this one was removed, or delete a conversation that is now empty.

    Return True if another post is the newest now.
    """
    if not connection.run(_SETTLE, account_id=account_id, thread_id=thread_id, post_id=post_id):
        return False
    return connection.run(_DELETE_EMPTY, account_id=account_id, thread_id=thread_id) == 0


def mark_read(connection: Connection, *, account_id: int, thread_id: int) -> bool:
    """Mark the whole conversation as read; return False if it was before, or does not exist."""
    return connection.run(_MARK_READ, account_id=account_id, thread_id=thread_id) > 0


def mark_unread(connection: Connection, *, account_id: int, thread_id: int, post_id: int) -> bool:
    """Mark the post and later ones as unread; return False if they were before."""
    return connection.run(_MARK_UNREAD, account_id=account_id, thread_id=thread_id, post_id=post_id) > 0


def delete(connection: Connection, *, account_id: int, thread_id: int) -> bool:
    """Delete the account's conversation, but not the others' view of it; return False if there was none."""
    return connection.run(_DELETE, account_id=account_id, thread_id=thread_id) > 0
