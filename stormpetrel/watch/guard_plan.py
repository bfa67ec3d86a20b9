"""Which sources the guard blocks in the kernel, and for how long. Time is an argument; no clock, no I/O.

A source is the strangers of one address, of IPv6 a /64. It is listed if, for STRIKES seconds on balance, it is
refused far more often than its share, and no client there waits as its `Retry-After` says. Each request that counts
came by a complete connection, so that its address cannot be forged. Never listed are networks with an account's or an
earlier visitor's activity, and addresses that the operator allows: the edge refuses what people may share.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.config import Network
from stormpetrel.control.guard_messages import GuardList
from stormpetrel.control.networks import NOT_PUBLIC, NetworkSet
from stormpetrel.shield.answer import IGNORED_DEMOTES
from stormpetrel.shield.prefixes import prefix_of
from stormpetrel.shield.reports import StrangerSource

LEAST_REFUSED = 3
"""Refused requests in a second, on all workers, from which a source may be far above its share …"""
TIMES_ITS_SHARE = 4.0
"""… if they are also this many times what a stranger is served in a second."""
STRIKES = 5
FIRST_S = 30
LONGEST_S = 600
FORGOTTEN_AFTER_S = 1800.0
"""A source that is listed again within this time is listed for twice as long."""
WIDENS_AT = {4: 64, 6: 16}
"""The number of listed sources of one network (/24, IPv6 /48), by version, at which the whole network is listed."""
MAX_LISTED = 20_000
MAX_REMEMBERED = 65_536
MAX_SHELTERED = 50_000
PATIENT_S = 60.0
"""A client that waits is absent meanwhile: its worker's last word about the source counts for this long."""
MAX_PATIENT = 32_768
"""Sources of one worker where a client waits; the one reported longest ago is dropped."""
ALARM_AFTER = 2
"""Failures of a member's canary in a row, after which the list is withdrawn …"""
OFF_S = 600.0
"""… for this long."""


@dataclass(frozen=True, slots=True)
class GuardInputs:
    """What the watch knows of a second.

    `sources`: of all workers, one address may be in it several times. `served`: requests of strangers that were
    served. `allowed`: the operator's addresses and networks. `failures`: of members' canaries, in a row, by name.
    """

    sources: Iterable[StrangerSource] = ()
    served: int = 0
    is_paused: bool = False
    allowed: tuple[str, ...] = ()
    failures: Mapping[str, int] | None = None


class GuardPlan:
    """The list. `is_known`: whether accounts' activity came from a network (/24, IPv6 /48) in the last 14 days.

    `proxies`: networks of trusted proxies. `off_because`: why nothing is listed now, or "". `added`,
    `withdrawn`: entries since the start, with those that ended by time in neither.
    """

    def __init__(self, *, is_known: Callable[[str], bool], proxies: tuple[Network, ...] = ()) -> None:
        self.off_because = ""
        self.added = self.withdrawn = 0
        self._is_known = is_known
        self._never = NetworkSet((*NOT_PUBLIC, *proxies))
        self._until_s: dict[str, float] = {}
        # The listed sources by network, for widening; a network that is listed as a whole has no entry.
        self._of_network: dict[str, set[str]] = {}
        self._strikes: dict[str, int] = {}
        # When the last listing ended, and how long the next one lasts.
        self._before: BoundedTable[str, tuple[float, int]] = BoundedTable(
            MAX_REMEMBERED, evicts=Eviction.OLDEST
        )
        # A set: each network is stored as its own value.
        self._sheltered: BoundedTable[str, str] = BoundedTable(MAX_SHELTERED, evicts=Eviction.OLDEST)
        self._new_shelters: set[str] = set()
        # By worker, the sources where a client waits, and when that was reported.
        self._patient_s: dict[int, BoundedTable[str, float]] = {}
        self._second_s = 0.0
        # Their networks: found once a second, if a network is about to be listed.
        self._patient_networks: set[str] | None = None
        self._allowed: tuple[str, ...] = ()
        self._allowed_networks = NetworkSet(())
        self._excused: frozenset[str] = frozenset()
        self._off_until_s = 0.0

    def __len__(self) -> int:
        return len(self._until_s)

    def until_s(self, source: str) -> float:
        """Return until when a source, or its network, is listed; 0 if it is not."""
        return max(self._until_s.get(source, 0.0), self._until_s.get(prefix_of(source), 0.0))

    def off_s(self, at_s: float) -> float:
        """Return how long the list stays empty because of failing canaries; 0 if it does not."""
        return max(0.0, self._off_until_s - at_s)

    def stay_off(self, because: str, *, until_s: float) -> None:
        """List nothing until then: the networks that must not be listed are not known yet."""
        self.off_because, self._off_until_s = because, until_s

    def shelter(self, prefixes: Iterable[str]) -> None:
        """Note networks (/24, IPv6 /48) that a client from before the attack came from: nothing is listed there."""
        for prefix in prefixes:
            self._sheltered.put(prefix, prefix)
            if self._until_s:
                self._new_shelters.add(prefix)

    def hear(self, worker: int, sources: Iterable[StrangerSource]) -> None:
        """Note where clients of a worker wait as they are asked to. They also count in seconds without a report."""
        patient = self._patient_s.get(worker)
        if patient is None:
            patient = self._patient_s[worker] = BoundedTable(MAX_PATIENT, evicts=Eviction.OLDEST)
        for source in sources:
            if source.ignored < IGNORED_DEMOTES:
                patient.put(source.network, self._second_s)
            else:
                patient.pop(source.network)

    def all(self, at_s: float) -> GuardList:
        """Return the whole list, for a guard that has just connected."""
        # A guard takes nothing shorter than FIRST_S.
        left = ((source, int(until_s - at_s)) for source, until_s in self._until_s.items())
        return GuardList(tuple((source, left_s) for source, left_s in left if left_s >= FIRST_S), is_all=True)

    def second(self, inputs: GuardInputs, *, at_s: float) -> GuardList:
        """Return the changes of a second."""
        self._second_s, self._patient_networks = at_s, None
        self._end(at_s)
        because = self._reason_for_off(inputs, at_s)
        if because or self.off_because:
            self.off_because = because
        if because:
            self._strikes.clear()
            return self._withdraw_all(at_s)
        dropped = self._withdraw_safe(inputs.allowed, at_s)
        listed = []
        for source in self._over_share(inputs):
            if len(self._until_s) >= MAX_LISTED:
                break
            if not self.until_s(source):
                # Otherwise its whole network was listed in this second.
                listed.append(self._list(self._widened(source), at_s))
        self.added += len(listed)
        return GuardList(tuple(listed), dropped)

    def _list(self, source: str, at_s: float) -> tuple[str, int]:
        lasts_s = self._next_s(source, at_s)
        self._until_s[source] = at_s + lasts_s
        self._before.put(source, (at_s + lasts_s, min(LONGEST_S, lasts_s * 2)))
        network = prefix_of(source)
        if source != network:
            self._of_network.setdefault(network, set()).add(source)
        return source, lasts_s

    def _widened(self, source: str) -> str:
        """Return a source's network if many others of it are listed and no client waits there, else the source."""
        network = prefix_of(source)
        widens_at = WIDENS_AT[6 if ":" in source else 4]
        is_wide = len(self._of_network.get(network, ())) + 1 >= widens_at
        may_be_wide = is_wide and not self.is_safe(network) and network not in self._with_patient()
        return network if may_be_wide else source

    def _with_patient(self) -> set[str]:
        """Return the networks (/24, IPv6 /48) where a client waits as it is asked to."""
        if self._patient_networks is None:
            self._patient_networks = {
                prefix_of(source)
                for patient in self._patient_s.values()
                for source, at_s in patient.items()
                if self._second_s - at_s <= PATIENT_S
            }
        return self._patient_networks

    def _end(self, at_s: float) -> None:
        for source in [source for source, until_s in self._until_s.items() if until_s <= at_s]:
            self._remove(source)

    def _remove(self, source: str) -> None:
        del self._until_s[source]
        network = prefix_of(source)
        others = self._of_network.get(network)
        if others is not None:
            others.discard(source)
            if not others:
                del self._of_network[network]

    def _next_s(self, source: str, at_s: float) -> int:
        ended_s, next_s = self._before.get(source) or (at_s, FIRST_S)
        return next_s if at_s - ended_s <= FORGOTTEN_AFTER_S else FIRST_S

    def _reason_for_off(self, inputs: GuardInputs, at_s: float) -> str:
        failures = inputs.failures or {}
        failing = frozenset(name for name, count in failures.items() if count)
        # A canary that failed before there was a list does not fail because of it.
        self._excused = self._excused & failing if self._until_s else failing
        culprit = next(
            (n for n, count in failures.items() if count >= ALARM_AFTER and n not in self._excused), ""
        )
        if culprit:
            self._off_until_s = at_s + OFF_S
            return f"canary {culprit} failed {failures[culprit]} times in a row"
        if at_s < self._off_until_s:
            return self.off_because
        return "the shield is paused" if inputs.is_paused else ""

    def _withdraw_all(self, at_s: float) -> GuardList:
        if not self._until_s:
            return GuardList()
        self.withdrawn += len(self._until_s)
        self._until_s.clear()
        self._of_network.clear()
        return GuardList(is_all=True)

    def _withdraw_safe(self, allowed: tuple[str, ...], at_s: float) -> tuple[str, ...]:
        """Withdraw the sources that have become safe since the last second."""
        is_changed = allowed != self._allowed
        if is_changed:
            self._allowed, self._allowed_networks = allowed, NetworkSet(map(ipaddress.ip_network, allowed))
        shelters, self._new_shelters = self._new_shelters, set()
        if not is_changed and not shelters:
            return ()
        dropped = [
            source
            for source in self._until_s
            if prefix_of(source) in shelters or (is_changed and self._is_allowed(source))
        ]
        for source in dropped:
            self._remove(source)
        self.withdrawn += len(dropped)
        return tuple(dropped)

    def _over_share(self, inputs: GuardInputs) -> list[str]:
        """Return the sources that have reached STRIKES in this second."""
        sums = merged(inputs.sources)
        least = max(LEAST_REFUSED, TIMES_ITS_SHARE * inputs.served / max(1, len(sums)))
        above = {
            network
            for network, (refused, ignored) in sums.items()
            if refused >= least and ignored >= IGNORED_DEMOTES and not self.until_s(network)
        }
        for network in [network for network in self._strikes if network not in above]:
            self._strikes[network] -= 1
            # A client there waits as it is asked to, so that the address may be shared.
            is_patient = sums.get(network, (0, IGNORED_DEMOTES))[1] < IGNORED_DEMOTES
            if is_patient or not self._strikes[network]:
                del self._strikes[network]
        reached = []
        for network in above:
            self._strikes[network] = self._strikes.get(network, 0) + 1
            if self._strikes[network] >= STRIKES:
                del self._strikes[network]
                if not self._is_patient(network) and not self.is_safe(network):
                    reached.append(network)
        return reached

    def _is_patient(self, source: str) -> bool:
        """Return whether a client of any worker waits there."""
        return any(
            self._second_s - patient[source] <= PATIENT_S
            for patient in self._patient_s.values()
            if source in patient
        )

    def is_safe(self, source: str) -> bool:
        """Return whether the source, or a network, must never be listed."""
        prefix = prefix_of(source)
        if self._is_known(prefix) or prefix in self._sheltered:
            return True
        try:
            return self._is_allowed(source) or self._never.overlaps(ipaddress.ip_network(source))
        except ValueError:
            # A client without an address, such as one at a UNIX socket.
            return True

    def _is_allowed(self, source: str) -> bool:
        return bool(self._allowed) and self._allowed_networks.overlaps(ipaddress.ip_network(source))


def merged(sources: Iterable[StrangerSource]) -> dict[str, tuple[int, int]]:
    """Return by network the refused requests on all workers, and the least `ignored` of any."""
    sums: dict[str, tuple[int, int]] = {}
    for one in sources:
        # A listener for both versions sees an IPv4 client as an IPv6 address; the kernel's filter sees IPv4.
        network = one.network.removeprefix("::ffff:") if "." in one.network else one.network
        refused, ignored = sums.get(network, (0, one.ignored))
        sums[network] = (refused + one.refused, min(ignored, one.ignored))
    return sums
