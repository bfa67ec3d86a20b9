"""Queries about subscriptions to the status page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stormpetrel.model.status_subscription import (
    StatusSubscription,
    SubscriptionKind,
    SubscriptionState,
    target_key,
)
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_COLUMNS = "id, kind, target, channels, state, nonce, off_reason"
_ADD = sql(
    """INSERT INTO status_subscriptions
    (id, kind, target, target_key, host, channels, state, nonce, token_hash, asked_at_ms)
    VALUES (:id, :kind, :target, :target_key, :host, :channels, 'pending', :nonce, :token_hash, :now_ms)"""
)
_BY_TOKEN = sql(f"SELECT {_COLUMNS}, token_hash FROM status_subscriptions WHERE token_hash = :token_hash")
_BY_ID = sql(f"SELECT {_COLUMNS} FROM status_subscriptions WHERE id = :id")
_CONFIRMED = sql(
    f"SELECT {_COLUMNS} FROM status_subscriptions WHERE target_key = :target_key AND state <> 'pending'"
)
_ASKED = sql("SELECT max(asked_at_ms) FROM status_subscriptions WHERE target_key = :target_key")
_SET_ASKED = sql("UPDATE status_subscriptions SET asked_at_ms = :now_ms WHERE id = :id")
_COUNT = sql("SELECT count(*) FROM status_subscriptions")
_COUNT_OF_HOST = sql(
    """SELECT count(*) FROM status_subscriptions
    WHERE kind = 'webhook' AND host = :host AND (state <> 'pending' OR id >= :since_id)"""
)
_COUNTS = sql("SELECT kind, state, count(*) FROM status_subscriptions GROUP BY kind, state")
_CHANNEL_COUNTS = sql(
    """SELECT channels, count(*) FROM status_subscriptions WHERE state = 'active' GROUP BY channels"""
)
_ACTIVATE = sql(
    """UPDATE status_subscriptions
    SET state = 'active', channels = :channels, failures = 0, failing_since_ms = 0, off_reason = ''
    WHERE id = :id"""
)
_SET_CHANNELS = sql("UPDATE status_subscriptions SET channels = :channels WHERE id = :id")
_EXPLAIN = sql("UPDATE status_subscriptions SET off_reason = :reason WHERE id = :id AND state <> 'active'")
_DELETE = sql("DELETE FROM status_subscriptions WHERE id = :id")
_DELETE_TARGET = sql("DELETE FROM status_subscriptions WHERE target_key = :target_key")
_FAILED = sql(
    """UPDATE status_subscriptions SET failures = failures + 1, off_reason = :reason,
    failing_since_ms = CASE WHEN failures = 0 THEN :now_ms ELSE failing_since_ms END
    WHERE id = :id AND state = 'active' RETURNING failures, failing_since_ms"""
)
_TURN_OFF = sql("UPDATE status_subscriptions SET state = 'off' WHERE id = :id")
_SUCCEEDED = sql(
    """UPDATE status_subscriptions SET failures = 0, failing_since_ms = 0, off_reason = ''
    WHERE id = :id AND failures > 0"""
)
_OLD_PENDING = sql(
    """DELETE FROM status_subscriptions WHERE id IN (
        SELECT id FROM status_subscriptions WHERE state = 'pending' AND id < :before_id LIMIT :count)
    AND state = 'pending'"""
)


@dataclass(frozen=True, slots=True)
class SubscriptionCounts:
    """Numbers of subscriptions. `states`: by (kind, state). `channels`: of active ones, by their channels."""

    states: dict[tuple[str, str], int]
    channels: dict[tuple[str, ...], int]


def add(
    connection: Connection,
    *,
    kind: SubscriptionKind,
    target: str,
    host: str,
    channels: Sequence[str],
    nonce: str,
    token_hash: bytes,
    now_ms: int,
) -> int:
    """Store a subscription that is not confirmed yet; return its id."""
    id = connection.new_id(now_ms)
    connection.run(
        _ADD,
        id=id,
        kind=kind.value,
        target=target,
        target_key=target_key(kind, target),
        host=host,
        channels=",".join(channels),
        nonce=nonce,
        token_hash=token_hash,
        now_ms=now_ms,
    )
    return id


def by_token(connection: Connection, *, token_hash: bytes) -> tuple[StatusSubscription, bytes] | None:
    """Return the subscription with this hash of its link's token, and the stored hash; None if there is none."""
    row = connection.one(_BY_TOKEN, token_hash=token_hash)
    return None if row is None else (subscription_of(row[:-1]), bytes(row[-1]))


def by_id(connection: Connection, *, id: int) -> StatusSubscription | None:
    """Return the subscription, or None."""
    row = connection.one(_BY_ID, id=id)
    return None if row is None else subscription_of(row)


def confirmed(connection: Connection, *, kind: SubscriptionKind, target: str) -> StatusSubscription | None:
    """Return the subscription of a target that was confirmed, also if it was turned off since; or None."""
    row = connection.one(_CONFIRMED, target_key=target_key(kind, target))
    return None if row is None else subscription_of(row)


def asked_at_ms(connection: Connection, *, kind: SubscriptionKind, target: str) -> int:
    """Return when a target was requested last; 0 if it never was, or all its subscriptions have ended."""
    row = connection.one(_ASKED, target_key=target_key(kind, target))
    return 0 if row is None or row[0] is None else int(row[0])


def set_asked(connection: Connection, *, id: int, now_ms: int) -> None:
    """Note that the subscription was requested again."""
    connection.run(_SET_ASKED, id=id, now_ms=now_ms)


def count(connection: Connection) -> int:
    """Return the number of all subscriptions."""
    row = connection.one(_COUNT)
    assert row is not None
    return int(row[0])


def count_of_host(connection: Connection, *, host: str, since_id: int) -> int:
    """Return the number of webhooks on a host; of unconfirmed ones only those with an id of at least `since_id`."""
    row = connection.one(_COUNT_OF_HOST, host=host, since_id=since_id)
    assert row is not None
    return int(row[0])


def counts(connection: Connection) -> SubscriptionCounts:
    """Return numbers for operators."""
    return SubscriptionCounts(
        {(str(kind), str(state)): int(number) for kind, state, number in connection.all(_COUNTS)},
        {_split(str(channels)): int(number) for channels, number in connection.all(_CHANNEL_COUNTS)},
    )


def activate(connection: Connection, *, id: int, channels: Sequence[str]) -> None:
    """Make the subscription active, with these channels and no failures."""
    connection.run(_ACTIVATE, id=id, channels=",".join(channels))


def set_channels(connection: Connection, *, id: int, channels: Sequence[str]) -> None:
    """Set the chosen channels."""
    connection.run(_SET_CHANNELS, id=id, channels=",".join(channels))


def explain(connection: Connection, *, id: int, reason: str) -> None:
    """Store the reason why the subscription is not active."""
    connection.run(_EXPLAIN, id=id, reason=reason)


def delete(connection: Connection, *, id: int) -> int:
    """Delete the subscription; return how many there were."""
    return connection.run(_DELETE, id=id)


def delete_target(connection: Connection, *, kind: SubscriptionKind, target: str) -> int:
    """Delete all subscriptions of an address or a URL; return how many there were."""
    return connection.run(_DELETE_TARGET, target_key=target_key(kind, target))


def note_failure(connection: Connection, *, id: int, reason: str, now_ms: int) -> tuple[int, int]:
    """Count a failed delivery; return (failures in a row, when the first was), (0, 0) if it is not active."""
    row = connection.one(_FAILED, id=id, reason=reason, now_ms=now_ms)
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def turn_off(connection: Connection, *, id: int) -> None:
    """Turn a subscription off; its reason stays."""
    connection.run(_TURN_OFF, id=id)


def note_success(connection: Connection, *, id: int) -> None:
    """End a row of failures."""
    connection.run(_SUCCEEDED, id=id)


def remove_old_pending(connection: Connection, *, before_id: int, count: int) -> int:
    """Remove subscriptions older than `before_id` that were not confirmed; return how many, at most `count`."""
    return connection.run(_OLD_PENDING, before_id=before_id, count=count)


def subscription_of(row: Any) -> StatusSubscription:
    """Return the subscription of a row with the columns of this file."""
    id, kind, target, channels, state, nonce, reason = row
    return StatusSubscription(
        id, SubscriptionKind(kind), target, _split(channels), SubscriptionState(state), nonce, reason
    )


def _split(channels: str) -> tuple[str, ...]:
    return tuple(channels.split(",")) if channels else ()
