"""Queries about notifications and markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

from stormpetrel.model.ids import time_ms
from stormpetrel.model.notification import GroupKey, Kind, Marker, Notification
from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

_COLUMNS = "n.id, n.account_id, n.kind, n.from_account_id, n.post_id, n.report_id"

SHOWN_SENDER = (
    "(a.state = 'active' AND (a.silenced = FALSE OR a.id = :account_id OR EXISTS (SELECT 1 FROM follows f "
    "WHERE f.follower_id = :account_id AND f.followed_id = a.id)))"
)
"""Accounts `a` whose notifications an account is shown, unless it hides them."""
SHOWN_POST = (
    "(EXISTS (SELECT 1 FROM posts p "
    "WHERE p.id = n.post_id AND p.hidden AND p.author_id <> :account_id)) = FALSE"
)
"""Notifications `n` whose post is shown to the account.

`= FALSE` and not NOT EXISTS: PostgreSQL would join with the hidden posts, and read and sort all notifications.
"""
HIDDEN_SENDERS = (
    "(SELECT target_id FROM blocks WHERE account_id = :account_id "
    "UNION ALL SELECT target_id FROM mutes WHERE account_id = :account_id AND hide_notifications = TRUE "
    "AND (expires_at_ms = 0 OR expires_at_ms > :now_ms))"
)
SHOWN = (
    "FROM notifications n JOIN accounts a ON a.id = n.from_account_id WHERE n.account_id = :account_id "
    f"AND (n.kind IN ('sign_up', 'report') OR {SHOWN_SENDER}) AND {SHOWN_POST} "
    f"AND n.from_account_id NOT IN {HIDDEN_SENDERS}"
)
"""Notifications that their account is shown, in its list or in a request."""
_PAGE = f"SELECT {_COLUMNS} {SHOWN} AND n.kind IN :kinds[text] AND n.filtered = :filtered"
_NOTIFICATIONS = paged(_PAGE, "n.id")
_GROUP = paged(f"{_PAGE} AND coalesce(n.post_id, 0) = :post_id", "n.id")
_NOTIFICATIONS_FROM = paged(f"{_PAGE} AND n.from_account_id = :from_account_id", "n.id")
_ONE = sql(
    f"SELECT {_COLUMNS} FROM notifications n WHERE n.id = :notification_id AND n.account_id = :account_id "
    "AND NOT EXISTS (SELECT 1 FROM posts p WHERE p.id = n.post_id AND p.hidden AND p.author_id <> :account_id)"
)
_INSERT = sql(
    "INSERT INTO notifications (id, account_id, kind, from_account_id, post_id, report_id, filtered) "
    "VALUES (:id, :account_id, :kind, :from_account_id, :post_id, :report_id, :filtered)"
)
_EXISTS = sql(
    "SELECT 1 FROM notifications WHERE from_account_id = :from_account_id AND account_id = :account_id "
    "AND kind = :kind AND coalesce(post_id, 0) = :post_id LIMIT 1"
)
_DELETE = sql("DELETE FROM notifications WHERE id = :notification_id AND account_id = :account_id")
_CLEAR = sql("DELETE FROM notifications WHERE account_id = :account_id")
_FORGET = sql(
    "DELETE FROM notifications WHERE from_account_id = :from_account_id AND account_id = :account_id "
    "AND kind = :kind AND coalesce(post_id, 0) = :post_id"
)
_DELETE_GROUP = sql(
    "DELETE FROM notifications WHERE account_id = :account_id AND kind = :kind "
    "AND coalesce(post_id, 0) = :post_id AND id >= :first_id AND id < :end_id AND filtered = FALSE"
)
_FORGET_BETWEEN = sql(
    "DELETE FROM notifications WHERE account_id = :account_id AND from_account_id = :from_account_id"
)
_MARKERS = sql(
    "SELECT timeline, last_read_id, version, updated_at_ms FROM markers "
    "WHERE account_id = :account_id AND timeline IN :timelines[text]"
)
# A marker never goes back: an app that was suspended must not mark posts unread that another app has read.
_PUT_MARKER = sql(
    "INSERT INTO markers (account_id, timeline, last_read_id, version, updated_at_ms) "
    "VALUES (:account_id, :timeline, :last_read_id, 1, :now_ms) "
    "ON CONFLICT (account_id, timeline) DO UPDATE SET "
    "last_read_id = CASE WHEN excluded.last_read_id > markers.last_read_id "
    "THEN excluded.last_read_id ELSE markers.last_read_id END, "
    "version = markers.version + 1, updated_at_ms = excluded.updated_at_ms"
)


def _notification(row: Row) -> Notification:
    return Notification(row[0], row[1], Kind(row[2]), row[3], row[4], time_ms(row[0]), row[5])


def notifications(
    connection: Connection,
    *,
    account_id: int,
    page: Page,
    kinds: Sequence[Kind],
    from_account_id: int | None,
    now_ms: int,
    include_filtered: bool = False,
) -> list[Notification]:
    """Return notifications of those kinds, newest first, without those by blocked and muted accounts."""
    values = {"account_id": account_id, "kinds": [kind.value for kind in kinds], "now_ms": now_ms}
    statement = _NOTIFICATIONS
    if from_account_id is not None:
        statement = _NOTIFICATIONS_FROM
        values["from_account_id"] = from_account_id
    rows = statement.run(connection, page, filtered=False, **values)
    if include_filtered:
        # Each page by its index, in its order: one query for both would have to sort all.
        rows += statement.run(connection, page, filtered=True, **values)
        rows.sort(key=itemgetter(0), reverse=True)
        rows = rows[-page.limit :] if page.upward else rows[: page.limit]
    return [_notification(row) for row in rows]


def of_group(
    connection: Connection, *, account_id: int, group: GroupKey, page: Page, now_ms: int
) -> list[Notification]:
    """Return the page's notifications of one group, newest first, filtered as in `notifications`."""
    within = replace(
        page,
        max_id=min(page.max_id, group.end_id),
        since_id=max(page.since_id, group.first_id - 1),
        min_id=None if page.min_id is None else max(page.min_id, group.first_id - 1),
    )
    rows = _GROUP.run(
        connection,
        within,
        account_id=account_id,
        kinds=[group.kind.value],
        post_id=group.post_id,
        now_ms=now_ms,
        filtered=False,
    )
    return [_notification(row) for row in rows]


def delete_group(connection: Connection, *, account_id: int, group: GroupKey) -> None:
    """Delete all notifications of a group."""
    connection.run(
        _DELETE_GROUP,
        account_id=account_id,
        kind=group.kind.value,
        post_id=group.post_id,
        first_id=group.first_id,
        end_id=group.end_id,
    )


def notification(connection: Connection, *, account_id: int, notification_id: int) -> Notification | None:
    """Return one notification of the account, or None."""
    row = connection.one(_ONE, account_id=account_id, notification_id=notification_id)
    return None if row is None else _notification(row)


def insert(
    connection: Connection,
    *,
    id: int,
    account_id: int,
    kind: Kind,
    from_account_id: int,
    post_id: int | None,
    report_id: int = 0,
    filtered: bool = False,
) -> None:
    """Insert a notification; a filtered one waits in a request."""
    connection.run(
        _INSERT,
        id=id,
        account_id=account_id,
        kind=kind.value,
        from_account_id=from_account_id,
        post_id=post_id,
        report_id=report_id,
        filtered=filtered,
    )


def exists(
    connection: Connection, *, account_id: int, kind: Kind, from_account_id: int, post_id: int | None
) -> bool:
    """Return whether the account has this notification already."""
    row = connection.one(
        _EXISTS,
        account_id=account_id,
        kind=kind.value,
        from_account_id=from_account_id,
        post_id=post_id or 0,
    )
    return row is not None


def delete(connection: Connection, *, account_id: int, notification_id: int) -> bool:
    """Delete one notification; return False if there was none."""
    return connection.run(_DELETE, account_id=account_id, notification_id=notification_id) > 0


def clear(connection: Connection, *, account_id: int) -> None:
    """Delete all notifications of the account."""
    connection.run(_CLEAR, account_id=account_id)


def forget(
    connection: Connection, *, account_id: int, kind: Kind, from_account_id: int, post_id: int | None = None
) -> None:
    """Delete the notification of an action that was undone."""
    connection.run(
        _FORGET,
        account_id=account_id,
        kind=kind.value,
        from_account_id=from_account_id,
        post_id=post_id or 0,
    )


def forget_between(connection: Connection, *, account_id: int, from_account_id: int) -> None:
    """Delete all notifications that the account has from the other."""
    connection.run(_FORGET_BETWEEN, account_id=account_id, from_account_id=from_account_id)


def markers(connection: Connection, *, account_id: int, timelines: Sequence[str]) -> list[Marker]:
    """Return the account's markers of those timelines that have one."""
    rows = connection.all(_MARKERS, account_id=account_id, timelines=list(timelines))
    return [Marker(*row) for row in rows]


def put_marker(
    connection: Connection, *, account_id: int, timeline: str, last_read_id: int, now_ms: int
) -> None:
    """Move a marker forward, never back."""
    connection.run(
        _PUT_MARKER, account_id=account_id, timeline=timeline, last_read_id=last_read_id, now_ms=now_ms
    )
