"""Queries about spent quotas, and wrong passwords per account."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

# One number is the whole bucket: the time at which it will be full again. A use moves that time by the time
# in which one use comes back; it may be at most `span_ms` (all uses) ahead.
_SPEND = sql(
    """INSERT INTO quotas (quota, slot, full_at_ms) VALUES (:quota, :slot, :first_ms)
    ON CONFLICT (quota, slot) DO UPDATE SET full_at_ms = :cost_ms
        + CASE WHEN quotas.full_at_ms > :now_ms THEN quotas.full_at_ms ELSE :now_ms END
    WHERE quotas.full_at_ms <= :latest_ms OR quotas.full_at_ms <= :now_ms
    RETURNING full_at_ms"""
)
_FULL_AT = sql("SELECT full_at_ms FROM quotas WHERE quota = :quota AND slot = :slot")
_GIVE_BACK = sql("UPDATE quotas SET full_at_ms = full_at_ms - :cost_ms WHERE quota = :quota AND slot = :slot")
_NEXT = sql(
    """SELECT quota, slot FROM quotas WHERE (quota, slot) > (:after_quota, :after_slot)
    ORDER BY quota, slot LIMIT :count"""
)
_REMOVE_FULL = sql(
    """DELETE FROM quotas WHERE (quota, slot) > (:after_quota, :after_slot)
    AND (quota, slot) <= (:to_quota, :to_slot) AND full_at_ms <= :now_ms"""
)
_NOTE_WRONG = sql(
    """INSERT INTO wrong_passwords (account_id, since_ms, last_at_ms, wrong, refused)
    VALUES (:account_id, :now_ms, :now_ms, :wrong, :refused)
    ON CONFLICT (account_id) DO UPDATE SET
        since_ms = CASE WHEN wrong_passwords.last_at_ms < :old_ms THEN :now_ms
            ELSE wrong_passwords.since_ms END,
        wrong = :wrong + CASE WHEN wrong_passwords.last_at_ms < :old_ms THEN 0 ELSE wrong_passwords.wrong END,
        refused = :refused
            + CASE WHEN wrong_passwords.last_at_ms < :old_ms THEN 0 ELSE wrong_passwords.refused END,
        last_at_ms = :now_ms
    RETURNING since_ms, last_at_ms, wrong, refused"""
)
_WRONG = sql(
    "SELECT since_ms, last_at_ms, wrong, refused FROM wrong_passwords WHERE account_id = :account_id"
)


@dataclass(frozen=True, slots=True)
class WrongPasswords:
    """Wrong passwords for an account: `wrong` were checked, at least `refused` more were not."""

    since_ms: int
    last_at_ms: int
    wrong: int
    refused: int


def spend(
    connection: Connection, *, quota: str, slot: int, now_ms: int, cost_ms: int, span_ms: int
) -> int | None:
    """Take one use and return None, or return the time in ms since 1970 at which one will be available."""
    row = connection.one(
        _SPEND,
        quota=quota,
        slot=slot,
        now_ms=now_ms,
        cost_ms=cost_ms,
        first_ms=now_ms + cost_ms,
        latest_ms=now_ms + span_ms - cost_ms,
    )
    if row is not None:
        return None
    full = connection.one(_FULL_AT, quota=quota, slot=slot)
    return now_ms if full is None else int(full[0]) + cost_ms - span_ms


def give_back(connection: Connection, *, quota: str, slot: int, cost_ms: int) -> None:
    """Undo one `spend`."""
    connection.run(_GIVE_BACK, quota=quota, slot=slot, cost_ms=cost_ms)


def remove_full(
    connection: Connection, *, after: tuple[str, int], count: int, now_ms: int
) -> tuple[int, tuple[str, int]]:
    """Check the next `count` buckets after `after` and remove those that are full.

    Return (number removed, last bucket that was checked; ("", 0) at the end of the list).
    """
    rows = connection.all(_NEXT, after_quota=after[0], after_slot=after[1], count=count)
    if not rows:
        return 0, ("", 0)
    last = (str(rows[-1][0]), int(rows[-1][1]))
    removed = connection.run(
        _REMOVE_FULL,
        after_quota=after[0],
        after_slot=after[1],
        to_quota=last[0],
        to_slot=last[1],
        now_ms=now_ms,
    )
    return removed, last if len(rows) == count else ("", 0)


def note_wrong(
    connection: Connection, *, account_id: int, wrong: int, refused: int, old_ms: int, now_ms: int
) -> WrongPasswords:
    """Count wrong passwords and return the new counts. Counts that ended before `old_ms` start again."""
    row = connection.one(
        _NOTE_WRONG, account_id=account_id, wrong=wrong, refused=refused, old_ms=old_ms, now_ms=now_ms
    )
    assert row is not None
    return WrongPasswords(*row)


def wrong_passwords(connection: Connection, *, account_id: int) -> WrongPasswords | None:
    """Return the counts, or None if there are none."""
    row = connection.one(_WRONG, account_id=account_id)
    return None if row is None else WrongPasswords(*row)
