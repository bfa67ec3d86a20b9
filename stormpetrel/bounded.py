"""A table that never exceeds its bound. Shared by the caches of all layers, so it knows none of them."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Hashable, ItemsView, Iterator, ValuesView
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Eviction(enum.Enum):
    """Which entry makes room for a new one.

    OLDEST: the one stored (or touched) longest ago; a look-up is the dict's own, 32 ns.
    LRU: the one stored or looked up longest ago; a look-up also moves the entry, 125 ns.
    """

    OLDEST = "oldest first"
    LRU = "least recently used first"


class BoundedTable(Generic[K, V]):
    """A table of values by key, whose total `weight` is at most `capacity`.

    The weight of a value is `weigh(value)` at the time when it is stored or reweighed; without `weigh`, each
    counts as 1. A value heavier than `capacity` is not stored, so that it evicts no other. `evicts`
    says which entry makes room for a new one.

    `on_drop(key, value)` is called once for each entry that leaves: evicted, removed or replaced. `clear` is
    the exception: a caller with an index of the entries clears that too, which is faster than entry by entry.
    """

    __slots__ = ("_capacity", "_entries", "_on_drop", "_weigh", "_weights", "get", "weight")

    get: Callable[[K], V | None]
    """Return the value of a key; None if there is none."""

    def __init__(
        self,
        capacity: int,
        *,
        evicts: Eviction,
        weigh: Callable[[V], int] | None = None,
        on_drop: Callable[[K, V], object] | None = None,
    ) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._on_drop = on_drop
        # An OrderedDict: removing the first entry of a large plain dict scans the gaps before it.
        self._entries: OrderedDict[K, V] = OrderedDict()
        # A value may change its own weight, so the counted one is stored beside it.
        self._weights: dict[K, int] | None = None if weigh is None else {}
        self.weight = 0
        # Bound here, so that a look-up by OLDEST costs no Python call.
        if evicts is Eviction.OLDEST:
            self.get = self._entries.get
        else:
            touching = _touching(self._entries)
            self.get = touching

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __getitem__(self, key: K) -> V:
        """Return the value of a key that is in the table; this does not count as use. Raise KeyError."""
        return self._entries[key]

    def values(self) -> ValuesView[V]:
        """Return the values, the next one to be evicted first."""
        return self._entries.values()

    def items(self) -> ItemsView[K, V]:
        """Return keys and values, the next one to be evicted first."""
        return self._entries.items()

    def put(self, key: K, value: V) -> bool:
        """Store `value`, as the newest entry, in place of the key's previous one.

        Return False if it is too heavy to be stored; the previous one is dropped all the same.
        """
        if key in self._entries:
            self.pop(key)
        weight = 1 if self._weigh is None else self._weigh(value)
        most_others = self._capacity - weight
        if most_others < 0:
            return False
        if self.weight > most_others:
            self._make_room(most_others)
        self._entries[key] = value
        self.weight += weight
        if self._weights is not None:
            self._weights[key] = weight
        return True

    def pop(self, key: K) -> V | None:
        """Remove the entry and return its value; None if there is none."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._left(key, value)
        return value

    def touch(self, key: K) -> None:
        """Make the entry the newest one, if it is there."""
        if key in self._entries:
            self._entries.move_to_end(key)

    def reweigh(self, key: K) -> None:
        """Weigh an entry that has changed; drop it if it became too heavy, else make room for it."""
        if self._weigh is None or self._weights is None or key not in self._entries:
            return
        weight = self._weigh(self._entries[key])
        if weight > self._capacity:
            self.pop(key)
            return
        self.weight += weight - self._weights[key]
        self._weights[key] = weight
        self._make_room(self._capacity)

    def clear(self) -> None:
        """Remove all entries without calling `on_drop`."""
        self._entries.clear()
        self.weight = 0
        if self._weights is not None:
            self._weights.clear()

    def _make_room(self, most: int) -> None:
        while self.weight > most:
            key, value = self._entries.popitem(last=False)
            self._left(key, value)

    def _left(self, key: K, value: V) -> None:
        self.weight -= 1 if self._weights is None else self._weights.pop(key)
        if self._on_drop is not None:
            self._on_drop(key, value)


def _touching(entries: OrderedDict[K, V]) -> Callable[[K], V | None]:
    def get(key: K) -> V | None:
        value = entries.get(key)
        if value is not None:
            entries.move_to_end(key)
        return value

    return get
