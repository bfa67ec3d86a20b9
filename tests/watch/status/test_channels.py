"""The state of a channel: each verdict, confirmation, and that no input makes a silent or failing channel green."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.shield.reports import CHANNELS, EXCESS, FAILED, OUTCOMES, HeldSample
from stormpetrel.watch.probes import PROBES
from stormpetrel.watch.status.channels import (
    KNOWN_CHANNELS,
    NEXT_STATE,
    SILENT_S,
    SLOW_MS,
    UNSTEADY,
    ChannelStatus,
    ChannelVerdict,
    KnownCounts,
    judge,
    known_counts,
    new_reader_counts,
    step,
    tally,
)
from tests.watch.reporting import a_report
from tests.watch.status.viewing import NOW_S, a_result, a_status

QUIET = KnownCounts()
BUSY = KnownCounts(good=500)


def verdict(*results, counts=QUIET):
    return judge(results, counts, now_epoch_s=NOW_S)[0]


def test_every_channel_is_measured_and_every_count_belongs_to_a_channel():
    assert {one.channel for one in PROBES} == set(CHANNEL_NAMES)
    assert set(KNOWN_CHANNELS) <= set(CHANNEL_NAMES)
    assert {name for names in KNOWN_CHANNELS.values() for name in names} == set(CHANNELS) - {"new"}
    assert set(NEXT_STATE) == set(ChannelVerdict) - {ChannelVerdict.DOUBT}


@pytest.mark.parametrize(
    ("results", "counts", "expected"),
    [
        ([a_result()], QUIET, ChannelVerdict.GOOD),
        ([a_result(in_row=1, is_first=True)], QUIET, ChannelVerdict.GOOD),
        ([a_result(in_row=1)], QUIET, ChannelVerdict.DOUBT),
        ([a_result(outcome="failed", in_row=1)], QUIET, ChannelVerdict.DOUBT),
        ([a_result(outcome="failed", in_row=2)], QUIET, ChannelVerdict.NONE),
        ([a_result(outcome="timeout", in_row=1)], QUIET, ChannelVerdict.NONE),
        ([a_result(outcome="timeout", in_row=1)], BUSY, ChannelVerdict.DOUBT),
        ([a_result(outcome="timeout", in_row=2)], BUSY, ChannelVerdict.SOME),
        ([a_result(in_row=1, changes=UNSTEADY)], QUIET, ChannelVerdict.SOME),
        ([a_result(outcome="failed", in_row=2, changes=UNSTEADY)], QUIET, ChannelVerdict.NONE),
        ([a_result(outcome="failed", in_row=1, changes=UNSTEADY - 1)], QUIET, ChannelVerdict.DOUBT),
        ([a_result(ms=SLOW_MS + 1)], QUIET, ChannelVerdict.SLOW),
        ([a_result("sms_out", ms=SLOW_MS + 1)], QUIET, ChannelVerdict.GOOD),
        ([a_result()], KnownCounts(90, 10), ChannelVerdict.SOME),
        ([a_result()], KnownCounts(10, 90), ChannelVerdict.NONE),
        ([a_result()], KnownCounts(0, 1), ChannelVerdict.GOOD),
        ([a_result()], KnownCounts(90, 3, 7), ChannelVerdict.SOME),
        ([a_result("streaming")], KnownCounts(1, 0, 10, 90), ChannelVerdict.SOME),
        ([a_result("streaming")], KnownCounts(1, 60, 0, 90), ChannelVerdict.SOME),
        ([a_result("streaming")], KnownCounts(1, 200, 0, 90), ChannelVerdict.NONE),
        ([a_result(ago_s=SILENT_S)], BUSY, ChannelVerdict.SILENT),
        ([], BUSY, ChannelVerdict.SILENT),
        ([a_result("web"), a_result("web", "refused", person="visitor")], QUIET, ChannelVerdict.REFUSES),
        ([a_result("web"), a_result("web", "failed", person="visitor")], QUIET, ChannelVerdict.SOME),
        ([a_result("web"), a_result("web", "", person="visitor")], QUIET, ChannelVerdict.DOUBT),
        ([a_result("web", "failed"), a_result("web", person="visitor")], QUIET, ChannelVerdict.NONE),
        ([a_result("feeds", "failed", person="visitor")], QUIET, ChannelVerdict.NONE),
    ],
)
def test_a_verdict_follows_from_canaries_and_counts(results, counts, expected):
    assert verdict(*results, counts=counts) is expected


def test_a_doubt_keeps_the_state_its_reason_and_its_time():
    before = a_status(state=ChannelState.MAJOR, reason="Requests fail.", troubled_epoch_s=NOW_S - 300)
    after = step(before, [a_result(in_row=1)], QUIET, now_epoch_s=NOW_S)
    assert (after.state, after.reason, after.since_epoch_s) == (
        ChannelState.MAJOR,
        "Requests fail.",
        NOW_S - 300,
    )
    well = step(after, [a_result(in_row=2)], QUIET, now_epoch_s=NOW_S + 1)
    assert (well.state, well.reason, well.troubled_epoch_s) == (ChannelState.OPERATIONAL, "", 0.0)
    assert well.since_epoch_s == NOW_S + 1


def test_a_trouble_lasts_through_its_states_and_through_silence():
    one = a_status()
    for second, result in enumerate([a_result(ms=9_000), a_result(outcome="failed"), a_result(outcome="")]):
        one = step(one, [result], QUIET, now_epoch_s=NOW_S + second)
    assert (one.state, one.troubled_epoch_s) == (ChannelState.UNKNOWN, NOW_S)


def test_maintenance_is_shown_whatever_the_canaries_find():
    for result in (a_result(), a_result(outcome="failed")):
        assert (
            step(a_status(), [result], QUIET, now_epoch_s=NOW_S, is_worked_on=True).state
            is ChannelState.MAINTENANCE
        )


def test_one_hurt_app_is_a_partial_outage_of_apps():
    one = step(a_status(), [a_result()], BUSY, now_epoch_s=NOW_S, hurt=("Tusky",))
    assert (one.state, one.hurt) == (ChannelState.PARTIAL, ("Tusky",))


def test_a_client_over_its_own_limit_says_nothing_of_the_service():
    assert tally([{"served": 5, "refused": 100, "excess": 100}]) == KnownCounts(5, 0)
    assert tally([{"served": 5, "failed": 2, "cached": 3, "gone": 1, "refused": 4}]) == KnownCounts(6, 7)


results_of = st.builds(
    a_result,
    st.just("web"),
    st.sampled_from(["ok", "refused", "failed", "timeout", ""]),
    person=st.sampled_from(["member", "visitor"]),
    ago_s=st.floats(0, 90),
    ms=st.floats(0, 5_000),
    in_row=st.integers(1, 4),
    is_first=st.booleans(),
    changes=st.integers(0, 5),
)
counts_of = st.builds(KnownCounts, *[st.integers(0, 1_000)] * 4)


@given(st.lists(results_of, max_size=2), counts_of, st.sampled_from(list(ChannelState)), st.booleans())
def test_nothing_turns_a_channel_green_that_is_silent_or_whose_people_fail(
    results, counts, state, is_worked_on
):
    before = ChannelStatus("web", state, NOW_S - 60, NOW_S - 60)
    after = step(before, results, counts, now_epoch_s=NOW_S, is_worked_on=is_worked_on)
    is_silent = all(not one.outcome or one.at_epoch_s <= NOW_S - SILENT_S for one in results)
    if is_silent or counts.share < 0.95 or is_worked_on:
        assert after.state is not ChannelState.OPERATIONAL
    if is_silent and not is_worked_on:
        assert after.state is ChannelState.UNKNOWN
    if after.state is ChannelState.OPERATIONAL and state is not after.state:
        assert all(one.outcome == "ok" for one in results if one.at_epoch_s > NOW_S - SILENT_S)
    assert (after.since_epoch_s == NOW_S) == (after.state is not state)


@given(st.dictionaries(st.sampled_from((*OUTCOMES, FAILED, EXCESS)), st.integers(0, 100)))
def test_counts_are_never_negative(row):
    counts = tally([row])
    assert counts.good >= 0
    assert counts.bad >= 0
    assert 0 <= counts.share <= 1


def waiting(count, *, first=0):
    """Return the sample of a worker with some clients that wait."""
    return HeldSample(1, tuple(range(first, first + count)))


def test_a_client_that_several_workers_refused_waits_once():
    reports = [a_report(worker=one, held={"streaming": waiting(10)}) for one in range(3)]
    assert known_counts("streaming", reports) == KnownCounts(held=10)
    # The same clients in two channels of the shield: they are those of one page here.
    reports = [a_report(held={"web": waiting(30), "returning": waiting(30)})]
    assert known_counts("web", reports) == KnownCounts(held=3)


def test_people_whose_streams_are_missing_turn_live_updates_although_no_request_fails():
    quiet = {"known": {"streaming": {"served": 1}}, "streaming_members": 112}
    reports = [a_report(worker=one, sequence=number, **quiet) for number in range(3) for one in (0, 1)]
    assert known_counts("streaming", reports) == KnownCounts(good=6, bad=0, lasting=224)
    # A worker was killed: apps open their streams again, some are refused, and wait for 45 s as they were asked to.
    refused = [
        *reports[:-1],
        a_report(worker=1, held={"streaming": waiting(75), "apps": waiting(3)}, **quiet),
    ]
    counts = known_counts("streaming", refused)
    assert counts == KnownCounts(good=6, held=75, lasting=224)
    assert verdict(a_result("streaming"), counts=counts) is ChannelVerdict.SOME
    assert not counts.is_plain


def test_a_client_that_is_refused_again_counts_once_for_its_stream():
    known = {"streaming": {"served": 2, "refused": 30}}
    counts = known_counts(
        "streaming", [a_report(known=known, held={"streaming": waiting(10)}, streaming_members=90)]
    )
    assert counts == KnownCounts(good=2, bad=30, lasting=90)


def test_clients_that_wait_count_as_often_as_they_would_ask():
    served = {"known": {"web": {"served": 30}, "returning": {"served": 20}, "apps": {"served": 50}}}
    reports = [
        a_report(**served),
        a_report(
            **served, held={"web": waiting(40), "returning": waiting(20, first=40), "feeds": waiting(10)}
        ),
    ]
    assert known_counts("web", reports) == KnownCounts(good=100, held=6)
    assert known_counts("apps", reports) == KnownCounts(good=100)
    assert known_counts("media", reports) == KnownCounts()
    # Of few requests, those of ten seconds.
    assert known_counts("feeds", reports) == KnownCounts(held=3)


def test_a_channel_with_few_requests_is_judged_by_ten_seconds():
    one_fails = [a_report(known={"feeds": {"served": 3, "refused": number % 3 == 0}}) for number in range(9)]
    counts = known_counts("feeds", one_fails[6:], earlier=one_fails[:6])
    assert counts == KnownCounts(good=27, bad=3)
    assert verdict(a_result("feeds"), counts=counts) is ChannelVerdict.SOME
    # Three seconds of it say nothing.
    assert known_counts("feeds", one_fails[6:]).share == 1.0


def test_earlier_requests_never_make_a_channel_look_better():
    well, hangs = (
        a_report(known={"apps": {"served": 50}}),
        a_report(known={"apps": {"failed": 3, "served": 3}}),
    )
    assert known_counts("apps", [hangs], earlier=[well] * 7) == KnownCounts(good=0, bad=3)
    # Nor do they stand against a canary that gets no answer now.
    assert known_counts("apps", [a_report()], earlier=[well] * 7) == KnownCounts()


def test_a_busy_channel_that_works_again_is_judged_by_three_seconds():
    well, failing = a_report(known={"apps": {"served": 50}}), a_report(known={"apps": {"refused": 50}})
    assert known_counts("apps", [well] * 3, earlier=[failing] * 7) == KnownCounts(good=150)


def test_without_a_report_there_are_no_counts():
    assert known_counts("streaming", []) == KnownCounts()


def test_clients_that_wait_are_no_major_outage_while_the_canary_succeeds():
    counts = known_counts("apps", [a_report(held={"apps": waiting(900)})])
    assert counts.share == 0.0
    assert verdict(a_result(), counts=counts) is ChannelVerdict.SOME


def test_open_streams_do_not_speak_against_a_canary_that_gets_no_answer():
    counts = known_counts("streaming", [a_report(streaming_members=500)])
    assert verdict(a_result("streaming", "timeout", in_row=1), counts=counts) is ChannelVerdict.NONE


def stepped(state, reports, *, earlier=()):
    """Return the status of the feeds after these reports; the canary succeeds, and known clients are served."""
    before = a_status("feeds", state)
    newcomers = new_reader_counts("feeds", reports, earlier=earlier)
    return step(before, [a_result("feeds")], BUSY, newcomers=newcomers, now_epoch_s=NOW_S)


def test_feeds_are_degraded_while_new_readers_are_refused():
    # A reader that the worker never served has no cookie to show that it is a regular one.
    served, refused = a_report(new_readers={"served": 2}), a_report(new_readers={"served": 1, "refused": 1})
    found = stepped(ChannelState.OPERATIONAL, [served], earlier=[refused, served, refused])
    assert (found.state, found.reason) == (
        ChannelState.DEGRADED,
        "New feed readers are asked to try again later.",
    )
    for reports in (
        [served] * 9,
        [served] * 9 + [refused],
        [a_report(new_readers={"refused": 9, EXCESS: 9})],
    ):
        assert stepped(ChannelState.OPERATIONAL, reports).state is ChannelState.OPERATIONAL
    assert new_reader_counts("apps", [refused] * 3) == QUIET
    # Trouble of known readers is worse.
    worse = judge((a_result("feeds"),), KnownCounts(good=90, bad=10), KnownCounts(bad=10), now_epoch_s=NOW_S)
    assert worse[0] is ChannelVerdict.SOME


def test_new_readers_that_wait_make_a_trouble_last_and_begin_none():
    # Programs of an attack are among them, and never come back. Three of twelve readers have no service.
    wait = [a_report(new_readers={"served": 9}, held_readers=waiting(3))]
    assert stepped(ChannelState.OPERATIONAL, wait).state is ChannelState.OPERATIONAL
    assert stepped(ChannelState.DEGRADED, wait).state is ChannelState.DEGRADED
    assert (
        stepped(ChannelState.DEGRADED, [a_report(new_readers={"served": 9})]).state
        is ChannelState.OPERATIONAL
    )
