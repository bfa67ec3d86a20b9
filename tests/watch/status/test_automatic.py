"""The incident that the watch opens, follows and resolves by itself."""

from __future__ import annotations

from stormpetrel.model.channel import ChannelState
from stormpetrel.watch.status.automatic import (
    OPENS_AFTER_S,
    RESOLVES_AFTER_S,
    UPDATE_EVERY_S,
    AutomaticIncident,
)
from tests.watch.status.viewing import NOW_S, a_status, ids

OPERATIONAL, DEGRADED, MAJOR = ChannelState.OPERATIONAL, ChannelState.DEGRADED, ChannelState.MAJOR


class Seconds:
    """Time passes with the channels in given states; `changes` are the incidents that changed."""

    def __init__(self):
        self.automatic = AutomaticIncident(ids())
        self.now_s = NOW_S
        self.changes = []
        self.statuses = {}

    def pass_in(self, seconds, **states):
        for channel, state in states.items():
            before = self.statuses.get(channel)
            troubled = before.troubled_epoch_s if before and before.troubled_epoch_s else self.now_s
            self.statuses[channel] = a_status(
                channel,
                state,
                since_epoch_s=self.now_s,
                troubled_epoch_s=0.0 if state is OPERATIONAL else troubled,
                reason="" if state is OPERATIONAL else "Requests fail.",
            )
        for _ in range(int(seconds)):
            self.now_s += 1
            changed = self.automatic.second(self.statuses.values(), now_epoch_s=self.now_s)
            if changed is not None:
                self.changes.append(changed)
        return self.changes[-1] if self.changes else None


def test_a_trouble_of_a_minute_opens_an_incident_and_its_end_resolves_it():
    time = Seconds()
    assert time.pass_in(OPENS_AFTER_S - 1, web=OPERATIONAL, apps=MAJOR) is None
    opened = time.pass_in(2)
    assert (opened.name, opened.impact, opened.channels) == ("Problems with Apps", "critical", ("apps",))
    assert opened.started_ms == NOW_S * 1000
    assert opened.updates[-1].body == "Apps: major outage since 08:00:00 UTC. Requests fail."
    assert opened.updates[-1].is_automatic
    assert time.pass_in(300) is opened
    monitored = time.pass_in(2, apps=OPERATIONAL)
    assert (monitored.status, monitored.is_open) == ("monitoring", True)
    resolved = time.pass_in(RESOLVES_AFTER_S)
    assert resolved.status == "resolved"
    assert (
        resolved.updates[-1].body
        == "All affected channels are operational since 08:06:01 UTC, after 6 minutes."
    )
    assert time.pass_in(600) is resolved


def test_a_short_trouble_opens_none():
    time = Seconds()
    for _ in range(5):
        time.pass_in(OPENS_AFTER_S - 5, apps=MAJOR)
        time.pass_in(5, apps=OPERATIONAL)
    assert time.changes == []


def test_another_channel_joins_and_a_worse_state_is_told():
    time = Seconds()
    time.pass_in(OPENS_AFTER_S + 5, apps=DEGRADED)
    joined = time.pass_in(OPENS_AFTER_S + 5, web=MAJOR)
    assert (joined.channels, joined.impact) == (("web", "apps"), "critical")
    assert joined.name == "Problems with Web pages and Apps"
    assert joined.updates[-1].body.startswith("Web pages: major outage since")
    worse = time.pass_in(UPDATE_EVERY_S, apps=MAJOR)
    assert worse.updates[-1].body.startswith("Apps: major outage")
    assert len(time.changes) == 3


def test_what_comes_back_during_monitoring_is_investigated_again():
    time = Seconds()
    time.pass_in(OPENS_AFTER_S + 5, apps=MAJOR)
    time.pass_in(40, apps=OPERATIONAL)
    again = time.pass_in(UPDATE_EVERY_S + 10, apps=MAJOR)
    assert [update.status for update in again.updates] == ["investigating", "monitoring", "investigating"]
    assert len({one.id for one in time.changes}) == 1


def test_silence_and_maintenance_resolve_nothing():
    for state in (ChannelState.UNKNOWN, ChannelState.MAINTENANCE):
        time = Seconds()
        opened = time.pass_in(OPENS_AFTER_S + 5, apps=MAJOR)
        assert time.pass_in(600, apps=state) is opened


def test_a_restarted_watch_continues_the_incident_without_repeating_it():
    time = Seconds()
    opened = time.pass_in(OPENS_AFTER_S + 5, apps=MAJOR)
    time.automatic = AutomaticIncident(ids())
    time.automatic.current = opened
    assert time.pass_in(120) is opened
    assert time.pass_in(RESOLVES_AFTER_S + 5, apps=OPERATIONAL).status == "resolved"
