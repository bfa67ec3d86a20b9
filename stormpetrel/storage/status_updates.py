"""Queries about updates of the status page that are sent to subscribers, and the progress of sending them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stormpetrel.model.status_subscription import StatusNotice, StatusSubscription
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.status_subscriptions import subscription_of

_ADD = sql(
    """INSERT INTO status_updates (id, update_id, body, created_at_ms)
    VALUES (:id, :update_id, :body, :now_ms) ON CONFLICT (update_id) DO NOTHING"""
)
_NOTICE = sql("SELECT body FROM status_updates WHERE id = :id")
_NEWER = sql("SELECT body FROM status_updates WHERE id > :id ORDER BY id")
_ACTIVE_IDS = sql("SELECT id FROM status_subscriptions WHERE state = 'active' AND kind = 'email' ORDER BY id")
_WEBHOOKS = sql(
    """SELECT id, kind, target, channels, state, nonce, off_reason FROM status_subscriptions
    WHERE state = 'active' AND kind = 'webhook' ORDER BY id"""
)
_ADD_SENDING = sql(
    """INSERT INTO status_sendings (id, status_update_id, after_id, until_id)
    VALUES (:id, :status_update_id, :after_id, :until_id)"""
)
_SENDING = sql("SELECT status_update_id, after_id, until_id FROM status_sendings WHERE id = :id")
_NEXT = sql(
    """SELECT id, kind, target, channels, state, nonce, off_reason FROM status_subscriptions
    WHERE state = 'active' AND kind = 'email' AND id > :after_id AND id <= :until_id ORDER BY id LIMIT :count"""
)
_ADVANCE = sql("UPDATE status_sendings SET after_id = :after_id WHERE id = :id")
_DELETE_SENDING = sql("DELETE FROM status_sendings WHERE id = :id")
_OLD = sql(
    """DELETE FROM status_updates WHERE id IN (
        SELECT id FROM status_updates WHERE created_at_ms < :before_ms ORDER BY created_at_ms LIMIT :count)"""
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StatusNotice).decode


@dataclass(frozen=True, slots=True)
class Sending:
    """Mails of an update to the subscriptions with ids above `after_id`, up to `until_id`."""

    status_update_id: int
    after_id: int
    until_id: int


def add(connection: Connection, notice: StatusNotice, *, now_ms: int) -> int | None:
    """Store an update; return its id, or None if it is stored already."""
    id = connection.new_id(now_ms)
    added = connection.run(
        _ADD, id=id, update_id=notice.update_id, body=_encode(notice).decode(), now_ms=now_ms
    )
    return id if added == 1 else None


def notice(connection: Connection, *, id: int) -> StatusNotice | None:
    """Return a stored update, or None."""
    row = connection.one(_NOTICE, id=id)
    return None if row is None else _decode(row[0])


def newer_notices(connection: Connection, *, id: int) -> list[StatusNotice]:
    """Return the updates that were taken after this one, in order."""
    return [_decode(row[0]) for row in connection.all(_NEWER, id=id)]


def active_mail_ids(connection: Connection) -> list[int]:
    """Return the ids of all active subscriptions by mail, in order."""
    return [int(row[0]) for row in connection.all(_ACTIVE_IDS)]


def active_webhooks(connection: Connection) -> list[StatusSubscription]:
    """Return all active webhooks, in order of their ids."""
    return [subscription_of(row) for row in connection.all(_WEBHOOKS)]


def add_sending(connection: Connection, sending: Sending, *, now_ms: int) -> int:
    """Store a sending that has not begun; return its id."""
    id = connection.new_id(now_ms)
    connection.run(
        _ADD_SENDING,
        id=id,
        status_update_id=sending.status_update_id,
        after_id=sending.after_id,
        until_id=sending.until_id,
    )
    return id


def sending(connection: Connection, *, id: int) -> Sending | None:
    """Return a sending as far as it is, or None."""
    row = connection.one(_SENDING, id=id)
    return None if row is None else Sending(*map(int, row))


def next_recipients(
    connection: Connection, *, after_id: int, until_id: int, count: int
) -> list[StatusSubscription]:
    """Return the next active subscriptions by mail of a sending, at most `count`, in order of their ids."""
    rows = connection.all(_NEXT, after_id=after_id, until_id=until_id, count=count)
    return [subscription_of(row) for row in rows]


def advance(connection: Connection, *, id: int, after_id: int) -> None:
    """Note that the sending is done up to a subscription."""
    connection.run(_ADVANCE, id=id, after_id=after_id)


def delete_sending(connection: Connection, *, id: int) -> None:
    """Delete a sending that is done."""
    connection.run(_DELETE_SENDING, id=id)


def remove_old(connection: Connection, *, before_ms: int, count: int) -> int:
    """Remove updates older than `before_ms`, with their unfinished sendings; return how many."""
    return connection.run(_OLD, before_ms=before_ms, count=count)
