"""The ledger: counts of requests by class, channel and application until they are reported."""

from __future__ import annotations

from collections import Counter, deque

from stormpetrel.shield.classify import LANES
from stormpetrel.shield.queues import Ticket
from stormpetrel.shield.reports import (
    MAX_APPLICATIONS,
    MAX_REFUSALS,
    OTHER_APPLICATIONS,
    IdentityRefusal,
    identity_text,
)

Table = dict[str, dict[str, int]]


class Counters:
    """Counts since the last `take`. At most classes x channels x MAX_APPLICATIONS, MAX_REFUSALS refusals."""

    __slots__ = ("_applications", "_counts", "_refusals", "because")

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str, str, str], int] = {}
        self._applications: set[str] = set()
        self._refusals: deque[IdentityRefusal] = deque(maxlen=MAX_REFUSALS)
        self.because: Counter[str] = Counter()

    def count(self, ticket: Ticket, outcome: str) -> None:
        """Count one request with this outcome."""
        key = (ticket.lane, ticket.channel, ticket.application, outcome)
        counts = self._counts
        if key in counts:
            counts[key] += 1
        else:
            self._begin(key)

    def refused(self, ticket: Ticket, because: str, *, epoch_s: float) -> None:
        """Count a refusal; if the client has a credential, also record the refusal itself."""
        self.count(ticket, "refused")
        self.because[because] += 1
        if ticket.is_known:
            self._refusals.append(
                IdentityRefusal(
                    epoch_s, identity_text(*ticket.identity), ticket.application, ticket.channel, because
                )
            )

    def take(self) -> tuple[Table, Table, Table, dict[str, int], tuple[IdentityRefusal, ...]]:
        """Return counts by class, channel, application and policy line, and the refusals; reset all."""
        classes: Table = {}
        channels: Table = {}
        applications: Table = {}
        for (lane, channel, application, outcome), count in self._counts.items():
            _add(classes, LANES[lane].name, outcome, count)
            _add(channels, channel, outcome, count)
            if application:
                _add(applications, application, outcome, count)
        because, refusals = dict(self.because), tuple(self._refusals)
        self._counts.clear()
        self._applications.clear()
        self._refusals.clear()
        self.because.clear()
        return classes, channels, applications, because, refusals

    def _begin(self, key: tuple[int, str, str, str]) -> None:
        lane, channel, application, outcome = key
        if application and application not in self._applications:
            if len(self._applications) >= MAX_APPLICATIONS:
                key = (lane, channel, OTHER_APPLICATIONS, outcome)
            else:
                self._applications.add(application)
        self._counts[key] = self._counts.get(key, 0) + 1


def _add(table: Table, name: str, outcome: str, count: int) -> None:
    row = table.setdefault(name, {})
    row[outcome] = row.get(outcome, 0) + count
