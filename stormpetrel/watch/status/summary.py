"""The JSON that common status pages publish below /api/v2/, in the shape of Atlassian Statuspage.

`updated_at` of a component is the time of its measurement. A component without one has the status `unknown`, which
that shape does not have: better a word that a reader does not know than one that is not true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import Incident, IncidentUpdate, iso
from stormpetrel.watch.status.channels import ChannelStatus
from stormpetrel.watch.status.view import StatusView

CONTENT_TYPE = "application/json; charset=utf-8"
NEWEST = 50
Json = dict[str, Any]


def summary(view: StatusView) -> Json:
    """Return everything that is not history: components, open incidents, maintenance to come or in progress."""
    return {
        **_page(view),
        "components": _components(view),
        "incidents": [_incident(view, one) for one in view.open_incidents()],
        "scheduled_maintenances": [_incident(view, one) for one in view.maintenance()],
        **_status(view),
    }


def status(view: StatusView) -> Json:
    """Return the overall state."""
    return {**_page(view), **_status(view)}


def components(view: StatusView) -> Json:
    """Return the channels."""
    return {**_page(view), "components": _components(view)}


def incidents(view: StatusView) -> Json:
    """Return the NEWEST incidents."""
    found = [one for one in view.incidents if not one.is_maintenance]
    return _listed(view, "incidents", found)


def unresolved(view: StatusView) -> Json:
    """Return the open incidents."""
    return _listed(view, "incidents", view.open_incidents())


def maintenances(view: StatusView) -> Json:
    """Return the NEWEST maintenance, also completed ones."""
    return _listed(view, "scheduled_maintenances", [one for one in view.incidents if one.is_maintenance])


def upcoming(view: StatusView) -> Json:
    """Return the maintenance to come."""
    found = [one for one in view.maintenance() if not one.is_in_progress]
    return _listed(view, "scheduled_maintenances", found)


def active(view: StatusView) -> Json:
    """Return the maintenance in progress."""
    found = [one for one in view.maintenance() if one.is_in_progress]
    return _listed(view, "scheduled_maintenances", found)


ENDPOINTS: dict[str, Callable[[StatusView], Json]] = {
    "api/v2/summary.json": summary,
    "api/v2/status.json": status,
    "api/v2/components.json": components,
    "api/v2/incidents.json": incidents,
    "api/v2/incidents/unresolved.json": unresolved,
    "api/v2/scheduled-maintenances.json": maintenances,
    "api/v2/scheduled-maintenances/upcoming.json": upcoming,
    "api/v2/scheduled-maintenances/active.json": active,
}
"""The documents by path."""


def encoded(document: Json) -> bytes:
    """Return a document's bytes."""
    return msgspec.json.encode(document)


def _page(view: StatusView) -> Json:
    return {
        "page": {
            "id": view.page_id,
            "name": view.title,
            "url": view.page_url,
            "time_zone": "Etc/UTC",
            "updated_at": iso(view.updated_ms),
        }
    }


def _status(view: StatusView) -> Json:
    indicator, description = view.indicator
    return {"status": {"indicator": indicator, "description": description}}


def _listed(view: StatusView, name: str, found: Iterable[Incident]) -> Json:
    return {**_page(view), name: [_incident(view, one) for one in list(found)[:NEWEST]]}


def _components(view: StatusView) -> list[Json]:
    return [_component(view, one, position) for position, one in enumerate(view.channels, 1)]


def component_id(view: StatusView, channel: str) -> str:
    """Return the id of a channel, the same for good."""
    return hashlib.blake2b(f"{view.domain} {channel}".encode(), digest_size=6).hexdigest()


def _component(view: StatusView, one: ChannelStatus, position: int) -> Json:
    about = one.reason
    if one.hurt:
        about = f"{about} Apps affected: {', '.join(one.hurt)}".strip()
    return {
        "id": component_id(view, one.channel),
        "name": CHANNEL_NAMES[one.channel],
        "status": one.state.value,
        "created_at": iso(one.since_epoch_s * 1000),
        "updated_at": iso((one.measured_epoch_s or one.since_epoch_s) * 1000),
        "position": position,
        "description": about or None,
        "showcase": True,
        "start_date": None,
        "group_id": None,
        "page_id": view.page_id,
        "group": False,
        "only_show_if_degraded": False,
    }


def _incident(view: StatusView, one: Incident) -> Json:
    by_channel = {status.channel: (status, place) for place, status in enumerate(view.channels, 1)}
    found: Json = {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "created_at": iso(one.created_ms),
        "updated_at": iso(one.updated_ms),
        "monitoring_at": _time(one.first_ms("monitoring")),
        "resolved_at": _time(one.resolved_ms),
        "impact": one.impact,
        "shortlink": f"{view.page_url}/incidents/{one.id}",
        "started_at": iso(one.started_ms),
        "page_id": view.page_id,
        "incident_updates": [_update(one, update) for update in reversed(one.updates)],
        "components": [
            _component(view, *by_channel[channel]) for channel in one.channels if channel in by_channel
        ],
        "reminder_intervals": None,
    }
    if one.is_maintenance:
        found["scheduled_for"] = iso(one.scheduled_for_ms)
        found["scheduled_until"] = iso(one.scheduled_until_ms)
    return found


def _update(incident: Incident, update: IncidentUpdate) -> Json:
    return {
        "id": update.id,
        "status": update.status,
        "body": update.text,
        "incident_id": incident.id,
        "created_at": iso(update.at_ms),
        "updated_at": iso(update.at_ms),
        "display_at": iso(update.at_ms),
        # The states at that time are not recorded, so none are claimed.
        "affected_components": None,
        "deliver_notifications": True,
        "custom_tweet": None,
        "tweet_id": None,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
