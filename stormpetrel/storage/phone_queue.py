"""The posts to text to phones, written with their notifications, and the effects of messages, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

# The phone's row decides, so that accounts without a phone cost one look-up.
_PUT_FOR_ACCOUNT = sql(
    """INSERT INTO phone_deliveries (id, phone_id, post_id, kind, due_at_ms, created_at_ms)
    SELECT :id, ph.id, p.id, CASE WHEN p.visibility = 3 THEN 'dm' ELSE :kind END, :now_ms, :now_ms
    FROM phones ph JOIN posts p ON p.id = :post_id
    WHERE ph.account_id = :account_id AND ph.stopped = FALSE AND ph.delivers = TRUE
    ON CONFLICT (phone_id, post_id) DO NOTHING"""
)
_PUT_FOR_PHONE = sql(
    """INSERT INTO phone_deliveries (id, phone_id, post_id, kind, due_at_ms, created_at_ms)
    VALUES (:id, :phone_id, :post_id, 'delivery', :now_ms, :now_ms)
    ON CONFLICT (phone_id, post_id) DO NOTHING"""
)
_DUE_PHONES = sql(
    """SELECT phone_id, min(id) FROM phone_deliveries WHERE due_at_ms <= :now_ms
    GROUP BY phone_id ORDER BY 2 LIMIT :count"""
)
_DUE_OF = sql(
    """SELECT id, phone_id, post_id, kind, tag, due_at_ms, created_at_ms FROM phone_deliveries
    WHERE phone_id = :phone_id AND due_at_ms <= :now_ms ORDER BY id LIMIT :count"""
)
_SET_TAG = sql("UPDATE phone_deliveries SET tag = :tag WHERE id = :delivery_id")
_HOLD = sql("UPDATE phone_deliveries SET due_at_ms = :due_at_ms WHERE id IN :ids[]")
_HOLD_ALL = sql("UPDATE phone_deliveries SET due_at_ms = :due_at_ms WHERE phone_id = :phone_id")
_DROP = sql("DELETE FROM phone_deliveries WHERE id IN :ids[]")
_WAITING = sql("SELECT count(*) FROM phone_deliveries WHERE phone_id = :phone_id")
_CLEAR = sql("DELETE FROM phone_deliveries WHERE phone_id = :phone_id")
_OUTCOME = sql("SELECT outcome FROM phone_messages WHERE message_key = :key")
_DONE = sql("INSERT INTO phone_messages (message_key, outcome, done_at_ms) VALUES (:key, :outcome, :now_ms)")
_FORGET_OUTCOME = sql("DELETE FROM phone_messages WHERE message_key = :key")
_FORGET_DONE = sql("DELETE FROM phone_messages WHERE done_at_ms < :before_ms")


@dataclass(frozen=True, slots=True)
class PhoneDelivery:
    """A post to text to a phone. `kind`: delivery, mention or dm. `tag` 0: none is chosen yet."""

    id: int
    phone_id: int
    post_id: int
    kind: str
    tag: int
    due_at_ms: int
    created_at_ms: int

    @property
    def was_held(self) -> bool:
        """Return True if it has waited: for the end of quiet hours, for a limit, or for the digest."""
        return self.due_at_ms > self.created_at_ms


def put_for_account(connection: Connection, *, account_id: int, post_id: int, kind: str, now_ms: int) -> None:
    """Queue a post for the account's phone, if it has one that gets deliveries."""
    connection.run(
        _PUT_FOR_ACCOUNT,
        id=connection.new_id(now_ms),
        account_id=account_id,
        post_id=post_id,
        kind=kind,
        now_ms=now_ms,
    )


def put_for_phone(connection: Connection, *, phone_id: int, post_id: int, now_ms: int) -> None:
    """Queue a post for a phone without an account."""
    connection.run(
        _PUT_FOR_PHONE, id=connection.new_id(now_ms), phone_id=phone_id, post_id=post_id, now_ms=now_ms
    )


def due_phones(connection: Connection, *, now_ms: int, count: int) -> list[int]:
    """Return phones for which deliveries are due, the longest waiting first."""
    return [int(row[0]) for row in connection.all(_DUE_PHONES, now_ms=now_ms, count=count)]


def due_of(connection: Connection, *, phone_id: int, now_ms: int, count: int) -> list[PhoneDelivery]:
    """Return the due deliveries of one phone, oldest first."""
    rows = connection.all(_DUE_OF, phone_id=phone_id, now_ms=now_ms, count=count)
    return [PhoneDelivery(*row) for row in rows]


def set_tag(connection: Connection, *, delivery_id: int, tag: int) -> None:
    """Store the tag of a delivery, so that composing it again gives the same text."""
    connection.run(_SET_TAG, delivery_id=delivery_id, tag=tag)


def hold(connection: Connection, *, delivery_ids: Sequence[int], due_at_ms: int) -> None:
    """Let deliveries wait."""
    connection.run(_HOLD, ids=delivery_ids, due_at_ms=due_at_ms)


def hold_all(connection: Connection, *, phone_id: int, due_at_ms: int) -> None:
    """Let all deliveries of a phone wait."""
    connection.run(_HOLD_ALL, phone_id=phone_id, due_at_ms=due_at_ms)


def drop(connection: Connection, *, delivery_ids: Sequence[int]) -> None:
    """Remove deliveries that are in the outbox of the sms role, or that cannot be made any more."""
    connection.run(_DROP, ids=delivery_ids)


def waiting(connection: Connection, *, phone_id: int) -> int:
    """Return how many posts wait for the phone."""
    row = connection.one(_WAITING, phone_id=phone_id)
    assert row is not None
    return int(row[0])


def clear(connection: Connection, *, phone_id: int) -> None:
    """Remove all deliveries of the phone."""
    connection.run(_CLEAR, phone_id=phone_id)


def outcome(connection: Connection, *, key: str) -> str | None:
    """Return the stored outcome of a message, or None if it has had no effect yet."""
    row = connection.one(_OUTCOME, key=key)
    return None if row is None else str(row[0])


def done(connection: Connection, *, key: str, outcome: str, now_ms: int) -> None:
    """Store the outcome of a message, in the transaction of its effect."""
    connection.run(_DONE, key=key, outcome=outcome, now_ms=now_ms)


def forget_done(connection: Connection, *, before_ms: int) -> int:
    """Delete old outcomes; return how many there were."""
    return connection.run(_FORGET_DONE, before_ms=before_ms)


def forget_outcome(connection: Connection, *, key: str) -> None:
    """Delete the outcome of a message that is carried out again."""
    connection.run(_FORGET_OUTCOME, key=key)
