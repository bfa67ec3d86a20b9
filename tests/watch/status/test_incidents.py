"""What operators may change of an incident, and what time changes of maintenance."""

from __future__ import annotations

import pytest

from stormpetrel.control.messages import IncidentChange
from stormpetrel.errors import SetupError
from stormpetrel.model.incident import MAX_BODY, MAX_UPDATES
from stormpetrel.model.status_subscription import notices_of
from stormpetrel.watch.status.incidents import LONGEST_MS, MAX_OPEN, changed, on_time, with_update
from tests.watch.status.viewing import NOW_MS, a_maintenance, an_incident, ids

START = IncidentChange(
    "start", name="Apps fail", body="Apps get errors.", channels=("posting", "apps"), impact="major"
)
SCHEDULE = IncidentChange(
    "schedule", name="New disks", body="We replace two.", from_ms=NOW_MS + 1000, until_ms=NOW_MS + 5000
)


def change(change, *incidents):
    return changed(change, {one.id: one for one in incidents}, now_ms=NOW_MS, new_id=ids())


def test_an_incident_lives_from_its_start_to_its_resolution():
    one = change(START)
    assert (one.status, one.impact, one.channels, one.is_automatic) == (
        "investigating",
        "major",
        ("apps", "posting"),
        False,
    )
    one = change(IncidentChange("update", id=one.id[:11], body="A disk is full.", status="identified"), one)
    assert (one.status, one.updates[-1].body) == ("identified", "A disk is full.")
    one = change(
        IncidentChange("update", id=one.id, body="Still.", impact="minor", channels=("web",), name="X  y"),
        one,
    )
    assert (one.status, one.impact, one.channels, one.name) == ("identified", "minor", ("web",), "X y")
    one = change(IncidentChange("resolve", id=one.id), one)
    assert (one.is_open, one.updates[-1].body) == (False, "This incident is resolved.")


def test_an_update_names_the_channels_that_it_takes_out_and_its_subscribers_get_it():
    new_id = ids()

    def updated(one, **fields):
        update = IncidentChange("update", id=one.id, **fields)
        return changed(update, {one.id: one}, now_ms=NOW_MS, new_id=new_id)

    before = changed(START, {}, now_ms=NOW_MS, new_id=new_id)
    after = updated(before, body="Apps work.", channels=("posting", "web"))
    assert after.channels == ("web", "posting")
    assert after.updates[-1].removed == ("apps",)
    assert after.updates[-1].text == "Apps work.\n\nNo longer affected: Apps."
    (notice,) = notices_of(after, before)
    assert set(notice.concerned) == {"web", "posting", "apps"}
    assert notice.body.endswith("No longer affected: Apps.")
    later = updated(after, body="Still.")
    (notice,) = notices_of(later, after)
    assert set(notice.concerned) == {"web", "posting"}
    assert notice.body == "Still."


def test_maintenance_starts_and_ends_by_its_plan():
    one = change(SCHEDULE)
    assert (one.status, one.is_in_progress) == ("scheduled", False)
    assert on_time(one, now_ms=one.scheduled_for_ms - 1, new_id=ids()) is one
    began = on_time(one, now_ms=one.scheduled_for_ms, new_id=ids())
    assert (began.status, began.is_in_progress) == ("in_progress", True)
    assert on_time(began, now_ms=one.scheduled_until_ms - 1, new_id=ids()) is began
    ended = on_time(began, now_ms=one.scheduled_until_ms, new_id=ids())
    assert (ended.status, ended.is_open, len(ended.updates)) == ("completed", False, 3)
    assert on_time(ended, now_ms=one.scheduled_until_ms * 2, new_id=ids()) is ended


@pytest.mark.parametrize(
    ("action", "status"), [("begin", "in_progress"), ("complete", "completed"), ("cancel", "completed")]
)
def test_an_operator_may_begin_end_and_cancel_maintenance(action, status):
    assert change(IncidentChange(action, id="0000000000bb"), a_maintenance()).status == status


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (IncidentChange("start", name="x"), "a text is missing"),
        (IncidentChange("start", name=" ", body="x"), "a name has 1 to 100"),
        (IncidentChange("start", name="x", body="y" * (MAX_BODY + 1)), "may have 5000 characters"),
        (
            IncidentChange("start", name="x", body="y", channels=("fax",)),
            "no channel fax; they are web, apps",
        ),
        (IncidentChange("start", name="x", body="y", impact="huge"), "one of none, minor, major, critical"),
        (
            IncidentChange("start", name="x", body="y", status="scheduled"),
            "the status of an incident is one of",
        ),
        (IncidentChange("update", id="0000000000aa"), "a text is missing"),
        (
            IncidentChange("start", name="x", body="y", status="resolved"),
            "begins as investigating, identified, monitoring",
        ),
        (IncidentChange("update", id="0000000000aa", body="x", status="completed"), "status of an incident"),
        (IncidentChange("update", id="0000000000bb", body="x", status="resolved"), "status of maintenance"),
        (IncidentChange("update", id="0000000000bb", body="x", impact="minor"), "the impact of an incident"),
        (IncidentChange("begin", id="0000000000aa"), "resolved; this is an incident"),
        (IncidentChange("resolve", id="0000000000bb"), "status of maintenance"),
        (IncidentChange("resolve", id="0000000000cc"), "resolved already"),
        (IncidentChange("resolve", id="f"), "no incident or maintenance f"),
        (IncidentChange("resolve", id=""), "no incident"),
        (IncidentChange("resolve", id="00"), "several incidents begin with 00"),
        (IncidentChange("forget", id="0000000000aa"), "is no change"),
        (IncidentChange("schedule", name="x", body="y", from_ms=5, until_ms=9), "must end in the future"),
        (
            IncidentChange("schedule", name="x", body="y", from_ms=NOW_MS * 2, until_ms=NOW_MS + 9),
            "after its start",
        ),
        (
            IncidentChange("schedule", name="x", body="y", from_ms=NOW_MS, until_ms=NOW_MS + LONGEST_MS + 1),
            "may last 30 days",
        ),
    ],
)
def test_a_mistake_is_described_and_changes_nothing(wrong, text):
    done = an_incident(id="0000000000cc", status="resolved")
    with pytest.raises(SetupError, match=text):
        change(wrong, an_incident(), a_maintenance(), done)


def test_incidents_and_their_updates_are_bounded():
    many = [an_incident(id=f"{number:012x}") for number in range(MAX_OPEN)]
    with pytest.raises(SetupError, match="open already"):
        change(START, *many)
    full = an_incident(*["x"] * MAX_UPDATES)
    with pytest.raises(SetupError, match="already has 200 updates"):
        change(IncidentChange("update", id=full.id, body="one more"), full)
    # The watch's own updates make room: the first tells when it began.
    more = with_update(full, "monitoring", "y", now_ms=NOW_MS, new_id=ids(), is_automatic=True)
    assert (len(more.updates), more.updates[0]) == (MAX_UPDATES, full.updates[0])


def test_a_timeline_never_goes_back_when_the_clock_does():
    one = with_update(an_incident(), "monitoring", "y", now_ms=5, new_id=ids(), is_automatic=True)
    assert one.updated_ms >= one.created_ms
