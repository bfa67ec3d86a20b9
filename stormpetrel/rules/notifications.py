"""Notifications: which account is notified of which event, and reading them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.event import MarkersMoved, NotificationsRemoved, Notified
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.notification import Kind, Marker, Notification
from stormpetrel.model.notification_policy import Choice
from stormpetrel.model.page import Page
from stormpetrel.model.post import Post, Visibility
from stormpetrel.model.visibility import may_see
from stormpetrel.rules import notification_policy
from stormpetrel.storage import accounts, phone_queue, phones, pins, posts, relationships
from stormpetrel.storage import notifications as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

MARKED_TIMELINES = ("home", "notifications")

_ONCE = frozenset({Kind.FOLLOW, Kind.FOLLOW_REQUEST, Kind.FAVOURITE, Kind.BOOST})
"""Kinds that can be undone and repeated: a repetition does not notify again."""

_TEXTED = {Kind.MENTION: "mention", Kind.POST: "delivery"}
"""Notifications that a phone gets by SMS, and the kind of delivery."""


def notify(
    connection: Connection,
    *,
    account_id: int,
    kind: Kind,
    from_account_id: int,
    now_ms: int,
    post_id: int | None = None,
) -> bool:
    """Notify the account, unless one of these holds:

    - it caused the event itself (except that its own poll has ended),
    - one of the two accounts blocks the other, or it mutes the other's notifications,
    - the other account is silenced and it does not follow it,
    - it muted the thread,
    - it has the same notification already, of a kind in _ONCE,
    - its policy drops it (rules/notification_policy.py). If the policy filters it, it is stored, but neither
      streamed nor texted.

    Return False if the policy filters or drops it, True in every other case.
    """
    if account_id == from_account_id and kind is not Kind.POLL:
        return True
    if relationships.block_between(connection, account_id=account_id, other_id=from_account_id):
        return True
    if relationships.hides_notifications(
        connection, account_id=account_id, target_id=from_account_id, now_ms=now_ms
    ):
        return True
    found = accounts.account(connection, account_id=from_account_id)
    if (
        found is not None
        and found.silenced
        and not relationships.follows(connection, follower_id=account_id, followed_id=from_account_id)
    ):
        return True
    if post_id is not None and pins.mutes(connection, account_id=account_id, post_id=post_id):
        return True
    what = {"account_id": account_id, "kind": kind, "from_account_id": from_account_id, "post_id": post_id}
    if kind in _ONCE and stored.exists(connection, **what):  # type: ignore[arg-type]  # as named
        return True
    treatment = notification_policy.treatment(
        connection, account_id=account_id, kind=kind, sender=found, post_id=post_id, now_ms=now_ms
    )
    if treatment is Choice.DROP:
        return False
    filtered = treatment is Choice.FILTER
    notification_id = connection.new_id(now_ms)
    stored.insert(connection, id=notification_id, filtered=filtered, **what)  # type: ignore[arg-type]  # as named
    if filtered:
        return False
    if post_id is not None and kind in _TEXTED:
        phone_queue.put_for_account(
            connection, account_id=account_id, post_id=post_id, kind=_TEXTED[kind], now_ms=now_ms
        )
    connection.tell(Notified(account_id, notification_id))
    return True


def notify_mentioned(
    connection: Connection, *, post: Post, account_ids: Iterable[int], now_ms: int
) -> set[int]:
    """Notify accounts that the post mentions; return those whose policies filter or drop it."""
    return {
        account_id
        for account_id in account_ids
        if not notify(
            connection,
            account_id=account_id,
            kind=Kind.MENTION,
            from_account_id=post.author_id,
            post_id=post.id,
            now_ms=now_ms,
        )
    }


def notifications(
    connection: Connection,
    *,
    account_id: int,
    page: Page,
    now_ms: int,
    kinds: Sequence[Kind] | None = None,
    exclude: Sequence[Kind] = (),
    from_account_id: int | None = None,
    include_filtered: bool = False,
) -> list[Notification]:
    """Return the account's notifications, newest first; only `kinds` if given, never `exclude`.

    `include_filtered`: also those that wait in requests.
    """
    wanted = [kind for kind in (Kind if kinds is None else kinds) if kind not in exclude]
    if not wanted:
        return []
    return stored.notifications(
        connection,
        account_id=account_id,
        page=page,
        kinds=wanted,
        from_account_id=from_account_id,
        now_ms=now_ms,
        include_filtered=include_filtered,
    )


def notification(connection: Connection, *, account_id: int, notification_id: int) -> Notification:
    """Return one of the account's notifications. Raise NotFound for those of other accounts."""
    found = stored.notification(connection, account_id=account_id, notification_id=notification_id)
    if found is None:
        raise NotFound
    return found


def dismiss(connection: Connection, *, account_id: int, notification_id: int) -> None:
    """Delete one of the account's notifications. Raise NotFound for those of other accounts."""
    if not stored.delete(connection, account_id=account_id, notification_id=notification_id):
        raise NotFound
    connection.tell(NotificationsRemoved(account_id))


def clear(connection: Connection, *, account_id: int) -> None:
    """Delete all notifications of the account."""
    stored.clear(connection, account_id=account_id)
    connection.tell(NotificationsRemoved(account_id))


def withdraw(
    connection: Connection, *, account_id: int, kind: Kind, from_account_id: int, post_id: int | None = None
) -> None:
    """Delete the account's notification of an action that was undone."""
    stored.forget(
        connection, account_id=account_id, kind=kind, from_account_id=from_account_id, post_id=post_id
    )
    connection.tell(NotificationsRemoved(account_id))


def withdraw_between(connection: Connection, *, account_id: int, from_account_id: int) -> None:
    """Delete all notifications that the account has from the other."""
    stored.forget_between(connection, account_id=account_id, from_account_id=from_account_id)
    connection.tell(NotificationsRemoved(account_id))


@hot
def unread_count(connection: Connection, *, account_id: int, limit: int, now_ms: int) -> int:
    """Return how many are newer than the account's marker, at most `limit` (40 at most
    inline; more take longer).
    """
    read = stored.markers(connection, account_id=account_id, timelines=["notifications"])
    page = Page(limit=limit, max_id=MAX_ID, since_id=read[0].last_read_id if read else 0)
    return len(notifications(connection, account_id=account_id, page=page, now_ms=now_ms))


@hot
def markers(connection: Connection, *, account_id: int, timelines: Sequence[str]) -> list[Marker]:
    """Return how far the account has read, for those of `timelines` that have a marker."""
    return stored.markers(connection, account_id=account_id, timelines=timelines)


def set_marker(
    connection: Connection, *, account_id: int, timeline: str, last_read_id: int, now_ms: int
) -> Marker:
    """Move the marker forward, never back; return its new state."""
    if timeline not in MARKED_TIMELINES:
        raise Invalid("Validation failed: Timeline must be home or notifications")
    stored.put_marker(
        connection, account_id=account_id, timeline=timeline, last_read_id=last_read_id, now_ms=now_ms
    )
    connection.tell(MarkersMoved(account_id))
    return stored.markers(connection, account_id=account_id, timelines=[timeline])[0]


def notify_post_subscribers(connection: Connection, *, post_id: int, now_ms: int) -> None:
    """Notify the author's subscribers of a new post, if they may see it, and queue it for phones that follow.

    A repeated call notifies no one twice.
    """
    found = posts.posts(connection, post_ids=[post_id]).get(post_id)
    if found is None:
        return
    if found.visibility in (Visibility.PUBLIC, Visibility.UNLISTED) and not found.hidden:
        for phone_id in phones.follower_phone_ids(connection, account_id=found.author_id):
            phone_queue.put_for_phone(connection, phone_id=phone_id, post_id=post_id, now_ms=now_ms)
    for follower_id in relationships.subscriber_ids(connection, account_id=found.author_id):
        facts = posts.facts(connection, reader_id=follower_id, post_ids=[post_id], now_ms=now_ms)[post_id]
        if not may_see(facts, reader_id=follower_id) or facts.reader_mentioned:
            continue
        told = stored.exists(
            connection,
            account_id=follower_id,
            kind=Kind.POST,
            from_account_id=found.author_id,
            post_id=post_id,
        )
        if not told:
            notify(
                connection,
                account_id=follower_id,
                kind=Kind.POST,
                from_account_id=found.author_id,
                post_id=post_id,
                now_ms=now_ms,
            )


def notify_admins_of_sign_up(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Notify every admin of a sign-up. A repeated call notifies no one twice."""
    if accounts.state(connection, account_id=account_id) is None:
        return
    for admin_id in accounts.admin_ids(connection):
        told = stored.exists(
            connection, account_id=admin_id, kind=Kind.SIGN_UP, from_account_id=account_id, post_id=None
        )
        if not told:
            notify(
                connection, account_id=admin_id, kind=Kind.SIGN_UP, from_account_id=account_id, now_ms=now_ms
            )
