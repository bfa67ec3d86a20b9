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
from stormpetrel.storage.notifications import HIDDEN_SENDERS, SHOWN, SHOWN_POST, SHOWN_SENDER

MOST_SENDERS = 2000
"""Up to this many senders of filtered notifications, their requests are read sender by sender, 3 µs each on SQLite
and 18 µs on PostgreSQL. So one who sends 100,000 costs no more than one who sends two, and those of a suspended
sender are not read at all."""
NEWEST = 2000
"""Of more senders, a page is looked for in this many of the newest notifications first: a crowd sends few each."""
ALL_SENDERS = 1 << 31

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
_LOCK_POLICY = sql("UPDATE notification_policies SET for_bots = for_bots WHERE account_id = :account_id")
# SQLite has one writer at a time: there, no transaction is open beside this one.
_SHARE_POLICY = sql(
    "SELECT 1 FROM notification_policies WHERE account_id = :account_id",
    postgresql="SELECT 1 FROM notification_policies WHERE account_id = :account_id FOR SHARE",
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
_HIDDEN = "SELECT 1 FROM posts h WHERE h.id = o.post_id AND h.hidden AND h.author_id <> :account_id"
# From the newest notification down, those that are the first of their sender: a page of a crowd's requests must not
# group all notifications of the crowd. Only so many: one who sends 100,000 would have each of them looked at.
# `= FALSE` and not NOT: PostgreSQL would join, and sort all.
_FIRST = paged(
    f"SELECT n.id, n.from_account_id {SHOWN} AND n.filtered = TRUE AND n.id >= :oldest_id "
    "AND (EXISTS (SELECT 1 FROM notifications o WHERE o.account_id = :account_id "
    "AND o.from_account_id = n.from_account_id AND o.filtered AND o.id < n.id "
    f"AND (EXISTS ({_HIDDEN})) = FALSE)) = FALSE",
    "n.id",
)
_OLDEST = sql(
    "SELECT id FROM notifications WHERE account_id = :account_id AND filtered = TRUE AND id < :high_id "
    "ORDER BY id DESC LIMIT 1 OFFSET :newest"
)
# Each step is a look-up in the index: DISTINCT would read all filtered notifications. The last row of a complete list
# has no sender. Ordered by the id too, which only the index of filtered notifications gives without sorting.
_SENDERS_AND_FIRST = sql(
    "WITH RECURSIVE senders(id, number) AS (SELECT CAST(0 AS bigint), 0 UNION ALL SELECT ("
    "SELECT n.from_account_id FROM notifications n WHERE n.account_id = :account_id AND n.filtered "
    "AND n.from_account_id > s.id ORDER BY n.from_account_id, n.id LIMIT 1), s.number + 1 FROM senders s "
    "WHERE s.id IS NOT NULL AND s.number <= :most_senders) "
    f"SELECT s.id, CASE WHEN {SHOWN_SENDER} AND a.id NOT IN {HIDDEN_SENDERS} "
    "THEN (SELECT n.id FROM notifications n WHERE n.account_id = :account_id AND n.filtered "
    f"AND n.from_account_id = s.id AND {SHOWN_POST} ORDER BY n.id LIMIT 1) END "
    "FROM senders s LEFT JOIN accounts a ON a.id = s.id WHERE s.number > 0"
)
_COUNT_OF_SENDERS = sql(
    "SELECT count(*) FROM (SELECT n.id FROM notifications n WHERE n.account_id = :account_id AND n.filtered "
    f"AND n.from_account_id IN :sender_ids[] AND {SHOWN_POST} LIMIT :most) waiting"
)
_OF_SENDER = f"{SHOWN} AND n.filtered AND n.from_account_id = :from_account_id ORDER BY n.id"
_FIRST_OF_SENDER = sql(f"SELECT n.id {_OF_SENDER} LIMIT 1")
_SUMMARY = sql(
    "SELECT max(s.id), count(*), max(CASE WHEN s.kind = 'mention' THEN s.post_id END) "
    f"FROM (SELECT n.id, n.kind, n.post_id {_OF_SENDER} DESC LIMIT :most) s"
)
_COUNTS = sql(
    "SELECT count(DISTINCT sender_id), count(*) "
    f"FROM (SELECT n.from_account_id AS sender_id {SHOWN} AND n.filtered LIMIT :most) waiting"
)
# The plus: SQLite would read all filtered notifications of the account by their index, not those few by id.
_SENDERS = sql(
    "SELECT DISTINCT from_account_id FROM notifications WHERE id IN :notification_ids[] "
    "AND +account_id = :account_id AND filtered"
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


def lock_policy(connection: Connection, *, account_id: int) -> None:
    """Wait for transactions that share the account's policy, and let later ones wait for this transaction."""
    connection.run(_LOCK_POLICY, account_id=account_id)


def share_policy(connection: Connection, *, account_id: int) -> None:
    """Wait for a transaction that has locked the account's policy, and let a later lock wait for this transaction."""
    connection.one(_SHARE_POLICY, account_id=account_id)


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


def requests(
    connection: Connection, *, account_id: int, page: Page, now_ms: int, most: int
) -> list[NotificationRequest]:
    """Return the account's requests, the one that began last first, each from its `most` newest notifications."""
    return [
        _request(
            connection,
            account_id=account_id,
            from_account_id=from_account_id,
            first_id=first_id,
            now_ms=now_ms,
            most=most,
        )
        for first_id, from_account_id in _page(connection, account_id=account_id, page=page, now_ms=now_ms)
    ]


def _page(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> Sequence[Row]:
    """Return the first notification and the sender of each request of a page."""
    senders = _first_by_sender(connection, account_id=account_id, now_ms=now_ms)
    if senders is None:
        rows = _newest(connection, account_id=account_id, page=page, now_ms=now_ms)
        if len(rows) == page.limit:
            return rows
        senders = _first_by_sender(connection, account_id=account_id, now_ms=now_ms, most=ALL_SENDERS) or {}
    found = sorted((first, sender) for sender, first in senders.items() if page.low < first < page.max_id)
    return (found[: page.limit] if page.upward else found[-page.limit :])[::-1]


def _newest(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[Row]:
    """Return the page as far as it is in NEWEST notifications; nothing of a page upward, which may be below them."""
    if page.upward:
        return []
    row = connection.one(_OLDEST, account_id=account_id, high_id=page.max_id, newest=NEWEST)
    oldest_id = 0 if row is None else row[0]
    return _FIRST.run(connection, page, account_id=account_id, now_ms=now_ms, oldest_id=oldest_id)


def _first_by_sender(
    connection: Connection, *, account_id: int, now_ms: int, most: int | None = None
) -> dict[int, int] | None:
    """Return the first notification of each request by its sender, or None for more than `most` (MOST_SENDERS)."""
    limit = MOST_SENDERS if most is None else most
    rows = connection.all(_SENDERS_AND_FIRST, account_id=account_id, now_ms=now_ms, most_senders=limit)
    if all(sender is not None for sender, _ in rows):
        return None
    return {sender: first for sender, first in rows if first is not None}


def request_of(
    connection: Connection, *, account_id: int, from_account_id: int, now_ms: int, most: int
) -> NotificationRequest | None:
    """Return the request of one sender, from its `most` newest notifications, or None."""
    of = {"account_id": account_id, "from_account_id": from_account_id, "now_ms": now_ms}
    row = connection.one(_FIRST_OF_SENDER, **of)
    return None if row is None else _request(connection, first_id=row[0], most=most, **of)


def _request(
    connection: Connection, *, account_id: int, from_account_id: int, first_id: int, now_ms: int, most: int
) -> NotificationRequest:
    row = connection.one(
        _SUMMARY, account_id=account_id, from_account_id=from_account_id, now_ms=now_ms, most=most
    )
    assert row is not None
    newest_id, count, last_post_id = row
    return NotificationRequest(first_id, from_account_id, newest_id, count, last_post_id)


def counts(connection: Connection, *, account_id: int, now_ms: int, most: int) -> tuple[int, int]:
    """Return the number of requests, and of the notifications in them; counting ends at `most` notifications."""
    senders = _first_by_sender(connection, account_id=account_id, now_ms=now_ms)
    if senders is not None:
        row = connection.one(_COUNT_OF_SENDERS, account_id=account_id, sender_ids=list(senders), most=most)
        return (len(senders), 0 if row is None else row[0])
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
