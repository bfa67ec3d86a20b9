"""The states of incidents, maintenance and channels."""

from __future__ import annotations

from stormpetrel.model.channel import ChannelState, worst
from tests.watch.status.viewing import a_maintenance, an_incident


def test_an_incident_is_open_until_it_is_resolved():
    one = an_incident("a", "b", status="resolved")
    assert (one.is_open, one.resolved_ms, one.is_maintenance) == (False, one.updated_ms, False)
    assert an_incident().resolved_ms is None
    assert an_incident().first_ms("monitoring") is None
    assert an_incident().first_ms("investigating") == an_incident().created_ms


def test_maintenance_is_in_progress_between_its_start_and_its_end():
    found = {
        status: (a_maintenance(status=status).is_open, a_maintenance(status=status).is_in_progress)
        for status in ("scheduled", "in_progress", "verifying", "completed")
    }
    assert found == {
        "scheduled": (True, False),
        "in_progress": (True, True),
        "verifying": (True, True),
        "completed": (False, False),
    }


def test_the_worst_state_is_an_outage_and_no_state_is_operational():
    assert worst([]) is ChannelState.OPERATIONAL
    assert worst([ChannelState.UNKNOWN, ChannelState.PARTIAL, ChannelState.DEGRADED]) is ChannelState.PARTIAL
    assert ChannelState.PARTIAL.words == "Partial outage"
