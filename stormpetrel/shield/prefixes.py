"""Known networks: where somebody with a credential was in the last 14 days.

A network (/24, IPv6 /48) is known to be where people are; an address alone says nothing. None is learned
while an attack lasts: those who come with it must not make their own networks known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from stormpetrel.shield.reports import MAX_PREFIXES

KNOWN_DAYS = 14
DAY_S = 86_400
CAPACITY = 65_536


REMEMBERED = 8192
_remembered: dict[str, str] = {}


def prefix_of(address: str) -> str:
    """The network of an address, as text: "192.0.2.0/24", "2001:db8:1::/48". "" when it is no address.

    The latest few thousand are remembered.
    """
    prefix = _remembered.get(address)
    if prefix is None:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        prefix = _remembered[address] = _find(address)
    return prefix


def _find(address: str) -> str:
    if ":" not in address:
        head, dot, _ = address.rpartition(".")
        return f"{head}.0/24" if dot else ""
    bare = address.partition("%")[0]
    if "." in bare:
        # IPv4 in IPv6.
        return _find(bare.rpartition(":")[2])
    head, gap, tail = bare.partition("::")
    groups = head.split(":") if head else []
    if gap:
        after = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(after)) + after
    return ":".join(group.lstrip("0") or "0" for group in groups[:3]) + "::/48"


class Prefixes:
    """At most `capacity` networks with the day of the last activity; the one not seen for longest is dropped."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self.days: OrderedDict[str, int] = OrderedDict()
        self._news: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.days)

    def is_known(self, prefix: str, *, epoch_s: float) -> bool:
        """Whether somebody with a credential was there within KNOWN_DAYS."""
        day = self.days.get(prefix)
        return day is not None and epoch_s // DAY_S - day <= KNOWN_DAYS

    def saw(self, prefix: str, *, epoch_s: float, learn: bool) -> None:
        """Somebody with an established credential came from there. `learn`: a new network may be added."""
        day = int(epoch_s // DAY_S)
        before = self.days.get(prefix)
        if before == day or not prefix or (before is None and not learn):
            return
        self._put(prefix, day)
        if len(self._news) < MAX_PREFIXES:
            self._news[prefix] = day

    def load(self, known: Iterable[tuple[str, int]]) -> None:
        """Add what was known before; the later day counts."""
        for prefix, day in known:
            if day > self.days.get(prefix, -1):
                self._put(prefix, day)

    def news(self) -> tuple[tuple[str, int], ...]:
        """What was seen since this was last asked: networks new here, or new today."""
        news = tuple(self._news.items())
        self._news.clear()
        return news

    def _put(self, prefix: str, day: int) -> None:
        self.days.pop(prefix, None)
        while len(self.days) >= self._capacity:
            self.days.popitem(last=False)
        self.days[prefix] = day
