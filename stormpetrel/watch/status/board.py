"""The status page's data: channels, their history, incidents. Changed once a second, and by operators."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from stormpetrel.control.messages import CanaryState, IncidentChange
from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.model.incident import Incident
from stormpetrel.shield.reports import OTHER_APPLICATIONS, WorkerReport
from stormpetrel.watch.status.automatic import AutomaticIncident
from stormpetrel.watch.status.channels import (
    GOOD_SHARE,
    ChannelStatus,
    known_counts,
    new_reader_counts,
    step,
    tally,
)
from stormpetrel.watch.status.history import ChannelHistory
from stormpetrel.watch.status.incidents import changed, on_time

LONGEST_SECOND_S = 5.0
"""After a longer pause (a stopped process) the time between is not counted: nothing was measured in it."""
MIN_HURT = 3
"""An application is named after so many requests of its people failed."""
MAX_HURT = 5
MAX_NAME = 40
UNNAMED = "an unnamed app"
_NAME_SIGNS = " -.'+&"


class StatusBoard:
    """The page's data. `statuses`: by channel, in the order of the page. `incidents`: by id.

    `unsaved`: incidents that changed by themselves and are not stored yet.
    """

    def __init__(
        self,
        channels: Iterable[str],
        *,
        new_id: Callable[[], str],
        now_epoch_s: float,
        incidents: Iterable[Incident] = (),
        history: ChannelHistory | None = None,
    ) -> None:
        known = set(channels)
        self.statuses = {
            channel: ChannelStatus(channel, ChannelState.UNKNOWN, now_epoch_s, 0.0)
            for channel in CHANNEL_NAMES
            if channel in known
        }
        self.incidents = {one.id: one for one in incidents}
        self.history = history or ChannelHistory()
        self.unsaved: dict[str, Incident] = {}
        self._new_id = new_id
        self._automatic = AutomaticIncident(new_id)
        self._automatic.current = next(
            (one for one in self.incidents.values() if one.is_automatic and one.is_open), None
        )
        self._at_s: float | None = None

    def second(
        self,
        canaries: Callable[[str], Sequence[CanaryState]],
        reports: Sequence[WorkerReport],
        *,
        earlier: Sequence[WorkerReport] = (),
        named: Iterable[str],
        at_s: float,
        now_epoch_s: float,
    ) -> None:
        """Update everything. `canaries`: the newest results of a channel. `reports`: those of the last COUNTS_S.

        `earlier`: those before them, of LONGER_S. `named`: the applications with enough requests to be named on a
        public page. `at_s`: a monotonic clock.
        """
        now_ms = int(now_epoch_s * 1000)
        for one in self.open_incidents():
            self._take(on_time(one, now_ms=now_ms, new_id=self._new_id))
        worked_on = {name for one in self.open_incidents() if one.is_in_progress for name in one.channels}
        hurt = _hurt(reports, named)
        for channel, before in self.statuses.items():
            self.statuses[channel] = step(
                before,
                canaries(channel),
                known_counts(channel, reports, earlier=earlier),
                newcomers=new_reader_counts(channel, reports, earlier=earlier),
                now_epoch_s=now_epoch_s,
                is_worked_on=channel in worked_on,
                hurt=hurt if channel == "apps" else (),
            )
        seconds = 0.0 if self._at_s is None else at_s - self._at_s
        self._at_s = at_s
        if 0.0 < seconds <= LONGEST_SECOND_S:
            self.history.add(self.statuses.values(), seconds=seconds, now_epoch_s=now_epoch_s)
        automatic = self._automatic.second(self.statuses.values(), now_epoch_s=now_epoch_s)
        if automatic is not None:
            self._take(automatic)

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents and maintenance, those that started last first."""
        found = [one for one in self.incidents.values() if one.is_open]
        return sorted(found, key=lambda one: -one.started_ms)

    def changed(self, change: IncidentChange, *, now_ms: int) -> Incident:
        """Return an incident as an operator changes it; change nothing yet. Raise SetupError."""
        return changed(change, self.incidents, now_ms=now_ms, new_id=self._new_id)

    def publish(self, incident: Incident) -> None:
        """Show an incident that an operator changed and that is stored."""
        self.incidents[incident.id] = incident
        current = self._automatic.current
        if current is not None and current.id == incident.id:
            self._automatic.current = incident if incident.is_open else None

    def saved(self, incidents: Mapping[str, Incident]) -> None:
        """Note that these are stored."""
        for id, stored in incidents.items():
            if self.unsaved.get(id) is stored:
                del self.unsaved[id]

    def _take(self, incident: Incident) -> None:
        if self.incidents.get(incident.id) is not incident:
            self.incidents[incident.id] = self.unsaved[incident.id] = incident


def _hurt(reports: Sequence[WorkerReport], named: Iterable[str]) -> tuple[str, ...]:
    """Return the applications of which less than GOOD_SHARE of the known people's requests succeed, worst first."""
    found = []
    for name in named:
        counts = tally(report.known_applications.get(name, {}) for report in reports)
        if name != OTHER_APPLICATIONS and counts.bad >= MIN_HURT and counts.share < GOOD_SHARE:
            found.append((counts.share, name))
    return tuple(public_name(name) for _, name in sorted(found)[:MAX_HURT])


def public_name(name: str) -> str:
    """Return an application's name as the page, its feed, announcements and texts may show it.

    Anyone can register an application. Without brackets, slashes and the like its name is no link, mention or other
    markup in any of them.
    """
    kept = (
        sign if sign in _NAME_SIGNS or unicodedata.category(sign)[0] in "LMN" else " "
        for sign in name[: 4 * MAX_NAME]
    )
    return " ".join("".join(kept).split())[:MAX_NAME].strip() or UNNAMED
