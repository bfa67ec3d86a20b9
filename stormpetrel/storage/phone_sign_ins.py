"""Queries about requests for a code that is texted to sign in."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_ADD = sql(
    """INSERT INTO phone_sign_ins (id, number_hash, by_device_of, expires_at_ms)
    VALUES (:id, :number_hash, :by_device_of, :expires_at_ms)"""
)
_WAITING = sql(
    """SELECT id, number_hash, by_device_of FROM phone_sign_ins
    WHERE expires_at_ms > :now_ms AND handled = FALSE ORDER BY expires_at_ms LIMIT :count"""
)
_HANDLED = sql("UPDATE phone_sign_ins SET handled = TRUE WHERE id = :id AND handled = FALSE")
_PUT_CODE = sql(
    """UPDATE phone_sign_ins SET account_id = :account_id, code_hash = :code_hash, expires_at_ms = :expires_at_ms
    WHERE id = :id"""
)
_TRY = sql(
    """UPDATE phone_sign_ins SET tries = tries + 1 WHERE id = :id AND tries < :most AND expires_at_ms > :now_ms
    RETURNING account_id, code_hash, number_hash"""
)
_DELETE = sql("DELETE FROM phone_sign_ins WHERE id = :id")
_FORGET = sql("DELETE FROM phone_sign_ins WHERE expires_at_ms <= :now_ms")


@dataclass(frozen=True, slots=True)
class PhoneSignIn:
    """A request that waits for its code. `by_device_of`: the account that its browser signed in to; 0 for none."""

    id: int
    number_hash: bytes
    by_device_of: int


@dataclass(frozen=True, slots=True)
class SentCode:
    """The code that was sent for a request; `account_id` and `code_hash` are None if none was."""

    account_id: int | None
    code_hash: bytes | None
    number_hash: bytes


def add(
    connection: Connection, *, sign_in_id: int, number_hash: bytes, by_device_of: int, expires_at_ms: int
) -> None:
    """Store a request."""
    connection.run(
        _ADD, id=sign_in_id, number_hash=number_hash, by_device_of=by_device_of, expires_at_ms=expires_at_ms
    )


def waiting(connection: Connection, *, now_ms: int, count: int) -> list[PhoneSignIn]:
    """Return requests that the sms role has not handled, the oldest first."""
    rows = connection.all(_WAITING, now_ms=now_ms, count=count)
    return [PhoneSignIn(int(row[0]), bytes(row[1]), int(row[2])) for row in rows]


def mark_handled(connection: Connection, *, sign_in_id: int) -> bool:
    """Note that the request is handled; return False if it was before."""
    return connection.run(_HANDLED, id=sign_in_id) == 1


def put_code(
    connection: Connection, *, sign_in_id: int, account_id: int, code_hash: bytes, expires_at_ms: int
) -> None:
    """Store the code that is sent, and the account that it signs in to."""
    connection.run(
        _PUT_CODE, id=sign_in_id, account_id=account_id, code_hash=code_hash, expires_at_ms=expires_at_ms
    )


def take_try(connection: Connection, *, sign_in_id: int, most: int, now_ms: int) -> SentCode | None:
    """Count a try and return the code; None for a request that has expired or had its `most` tries."""
    row = connection.one(_TRY, id=sign_in_id, most=most, now_ms=now_ms)
    if row is None:
        return None
    return SentCode(
        None if row[0] is None else int(row[0]), None if row[1] is None else bytes(row[1]), bytes(row[2])
    )


def delete(connection: Connection, *, sign_in_id: int) -> None:
    """Delete a request whose code was used."""
    connection.run(_DELETE, id=sign_in_id)


def forget_expired(connection: Connection, *, now_ms: int) -> int:
    """Delete expired requests; return how many there were."""
    return connection.run(_FORGET, now_ms=now_ms)
