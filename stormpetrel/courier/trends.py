"""The courier's counting for trends, in transactions of a few rows, behind requests of people."""

from __future__ import annotations

from stormpetrel.rules import trends
from stormpetrel.storage.engine.database import Database

EVERY_S = 30.0
STEPS = 20
"""Steps of one kind per round: 10,000 rows; a backlog is worked off in later rounds."""
URGENCY = 3


async def count_trends(db: Database, *, now_ms: int) -> int:
    """Do one round; return how many rows were counted. Raise Busy when the store fails."""
    counted = 0
    for count in (trends.count_tags, trends.count_favourites, trends.count_boosts):
        for _ in range(STEPS):
            rows = await db.write_as(URGENCY, 10.0, count, now_ms=now_ms)
            counted += rows
            if rows < trends.STEP:
                break
    await db.write_as(URGENCY, 10.0, trends.fade, now_ms=now_ms)
    return counted
