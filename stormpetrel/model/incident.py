"""Incidents and maintenance of the status page: frozen values with the timeline that people read, and its times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from stormpetrel.model.channel import CHANNEL_NAMES

INCIDENT_STATUSES = ("investigating", "identified", "monitoring", "resolved")
OPENING_STATUSES = INCIDENT_STATUSES[:-1]
"""The statuses that an incident can begin with."""
MAINTENANCE_STATUSES = ("scheduled", "in_progress", "verifying", "completed")
IMPACTS = ("none", "minor", "major", "critical")
MAINTENANCE = "maintenance"
"""The impact of maintenance."""
MAX_NAME = 100
MAX_BODY = 5_000
MAX_UPDATES = 200


@dataclass(frozen=True, slots=True)
class IncidentUpdate:
    """An entry of a timeline. `status`: of the incident from then on. `body`: Markdown.

    `is_automatic`: written by the watch from its measurements, not by an operator. `removed`: the channels that it
    takes out of the incident.
    """

    id: str
    status: str
    body: str
    at_ms: int
    is_automatic: bool
    removed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the body as it is shown, in Markdown: with the channels that are no longer affected."""
        if not self.removed:
            return self.body
        names = ", ".join(CHANNEL_NAMES.get(channel, channel) for channel in self.removed)
        return f"{self.body}\n\nNo longer affected: {names}."


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident, or maintenance. `updates`: oldest first, at least one. `channels`: the affected ones.

    `impact`: one of IMPACTS, or MAINTENANCE. `is_automatic`: the watch opened it and will resolve it.
    `scheduled_for_ms`, `scheduled_until_ms`: of maintenance, otherwise 0.
    """

    id: str
    name: str
    impact: str
    channels: tuple[str, ...]
    started_ms: int
    updates: tuple[IncidentUpdate, ...]
    is_automatic: bool = False
    scheduled_for_ms: int = 0
    scheduled_until_ms: int = 0

    @property
    def status(self) -> str:
        """Return the status of the last update."""
        return self.updates[-1].status

    @property
    def is_maintenance(self) -> bool:
        """Return True for maintenance."""
        return self.impact == MAINTENANCE

    @property
    def is_open(self) -> bool:
        """Return True while it is neither resolved nor completed."""
        return self.status not in (INCIDENT_STATUSES[-1], MAINTENANCE_STATUSES[-1])

    @property
    def is_in_progress(self) -> bool:
        """Return True for maintenance that has started and is not completed."""
        return self.status in ("in_progress", "verifying")

    @property
    def created_ms(self) -> int:
        """Return when the first update was written."""
        return self.updates[0].at_ms

    @property
    def updated_ms(self) -> int:
        """Return when the last update was written."""
        return self.updates[-1].at_ms

    def first_ms(self, status: str) -> int | None:
        """Return when it first had this status; None if it never had."""
        return next((one.at_ms for one in self.updates if one.status == status), None)

    @property
    def resolved_ms(self) -> int | None:
        """Return when it was resolved or completed; None while it is open."""
        return None if self.is_open else self.updated_ms


def iso(at_ms: int | float) -> str:
    """Return a time in RFC 3339 in UTC, with milliseconds."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{int(at_ms) % 1000:03}Z"


def moment(at_ms: int | float) -> str:
    """Return a time as the pages write it, with its date."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
