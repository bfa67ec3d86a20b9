"""Known networks: those with an established credential's activity in the last 14 days.

A network (/24, IPv6 /48) counts, not a single address. No network is added while an attack lasts, so that
attackers cannot make their own networks known.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.reports import MAX_PREFIXES

KNOWN_DAYS = 14
DAY_S = 86_400
CAPACITY = 65_536
SHELTERS_EACH = 16
"""Networks that one identity shelters during an attack: people move, but one credential must not protect a botnet."""
MAX_SHELTERING = 8_192


REMEMBERED = 8192
_remembered: dict[str, str] = {}


def prefix_of(address: str) -> str:
    """Return an IP address's network as text: "192.0.2.0/24", "2001:db8:1::/48"; "" if there is none.

    Results for the latest few thousand addresses are cached.
    """
    prefix = _remembered.get(address)
    if prefix is None:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        prefix = _remembered[address] = _find(address)
    return prefix


def forget_addresses() -> None:
    """Drop the cached results, which name addresses."""
    _remembered.clear()


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
    """At most `capacity` networks with the day of their last activity; the oldest entry is dropped."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self.days: BoundedTable[str, int] = BoundedTable(capacity, evicts=Eviction.OLDEST)
        self._news: dict[str, int] = {}
        # Identity -> the networks that it sheltered; and the networks since the last report.
        self._sheltering: BoundedTable[Hashable, set[str]] = BoundedTable(
            MAX_SHELTERING, evicts=Eviction.OLDEST
        )
        self._sheltered: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self.days)

    def is_known(self, prefix: str, *, epoch_s: float) -> bool:
        """Return whether the network had activity with a credential within KNOWN_DAYS."""
        day = self.days.get(prefix)
        return day is not None and epoch_s // DAY_S - day <= KNOWN_DAYS

    def saw(self, prefix: str, *, epoch_s: float, learn: bool) -> None:
        """Note activity with an established credential. `learn`: the network may be added if it is new."""
        day = int(epoch_s // DAY_S)
        before = self.days.get(prefix)
        if before == day or not prefix or (before is None and not learn):
            return
        self.days.put(prefix, day)
        if len(self._news) < MAX_PREFIXES:
            self._news[prefix] = day

    def shelter(self, prefix: str, identity: Hashable) -> None:
        """Note that a client from before the present attack came from a network that is not known.

        Nothing may be blocked there outside of the shield. It is not learnt: see the module. `identity`: its account
        or its cookie, as a botnet has many addresses and may share one cookie; of a feed reader, its address.
        """
        mine = self._sheltering.get(identity)
        if mine is None:
            mine = set()
            self._sheltering.put(identity, mine)
        if prefix not in mine and len(mine) >= SHELTERS_EACH:
            return
        mine.add(prefix)
        if len(self._sheltered) < MAX_PREFIXES:
            self._sheltered[prefix] = None

    def take_sheltered(self, *, is_calm: bool) -> tuple[str, ...]:
        """Return the networks sheltered since the last call. `is_calm`: the attack is over."""
        sheltered = tuple(self._sheltered)
        self._sheltered.clear()
        if is_calm:
            self._sheltering.clear()
        return sheltered

    def load(self, known: Iterable[tuple[str, int]]) -> None:
        """Add networks known before; the later day counts."""
        for prefix, day in known:
            before = self.days.get(prefix)
            if before is None or day > before:
                self.days.put(prefix, day)

    def news(self) -> tuple[tuple[str, int], ...]:
        """Return the networks added or updated since the last call, with their day."""
        news = tuple(self._news.items())
        self._news.clear()
        return news
