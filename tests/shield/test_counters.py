"""The counts of a worker: known clients apart, errors, and refusals for a client's own excess."""

from __future__ import annotations

from stormpetrel.shield.answer import Refused
from stormpetrel.shield.classify import K1, K2, K3_FAR, K4
from stormpetrel.shield.counters import Counters
from stormpetrel.shield.held import clients_held
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import Ticket
from stormpetrel.shield.reports import EXCESS, FAILED, MAX_REFUSALS, MAX_SUMS, RefusalSum
from stormpetrel.watch.status.channels import tally


def ticket(lane=K1, channel="apps", application="Tusky"):
    return Ticket(Identity("account", 1), lane, None, "", channel, application, True, False)


def test_errors_and_excess_are_counted_besides_and_of_known_clients_alone():
    counters = Counters()
    for lane in (K1, K3_FAR):
        counters.count(ticket(lane), "served")
        counters.count(ticket(lane), FAILED)
        for because in ("queue/deadline", "ceiling/token", "queue/identity", "deny/account"):
            counters.refused(ticket(lane), because, epoch_s=5.0)
    counts, *_ = counters.take()
    assert counts.channels == {"apps": {"served": 2, "refused": 8}}
    assert counts.classes == {"K1": {"served": 1, "refused": 4}, "K3": {"served": 1, "refused": 4}}
    assert counts.applications == {"Tusky": {"served": 2, "refused": 8}}
    assert counts.known == {"apps": {"served": 1, FAILED: 1, "refused": 4, EXCESS: 3}}
    assert counts.known_applications == {"Tusky": {"served": 1, FAILED: 1, "refused": 4, EXCESS: 3}}
    assert counters.take()[0].known == {}


def test_streams_and_posts_of_an_app_that_fail_do_not_count_against_the_channel_of_apps():
    counters = Counters()
    for channel in ("streaming", "posting"):
        for _ in range(9):
            counters.count(ticket(channel=channel), "served")
            counters.count(ticket(channel=channel), FAILED)
    counters.count(ticket(), "served")
    counts, *_ = counters.take()
    assert counts.known_applications == {"Tusky": {"served": 1}}
    assert counts.applications == {"Tusky": {"served": 19}}


def test_refusals_of_the_application_are_counted_by_reason_and_a_busy_one_is_collateral():
    counters = Counters()
    for status in (429, 503, 503):
        counters.count(ticket(), "served")
        counters.turned_away(ticket(), status, epoch_s=5.0)
    counts, because, refusals, _ = counters.take()
    assert counts.channels == {"apps": {"served": 3}}
    assert because == {"application/limit": 1, "application/busy": 2}
    assert [(one.identity, one.application, one.because) for one in refusals] == [
        ("account:1", "Tusky", "application/busy")
    ] * 2


def test_only_a_client_that_waited_for_others_has_given_up():
    # One client could turn a channel of the status page red: it sends many requests, and leaves at once.
    counters = Counters()
    for waited_s, ahead, entered_s in ((0.2, 0, 10.0), (1.5, 3, 10.0), (100.0, 0, -1.0), (1.5, 0, 10.0)):
        one = ticket()
        one.ahead, one.entered_s = ahead, entered_s
        counters.left(one, at_s=10.0 + waited_s)
    counts, *_ = counters.take()
    assert counts.channels == {"apps": {"gone": 4}}
    assert counts.known == {"apps": {"gone": 4, EXCESS: 3}}
    assert tally(counts.known.values()).bad == 1


def test_refusals_beyond_those_listed_one_by_one_are_counted_in_sums():
    counters = Counters()
    for _ in range(MAX_REFUSALS + 7):
        counters.refused(ticket(), "queue/full", epoch_s=5.0)
    _, because, refusals, sums = counters.take()
    assert because == {"queue/full": MAX_REFUSALS + 7}
    assert len(refusals) == MAX_REFUSALS
    assert sums == (RefusalSum(5.0, "Tusky", "apps", "queue/full", 7),)
    for number in range(MAX_REFUSALS + 2 * MAX_SUMS):
        counters.refused(ticket(application=f"app {number}"), "queue/full", epoch_s=6.0)
    sums = counters.take()[3]
    assert len(sums) <= MAX_SUMS + 1
    assert sum(one.count for one in sums) == 2 * MAX_SUMS


def test_answers_from_memory_count_for_visitors():
    counters = Counters()
    counters.add_visitors(cached=3, repeated=2)
    counts, because, *_ = counters.take()
    assert counts.classes == {"K3": {"cached": 3, "refused": 2}}
    assert counts.channels == {"new": {"cached": 3, "refused": 2}}
    assert because == {"ceiling/requests": 2}


def held(counters, *, at_s):
    return {channel: clients_held([one]) for channel, one in counters.held.samples(at_s=at_s).items()}


def test_a_known_client_is_held_until_it_is_served_or_its_retry_after_is_over():
    counters = Counters()
    for number, (lane, channel) in enumerate(
        [(K1, "streaming"), (K1, "streaming"), (K2, "feeds"), (K3_FAR, "new")]
    ):
        one = Ticket(Identity("account", number), lane, None, "", channel, "", True, False)
        counters.refused(one, "queue/full", epoch_s=5.0)
        counters.asked_to_wait(one, Refused(503, "queue/full", "", 40 + number), at_s=100.0)
    assert held(counters, at_s=139.0) == {"streaming": 2, "feeds": 1}
    first = Ticket(Identity("account", 0), K1, None, "", "streaming", "", True, False)
    counters.count(first, "gone")
    assert held(counters, at_s=139.0)["streaming"] == 2
    counters.count(first, "served")
    assert held(counters, at_s=139.0) == {"streaming": 1, "feeds": 1}
    assert held(counters, at_s=141.5) == {"feeds": 1}
    assert held(counters, at_s=142.0) == {}


def test_a_client_is_not_held_for_its_own_excess_or_without_a_time_to_come_back():
    counters = Counters()
    for because, pause_s in (
        ("ceiling/token", 30),
        ("queue/identity", 30),
        ("deny/account", 30),
        ("x/y", None),
    ):
        counters.asked_to_wait(ticket(), Refused(503, because, "", pause_s), at_s=1.0)
    assert held(counters, at_s=1.0) == {}


def test_new_feed_readers_are_counted_and_held_apart():
    counters = Counters()
    readers = [
        Ticket(Identity("address", f"192.0.2.{lane}"), lane, None, "", "feeds") for lane in (K2, K3_FAR, K4)
    ]
    for one in readers:
        counters.refused(one, "queue/full", epoch_s=5.0)
        counters.asked_to_wait(one, Refused(503, "queue/full", "", 40), at_s=100.0)
    counters.refused(ticket(lane=K3_FAR, channel="new"), "queue/full", epoch_s=5.0)
    # One that takes too much is in K4, and says nothing of the others.
    assert counters.take()[0].new_readers == {"refused": 1}
    assert held(counters, at_s=139.0) == {"feeds": 1}
    assert clients_held([counters.held_readers.samples(at_s=139.0)["feeds"]]) == 1
    counters.count(readers[1], "served")
    assert counters.held_readers.samples(at_s=139.0) == {}
    assert counters.take()[0].new_readers == {"served": 1}
