"""The ledger: counts of requests by class, channel and application until they are reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stormpetrel.shield.admit import SPENT
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.classify import K2, K3_FAR, K4, LANES
from stormpetrel.shield.held import HeldClients
from stormpetrel.shield.queues import Ticket
from stormpetrel.shield.reports import (
    EXCESS,
    FAILED,
    FEEDS,
    MAX_APPLICATIONS,
    MAX_REFUSALS,
    MAX_SUMS,
    OTHER_APPLICATIONS,
    IdentityRefusal,
    RefusalSum,
    identity_text,
)

Table = dict[str, dict[str, int]]
_SERVED = ("served", "cached")
_EXCESS = ("ceiling/", "deny/", "queue/identity")
"""The beginnings of the policy lines that refuse a client for what it did itself."""
LIMITED = 429
TURNED_AWAY = {LIMITED: "application/limit", 503: "application/busy"}
"""The policy lines of answers by which the application refuses: a client's own limit, and no capacity for a write."""
GIVES_UP_S = 1.0
"""A client that leaves sooner has not given up: people wait for longer, and a program may leave to be counted."""


@dataclass(frozen=True, slots=True)
class CountTables:
    """Counts by name and outcome, as in `WorkerReport`."""

    classes: Table = field(default_factory=dict)
    channels: Table = field(default_factory=dict)
    applications: Table = field(default_factory=dict)
    known: Table = field(default_factory=dict)
    known_applications: Table = field(default_factory=dict)
    new_readers: dict[str, int] = field(default_factory=dict)


class Counters:
    """Counts since the last `take`. At most classes x channels x MAX_APPLICATIONS, MAX_REFUSALS refusals one by
    one and MAX_SUMS sums of the others."""

    __slots__ = ("_applications", "_counts", "_refusals", "_sums", "because", "held", "held_readers")

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str, str, str], int] = {}
        self._applications: set[str] = set()
        self._refusals: list[IdentityRefusal] = []
        self._sums: dict[tuple[str, str, str], tuple[int, float]] = {}
        self.held = HeldClients()
        """Clients from before the attack that were refused, and wait as they were asked to."""
        self.held_readers = HeldClients()
        """New feed readers that were refused. Counted apart: those of an attack would take the others' places."""
        self.because: Counter[str] = Counter()

    def count(self, ticket: Ticket, outcome: str) -> None:
        """Count one request with this outcome."""
        key = (ticket.lane, ticket.channel, ticket.application, outcome)
        counts = self._counts
        if key in counts:
            counts[key] += 1
        else:
            self._begin(key)
        if self.held.count and outcome in _SERVED:
            self.held.served(ticket.identity, ticket.channel)
        if self.held_readers.count and outcome in _SERVED:
            self.held_readers.served(ticket.identity, ticket.channel)

    def asked_to_wait(self, ticket: Ticket, refused: Refused, *, at_s: float) -> None:
        """Note that a client from before the attack was refused, until it is served or its Retry-After is over.

        It sends nothing meanwhile, so no count of requests shows that it has no service. The same of a feed reader
        that is not known from before: most of them are regular ones, but a reader has no cookie to show it.
        """
        is_new_reader = _is_new_reader(ticket.lane, ticket.channel)
        if (ticket.lane > K2 and not is_new_reader) or not refused.retry_after_s:
            return
        if not refused.because.startswith(_EXCESS):
            held = self.held_readers if is_new_reader else self.held
            held.asked_to_wait(ticket.identity, ticket.channel, until_s=at_s + refused.retry_after_s)

    def refused(self, ticket: Ticket, because: str, *, epoch_s: float) -> None:
        """Count a refusal; if the client has a credential, also record the refusal itself."""
        self.count(ticket, "refused")
        if because.startswith(_EXCESS):
            self.count(ticket, EXCESS)
        self.because[because] += 1
        if ticket.is_known:
            self._refuse(ticket, because, epoch_s)

    def turned_away(self, ticket: Ticket, status: int, *, epoch_s: float) -> None:
        """Count an answer by which the application refused, besides as served. `status`: a key of TURNED_AWAY."""
        because = TURNED_AWAY[status]
        self.because[because] += 1
        if ticket.is_known and status != LIMITED:
            self._refuse(ticket, because, epoch_s)

    def left(self, ticket: Ticket, *, at_s: float) -> None:
        """Count a client that disconnected while it waited; as its own excess, unless the wait can be the reason."""
        self.count(ticket, "gone")
        # Tickets behind others of their own identity wait for these. One that never waited has no time of entry.
        if ticket.ahead or ticket.entered_s < 0.0 or at_s - ticket.entered_s < GIVES_UP_S:
            self.count(ticket, EXCESS)

    def add_visitors(self, *, cached: int, repeated: int) -> None:
        """Count visitors that the edge answered from memory: with a page, and with the refusal they got before."""
        for count, outcome in ((cached, "cached"), (repeated, "refused")):
            if count:
                self._counts[K3_FAR, "new", "", outcome] = (
                    self._counts.get((K3_FAR, "new", "", outcome), 0) + count
                )
        if repeated:
            self.because[SPENT] += repeated

    def take(
        self,
    ) -> tuple[CountTables, dict[str, int], tuple[IdentityRefusal, ...], tuple[RefusalSum, ...]]:
        """Return the counts, those by policy line, the refusals and the sums of further ones; reset all."""
        counts = CountTables()
        for (lane, channel, application, outcome), count in self._counts.items():
            if outcome is not FAILED and outcome is not EXCESS:
                _add(counts.classes, LANES[lane].name, outcome, count)
                _add(counts.channels, channel, outcome, count)
                if application:
                    _add(counts.applications, application, outcome, count)
            if lane <= K2:
                _add(counts.known, channel, outcome, count)
                # Streams and writes that fail are channels of their own on the status page.
                if application and channel == "apps":
                    _add(counts.known_applications, application, outcome, count)
            elif _is_new_reader(lane, channel):
                counts.new_readers[outcome] = counts.new_readers.get(outcome, 0) + count
        because, refusals = dict(self.because), tuple(self._refusals)
        self._counts.clear()
        self._applications.clear()
        sums = tuple(
            RefusalSum(at_s, application, channel, because_, count)
            for (application, channel, because_), (count, at_s) in self._sums.items()
        )
        self._refusals.clear()
        self._sums.clear()
        self.because.clear()
        return counts, because, refusals, sums

    def _refuse(self, ticket: Ticket, because: str, epoch_s: float) -> None:
        if len(self._refusals) >= MAX_REFUSALS:
            self._add_to_sum((ticket.application, ticket.channel, because), epoch_s)
            return
        self._refusals.append(
            IdentityRefusal(
                epoch_s, identity_text(*ticket.identity), ticket.application, ticket.channel, because
            )
        )

    def _add_to_sum(self, key: tuple[str, str, str], epoch_s: float) -> None:
        """Count a refusal beyond those that are reported one by one."""
        if key not in self._sums and len(self._sums) >= MAX_SUMS:
            key = (OTHER_APPLICATIONS, *key[1:])
        self._sums[key] = (self._sums.get(key, (0, 0.0))[0] + 1, epoch_s)

    def _begin(self, key: tuple[int, str, str, str]) -> None:
        lane, channel, application, outcome = key
        if application and application not in self._applications:
            if len(self._applications) >= MAX_APPLICATIONS:
                key = (lane, channel, OTHER_APPLICATIONS, outcome)
            else:
                self._applications.add(application)
        self._counts[key] = self._counts.get(key, 0) + 1


def _is_new_reader(lane: int, channel: str) -> bool:
    """Return whether a client reads a feed in K3. In K4 are those that took too much."""
    return channel == FEEDS and K2 < lane < K4


def _add(table: Table, name: str, outcome: str, count: int) -> None:
    row = table.setdefault(name, {})
    row[outcome] = row.get(outcome, 0) + count
