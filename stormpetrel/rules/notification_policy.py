"""Policies for notifications: which senders an account hears of at once, in a request, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stormpetrel.errors import NotFound
from stormpetrel.model.account import Account
from stormpetrel.model.event import NotificationsRemoved
from stormpetrel.model.notification import Kind
from stormpetrel.model.notification_policy import (
    GOVERNED,
    Choice,
    KnownSender,
    NotificationPolicy,
    NotificationRequest,
    choice,
)
from stormpetrel.model.page import Page
from stormpetrel.storage import notification_policy as stored
from stormpetrel.storage import relationships
from stormpetrel.storage.engine.connection import Connection

MOST_COUNTED = 1000
"""Filtered notifications that are counted: a crowd can make many, and pages show the number of requests."""


def treatment(
    connection: Connection,
    *,
    account_id: int,
    kind: Kind,
    sender: Account | None,
    post_id: int | None,
    now_ms: int,
) -> Choice:
    """Return what the account's policy does with a notification that the sender causes."""
    if kind not in GOVERNED or sender is None:
        return Choice.ACCEPT
    policy = stored.policy(connection, account_id=account_id)
    # Most accounts chose none: they cost this one query.
    if policy is None or stored.permits(connection, account_id=account_id, from_account_id=sender.id):
        return Choice.ACCEPT
    known = KnownSender(
        is_followed=relationships.follows(connection, follower_id=account_id, followed_id=sender.id),
        follows_since_ms=stored.follows_since_ms(connection, follower_id=sender.id, followed_id=account_id),
        created_at_ms=sender.created_at_ms,
        is_bot=sender.bot,
        is_uninvited=kind is Kind.MENTION
        and post_id is not None
        and stored.is_uninvited(connection, account_id=account_id, post_id=post_id),
    )
    found = choice(policy, known, now_ms=now_ms)
    if found is Choice.ACCEPT:
        return found
    # An acceptance at the same time is either over, and read here, or waits until this notification is stored.
    stored.share_policy(connection, account_id=account_id)
    is_permitted = stored.permits(connection, account_id=account_id, from_account_id=sender.id)
    return Choice.ACCEPT if is_permitted else found


def policy(connection: Connection, *, account_id: int, now_ms: int) -> tuple[NotificationPolicy, int, int]:
    """Return the account's policy, the number of its requests, and of the notifications in them."""
    found = stored.policy(connection, account_id=account_id) or NotificationPolicy()
    return (found, *stored.counts(connection, account_id=account_id, now_ms=now_ms, most=MOST_COUNTED))


def count_requests(connection: Connection, *, account_id: int, now_ms: int) -> int:
    """Return the number of the account's requests; without a policy there are none, and nothing is counted."""
    if stored.policy(connection, account_id=account_id) is None:
        return 0
    return stored.counts(connection, account_id=account_id, now_ms=now_ms, most=MOST_COUNTED)[0]


def change_policy(
    connection: Connection, *, account_id: int, choices: Mapping[str, Choice], now_ms: int
) -> tuple[NotificationPolicy, int, int]:
    """Set the choices by field, and return as `policy` does. Notifications that are there stay where they are."""
    found = stored.policy(connection, account_id=account_id) or NotificationPolicy()
    changed = replace(found, **choices)
    stored.put_policy(connection, account_id=account_id, policy=changed)
    return policy(connection, account_id=account_id, now_ms=now_ms)


def requests(
    connection: Connection, *, account_id: int, page: Page, now_ms: int
) -> list[NotificationRequest]:
    """Return the account's requests, one per sender, the one that began last first."""
    return stored.requests(connection, account_id=account_id, page=page, now_ms=now_ms, most=MOST_COUNTED)


def request(connection: Connection, *, account_id: int, request_id: int, now_ms: int) -> NotificationRequest:
    """Return the request that contains the notification `request_id`. Raise NotFound.

    The oldest notification may be removed with its post, so every notification of the request names it.
    """
    for sender_id in stored.sender_ids(connection, account_id=account_id, notification_ids=[request_id]):
        found = stored.request_of(
            connection, account_id=account_id, from_account_id=sender_id, now_ms=now_ms, most=MOST_COUNTED
        )
        if found is not None:
            return found
    raise NotFound


def accept(connection: Connection, *, account_id: int, request_ids: Sequence[int]) -> int:
    """Accept the senders of these requests; return how many there were."""
    # A sender's transaction that is open may read that the sender is not accepted, and filter its notification.
    stored.lock_policy(connection, account_id=account_id)
    return _decide(connection, stored.accept, account_id=account_id, request_ids=request_ids)


def dismiss(connection: Connection, *, account_id: int, request_ids: Sequence[int]) -> int:
    """Delete the notifications in these requests; return how many requests there were.

    The sender's next notification begins a new request.
    """
    return _decide(connection, stored.dismiss, account_id=account_id, request_ids=request_ids)


def _decide(
    connection: Connection,
    decision: Callable[..., None],
    *,
    account_id: int,
    request_ids: Sequence[int],
) -> int:
    senders = stored.sender_ids(connection, account_id=account_id, notification_ids=request_ids)
    for sender_id in senders:
        decision(connection, account_id=account_id, from_account_id=sender_id)
    if senders:
        # The list changed without a new notification, as after a removal.
        connection.tell(NotificationsRemoved(account_id))
    return len(senders)
