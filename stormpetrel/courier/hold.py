"""Decides if the courier may trust the clock: by it, old rows are deleted and scheduled posts published.

A clock that jumps while the process runs is not followed (clock.py). A clock that was wrong before the start
shows only in comparison with the newest row: if that is older than QUIET_MS, either the instance was quiet or
the clock is ahead. Then the courier deletes and publishes nothing for HELD_S, in which an operator can set
the clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stormpetrel import clock
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.newest import newest_ms

log = logging.getLogger(__name__)

QUIET_MS = 30 * 86_400_000
HELD_S = 86_400.0


@dataclass(slots=True)
class Hold:
    """Compares the clock with the newest row of `db` during the first day of the process.

    Ask `is_on` before deleting; publish by `trusted_ms`.
    """

    db: Database
    clock_ms: Callable[[], int] = clock.now_ms
    steady_s: Callable[[], float] = time.monotonic
    _began_s: float = field(init=False)
    _until_ms: int = 0

    def __post_init__(self) -> None:
        self._began_s = self.steady_s()

    async def is_on(self) -> bool:
        """Return True if the time cannot be trusted now. Raise Busy when the store fails."""
        was_on = bool(self._until_ms)
        self._until_ms = 0
        if self.steady_s() - self._began_s < HELD_S:
            newest = await self.db.read(newest_ms)
            ahead_ms = self.clock_ms() - newest
            if newest and ahead_ms > QUIET_MS:
                self._until_ms = newest
                if not was_on:
                    log.error(
                        "the newest row is %d days old: nothing is deleted or published for a day. If this machine's "
                        "clock is ahead, correct it and restart",
                        ahead_ms // 86_400_000,
                    )
        return bool(self._until_ms)

    def trusted_ms(self) -> int:
        """Return milliseconds since 1970; the time of the newest row while the clock is not trusted."""
        return self._until_ms or self.clock_ms()
