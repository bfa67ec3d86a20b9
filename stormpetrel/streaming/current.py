"""Values that open streams need: read when the first stream begins, and current with every event applied."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from stormpetrel.freshness import Freshness

T = TypeVar("T")

READ_AT_ONCE = 20
"""Values read in one turn of the loop; each takes about 0.1 ms there on SQLite."""


class _CurrentValue(Generic[T]):
    __slots__ = ("streams", "value")

    def __init__(self) -> None:
        self.streams = 0
        self.value: T | None = None


class CurrentValues(Generic[T]):
    """Values by id, stored while a stream of the id is open, so their number is that of the open streams.

    `read(id)` loads a value, None if there is none (any more). `replaced(id, before, after)` is called whenever
    a value is loaded or dropped.
    """

    def __init__(
        self,
        read: Callable[[int], Awaitable[T | None]],
        replaced: Callable[[int, T | None, T | None], None],
    ) -> None:
        self._read = read
        self._replaced = replaced
        self._used: dict[int, _CurrentValue[T]] = {}
        self._stale: set[int] = set()
        self._freshness: Freshness[int] = Freshness()

    def __len__(self) -> int:
        return len(self._used)

    def __contains__(self, key: int) -> bool:
        return key in self._used

    def get(self, key: int) -> T | None:
        """Return the value; None if there is none, or it is not loaded (yet)."""
        used = self._used.get(key)
        return None if used is None else used.value

    def items(self) -> Iterator[tuple[int, T]]:
        """Yield ids and values that are loaded."""
        for key, used in self._used.items():
            if used.value is not None:
                yield key, used.value

    async def enter(self, key: int) -> None:
        """Begin a stream; `leave` ends it, also if this fails. Wait until the value is loaded."""
        used = self._used.get(key)
        if used is None:
            used = self._used[key] = _CurrentValue()
        used.streams += 1
        if used.value is None:
            await self._load(key)

    def leave(self, key: int) -> None:
        """End a stream, also one that did not finish entering."""
        used = self._used[key]
        used.streams -= 1
        if not used.streams:
            self._install(key, used, None)
            del self._used[key]
            self._stale.discard(key)

    def changed(self, keys: Iterable[int]) -> None:
        """Note that these values have changed in the store."""
        for key in keys:
            if key in self._used:
                self._freshness.changed(key)
                self._stale.add(key)

    def all_changed(self) -> None:
        """Note that any value may have changed."""
        self._freshness.all_changed()
        self._stale.update(self._used)

    @property
    def is_stale(self) -> bool:
        """Return True if `refresh` has values to read."""
        return bool(self._stale)

    async def refresh(self) -> None:
        """Read the values that are not current. Raise Busy if the database fails."""
        while self._stale:
            for key in list(self._stale)[:READ_AT_ONCE]:
                await self._load(key)
            if self._stale:
                await asyncio.sleep(0)

    async def _load(self, key: int) -> None:
        while (used := self._used.get(key)) is not None:
            began = self._freshness.begin()
            value = await self._read(key)
            if self._used.get(key) is not used:
                continue
            # A change during the read may or may not be included, so read again.
            if self._freshness.is_current(began, key):
                self._install(key, used, value)
                self._stale.discard(key)
                return
        self._stale.discard(key)

    def _install(self, key: int, used: _CurrentValue[T], value: T | None) -> None:
        before, used.value = used.value, value
        self._replaced(key, before, value)
