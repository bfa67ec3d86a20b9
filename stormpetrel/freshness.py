"""Tells whether data that was read from the store is still current, or has changed during the read.

A read takes time, and a change may be published meanwhile; then the result may or may not include the change.
It may answer the requests that waited for it, but it must not be cached: the event that would drop it
has already passed. Every cache of a worker keeps to this rule with a `Freshness` of its own:

    began = freshness.begin()
    value = await database.read(…)
    if freshness.is_current(began, key):
        table.put(key, value)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

LOG_KEYS = 4096
"""Changed keys in the log: 1 MB when full. At 1,000 changes a second it reaches back 4 s; a read takes
milliseconds."""


class Freshness(Generic[K]):
    """A number of the last change (the generation), and a log of the keys that changed last.

    The log holds the last `log_keys` keys. When it drops a key, each read that began before the change
    of that key counts as outdated: a value may be read once too often, but a stale one is never cached.
    """

    __slots__ = ("_floor", "_generation", "_log", "_log_keys")

    def __init__(self, *, log_keys: int = LOG_KEYS) -> None:
        self._log_keys = log_keys
        self._generation = 0
        # Data read since an earlier generation than this is outdated, whatever it concerns.
        self._floor = 0
        # The generation of each key's last change, the oldest change first.
        self._log: OrderedDict[K, int] = OrderedDict()

    def begin(self) -> int:
        """Return the current generation. Call it before the read begins, and pass it to `is_current`."""
        return self._generation

    def is_current(self, began: int, *keys: K) -> bool:
        """Return True if none of `keys` has changed since `began`. Without keys, only `all_changed` counts."""
        if began == self._generation:
            return True
        if began < self._floor:
            return False
        log = self._log
        for key in keys:  # noqa: SIM110 - `all` with a generator takes four times as long for one key
            if log.get(key, 0) > began:
                return False
        return True

    def changed(self, *keys: K) -> None:
        """Record that the data of `keys` has changed: reads of it that began before are outdated."""
        self._generation += 1
        log = self._log
        for key in keys:
            log[key] = self._generation
            log.move_to_end(key)
        while len(log) > self._log_keys:
            _, self._floor = log.popitem(last=False)

    def all_changed(self) -> None:
        """Record that all data may have changed: events were lost, or an event names no keys."""
        self._generation += 1
        self._floor = self._generation
        self._log.clear()
