"""Refusals of clients that have a credential: remembered for `why`, and written to the journal as sums."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.reports import IdentityRefusal, RefusalSum
from stormpetrel.storage.journal import Note

MAX_IDENTITIES = 20_000
KEPT_EACH = 5
MAX_NOTES = 50
"""Maximum of people that a flush names; the rest becomes a sum per channel and application. A defence that
refuses everyone must not push the beginning of the attack out of the journal."""


class CollateralLog:
    """The latest refusals by identity; the identity refused longest ago is dropped first."""

    def __init__(self) -> None:
        self._latest: BoundedTable[str, deque[IdentityRefusal]] = BoundedTable(
            MAX_IDENTITIES, evicts=Eviction.OLDEST, on_drop=lambda identity, _: self._counts.pop(identity)
        )
        self._counts: dict[str, int] = {}
        self._unwritten: dict[tuple[str, str, str, str], tuple[int, float]] = {}
        self._unwritten_sums: dict[tuple[str, str, str], tuple[int, float]] = {}

    def add(self, refusals: Iterable[IdentityRefusal]) -> None:
        """Add the refusals that a worker reported."""
        for refusal in refusals:
            identity = refusal.identity
            latest = self._latest.get(identity)
            if latest is None:
                latest = deque(maxlen=KEPT_EACH)
                self._latest.put(identity, latest)
            latest.append(refusal)
            self._latest.touch(identity)
            self._counts[identity] = self._counts.get(identity, 0) + 1
            self._write_later(refusal)

    def add_sums(self, sums: Iterable[RefusalSum]) -> None:
        """Add refusals that a worker reported without their identities."""
        for one in sums:
            self._add_to_sum((one.application, one.channel, one.because), one.count, one.at_epoch_s)

    def latest(self, identities: Iterable[str]) -> tuple[IdentityRefusal, ...]:
        """Return the latest refusals of any of these, newest first, at most KEPT_EACH."""
        found = [refusal for identity in identities for refusal in self._latest.get(identity) or ()]
        return tuple(sorted(found, key=lambda refusal: -refusal.at_epoch_s)[:KEPT_EACH])

    def latest_of_application(self, application: str) -> tuple[IdentityRefusal, ...]:
        """Return the latest refusals of an application's people, newest first, at most KEPT_EACH."""
        found = [
            refusal
            for latest in self._latest.values()
            for refusal in latest
            if refusal.application == application
        ]
        return tuple(sorted(found, key=lambda refusal: -refusal.at_epoch_s)[:KEPT_EACH])

    def count(self, identities: Iterable[str]) -> int:
        """Return how often these were refused, as far as remembered."""
        return sum(self._counts.get(identity, 0) for identity in identities)

    def count_of_application(self, application: str) -> int:
        """Return how many single refusals of an application's people are remembered."""
        return sum(
            refusal.application == application for latest in self._latest.values() for refusal in latest
        )

    def notes(self) -> list[Note]:
        """Return the journal notes for the refusals since the last call."""
        people, sums = self._unwritten, self._unwritten_sums
        self._unwritten, self._unwritten_sums = {}, {}
        notes = [
            Note(
                at_ms=int(at_s * 1000),
                kind="collateral",
                text=f"{who} was refused ({because})",
                who=who,
                application=application,
                channel=channel,
                because=because,
                count=count,
            )
            for (who, application, channel, because), (count, at_s) in people.items()
        ]
        notes += [
            Note(
                at_ms=int(at_s * 1000),
                kind="collateral",
                text=f"others with a credential were refused ({because})",
                application=application,
                channel=channel,
                because=because,
                count=count,
            )
            for (application, channel, because), (count, at_s) in sums.items()
        ]
        return notes

    def _write_later(self, refusal: IdentityRefusal) -> None:
        key = (refusal.identity, refusal.application, refusal.channel, refusal.because)
        if key in self._unwritten or len(self._unwritten) < MAX_NOTES:
            count, _ = self._unwritten.get(key, (0, 0.0))
            self._unwritten[key] = (count + 1, refusal.at_epoch_s)
            return
        self._add_to_sum(key[1:], 1, refusal.at_epoch_s)

    def _add_to_sum(self, rest: tuple[str, str, str], more: int, at_epoch_s: float) -> None:
        # Applications can be many too: past the same bound their names are left out.
        if rest not in self._unwritten_sums and len(self._unwritten_sums) >= MAX_NOTES:
            rest = ("", rest[1] if len(self._unwritten_sums) < 2 * MAX_NOTES else "", "several")
        count, _ = self._unwritten_sums.get(rest, (0, 0.0))
        self._unwritten_sums[rest] = (count + more, at_epoch_s)
