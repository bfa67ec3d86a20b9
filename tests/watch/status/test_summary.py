"""The JSON below /api/v2/: its shape as common readers expect it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from stormpetrel.model.channel import ChannelState
from stormpetrel.watch.status import summary
from tests.watch.status.viewing import NOW_S, a_maintenance, a_status, a_view, an_incident

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
NO_TIME = {"anyOf": [TIME, {"type": "null"}]}
TEXT = {"type": "string"}


def an_object(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": True,
    }


PAGE = an_object(id=TEXT, name=TEXT, url=TEXT, time_zone=TEXT, updated_at=TIME)
STATUS = an_object(
    indicator={"enum": ["none", "minor", "major", "critical", "maintenance"]}, description=TEXT
)
COMPONENT = an_object(
    id=TEXT,
    name=TEXT,
    status={"enum": [state.value for state in ChannelState]},
    created_at=TIME,
    updated_at=TIME,
    position={"type": "integer"},
    description={"type": ["string", "null"]},
    showcase={"type": "boolean"},
    start_date={"type": "null"},
    group_id={"type": "null"},
    page_id=TEXT,
    group={"const": False},
    only_show_if_degraded={"type": "boolean"},
)
UPDATE = an_object(
    id=TEXT,
    status=TEXT,
    body=TEXT,
    incident_id=TEXT,
    created_at=TIME,
    updated_at=TIME,
    display_at=TIME,
    affected_components={"type": ["array", "null"]},
)
INCIDENT = an_object(
    id=TEXT,
    name=TEXT,
    status={"enum": ["investigating", "identified", "monitoring", "resolved", "postmortem"]},
    created_at=TIME,
    updated_at=TIME,
    monitoring_at=NO_TIME,
    resolved_at=NO_TIME,
    started_at=TIME,
    impact={"enum": ["none", "minor", "major", "critical"]},
    shortlink=TEXT,
    page_id=TEXT,
    incident_updates={"type": "array", "items": UPDATE, "minItems": 1},
    components={"type": "array", "items": COMPONENT},
)
MAINTENANCE = an_object(
    **INCIDENT["properties"]
    | {
        "status": {"enum": ["scheduled", "in_progress", "verifying", "completed"]},
        "impact": {"const": "maintenance"},
        "scheduled_for": TIME,
        "scheduled_until": TIME,
    }
)
INCIDENTS = {"type": "array", "items": INCIDENT}
MAINTENANCES = {"type": "array", "items": MAINTENANCE}
COMPONENTS = {"type": "array", "items": COMPONENT}
SCHEMAS = {
    "api/v2/summary.json": an_object(
        page=PAGE,
        components=COMPONENTS,
        incidents=INCIDENTS,
        scheduled_maintenances=MAINTENANCES,
        status=STATUS,
    ),
    "api/v2/status.json": an_object(page=PAGE, status=STATUS),
    "api/v2/components.json": an_object(page=PAGE, components=COMPONENTS),
    "api/v2/incidents.json": an_object(page=PAGE, incidents=INCIDENTS),
    "api/v2/incidents/unresolved.json": an_object(page=PAGE, incidents=INCIDENTS),
    "api/v2/scheduled-maintenances.json": an_object(page=PAGE, scheduled_maintenances=MAINTENANCES),
    "api/v2/scheduled-maintenances/upcoming.json": an_object(page=PAGE, scheduled_maintenances=MAINTENANCES),
    "api/v2/scheduled-maintenances/active.json": an_object(page=PAGE, scheduled_maintenances=MAINTENANCES),
}
OPEN = an_incident("Errors.", "A fix is in.", status="monitoring")
DONE = an_incident(id="0000000000dd", status="resolved")
COMING, NOW, OVER = (
    a_maintenance(id="0000000000b1"),
    a_maintenance(id="0000000000b2", status="in_progress"),
    a_maintenance(id="0000000000b3", status="completed"),
)
VIEW = a_view(incidents=[COMING, NOW, OVER, OPEN, DONE])


def document(path, view=VIEW):
    return json.loads(summary.encoded(summary.ENDPOINTS[path](view)))


@pytest.mark.parametrize("path", list(summary.ENDPOINTS))
def test_every_document_has_the_shape_of_statuspage(path):
    assert set(SCHEMAS) == set(summary.ENDPOINTS)
    jsonschema.validate(document(path), SCHEMAS[path])


def test_each_list_has_the_incidents_that_its_name_says():
    def listed(path, name):
        return [one["id"] for one in document(f"api/v2/{path}.json")[name]]

    assert listed("incidents", "incidents") == [OPEN.id, DONE.id]
    assert listed("incidents/unresolved", "incidents") == [OPEN.id]
    assert listed("scheduled-maintenances", "scheduled_maintenances") == [COMING.id, NOW.id, OVER.id]
    assert listed("scheduled-maintenances/upcoming", "scheduled_maintenances") == [COMING.id]
    assert listed("scheduled-maintenances/active", "scheduled_maintenances") == [NOW.id]
    assert listed("summary", "incidents") == [OPEN.id]
    assert listed("summary", "scheduled_maintenances") == [COMING.id, NOW.id]


def test_updates_are_newest_first_and_times_are_those_of_the_statuses():
    (one,) = document("api/v2/incidents/unresolved.json")["incidents"]
    assert [update["body"] for update in one["incident_updates"]] == ["A fix is in.", "Errors."]
    assert one["monitoring_at"] == one["created_at"]
    assert one["resolved_at"] is None
    assert one["shortlink"] == f"https://status.petrel.example/incidents/{OPEN.id}"
    assert [component["name"] for component in one["components"]] == ["Apps"]


def test_a_component_tells_when_it_was_measured_and_is_unknown_without_a_measurement():
    view = a_view(
        a_status("web", ms=5.0),
        a_status("apps", ChannelState.UNKNOWN, measured_epoch_s=NOW_S - 90, reason="No measurement."),
    )
    web, apps = document("api/v2/components.json", view)["components"]
    assert web["updated_at"] == "2027-01-15T07:59:59.000Z"
    assert (apps["status"], apps["updated_at"]) == ("unknown", "2027-01-15T07:58:30.000Z")
    assert apps["description"] == "No measurement."
    assert document("api/v2/status.json", view)["status"]["indicator"] == "minor"


def test_ids_of_components_stay_the_same_and_differ_from_each_other():
    found = [one["id"] for one in document("api/v2/components.json")["components"]]
    assert len(set(found)) == len(found)
    assert found == [one["id"] for one in document("api/v2/summary.json", a_view())["components"]]
