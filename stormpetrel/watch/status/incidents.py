"""Operators' changes to incidents and maintenance, and the changes that time alone makes. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from stormpetrel.control.messages import IncidentChange
from stormpetrel.errors import SetupError
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import (
    IMPACTS,
    INCIDENT_STATUSES,
    MAINTENANCE,
    MAINTENANCE_STATUSES,
    MAX_BODY,
    MAX_NAME,
    MAX_UPDATES,
    OPENING_STATUSES,
    Incident,
    IncidentUpdate,
)

MAX_OPEN = 50
LONGEST_MS = 30 * 86_400_000
"""The longest maintenance."""
_RESOLVED = INCIDENT_STATUSES[-1]
_COMPLETED = MAINTENANCE_STATUSES[-1]


def changed(
    change: IncidentChange,
    incidents: Mapping[str, Incident],
    *,
    now_ms: int,
    new_id: Callable[[], str],
    is_automatic: bool = False,
) -> Incident:
    """Return the incident as an operator changes it. Raise SetupError that describes the mistake."""
    body = change.body.strip()
    if len(body) > MAX_BODY:
        raise SetupError(f"a text may have {MAX_BODY} characters, this one has {len(body)}")
    if change.action in ("start", "schedule"):
        return _begun(change, body, incidents, now_ms=now_ms, new_id=new_id)
    incident = _found(change.id, incidents)
    status, text = _next(change, incident, body)
    _check_status(status, incident)
    updated = with_update(
        incident, status, text, now_ms=now_ms, new_id=new_id, is_automatic=is_automatic, must_fit=True
    )
    if change.channels:
        updated = _with_channels(updated, _known(change.channels))
    if change.impact:
        if incident.is_maintenance or change.impact not in IMPACTS:
            raise SetupError(f"the impact of an incident is one of {', '.join(IMPACTS)}")
        updated = replace(updated, impact=change.impact)
    if change.name:
        updated = replace(updated, name=_named(change.name))
    return updated


def _with_channels(incident: Incident, channels: tuple[str, ...]) -> Incident:
    """Return the incident with other channels; its last update names those that it takes out."""
    *before, last = incident.updates
    removed = tuple(channel for channel in incident.channels if channel not in channels)
    return replace(incident, channels=channels, updates=(*before, replace(last, removed=removed)))


def with_update(
    incident: Incident,
    status: str,
    body: str,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    is_automatic: bool,
    must_fit: bool = False,
) -> Incident:
    """Return the incident with one more update. At MAX_UPDATES drop the second; `must_fit`: raise SetupError."""
    updates = incident.updates
    if len(updates) >= MAX_UPDATES:
        if must_fit:
            raise SetupError(f"{incident.id} already has {MAX_UPDATES} updates")
        updates = updates[:1] + updates[2:]
    # Never before the last one: a clock may be set back.
    at_ms = max(now_ms, incident.updated_ms)
    return replace(incident, updates=(*updates, IncidentUpdate(new_id(), status, body, at_ms, is_automatic)))


def on_time(incident: Incident, *, now_ms: int, new_id: Callable[[], str]) -> Incident:
    """Return maintenance as its plan has it now: started, or completed. Return the same one if nothing is due."""
    if not incident.is_maintenance or not incident.is_open:
        return incident
    if now_ms >= incident.scheduled_until_ms:
        text = "The scheduled maintenance is completed."
        return with_update(incident, _COMPLETED, text, now_ms=now_ms, new_id=new_id, is_automatic=True)
    if incident.status == "scheduled" and now_ms >= incident.scheduled_for_ms:
        text = "The scheduled maintenance is in progress."
        return with_update(incident, "in_progress", text, now_ms=now_ms, new_id=new_id, is_automatic=True)
    return incident


def _begun(
    change: IncidentChange,
    body: str,
    incidents: Mapping[str, Incident],
    *,
    now_ms: int,
    new_id: Callable[[], str],
) -> Incident:
    name = _named(change.name)
    if not body:
        raise SetupError("a text is missing: it tells people the measurements and what they can do")
    if sum(one.is_open for one in incidents.values()) >= MAX_OPEN:
        raise SetupError(f"{MAX_OPEN} incidents are open already; resolve some first")
    channels = _known(change.channels)
    if change.action == "schedule":
        if not now_ms < change.until_ms or change.from_ms >= change.until_ms:
            raise SetupError("maintenance must end in the future, and after its start")
        if change.until_ms - change.from_ms > LONGEST_MS:
            raise SetupError("maintenance may last 30 days")
        update = IncidentUpdate(new_id(), "scheduled", body, now_ms, is_automatic=False)
        return Incident(
            new_id(),
            name,
            MAINTENANCE,
            channels,
            change.from_ms,
            (update,),
            scheduled_for_ms=change.from_ms,
            scheduled_until_ms=change.until_ms,
        )
    impact = change.impact or "minor"
    if impact not in IMPACTS:
        raise SetupError(f"the impact of an incident is one of {', '.join(IMPACTS)}")
    update = IncidentUpdate(new_id(), change.status or "investigating", body, now_ms, is_automatic=False)
    incident = Incident(new_id(), name, impact, channels, now_ms, (update,))
    _check_status(update.status, incident)
    if update.status == _RESOLVED:
        raise SetupError(
            f"an incident begins as {', '.join(OPENING_STATUSES)}; then `incident resolve` ends it"
        )
    return incident


def _next(change: IncidentChange, incident: Incident, body: str) -> tuple[str, str]:
    """Return the status and text of the update."""
    plain = {
        "resolve": (_RESOLVED, "This incident is resolved."),
        "begin": ("in_progress", "The maintenance is in progress."),
        "complete": (_COMPLETED, "The maintenance is completed."),
        "cancel": (_COMPLETED, "The maintenance is cancelled."),
    }
    if change.action == "update":
        if not body:
            raise SetupError("a text is missing")
        return change.status or incident.status, body
    if change.action not in plain:
        raise SetupError(f"{change.action!r} is no change of an incident")
    if not incident.is_open:
        raise SetupError(f"{incident.id} is {incident.status} already")
    status, otherwise = plain[change.action]
    return status, body or otherwise


def _check_status(status: str, incident: Incident) -> None:
    known = MAINTENANCE_STATUSES if incident.is_maintenance else INCIDENT_STATUSES
    if status not in known:
        kind = "maintenance" if incident.is_maintenance else "an incident"
        raise SetupError(f"the status of {kind} is one of {', '.join(known)}; this is {kind}")


def _found(id: str, incidents: Mapping[str, Incident]) -> Incident:
    found = [one for one in incidents.values() if one.id.startswith(id)] if id else []
    if len(found) != 1:
        none = f"no incident or maintenance {id} (stormpetrel incident list --all)"
        raise SetupError(none if not found else f"several incidents begin with {id}")
    return found[0]


def _named(text: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= MAX_NAME:
        raise SetupError(f"a name has 1 to {MAX_NAME} characters")
    return name


def _known(channels: tuple[str, ...]) -> tuple[str, ...]:
    for channel in channels:
        if channel not in CHANNEL_NAMES:
            raise SetupError(f"no channel {channel}; they are {', '.join(CHANNEL_NAMES)}")
    return tuple(channel for channel in CHANNEL_NAMES if channel in channels)
