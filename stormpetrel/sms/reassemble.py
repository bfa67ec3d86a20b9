"""Joins the parts of long messages, which arrive in any order, twice, or not at all.

Parts belong together if sender, receiver, reference (of the same kind) and total are equal. References repeat
after 256 or 65,536 messages of a phone, and a forged sender can write any: so a part that contradicts a stored
one begins a new message, and the old one is reported as incomplete. A text is never joined from two messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.sms.udh import Concatenation, ReferenceKind
from stormpetrel.sms.user_data import UserData

MOST_PER_SENDER = 16
"""Long messages of one sender to one receiver at a time: a sender can drive out only its own."""
MESSAGE_OCTETS, PART_OCTETS = 1_000, 250
"""Memory of a message and of each part besides its octets: 900 and 220 by tracemalloc, CPython 3.11."""


@dataclass(frozen=True, slots=True)
class MessageKey:
    """The message to which a part belongs."""

    sender: str
    receiver: str
    kind: ReferenceKind
    reference: int
    total: int


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A message that will not be completed: the parts that came, by number, and the numbers that did not."""

    key: MessageKey
    parts: dict[int, UserData]
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The effect of one part.

    `message` has all parts in order if this part completed them. `is_duplicate` is True for a part that came
    before. `dropped` lists other messages that this part made impossible to complete, or drove out.
    """

    message: tuple[UserData, ...] | None = None
    is_duplicate: bool = False
    dropped: tuple[Incomplete, ...] = ()


@dataclass(slots=True)
class _Collection:
    first_at_s: float
    octets: int = MESSAGE_OCTETS
    parts: dict[int, UserData] = field(default_factory=dict)
    is_complete: bool = False


class Reassembler:
    """Parts of messages until they are complete, in at most `capacity_octets` of memory, for `timeout_s`.

    A complete message stays for the same time, so that a part that is delivered again is recognised. All times
    are seconds of one monotonic clock, which the caller reads.
    """

    __slots__ = ("_by_sender", "_dropped", "_table", "_timeout_s")

    def __init__(self, *, capacity_octets: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._dropped: list[Incomplete] = []
        self._by_sender: dict[tuple[str, str], dict[MessageKey, None]] = {}
        self._table: BoundedTable[MessageKey, _Collection] = BoundedTable(
            capacity_octets,
            evicts=Eviction.OLDEST,
            weigh=lambda collection: collection.octets,
            on_drop=self._on_drop,
        )

    def __len__(self) -> int:
        """Return the number of messages in the table, complete ones included."""
        return len(self._table)

    def add(
        self, part: UserData, concatenation: Concatenation, *, sender: str, receiver: str, at_s: float
    ) -> Arrival:
        """Take one part and return its effect. Raise ValueError if its number is not one of 1 to total."""
        if not concatenation.is_valid():
            raise ValueError(f"no part of a message: {concatenation}")
        key = MessageKey(sender, receiver, concatenation.kind, concatenation.reference, concatenation.total)
        number = concatenation.number
        collection = self._table.get(key)
        if collection is not None:
            known = collection.parts.get(number)
            is_over = at_s - collection.first_at_s >= self._timeout_s
            if known == part and not is_over:
                return Arrival(is_duplicate=True)
            if known is not None or is_over:
                self._table.pop(key)
                collection = None
        if collection is None:
            collection = self._begin(key, at_s)
        collection.parts[number] = part
        collection.octets += len(part.octets) + PART_OCTETS
        message = None
        if len(collection.parts) == key.total:
            collection.is_complete = True
            message = tuple(collection.parts[number] for number in range(1, key.total + 1))
        self._table.reweigh(key)
        return Arrival(message=message, dropped=self._take_dropped())

    def expire(self, at_s: float) -> tuple[Incomplete, ...]:
        """Drop the messages whose first part came `timeout_s` ago, and return those that are incomplete."""
        while self._table:
            key = next(iter(self._table))
            if at_s - self._table[key].first_at_s < self._timeout_s:
                break
            self._table.pop(key)
        return self._take_dropped()

    def _begin(self, key: MessageKey, at_s: float) -> _Collection:
        others = self._by_sender.get((key.sender, key.receiver), {})
        if len(others) >= MOST_PER_SENDER:
            self._table.pop(next(iter(others)))
        collection = _Collection(at_s)
        if self._table.put(key, collection):
            self._by_sender.setdefault((key.sender, key.receiver), {})[key] = None
        return collection

    def _on_drop(self, key: MessageKey, collection: _Collection) -> None:
        pair = (key.sender, key.receiver)
        keys = self._by_sender[pair]
        keys.pop(key, None)
        if not keys:
            del self._by_sender[pair]
        if not collection.is_complete:
            missing = tuple(number for number in range(1, key.total + 1) if number not in collection.parts)
            self._dropped.append(Incomplete(key, collection.parts, missing))

    def _take_dropped(self) -> tuple[Incomplete, ...]:
        dropped, self._dropped = tuple(self._dropped), []
        return dropped
