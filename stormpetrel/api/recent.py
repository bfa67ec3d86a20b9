"""A bounded table of what was used lately."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Two dicts, young and old: what is used moves to the young one; when that holds `half_bytes` it becomes the
    old one, and what was old and unused is gone. So at most twice `half_bytes` are held, and a look-up costs a
    dict look-up; an exact least-recently-used order would cost several times that.

    `young` may be read directly where every nanosecond counts; what is not there may still be got by `get`.
    """

    __slots__ = ("_bytes", "_half_bytes", "_old", "_size_of", "young")

    def __init__(self, half_bytes: int, size_of: Callable[[V], int]) -> None:
        self._half_bytes = half_bytes
        self._size_of = size_of
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._bytes = 0

    def get(self, key: K) -> V | None:
        """What is kept under `key`, or None when there is nothing (any more)."""
        value = self.young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self._keep(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Keeps `value` in place of what was there."""
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
        """Forgets `key`, if it is there."""
        value = self.young.pop(key, None)
        if value is not None:
            self._bytes -= self._size_of(value)
        else:
            self._old.pop(key, None)

    def clear(self) -> None:
        """Forgets everything."""
        self.young.clear()
        self._old.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
