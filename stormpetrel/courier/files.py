"""Removes media files that are no longer in use, in threads, outside the database's transactions."""

from __future__ import annotations

import asyncio

import msgspec

from stormpetrel import clock
from stormpetrel.courier.dispatch import Attempt, Dispatch
from stormpetrel.media.folder import FolderStore
from stormpetrel.media.spool import Spool
from stormpetrel.media.store import MediaStore
from stormpetrel.own_thread import in_own_thread
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.media import known_files

AT_ONCE = 2
LONGEST_S = 120.0
OLD_S = 86_400.0
"""A newer file without a row may have a row that is just being written."""
PARTS = 256
PARTS_PER_ROUND = 4
"""Subfolders that one round of housekeeping scans: all of them in about an hour."""
KEYS_AT_ONCE = 500


class _Keys(msgspec.Struct, frozen=True):
    keys: list[str]


_decode = msgspec.json.Decoder(_Keys).decode


def files_lane(db: Database, store: MediaStore) -> Dispatch:
    """Return the lane that removes files that are no longer in use."""

    async def media_files(attempt: Attempt) -> None:
        keys = _decode(attempt.job.payload).keys
        await in_own_thread(lambda: store.delete(keys))
        await attempt.finish()

    return Dispatch(db, outbox.LANE_FILES, {"media_files": media_files}, at_once=AT_ONCE, longest_s=LONGEST_S)


async def sweep(db: Database, store: MediaStore, spool: Spool, *, round_number: int) -> int:
    """Remove leftovers of a crash: files without a row, and abandoned uploads. Return how many.

    A folder is swept part by part. For a bucket, the operator can set a lifecycle rule instead.
    """
    before_s = clock.now_s() - OLD_S
    removed = await asyncio.to_thread(spool.sweep, before_s)
    if not isinstance(store, FolderStore):
        return removed
    for step in range(PARTS_PER_ROUND):
        part = (round_number * PARTS_PER_ROUND + step) % PARTS
        keys = await asyncio.to_thread(_old_keys, store, before_s, part)
        for at in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[at : at + KEYS_AT_ONCE]
            known = await db.read(known_files, keys=some)
            lost = [key for key in some if key not in known]
            await asyncio.to_thread(store.delete, lost)
            removed += len(lost)
    return removed


def _old_keys(store: FolderStore, before_s: float, part: int) -> list[str]:
    return list(store.keys_older_than(before_s, part=part))
