"""Texts to send, in the spool: by lanes, in units that a carrier takes, until their receipts are there.

States of a message: queued, sending, sent, then delivered or failed; expired or dropped before it was sent. A unit
that was `sending` when the process was killed is sent again: a carrier may get it twice, but no text is lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from stormpetrel.storage.sms_spool import money

SECURITY, PERSONAL, POSTS, DIGESTS = 1, 2, 3, 4
"""Lanes: answers about security and STOP; direct messages, mentions and answers; followed posts; digests."""
MOST_ATTEMPTS = 12
MOST_EARLY_RECEIPTS = 100_000
MOST_REFERENCE = 65_535

_COLUMNS = "id, route, number, text, kind, lane, state, segments, attempts, expires_ms, at_ms, day"
_PUT = """INSERT INTO outbox (key, route, number, text, kind, lane, state, segments, due_ms, expires_ms, at_ms,
    changed_ms) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"""
_QUEUED = f"""SELECT {_COLUMNS} FROM outbox WHERE route = ? AND state = 'queued' AND due_ms <= ?
    ORDER BY lane, id LIMIT ?"""
_EXPIRED = """UPDATE outbox SET state = 'expired', done_ms = ?1, changed_ms = ?1
    WHERE route = ?2 AND state = 'queued' AND expires_ms <= ?1 AND lane > 1 RETURNING id, number, text, kind"""
_QUEUED_COUNT = "SELECT count(*) FROM outbox WHERE route = ? AND state = 'queued'"
_SHED = """UPDATE outbox SET state = 'dropped', error = 'shed', done_ms = ?1, changed_ms = ?1 WHERE id IN
    (SELECT id FROM outbox WHERE route = ?2 AND state = 'queued' AND lane = ?3 ORDER BY id LIMIT ?4) RETURNING id"""
_SENDING = "UPDATE outbox SET state = 'sending', changed_ms = ? WHERE id = ?"
_RESERVED = "UPDATE outbox SET reserved = ?, day = ?, prefix = ? WHERE id = ?"
_PUT_UNIT = """INSERT INTO units (message_id, route, number, total, state, wants_receipt)
    VALUES (?, ?, ?, ?, 'queued', ?) ON CONFLICT (message_id, number) DO NOTHING"""
_UNITS = """SELECT id, message_id, number, total, wants_receipt FROM units
    WHERE message_id = ? AND state = 'queued' ORDER BY number"""
_RESUME = "UPDATE units SET state = 'queued' WHERE state = 'sending'"
_RESUME_MESSAGES = "UPDATE outbox SET state = 'queued', changed_ms = ? WHERE state = 'sending' RETURNING id"
_WAITING_ROUTES = "SELECT DISTINCT route FROM outbox WHERE state = 'queued' AND route <> '_canary'"
_IDS_ON_ROUTE = "SELECT id FROM outbox WHERE route = ? AND state = 'queued'"
_REROUTE = "UPDATE outbox SET route = ?, due_ms = ?, day = '', changed_ms = ? WHERE id = ?"
_LANES = """SELECT lane, count(*), min(at_ms) FROM outbox
    WHERE state IN ('queued', 'sending') AND route <> '_canary' GROUP BY lane"""
_DROP = """UPDATE outbox SET state = 'dropped', done_ms = ?1, changed_ms = ?1
    WHERE number = ?2 AND state = 'queued' AND lane > 1 RETURNING id"""
_DROP_STOPPED = """UPDATE outbox SET state = 'dropped', done_ms = ?1, changed_ms = ?1
    WHERE id = ?2 AND state = 'queued' AND lane > 1 AND EXISTS (SELECT 1 FROM notices
    WHERE notices.number = outbox.number AND notices.kind = 'stop' AND notices.at_ms >= outbox.at_ms) RETURNING id"""
_DELIVERED = """SELECT coalesce(sum(at_ms > ?1 - 3600000), 0), count(*), coalesce(sum(kind = 'digest'), 0) FROM outbox
    WHERE number = ?2 AND at_ms > ?1 - 86400000 AND kind IN ('delivery', 'mention', 'dm', 'digest')
    AND state NOT IN ('dropped', 'expired')"""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A text to send. Times in ms since 1970. `day`: of its reservation of money, "" without one."""

    id: int
    route: str
    number: str
    text: str
    kind: str
    lane: int
    state: str
    segments: int
    attempts: int
    expires_ms: int
    at_ms: int
    day: str


@dataclass(frozen=True, slots=True)
class OutboxUnit:
    """What a carrier takes at once: part `number` of `total` of a message."""

    id: int
    message_id: int
    number: int
    total: int
    wants_receipt: bool


def put(
    db: sqlite3.Connection,
    *,
    key: str,
    route: str,
    number: str,
    text: str,
    kind: str,
    lane: int,
    segments: int,
    now_ms: int,
    expires_ms: int,
) -> int | None:
    """Queue a text and return its id; None if its key is queued or sent already."""
    values = (key, route, number, text, kind, lane, segments, now_ms, expires_ms, now_ms, now_ms)
    made = db.execute(_PUT, values)
    return made.lastrowid if made.rowcount == 1 else None


def expire(db: sqlite3.Connection, *, route: str, now_ms: int) -> list[tuple[int, str, str, str]]:
    """Expire texts that waited too long, except those of lane 1; return (id, number, text, kind) of each."""
    found = sorted(db.execute(_EXPIRED, (now_ms, route)).fetchall())
    for message_id, *_ in found:
        _release(db, message_id)
    return found


def shed(db: sqlite3.Connection, *, route: str, most: int, now_ms: int) -> int:
    """Drop what is queued beyond `most` texts: digests, then followed posts, the oldest first; return how many.

    Lanes 1 and 2 are never dropped.
    """
    too_many = int(db.execute(_QUEUED_COUNT, (route,)).fetchone()[0]) - most
    dropped = 0
    for lane in (DIGESTS, POSTS):
        if dropped < too_many:
            found = db.execute(_SHED, (now_ms, route, lane, too_many - dropped)).fetchall()
            for (message_id,) in found:
                _release(db, message_id)
            dropped += len(found)
    return dropped


def queued(db: sqlite3.Connection, *, route: str, now_ms: int, count: int) -> list[OutboxMessage]:
    """Return texts that can be sent now, by lane and age."""
    return [OutboxMessage(*row) for row in db.execute(_QUEUED, (route, now_ms, count))]


def begin(
    db: sqlite3.Connection, *, message: OutboxMessage, wants: list[bool], now_ms: int
) -> list[OutboxUnit]:
    """Mark a text as being sent; return the units that are still to submit. `wants`: receipt wanted, per unit."""
    db.executemany(
        _PUT_UNIT,
        [(message.id, message.route, number, len(wants), want) for number, want in enumerate(wants, start=1)],
    )
    units = [
        OutboxUnit(row[0], row[1], row[2], row[3], bool(row[4])) for row in db.execute(_UNITS, (message.id,))
    ]
    db.executemany("UPDATE units SET state = 'sending' WHERE id = ?", [(unit.id,) for unit in units])
    db.execute(_SENDING, (now_ms, message.id))
    return units


def reserve(
    db: sqlite3.Connection,
    *,
    message: OutboxMessage,
    price: int,
    prefix: str,
    caps: money.Caps,
    now_ms: int,
    is_stranger: bool = False,
) -> bool:
    """Reserve the price of a text (millionths), once; return False if a limit of money does not allow it."""
    if message.day or not price:
        return True
    is_reserved = money.reserve(
        db,
        price=price,
        number=message.number,
        prefix=prefix,
        is_security=message.lane == SECURITY,
        caps=caps,
        now_ms=now_ms,
        # The operator's own texts may go to numbers without an account.
        is_stranger=is_stranger and message.kind != "sent",
    )
    if is_reserved:
        db.execute(_RESERVED, (price, money.day_of(now_ms), prefix, message.id))
    return is_reserved


def delay(db: sqlite3.Connection, *, message_id: int, due_ms: int) -> None:
    """Let a text wait."""
    db.execute("UPDATE outbox SET due_ms = ? WHERE id = ?", (due_ms, message_id))


def resume(db: sqlite3.Connection, *, now_ms: int) -> int:
    """Queue units again that a killed process was sending; return their number."""
    count = db.execute(_RESUME).rowcount
    for (message_id,) in db.execute(_RESUME_MESSAGES, (now_ms,)).fetchall():
        _drop_if_stopped(db, message_id, now_ms)
    return count


def reroute(db: sqlite3.Connection, *, routes: Collection[str], to: str, now_ms: int) -> int:
    """Move texts that wait on none of `routes` to one of them; return how many there were.

    A text of which a part was sent on its old route has failed: its other parts would not be joined with that one.
    """
    moved = 0
    for (route,) in db.execute(_WAITING_ROUTES).fetchall():
        if route in routes:
            continue
        for (message_id,) in db.execute(_IDS_ON_ROUTE, (route,)).fetchall():
            moved += 1
            _release(db, message_id)
            db.execute("DELETE FROM units WHERE message_id = ? AND state = 'queued'", (message_id,))
            if db.execute("SELECT 1 FROM units WHERE message_id = ?", (message_id,)).fetchone():
                _finish(db, message_id, "failed", f"the route {route} is gone", now_ms)
            else:
                db.execute(_REROUTE, (to, now_ms, now_ms, message_id))
    return moved


def accepted(
    db: sqlite3.Connection, *, unit: OutboxUnit, carrier_id: str, price: int | None, now_ms: int
) -> None:
    """Store that the carrier has the unit, and apply a receipt that came before.

    `price` in millionths; None: its share of the reserved money.
    """
    db.execute(
        "UPDATE units SET state = 'sent', carrier_id = ?, attempts = attempts + 1 WHERE id = ?",
        (carrier_id, unit.id),
    )
    db.execute(
        """UPDATE outbox SET attempts = max(attempts, (SELECT attempts FROM units WHERE id = ?)),
        carrier_id = CASE carrier_id WHEN '' THEN ? ELSE carrier_id END, changed_ms = ?,
        price = price + coalesce(?, (reserved * ?) / ? - (reserved * (? - 1)) / ?) WHERE id = ?""",
        (
            unit.id,
            carrier_id,
            now_ms,
            price,
            unit.number,
            unit.total,
            unit.number,
            unit.total,
            unit.message_id,
        ),
    )
    route = db.execute("SELECT route FROM units WHERE id = ?", (unit.id,)).fetchone()[0]
    early = db.execute(
        "DELETE FROM receipts WHERE route = ? AND carrier_id = ? RETURNING state, error", (route, carrier_id)
    ).fetchall()
    for state, error in early:
        _mark(db, unit.id, state, error, now_ms)
    _settle(db, unit.message_id, now_ms)


def put_back(
    db: sqlite3.Connection, *, unit: OutboxUnit, due_ms: int, counts: bool, error: str, now_ms: int
) -> bool:
    """Queue a unit again for `due_ms`; after MOST_ATTEMPTS counted attempts it has failed: return False."""
    db.execute(
        "UPDATE units SET state = 'queued', attempts = attempts + ? WHERE id = ?", (int(counts), unit.id)
    )
    attempts = db.execute("SELECT attempts FROM units WHERE id = ?", (unit.id,)).fetchone()[0]
    if attempts >= MOST_ATTEMPTS:
        failed(db, unit=unit, error=error, now_ms=now_ms)
        return False
    db.execute(
        """UPDATE outbox SET state = 'queued', attempts = max(attempts, ?), error = ?, due_ms = ?, changed_ms = ?
        WHERE id = ? AND state IN ('sending', 'queued')""",
        (attempts, error, due_ms, now_ms, unit.message_id),
    )
    _drop_if_stopped(db, unit.message_id, now_ms)
    return True


def failed(db: sqlite3.Connection, *, unit: OutboxUnit, error: str, now_ms: int) -> None:
    """Store that the carrier will not take the unit: the whole message has failed."""
    db.execute("UPDATE units SET state = 'failed' WHERE id = ?", (unit.id,))
    db.execute(
        "UPDATE units SET state = 'failed' WHERE message_id = ? AND state = 'queued'", (unit.message_id,)
    )
    _finish(db, unit.message_id, "failed", error, now_ms)


def receipt(
    db: sqlite3.Connection,
    *,
    route: str,
    carrier_id: str,
    unit: tuple[int, int] | None,
    state: str,
    error: str,
    now_ms: int,
    part_report: str = "",
) -> int | None:
    """Apply a receipt; return the message's id. Keep it for later (None) if its unit is not stored as sent yet.

    `state`: sent, delivered or failed. `unit`: message and number of the part, for a provider that returns our id.
    `part_report`: the id of a report that one of the unit's segments was delivered; the unit is with the last one.
    A final receipt that comes before the carrier's answer also says that the carrier has the unit, so it is paid for.
    """
    if unit is not None:
        row = db.execute(
            "SELECT id, message_id FROM units WHERE message_id = ? AND number = ?", unit
        ).fetchone()
        if row is not None and state != "sent":
            db.execute(
                """UPDATE outbox SET price = reserved WHERE id = ? AND price = 0
                AND (SELECT state FROM units WHERE id = ?) IN ('queued', 'sending')""",
                (row[1], row[0]),
            )
    else:
        row = db.execute(
            # The last condition is that of the index, which is not used without it.
            "SELECT id, message_id FROM units WHERE route = ? AND carrier_id = ? AND carrier_id <> '' "
            "ORDER BY id DESC",
            (route, carrier_id),
        ).fetchone()
    if row is None:
        if state != "sent" and carrier_id:
            db.execute(
                "INSERT OR REPLACE INTO receipts (route, carrier_id, state, error, at_ms) VALUES (?, ?, ?, ?, ?)",
                (route, carrier_id, state, error, now_ms),
            )
        return None
    if state == "delivered" and part_report and not _is_last_report(db, row[0], row[1], part_report):
        return int(row[1])
    _mark(db, row[0], state, error, now_ms)
    _settle(db, row[1], now_ms)
    return int(row[1])


def _is_last_report(db: sqlite3.Connection, unit_id: int, message_id: int, report: str) -> bool:
    """Store a report of a segment; return whether each segment of the text has one now."""
    db.execute("INSERT OR IGNORE INTO part_reports (unit_id, report) VALUES (?, ?)", (unit_id, report))
    count = db.execute("SELECT count(*) FROM part_reports WHERE unit_id = ?", (unit_id,)).fetchone()[0]
    segments = db.execute("SELECT segments FROM outbox WHERE id = ?", (message_id,)).fetchone()[0]
    return bool(count >= segments)


def reference(db: sqlite3.Connection, *, message: OutboxMessage) -> int:
    """Return the reference of a text of several parts, 1 to MOST_REFERENCE: the next one of its number.

    It stays the same when a part is sent again. A phone joins parts by number and reference: with references of the
    messages' ids, two texts to one phone within minutes could have the same one.
    """
    row = db.execute("SELECT reference FROM part_references WHERE message_id = ?", (message.id,)).fetchone()
    if row is not None:
        return int(row[0])
    last = db.execute(
        "SELECT reference FROM part_references WHERE number = ? ORDER BY message_id DESC LIMIT 1",
        (message.number,),
    ).fetchone()
    new = 1 if last is None else last[0] % MOST_REFERENCE + 1
    db.execute("INSERT INTO part_references VALUES (?, ?, ?)", (message.id, message.number, new))
    return int(new)


def number_of(db: sqlite3.Connection, *, message_id: int) -> str:
    """Return the number that a text is for."""
    return str(db.execute("SELECT number FROM outbox WHERE id = ?", (message_id,)).fetchone()[0])


def waiting_of(db: sqlite3.Connection, *, number: str) -> int:
    """Return how many texts wait for a number."""
    row = db.execute(
        "SELECT count(*) FROM outbox WHERE number = ? AND state IN ('queued', 'sending')", (number,)
    ).fetchone()
    return int(row[0])


def sent_count(db: sqlite3.Connection) -> int:
    """Return how many texts a carrier has accepted."""
    row = db.execute(
        "SELECT count(*) FROM outbox WHERE state IN ('sent', 'delivered') AND route <> '_canary'"
    ).fetchone()
    return int(row[0])


def replay(db: sqlite3.Connection, *, message_id: int, now_ms: int, expires_after_ms: int) -> bool:
    """Queue a text again that failed, expired or was dropped; return whether it will be sent.

    A text from before its number sent STOP is not, except one of lane 1.
    """
    changed = db.execute(
        """UPDATE outbox SET state = 'queued', error = '', due_ms = ?1, expires_ms = ?2, changed_ms = ?1, day = ''
        WHERE id = ?3 AND state IN ('failed', 'expired', 'dropped')""",
        (now_ms, now_ms + expires_after_ms, message_id),
    ).rowcount
    if changed:
        db.execute(
            "UPDATE units SET state = 'queued', attempts = 0 WHERE message_id = ? AND state = 'failed'",
            (message_id,),
        )
    return changed == 1 and not _drop_if_stopped(db, message_id, now_ms)


def stop(db: sqlite3.Connection, *, number: str, now_ms: int) -> int:
    """Drop texts that wait for a number, except lane 1, and store that it has sent STOP; return their number."""
    db.execute(
        """INSERT INTO notices (number, kind, at_ms) VALUES (?, 'stop', ?)
        ON CONFLICT (number, kind) DO UPDATE SET at_ms = excluded.at_ms""",
        (number, now_ms),
    )
    dropped = db.execute(_DROP, (now_ms, number)).fetchall()
    for (message_id,) in dropped:
        _release(db, message_id)
    return len(dropped)


def _drop_if_stopped(db: sqlite3.Connection, message_id: int, now_ms: int) -> bool:
    """Drop a text that is queued again, if its number has sent STOP since it was made, while it was being sent."""
    if not db.execute(_DROP_STOPPED, (now_ms, message_id)).fetchall():
        return False
    _release(db, message_id)
    return True


def start(db: sqlite3.Connection, *, number: str) -> None:
    """Forget that a number has sent STOP."""
    db.execute("DELETE FROM notices WHERE number = ? AND kind = 'stop'", (number,))


def has_stopped_since(db: sqlite3.Connection, *, number: str, since_ms: int = 0) -> bool:
    """Return True if the number has sent STOP at that time or later."""
    row = db.execute(
        "SELECT 1 FROM notices WHERE number = ? AND kind = 'stop' AND at_ms >= ?", (number, since_ms)
    ).fetchone()
    return row is not None


def lanes(db: sqlite3.Connection) -> dict[int, tuple[int, int]]:
    """Return (number of open texts, time of the oldest in ms) by lane."""
    return {row[0]: (row[1], row[2]) for row in db.execute(_LANES)}


def deliveries(db: sqlite3.Connection, *, number: str, now_ms: int) -> tuple[int, int, int]:
    """Return how many deliveries a number got, or has queued, in the last hour and day, and digests in the day."""
    hour, day, digests = db.execute(_DELIVERED, (now_ms, number)).fetchone()
    return int(hour), int(day), int(digests)


def _mark(db: sqlite3.Connection, unit_id: int, state: str, error: str, now_ms: int) -> None:
    if state != "sent":
        db.execute(
            "UPDATE units SET state = ? WHERE id = ? AND state IN ('sending', 'sent', 'queued')",
            (state, unit_id),
        )
    if error:
        db.execute(
            "UPDATE outbox SET error = ?, changed_ms = ? WHERE id = (SELECT message_id FROM units WHERE id = ?)",
            (error, now_ms, unit_id),
        )


def _settle(db: sqlite3.Connection, message_id: int, now_ms: int) -> None:
    """Derive the state of a message from its units."""
    rows = db.execute(
        "SELECT state, wants_receipt, total FROM units WHERE message_id = ?", (message_id,)
    ).fetchall()
    if any(state == "failed" for state, *_ in rows):
        _finish(db, message_id, "failed", "", now_ms)
    elif len(rows) < rows[0][2] or any(state in ("queued", "sending") for state, *_ in rows):
        return
    elif any(wants for _, wants, _ in rows) and all(s == "delivered" for s, wants, _ in rows if wants):
        _finish(db, message_id, "delivered", "", now_ms)
    else:
        db.execute(
            "UPDATE outbox SET state = 'sent', sent_ms = ?1, changed_ms = ?1 WHERE id = ?2 AND state = 'sending'",
            (now_ms, message_id),
        )
        _release(db, message_id)


def _finish(db: sqlite3.Connection, message_id: int, state: str, error: str, now_ms: int) -> None:
    db.execute(
        """UPDATE outbox SET state = ?1, done_ms = ?2, changed_ms = ?2,
        sent_ms = CASE WHEN sent_ms = 0 AND ?1 = 'delivered' THEN ?2 ELSE sent_ms END,
        error = CASE ?3 WHEN '' THEN error ELSE ?3 END
        WHERE id = ?4 AND state NOT IN ('delivered', 'failed', 'expired', 'dropped')""",
        (state, now_ms, error, message_id),
    )
    _release(db, message_id)


def _release(db: sqlite3.Connection, message_id: int) -> None:
    """Turn the reserved money of a text into what it has cost."""
    row = db.execute(
        "SELECT reserved, price, day, prefix, number FROM outbox WHERE id = ? AND reserved > 0", (message_id,)
    ).fetchone()
    if row is None:
        return
    reserved, price, day, prefix, number = row
    money.settle(db, day=day, number=number, prefix=prefix, reserved=reserved, price=price)
    db.execute("UPDATE outbox SET reserved = 0 WHERE id = ?", (message_id,))
