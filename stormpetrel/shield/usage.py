"""Usage: the CPU time that each identity has used, and demotion for excess.

Only the identity is demoted, never a network, an application or another identity at the same address.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.answer import IGNORED_DEMOTES, RetryTracker
from stormpetrel.shield.classify import LANES
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import Ticket
from stormpetrel.shield.reports import MAX_OFFENDERS, MAX_SOURCES, Offender, StrangerSource, identity_text

TRACKED = 4096
"""Identities tracked per second; requests of further ones are served without being counted."""
LEAST_SHARE = 0.01
"""Under overload an identity that uses less of a core than this is never demoted …"""
TIMES_ITS_SHARE = 4.0
"""… nor one that uses less than this many times its share: the class's weight / its active identities."""
STRIKES = 3
"""Net seconds of excess before a demotion: opening an app makes a legitimate burst."""
FIRST_DEMOTION_S = 30.0
LONGEST_DEMOTION_S = 600.0
"""The time doubles with each demotion, so that pulses (5 s on, 10 s off) do not pay."""
REMEMBERED = 4096
FORGOTTEN_AFTER_S = 1800.0
WAITING = 16_384
"""Clients at addresses that wait as they were asked to; the one noted first is dropped."""
_UNMEASURED = 1_000_000


class _Used:
    __slots__ = ("cpu_s", "exempt", "lane", "refused", "requests")

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.cpu_s = 0.0
        self.requests = 0
        self.refused = 0
        self.exempt = False


class UsageMeter:
    """Usage in the last second, and the demoted identities. Call `turn` once a second."""

    def __init__(self) -> None:
        self._now: dict[Identity, _Used] = {}
        self._last: dict[Identity, _Used] = {}
        self._strikes: dict[Identity, int] = {}
        # identity -> (end of the demotion, length of the next one in seconds)
        self.demoted: OrderedDict[Identity, tuple[float, float]] = OrderedDict()
        self._merged: dict[str, float] = {}
        self._turned_s = 0.0
        # Parts of addresses that wait as they were asked to, with their address. A client that waits is absent in
        # most seconds, and yet it is there.
        self._waiting: BoundedTable[Identity, str] = BoundedTable(WAITING, evicts=Eviction.OLDEST)

    def __len__(self) -> int:
        return len(self._now) + len(self._last) + len(self._strikes) + len(self.demoted)

    def spent(self, ticket: Ticket, cpu_s: float) -> None:
        """Count a served ticket with its cost."""
        used = self._now.get(ticket.suspect)
        if used is None:
            used = self._begin(ticket)
            if used is None:
                return
        used.cpu_s += cpu_s
        used.requests += 1

    def spent_later(self, identity: Identity, cpu_s: float) -> None:
        """Add CPU time to an identity active in this second or the last, without counting a request."""
        used = self._now.get(identity) or self._last.get(identity)
        if used is not None:
            used.cpu_s += cpu_s

    def refused(self, ticket: Ticket) -> None:
        """Count a refused ticket."""
        used = self._now.get(ticket.suspect) or self._begin(ticket)
        if used is not None:
            used.refused += 1

    def demote(self, identity: Identity, at_s: float) -> None:
        """Put the identity into the lowest class from now on, for longer each time."""
        before = self.demoted.pop(identity, None)
        if before is None or at_s - before[0] > FORGOTTEN_AFTER_S:
            lasts_s = FIRST_DEMOTION_S
        elif at_s < before[0]:
            self.demoted[identity] = before
            return
        else:
            lasts_s = before[1]
        while len(self.demoted) >= REMEMBERED:
            self.demoted.popitem(last=False)
        self.demoted[identity] = (at_s + lasts_s, min(LONGEST_DEMOTION_S, lasts_s * 2))

    def is_demoted(self, identity: Identity, at_s: float) -> bool:
        """Return True while the identity is demoted."""
        demoted = self.demoted.get(identity)
        return demoted is not None and at_s < demoted[0]

    def demoted_count(self, at_s: float) -> int:
        """Return how many identities are demoted now."""
        return sum(at_s < until_s for until_s, _ in self.demoted.values())

    def pardon(self) -> None:
        """End all demotions."""
        self.demoted.clear()
        self._strikes.clear()

    def merge(self, offenders: Iterable[Offender]) -> None:
        """Set the CPU time that the heaviest identities used on all workers together in the last second."""
        self._merged = {offender.identity: offender.cpu_s for offender in offenders}

    def turn(self, at_s: float, *, is_overloaded: bool) -> None:
        """End a second: under overload, usage far above the share adds a strike; else one is taken back."""
        self._turned_s = at_s
        last = self._last = self._now
        self._now = {}
        heavy = self._heavy(last) if is_overloaded else set()
        for identity in [identity for identity in self._strikes if identity not in heavy]:
            self._strikes[identity] -= 1
            if not self._strikes[identity]:
                del self._strikes[identity]
        for identity in heavy:
            strikes = self._strikes.get(identity, 0) + 1
            if strikes >= STRIKES:
                self._strikes.pop(identity, None)
                self.demote(identity, at_s)
            else:
                self._strikes[identity] = strikes

    def offenders(self, patience: RetryTracker) -> tuple[Offender, ...]:
        """Return the heaviest users of the last second. `patience`: counts of ignored Retry-Afters."""
        top = heapq.nlargest(MAX_OFFENDERS, self._last.items(), key=_weight_of)
        return tuple(
            Offender(
                identity_text(*identity), used.cpu_s, used.requests, used.refused, patience.ignored(identity)
            )
            for identity, used in top
        )

    def sources(self, patience: RetryTracker) -> tuple[StrangerSource, ...]:
        """Return the addresses of strangers in the last second, at most MAX_SOURCES. `patience`: see `offenders`."""
        found: dict[str, tuple[int, int]] = {}
        seen = patience.seen
        # Few steps for each of up to TRACKED identities: the worker does nothing else meanwhile.
        for identity, used in self._last.items():
            if identity[0] != "address":
                continue
            # Usage is counted by part of an address (agents.py). A whole address is one that is over its ceiling, and
            # is refused from memory; or it is from before there was overload, and its patience is not measured.
            network, _, part = str(identity[1]).partition(" ")
            entry = seen.get(identity)
            ignored = int(entry[3]) if entry is not None else 0
            if used.exempt:
                ignored = -1
            elif not (ignored or part):
                ignored = _UNMEASURED
            if network in found:
                refused, least = found[network]
                found[network] = (used.refused + refused, min(least, ignored))
            else:
                found[network] = (used.refused, ignored)
            if part and used.refused and 0 <= ignored < IGNORED_DEMOTES:
                self._waiting.put(identity, network)
        self._add_waiting(found, patience)
        return tuple(
            StrangerSource(network, refused, 0 if ignored == _UNMEASURED else ignored)
            for network, (refused, ignored) in list(found.items())[:MAX_SOURCES]
        )

    def _add_waiting(self, found: dict[str, tuple[int, int]], patience: RetryTracker) -> None:
        """Lower the `ignored` of sources where a client waits, and forget the clients that do not wait."""
        gone = []
        for identity, network in self._waiting.items():
            if not patience.waits(identity, self._turned_s):
                gone.append(identity)
            elif network in found:
                refused, least = found[network]
                found[network] = (refused, min(least, patience.ignored(identity)))
        for identity in gone:
            self._waiting.pop(identity)

    def _begin(self, ticket: Ticket) -> _Used | None:
        if len(self._now) >= TRACKED:
            return None
        used = self._now[ticket.suspect] = _Used(ticket.lane)
        used.exempt = ticket.is_neighbour and not ticket.is_known
        return used

    def _heavy(self, last: dict[Identity, _Used]) -> set[Identity]:
        counts: dict[int, int] = {}
        for used in last.values():
            counts[used.lane] = counts.get(used.lane, 0) + 1
        heavy = set()
        for identity, used in last.items():
            if used.cpu_s < LEAST_SHARE or used.exempt:
                continue
            cpu_s = max(used.cpu_s, self._merged.get(identity_text(*identity), 0.0))
            share = LANES[used.lane].weight / 100 / counts[used.lane]
            if cpu_s > TIMES_ITS_SHARE * max(share, LEAST_SHARE / TIMES_ITS_SHARE):
                heavy.add(identity)
        return heavy


def _weight_of(entry: tuple[Identity, _Used]) -> tuple[float, int]:
    return entry[1].cpu_s, entry[1].refused
