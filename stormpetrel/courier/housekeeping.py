"""What the courier clears away each minute, in transactions of a few rows."""

from __future__ import annotations

from collections.abc import Callable

from stormpetrel.rules import media
from stormpetrel.storage.database import Database
from stormpetrel.storage.housekeeping import (
    end_expired_mutes,
    remove_old_codes,
    remove_old_idempotency_keys,
    remove_old_mail_links,
    remove_unconfirmed,
)

EVERY_S = 60.0
BATCH = 200
BATCHES = 50
"""Batches of one kind in one round; the rest waits for the next, so that a backlog does not crowd out jobs."""
IDEMPOTENCY_KEPT_MS = 65 * 60 * 1000
"""An hour is promised; five minutes more for clocks that differ."""
UNCONFIRMED_KEPT_MS = 7 * 86_400_000
"""Who never follows the link frees name and address again, so that nobody can sit on those of others."""
CODES_KEPT_MS = 60 * 60 * 1000
"""An expired code is known for a while, so that its second use is refused as such."""
URGENCY = 3


async def keep_house(db: Database, *, now_ms: int) -> int:
    """One round; how many rows went. Raises Busy when the store fails."""
    return (
        await _in_batches(db, remove_old_idempotency_keys, before_ms=now_ms - IDEMPOTENCY_KEPT_MS)
        + await _in_batches(db, remove_old_codes, before_ms=now_ms - CODES_KEPT_MS)
        + await _in_batches(db, end_expired_mutes, now_ms=now_ms)
        + await _in_batches(db, remove_old_mail_links, now_ms=now_ms)
        + await _in_batches(db, remove_unconfirmed, before_ms=now_ms - UNCONFIRMED_KEPT_MS)
        + await _in_batches(db, media.fail_lost, now_ms=now_ms)
        + await _in_batches(db, media.remove_old_loose, now_ms=now_ms)
    )


async def _in_batches(db: Database, remove: Callable[..., int], **values: int) -> int:
    removed = 0
    for _ in range(BATCHES):
        count = await db.write_as(URGENCY, 10.0, remove, count=BATCH, **values)
        removed += count
        if count < BATCH:
            break
    return removed
