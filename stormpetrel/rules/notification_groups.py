"""Groups of notifications: reactions to the same post, follows and sign-ups, each grouped by half days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stormpetrel.errors import NotFound
from stormpetrel.model.event import NotificationsRemoved
from stormpetrel.model.notification import (
    GROUPED,
    UNGROUPED,
    GroupKey,
    Kind,
    Notification,
    NotificationGroup,
    group_key,
    parse_group_key,
)
from stormpetrel.model.page import Page
from stormpetrel.rules import notifications as rules
from stormpetrel.storage import notifications as stored
from stormpetrel.storage.engine.connection import Connection

SAMPLE = 8
"""Accounts that a group names (as in Mastodon)."""
READ_AT_ONCE = 100
READ_MOST = 800
"""Limit of notifications read for one page. If one group has more, the page is short and the group
appears again on the next one.
"""


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups, the one with the newest notification first.

    `newest_id`, `oldest_id`: of all notifications read, for the next pages; 0 where there were none.
    """

    groups: tuple[NotificationGroup, ...]
    newest_id: int = 0
    oldest_id: int = 0


def groups(
    connection: Connection,
    *,
    account_id: int,
    page: Page,
    now_ms: int,
    kinds: Sequence[Kind] | None = None,
    exclude: Sequence[Kind] = (),
    grouped: Sequence[Kind] = GROUPED,
    from_account_id: int | None = None,
) -> GroupPage:
    """Return the account's notifications in at most `page.limit` groups.

    Of `GROUPED` only kinds in `grouped` are grouped. A page holds all notifications between its ends; a group
    that extends beyond them is on both pages.
    """
    found: list[Notification] = []
    keys: set[str] = set()
    part = replace(page, limit=READ_AT_ONCE)
    while len(found) < READ_MOST:
        read = rules.notifications(
            connection,
            account_id=account_id,
            page=part,
            now_ms=now_ms,
            kinds=kinds,
            exclude=exclude,
            from_account_id=from_account_id,
        )
        # Read away from the beginning of the page, in either direction.
        for notification in reversed(read) if page.upward else read:
            key = _key(notification, grouped)
            if key not in keys and len(keys) >= page.limit:
                return _page(found, grouped)
            keys.add(key)
            found.append(notification)
        if len(read) < READ_AT_ONCE:
            break
        part = replace(part, min_id=read[0].id) if page.upward else replace(part, max_id=read[-1].id)
    return _page(found, grouped)


def _key(notification: Notification, grouped: Sequence[Kind]) -> str:
    key = group_key(notification) if notification.kind in grouped else None
    return f"{UNGROUPED}-{notification.id}" if key is None else str(key)


def _page(found: Iterable[Notification], grouped: Sequence[Kind]) -> GroupPage:
    ordered = sorted(found, key=lambda notification: notification.id, reverse=True)
    if not ordered:
        return GroupPage(())
    members: dict[str, list[Notification]] = {}
    for notification in ordered:
        members.setdefault(_key(notification, grouped), []).append(notification)
    made = tuple(_group(key, told) for key, told in members.items())
    return GroupPage(made, ordered[0].id, ordered[-1].id)


def _group(key: str, told: Sequence[Notification]) -> NotificationGroup:
    people = dict.fromkeys(notification.from_account_id for notification in told)
    return NotificationGroup(
        key=key,
        newest=told[0],
        oldest_id=told[-1].id,
        count=len(told),
        account_ids=tuple(people)[:SAMPLE],
    )


def group(connection: Connection, *, account_id: int, key: str, now_ms: int) -> NotificationGroup:
    """Return one of the account's groups, counting at most READ_MOST of it. Raise NotFound."""
    told = members(connection, account_id=account_id, key=key, page=Page(limit=READ_MOST), now_ms=now_ms)
    if not told:
        raise NotFound
    return _group(key, told)


def members(
    connection: Connection, *, account_id: int, key: str, page: Page, now_ms: int
) -> list[Notification]:
    """Return a page of a group's notifications, newest first; empty where there is no such group."""
    match parse_group_key(key):
        case GroupKey() as found:
            return stored.of_group(connection, account_id=account_id, group=found, page=page, now_ms=now_ms)
        case int() as notification_id:
            one = stored.notification(connection, account_id=account_id, notification_id=notification_id)
            return [one] if one is not None and page.low < one.id < page.max_id else []
        case _:
            return []


def dismiss_group(connection: Connection, *, account_id: int, key: str) -> None:
    """Delete all notifications of a group, if there are any."""
    match parse_group_key(key):
        case GroupKey() as found:
            stored.delete_group(connection, account_id=account_id, group=found)
        case int() as notification_id:
            stored.delete(connection, account_id=account_id, notification_id=notification_id)
        case _:
            return
    connection.tell(NotificationsRemoved(account_id))


def unread_count(
    connection: Connection,
    *,
    account_id: int,
    limit: int,
    now_ms: int,
    kinds: Sequence[Kind] | None = None,
    exclude: Sequence[Kind] = (),
    grouped: Sequence[Kind] = GROUPED,
    from_account_id: int | None = None,
) -> int:
    """Return how many groups have a notification newer than the account's marker, at most `limit`.

    Only the newest READ_MOST notifications are read.
    """
    read = rules.markers(connection, account_id=account_id, timelines=["notifications"])
    page = Page(limit=limit, since_id=read[0].last_read_id if read else 0)
    found = groups(
        connection,
        account_id=account_id,
        page=page,
        now_ms=now_ms,
        kinds=kinds,
        exclude=exclude,
        grouped=grouped,
        from_account_id=from_account_id,
    )
    return len(found.groups)
