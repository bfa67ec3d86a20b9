"""A bounded table of recently used values."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Two dicts, young and old: an entry that is used moves to the young one. When that exceeds `half_bytes`,
    it becomes the old one, and the entries left in the previous old one are dropped. So the table holds at
    most twice `half_bytes`, and a look-up in `young` costs 15 ns. A page of home makes 40 of them in 9 µs of joining;
    in the exact order of a `BoundedTable` each would cost 125 ns (docs/decisions/0017-one-freshness-one-table.md).

    `young` may be read directly where every nanosecond counts; `get` may still find a key that is not in it.
    """

    __slots__ = ("_bytes", "_half_bytes", "_old", "_size_of", "young")

    def __init__(self, half_bytes: int, size_of: Callable[[V], int]) -> None:
        self._half_bytes = half_bytes
        self._size_of = size_of
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._bytes = 0

    def get(self, key: K) -> V | None:
        """Return the value of `key`, or None if it is not in the table (any more)."""
        value = self.young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self._keep(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Store `value` under `key`; replace the previous value."""
        self.drop(key)
        self._keep(key, value)

    def _keep(self, key: K, value: V) -> None:
        self.young[key] = value
        self._bytes += self._size_of(value)
        if self._bytes > self._half_bytes:
            self._old = self.young
            self.young = {}
            self._bytes = 0

    def drop(self, key: K) -> None:
        """Remove `key` if it is present."""
        value = self.young.pop(key, None)
        if value is not None:
            self._bytes -= self._size_of(value)
        else:
            self._old.pop(key, None)

    def clear(self) -> None:
        """Remove all entries."""
        self.young.clear()
        self._old.clear()
        self._bytes = 0

    def __contains__(self, key: object) -> bool:
        """Return True if `key` is in the table; this does not count as use."""
        return key in self.young or key in self._old

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
