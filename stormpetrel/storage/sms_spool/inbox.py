"""Incoming messages in the spool: each key once, in the order of arrival, until their effect is known."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

MEMBERS, STRANGERS = 0, 1
"""Classes: messages of known numbers are processed before those of strangers, however many these send."""

_COLUMNS = (
    "id, key, route, number, receiver, text, proof, class, quiet, state, effect, error, status_id, at_ms"
)
_PUT = """INSERT INTO inbox (key, route, number, receiver, text, proof, class, quiet, state, effect, error, at_ms,
    changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"""
_PROMOTE = "UPDATE inbox SET class = ? WHERE number = ? AND state = 'stored' AND class > ?"
_WAITING = (
    f"""SELECT {_COLUMNS} FROM inbox WHERE state = 'stored' AND class = ? AND id > ? ORDER BY id LIMIT ?"""
)
_DONE = """UPDATE inbox SET state = 'done', effect = ?, error = ?, status_id = ?, proof = NULL, changed_ms = ?
    WHERE id = ? AND state = 'stored'"""
_REPLAY = """UPDATE inbox SET state = 'stored', effect = NULL, error = NULL, changed_ms = ?
    WHERE id = ? AND state <> 'stored' AND status_id IS NULL"""
_COUNTS = """SELECT count(*), coalesce(sum(state = 'stored'), 0), coalesce(sum(state = 'dropped'), 0) FROM inbox
    WHERE route <> '_canary'"""
_PUT_PART = """INSERT INTO parts (key, route, number, receiver, kind, reference, total, part, coding, octets, locking,
    single, proof, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_PARTS = """SELECT key, route, number, receiver, kind, reference, total, part, coding, octets, locking, single, proof,
    at_ms FROM parts ORDER BY id"""
_DELETE_PARTS = (
    """DELETE FROM parts WHERE number = ? AND receiver = ? AND kind = ? AND reference = ? AND total = ?"""
)
_KEY_OF_PARTS = """SELECT min(id), key, route, max(proof) FROM parts
    WHERE number = ? AND receiver = ? AND kind = ? AND reference = ? AND total = ?"""


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A message. `number` is E.164, or a sender that is no number; `proof` the hash of its PIN, if it had one.

    `quiet`: the provider has answered it. `state`: stored, done or dropped.
    """

    id: int
    key: str
    route: str
    number: str
    receiver: str
    text: str
    proof: bytes | None
    klass: int
    quiet: bool
    state: str
    effect: str | None
    error: str | None
    status_id: int | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part of a long message; fields as in sms.udh.Concatenation and sms.user_data.UserData."""

    key: str
    route: str
    number: str
    receiver: str
    kind: str
    reference: int
    total: int
    part: int
    coding: str
    octets: bytes
    locking: int
    single: int
    proof: bytes | None
    at_ms: int


PartsKey = tuple[str, str, str, int, int]
"""Number, receiver, kind, reference and total: what the parts of a message have in common."""


def put(
    db: sqlite3.Connection,
    *,
    key: str,
    route: str,
    number: str,
    receiver: str,
    text: str,
    now_ms: int,
    proof: bytes | None = None,
    klass: int = STRANGERS,
    quiet: bool = False,
    state: str = "stored",
    effect: str | None = None,
    error: str | None = None,
) -> int | None:
    """Store a message and return its id; None if its key is stored already.

    Messages of the number that wait in a later class come into this one: its order stays that of arrival.
    """
    if klass < STRANGERS and state == "stored":
        db.execute(_PROMOTE, (klass, number, klass))
    values = (key, route, number, receiver, text, proof, klass, quiet, state, effect, error, now_ms, now_ms)
    made = db.execute(_PUT, values)
    return made.lastrowid if made.rowcount == 1 else None


def waiting(db: sqlite3.Connection, *, klass: int, after_id: int, count: int) -> list[InboxMessage]:
    """Return messages of a class that have had no effect yet, oldest first, after `after_id`."""
    return [_message(row) for row in db.execute(_WAITING, (klass, after_id, count))]


def done(
    db: sqlite3.Connection,
    *,
    message_id: int,
    effect: str,
    error: str | None,
    status_id: int | None,
    now_ms: int,
) -> None:
    """Store the outcome of a message."""
    db.execute(_DONE, (effect, error, status_id, now_ms, message_id))


def replay(db: sqlite3.Connection, *, message_id: int, now_ms: int) -> bool:
    """Let a message be processed again unless it made a post; return whether it will be."""
    return db.execute(_REPLAY, (now_ms, message_id)).rowcount == 1


def key_of(db: sqlite3.Connection, *, message_id: int) -> str | None:
    """Return the key of a message, or None if there is none."""
    row = db.execute("SELECT key FROM inbox WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else str(row[0])


def counts(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Return the numbers of messages, of those that wait, and of dropped ones."""
    row = db.execute(_COUNTS).fetchone()
    return int(row[0]), int(row[1]), int(row[2])


def waiting_count(db: sqlite3.Connection) -> int:
    """Return how many messages have had no effect yet."""
    row = db.execute("SELECT count(*) FROM inbox WHERE state = 'stored' AND route <> '_canary'").fetchone()
    return int(row[0])


def put_part(db: sqlite3.Connection, part: StoredPart) -> bool:
    """Store a part; return False if its key was stored before, also if its message is complete."""
    if (
        db.execute(
            "INSERT OR IGNORE INTO part_keys (key, at_ms) VALUES (?, ?)", (part.key, part.at_ms)
        ).rowcount
        != 1
    ):
        return False
    values = (
        part.key, part.route, part.number, part.receiver, part.kind, part.reference, part.total, part.part,
        part.coding, part.octets, part.locking, part.single, part.proof, part.at_ms,
    )  # fmt: skip
    db.execute(_PUT_PART, values)
    return True


def parts(db: sqlite3.Connection) -> list[StoredPart]:
    """Return the parts of incomplete messages, oldest first."""
    return [StoredPart(*row) for row in db.execute(_PARTS)]


def delete_part(db: sqlite3.Connection, *, key: str) -> None:
    """Delete a part; its key stays known."""
    db.execute("DELETE FROM parts WHERE key = ?", (key,))


def take_parts(db: sqlite3.Connection, key: PartsKey) -> tuple[str, str, bytes | None]:
    """Delete the parts of a message; return a key for it, made of its first part's, its route and its PIN's hash."""
    _, first, route, proof = db.execute(_KEY_OF_PARTS, key).fetchone()
    db.execute(_DELETE_PARTS, key)
    return f"{first}+{key[4]}", route or "", proof


def settle(db: sqlite3.Connection, *, route: str, keys: Sequence[str]) -> None:
    """Forget keys that the carrier cannot send again."""
    db.executemany("DELETE FROM unsettled WHERE route = ? AND key = ?", [(route, key) for key in keys])


def unsettle(db: sqlite3.Connection, *, route: str, key: str) -> None:
    """Remember a key that the carrier may send again."""
    db.execute("INSERT OR IGNORE INTO unsettled (route, key) VALUES (?, ?)", (route, key))


def unsettled(db: sqlite3.Connection, *, route: str) -> list[str]:
    """Return the keys that the carrier may send again, oldest first."""
    rows = db.execute("SELECT key FROM unsettled WHERE route = ? ORDER BY rowid", (route,))
    return [row[0] for row in rows]


def _message(row: tuple[object, ...]) -> InboxMessage:
    return InboxMessage(*row)  # type: ignore[arg-type]  # in the order of _COLUMNS
