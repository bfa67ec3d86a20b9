"""The measured past in memory: states and uptime by day, response times, and the part to store."""

from __future__ import annotations

from stormpetrel.model.channel import ChannelState
from stormpetrel.storage.status_history import ChannelDay, ChannelMinute
from stormpetrel.watch.status.history import DAY_S, SHOWN_DAYS, ChannelHistory
from tests.watch.status.viewing import NOW_S, a_status

TODAY = int(NOW_S // DAY_S)
OPERATIONAL, DEGRADED, PARTIAL, MAJOR = (
    ChannelState.OPERATIONAL,
    ChannelState.DEGRADED,
    ChannelState.PARTIAL,
    ChannelState.MAJOR,
)


def test_a_day_is_shown_in_the_worst_state_of_a_minute():
    days = [
        ChannelDay("apps", TODAY, {OPERATIONAL: 80_000.0, MAJOR: 61.0}),
        ChannelDay("apps", TODAY - 1, {OPERATIONAL: 80_000.0, MAJOR: 20.0}),
        ChannelDay("apps", TODAY - 2, {ChannelState.UNKNOWN: 9_000.0, OPERATIONAL: 20.0}),
        ChannelDay("apps", TODAY - 3, {ChannelState.UNKNOWN: 9_000.0}),
        ChannelDay("apps", TODAY - SHOWN_DAYS, {MAJOR: 9_000.0}),
    ]
    states = ChannelHistory(days).states("apps", today=TODAY)
    assert len(states) == SHOWN_DAYS
    assert states[-4:] == [None, OPERATIONAL, OPERATIONAL, MAJOR]
    assert set(states[:-4]) == {None}


def test_uptime_is_the_share_of_measured_time_without_an_outage():
    spent = {OPERATIONAL: 70.0, DEGRADED: 20.0, PARTIAL: 5.0, MAJOR: 5.0, ChannelState.UNKNOWN: 500.0}
    history = ChannelHistory([ChannelDay("apps", TODAY, spent)])
    assert history.uptime("apps", today=TODAY) == 0.9
    assert history.uptime("web", today=TODAY) is None


def test_response_times_are_means_and_gaps_stay_gaps():
    minutes = [
        ChannelMinute("apps", 1000, 10.0),
        ChannelMinute("apps", 1001, 30.0),
        ChannelMinute("apps", 1061, 5.0),
    ]
    assert ChannelHistory((), minutes).times("apps", since_minute=1000, every=30) == [20.0, None, 5.0]
    assert ChannelHistory().times("apps", since_minute=0, every=30) == []


def test_what_was_added_is_unsaved_until_it_is_saved():
    history = ChannelHistory()
    for second in range(0, 150, 10):
        history.add([a_status(ms=float(second))], seconds=10.0, now_epoch_s=NOW_S + second)
    days, minutes = history.unsaved()
    assert [(one.day, one.seconds) for one in days] == [(TODAY, {OPERATIONAL: 150.0})]
    assert [one.ms for one in minutes] == [30.0, 85.0]
    history.saved(len(minutes))
    assert history.unsaved() == ([], [])


def test_a_channel_without_an_answer_has_no_response_time():
    history = ChannelHistory()
    for second in range(0, 130, 10):
        history.add([a_status(state=MAJOR, ms=9.0)], seconds=10.0, now_epoch_s=NOW_S + second)
    assert history.unsaved()[1] == []
