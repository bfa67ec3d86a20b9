"""Counts the visitors of one process, in a sketch for each channel and period.

A person is known by the best mark that a request has: the account, else the visitor cookie, else address and browser.
The mark is hashed with the key of the period and dropped. Each period has its own key, so the hashes of two
periods cannot be compared, and when the key is gone, no hash can be made again.

A new visitor's first request has no cookie yet, and the second one has it. So a page without a cookie is counted
by address and browser in `UNMARKED`, and a young cookie that came back adds its address and browser to
`RETURNED`. Visitors that never return a cookie are those of the first without those of the second:
|UNMARKED or RETURNED| - |RETURNED|, which `visitors_of` adds to the visitors with a cookie.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass, field

from stormpetrel.audience.periods import Period
from stormpetrel.audience.sketch import RANK_BITS, RANK_MASK, REGISTERS

WEB, APPS, FEEDS, SMS, ALL, MEMBERS, UNMARKED, RETURNED = range(8)
"""The sketches of a period. The first five are channels; MEMBERS has the accounts alone."""
NAMES = ("web", "apps", "feeds", "sms", "all", "members", "unmarked", "returned")
MEMO = 1 << 16
LAST = MEMO - 1
MAX_UPDATES = 40_000
"""Registers in one report: 120 KB. More wait for the next one."""
MAX_SERVICES = 50
KEY_BYTES = 32
_PERSON = b"petrel.audience."
SKETCH_BITS = 3
SKETCHES = 1 << SKETCH_BITS
NEW = 0x80
"""Set at a register that rose and is not reported yet. A register has six bits."""
_EMPTY = bytes(REGISTERS * SKETCHES)
_IS_NEW = bytes(value >= NEW for value in range(256))
_ALL_NEW = bytes(value | NEW if value else 0 for value in range(256))

Update = tuple[str, int, bytes, bytes]
"""The name of a period, a sketch, the registers that rose (two bytes each, little endian), and their values."""


@dataclass(frozen=True, slots=True)
class CounterNews:
    """What a process has counted since its last report. `announced`: subscribers by feed service."""

    updates: list[Update] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.updates or self.counts or self.announced)


class _CountedPeriod:
    """A period's key and sketches in this process.

    `registers`: the same register of all sketches together, so that a person's mark reaches one line of the
    processor's cache, with NEW at those to report. `has_news`: the sketches that have any. Sets would take 30 MB
    while no watch runs.
    """

    __slots__ = ("base", "has_news", "key", "period", "registers")

    def __init__(self, period: Period, key: bytearray) -> None:
        self.period = period
        self.key = key
        # Copied for each hash: absorbing the key again would take half as long again.
        self.base = hashlib.blake2b(key=key, digest_size=8, person=_PERSON)
        self.registers = bytearray(REGISTERS * SKETCHES)
        self.has_news = [False] * len(NAMES)

    def wipe(self) -> None:
        """Overwrite the key and the sketches, so that a picture of the memory does not show them."""
        self.key[:] = bytes(len(self.key))
        self.base = hashlib.blake2b()
        self.registers[:] = _EMPTY


class VisitorCounter:
    """See the module. Counts nothing until a period has begun. Not thread-safe.

    `memo`: the sightings of people since the day began; a sighting's place is its last 16 bits. `programs`: the
    same for requests that were found to be a program's.
    """

    __slots__ = (
        "_announced",
        "_apart",
        "_ended",
        "_has_day",
        "_people",
        "_periods",
        "_running",
        "is_counting",
        "memo",
        "programs",
    )

    def __init__(self) -> None:
        self.memo = array("q", bytes(8 * MEMO))
        self.programs = array("q", bytes(8 * MEMO))
        self.is_counting = False
        """Whether a period runs. Without one no sighting is remembered: a person would count with each request."""
        # Without a watch at midnight, a week and a month go on alone. When the key of the day comes, the memo forgets
        # all sightings, and each person would be counted again.
        self._has_day = False
        self._periods: dict[str, _CountedPeriod] = {}
        self._running: list[_CountedPeriod] = []
        self._ended: list[_CountedPeriod] = []
        self._people: dict[tuple[str, str, str], int] = {}
        self._apart: dict[str, list[int]] = {}
        self._announced: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        """Return whether the period has begun here, or will begin."""
        return name in self._periods

    def begin(self, period: Period, key: bytearray) -> None:
        """Count in this period once its time comes. `key` has KEY_BYTES; it is overwritten at the period's end."""
        if period.name not in self._periods:
            self._periods[period.name] = _CountedPeriod(period, key)

    def tick(self, at_s: float) -> bool:
        """End and begin periods by the time, in seconds since 1970; return True if one has ended or begun."""
        running = [one for one in self._periods.values() if one.period.from_s <= at_s < one.period.until_s]
        if running == self._running:
            return False
        for one in [one for one in self._periods.values() if one.period.until_s <= at_s]:
            self._ended.append(self._periods.pop(one.period.name))
        self._running, self.is_counting = running, bool(running)
        self._has_day = any(one.period.kind == "day" for one in running)
        # Visitors of the day before are counted again today; the memos must not outlive the key.
        self.memo[:] = array("q", bytes(8 * MEMO))
        self.programs[:] = array("q", bytes(8 * MEMO))
        return True

    def has_seen(self, sighting: int) -> bool:
        """Return whether this sighting (the hash of a visitor in this process) was counted since the day began.

        False also for one that was forgotten: to count it again changes no sketch.
        """
        return self.memo[sighting & LAST] == sighting

    def remember(self, sighting: int) -> None:
        """Remember a sighting, in place of another one of MEMO. Do nothing while no period runs."""
        if self._running:
            self.memo[sighting & LAST] = sighting

    def add(self, mark: bytes, sketches: tuple[int, ...]) -> None:
        """Add a person's mark to these sketches of every running period."""
        for one in self._running:
            hasher = one.base.copy()
            hasher.update(mark)
            hashed = int.from_bytes(hasher.digest(), "little")
            # As sketch.place does: a call would cost a tenth of all this.
            first = hashed >> RANK_BITS << SKETCH_BITS
            rank = RANK_BITS + 1 - (hashed & RANK_MASK).bit_length()
            registers = one.registers
            for sketch in sketches:
                if registers[first + sketch] & ~NEW < rank:
                    registers[first + sketch] = rank | NEW
                    one.has_news[sketch] = True

    def count_person(self, known_by: str, landing: str = "", referrer: str = "") -> None:
        """Add a person to the plain counts. `known_by`: account, cookie, address or phone. The others are classes.

        Do nothing while no day runs.
        """
        if not self._has_day:
            return
        # One count of all three together: three would take a tenth of a new visitor's time.
        person = known_by, landing, referrer
        self._people[person] = self._people.get(person, 0) + 1

    def apart(self, name: str) -> list[int]:
        """Return the count of requests of a kind that is no visit, for example "programs". Callers add to it."""
        return self._apart.setdefault(name, [0])

    def announce(self, service: str, subscribers: int) -> None:
        """Note how many subscribers a feed service announces; the greatest number counts."""
        known = self._announced
        if service in known or len(known) < MAX_SERVICES:
            known[service] = max(subscribers, known.get(service, 0))

    def take(self) -> CounterNews:
        """Return the news since the last call, at most MAX_UPDATES registers; wipe what ended and is reported."""
        updates: list[Update] = []
        left = MAX_UPDATES
        for one in (*self._ended, *self._periods.values()):
            for sketch, has_news in enumerate(one.has_news):
                if has_news and left > 0:
                    left -= _take_some(one, sketch, left, updates)
        for one in [one for one in self._ended if not any(one.has_news)]:
            one.wipe()
            self._ended.remove(one)
        counts: Counter[str] = Counter()
        for (known_by, landing, referrer), count in self._people.items():
            counts[f"known_by/{known_by}"] += count
            if landing:
                counts[f"landing/{landing}"] += count
                counts[f"from/{referrer}"] += count
        for name, apart in self._apart.items():
            if apart[0]:
                counts[f"requests/{name}"], apart[0] = apart[0], 0
        news = CounterNews(updates, dict(counts), dict(self._announced))
        self._people.clear()
        self._announced.clear()
        return news

    def repeat(self) -> None:
        """Report every register again: the watch was restarted, and has the state of some seconds ago."""
        for one in self._periods.values():
            one.registers[:] = one.registers.translate(_ALL_NEW)
            one.has_news = [True] * len(NAMES)


def _take_some(one: _CountedPeriod, sketch: int, most: int, updates: list[Update]) -> int:
    """Move at most `most` changed registers of a sketch to `updates`; return how many."""
    registers = one.registers
    is_new = registers[sketch::SKETCHES].translate(_IS_NEW)
    indexes, values = array("H"), bytearray()
    index = is_new.find(1)
    while index >= 0 and len(indexes) < most:
        place = (index << SKETCH_BITS) + sketch
        registers[place] &= ~NEW
        indexes.append(index)
        values.append(registers[place])
        index = is_new.find(1, index + 1)
    one.has_news[sketch] = index >= 0
    if indexes:
        updates.append((one.period.name, sketch, indexes.tobytes(), bytes(values)))
    return len(indexes)
