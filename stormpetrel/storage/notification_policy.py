"""Queries about policies for notifications, accepted senders, and requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from stormpetrel.model.ids import time_ms
from stormpetrel.model.notification_policy import Choice, NotificationPolicy, NotificationRequest
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.notifications import SHOWN

_COLUMNS = "for_not_following, for_not_followers, for_new_accounts, for_private_mentions, for_bots"
_POLICY = sql(f"SELECT {_COLUMNS} FROM notification_policies WHERE account_id = :account_id")
_PUT_POLICY = sql(
    f"INSERT INTO notification_policies (account_id, {_COLUMNS}) "
    "VALUES (:account_id, :for_not_following, :for_not_followers, :for_new_accounts, :for_private_mentions, "
    ":for_bots) "
    "ON CONFLICT (account_id) DO UPDATE SET for_not_following = excluded.for_not_following, "
    "for_not_followers = excluded.for_not_followers, for_new_accounts = excluded.for_new_accounts, "
    "for_private_mentions = excluded.for_private_mentions, for_bots = excluded.for_bots"
)
_FORGET_POLICY = sql("DELETE FROM notification_policies WHERE account_id = :account_id")
_PERMITS = sql(
    "SELECT 1 FROM notification_permissions WHERE account_id = :account_id AND from_account_id = :from_account_id"
)
_PERMIT = sql(
    "INSERT INTO notification_permissions (account_id, from_account_id) VALUES (:account_id, :from_account_id) "
    "ON CONFLICT DO NOTHING"
)
_FORGET_PERMISSIONS = sql(
    "DELETE FROM notification_permissions WHERE account_id = :account_id OR from_account_id = :account_id"
)
_FOLLOW_ID = sql("SELECT id FROM follows WHERE follower_id = :follower_id AND followed_id = :followed_id")
# The recipient wrote the post that is answered, or another direct post of the thread.
_UNINVITED = sql(
    "SELECT 1 FROM posts p WHERE p.id = :post_id AND p.visibility = :direct "
    "AND coalesce(p.in_reply_to_account_id, 0) <> :account_id "
    "AND NOT EXISTS (SELECT 1 FROM conversation_posts c JOIN posts own ON own.id = c.post_id "
    "WHERE c.account_id = :account_id AND c.thread_id = coalesce(p.thread_id, p.id) AND own.author_id = :account_id)"
)
_GROUPED = (
    "SELECT min(n.id) AS first_id, n.from_account_id AS sender_id, max(n.id) AS newest_id, count(*) AS told, "
    f"max(CASE WHEN n.kind = 'mention' THEN n.post_id END) AS last_post_id {SHOWN} AND n.filtered"
)
_REQUESTS = paged(
    "SELECT r.first_id, r.sender_id, r.newest_id, r.told, r.last_post_id "
    f"FROM ({_GROUPED} GROUP BY n.from_account_id) r WHERE TRUE",
    "r.first_id",
)
_OF_SENDER = sql(f"{_GROUPED} AND n.from_account_id = :from_account_id GROUP BY n.from_account_id")
_COUNTS = sql(
    "SELECT count(DISTINCT sender_id), count(*) "
    f"FROM (SELECT n.from_account_id AS sender_id {SHOWN} AND n.filtered LIMIT :most) waiting"
)
_SENDERS = sql(
    "SELECT DISTINCT from_account_id FROM notifications WHERE account_id = :account_id AND filtered "
    "AND id IN :notification_ids[]"
)
_RELEASE = sql(
    "UPDATE notifications SET filtered = FALSE WHERE account_id = :account_id AND filtered "
    "AND from_account_id = :from_account_id"
)
_DELETE = sql(
    "DELETE FROM notifications WHERE account_id = :account_id AND filtered AND from_account_id = :from_account_id"
)


def policy(connection: Connection, *, account_id: int) -> NotificationPolicy | None:
    """Return the policy that the account chose, or None."""
    row = connection.one(_POLICY, account_id=account_id)
    return None if row is None else NotificationPolicy(*map(Choice, row))


def put_policy(connection: Connection, *, account_id: int, policy: NotificationPolicy) -> None:
    """Set the account's policy."""
    names = _COLUMNS.split(", ")
    values = {name: chosen.value for name, chosen in zip(names, astuple(policy), strict=True)}
    connection.run(_PUT_POLICY, account_id=account_id, **values)


def forget(connection: Connection, *, account_id: int) -> None:
    """Delete the account's policy, and every permission that it has or gave."""
    connection.run(_FORGET_POLICY, account_id=account_id)
    connection.run(_FORGET_PERMISSIONS, account_id=account_id)


def permits(connection: Connection, *, account_id: int, from_account_id: int) -> bool:
    """Return whether the account accepted the sender's request."""
    return connection.one(_PERMITS, account_id=account_id, from_account_id=from_account_id) is not None


def follows_since_ms(connection: Connection, *, follower_id: int, followed_id: int) -> int | None:
    """Return the time of a follow, or None."""
    row = connection.one(_FOLLOW_ID, follower_id=follower_id, followed_id=followed_id)
    return None if row is None else time_ms(row[0])


def is_uninvited(connection: Connection, *, account_id: int, post_id: int) -> bool:
    """Return whether the post is direct and answers nothing of the account's."""
    row = connection.one(_UNINVITED, account_id=account_id, post_id=post_id, direct=Visibility.DIRECT.value)
    return row is not None


def _request(row: Row) -> NotificationRequest:
    return NotificationRequest(row[0], row[1], row[2], row[3], row[4])


def requests(
    connection: Connection, *, account_id: int, page: Page, now_ms: int
) -> list[NotificationRequest]:
    """Return the account's requests, the one that began last first."""
    return [_request(row) for row in _REQUESTS.run(connection, page, account_id=account_id, now_ms=now_ms)]


def request_of(
    connection: Connection, *, account_id: int, from_account_id: int, now_ms: int
) -> NotificationRequest | None:
    """Return the request of one sender, or None."""
    row = connection.one(_OF_SENDER, account_id=account_id, from_account_id=from_account_id, now_ms=now_ms)
    return None if row is None else _request(row)


def counts(connection: Connection, *, account_id: int, now_ms: int, most: int) -> tuple[int, int]:
    """Return the number of requests, and of the notifications in them; counting ends at `most` notifications."""
    row = connection.one(_COUNTS, account_id=account_id, now_ms=now_ms, most=most)
    return (0, 0) if row is None else (row[0], row[1])


def sender_ids(connection: Connection, *, account_id: int, notification_ids: Sequence[int]) -> list[int]:
    """Return the senders of those of the account's notifications that are filtered."""
    rows = connection.all(_SENDERS, account_id=account_id, notification_ids=list(notification_ids))
    return [row[0] for row in rows]


def accept(connection: Connection, *, account_id: int, from_account_id: int) -> None:
    """Permit the sender from now on, and move its filtered notifications to the list."""
    connection.run(_PERMIT, account_id=account_id, from_account_id=from_account_id)
    connection.run(_RELEASE, account_id=account_id, from_account_id=from_account_id)


def dismiss(connection: Connection, *, account_id: int, from_account_id: int) -> None:
    """Delete the sender's filtered notifications."""
    connection.run(_DELETE, account_id=account_id, from_account_id=from_account_id)
