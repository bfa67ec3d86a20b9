"""How the watch interprets reports: the beginning and end of an attack, journal entries, and directions."""

from __future__ import annotations

from stormpetrel.shield.reports import Offender
from stormpetrel.watch.attack import CALM_S
from stormpetrel.watch.cluster_state import ALIVE_S, OFFENDER_AGAIN_S, ClusterState
from tests.watch.reporting import OVERLOADED, a_report

# The attack


def test_the_beginning_and_the_end_are_written_down_once():
    cluster = ClusterState()
    cluster.hello("web-0", 11, now_epoch_s=999.0)
    kinds, texts = [], []
    for second in range(int(CALM_S) + 20):
        overload = OVERLOADED if second < 10 else {}
        cluster.take("web-0", a_report(**overload), at_s=float(second))
        notes = cluster.second(at_s=float(second), now_epoch_s=1_000.0 + second)
        kinds += [note.kind for note in notes]
        texts += [note.text for note in notes]
    assert kinds == ["overload", "calm"]
    # An entry is read hours later, so it names a time and no age.
    assert texts[0] == "overload began at 00:16:25 UTC; clients known before then are established"


def test_workers_learn_that_there_is_calm_if_the_last_watch_ended_in_it_or_after_a_calm_minute():
    def is_calm(cluster, second):
        return cluster.directions(at_s=second, now_epoch_s=1_000.0 + second).is_calm

    assert is_calm(ClusterState(saw_calm=True), 0.0)
    cluster = ClusterState()
    cluster.hello("web-0", 11, now_epoch_s=999.0)
    seen = []
    for second in range(int(CALM_S) + 2):
        cluster.take("web-0", a_report(), at_s=float(second))
        cluster.second(at_s=float(second), now_epoch_s=1_000.0 + second)
        seen.append(is_calm(cluster, float(second)))
    assert seen == [False] * (int(CALM_S) - 1) + [True] * 3
    cluster.take("web-0", a_report(**OVERLOADED), at_s=100.0)
    cluster.second(at_s=100.0, now_epoch_s=1_100.0)
    assert not is_calm(cluster, 100.0)


# Workers


def test_a_worker_that_was_started_again_is_written_down_and_one_that_connects_again_is_not():
    cluster = ClusterState()
    assert cluster.hello("web-0", 11, now_epoch_s=1.0) == []
    assert cluster.hello("web-0", 11, now_epoch_s=2.0) == []
    (note,) = cluster.hello("web-0", 12, now_epoch_s=3.0)
    assert (note.kind, note.text) == ("worker", "worker web-0 was restarted (process 12 replaces 11)")
    assert cluster.restarts == 1


def test_a_worker_that_is_silent_counts_as_gone():
    cluster = ClusterState()
    for name in ("web-0", "web-1"):
        cluster.hello(name, 11, now_epoch_s=1.0)
        cluster.take(name, a_report(waiting={"K1": 2, "K3": 5}), at_s=10.0)
    cluster.take("web-1", a_report(), at_s=10.0 + ALIVE_S)
    assert [(one.name, one.waiting) for one in cluster.workers(at_s=10.0 + ALIVE_S)] == [
        ("web-0", 7),
        ("web-1", 0),
    ]
    assert [one.name for one in cluster.workers(at_s=10.1 + ALIVE_S)] == ["web-1"]


# Offenders


def test_who_takes_most_is_written_down_once_a_minute_and_without_its_address_in_the_text():
    cluster = ClusterState()
    cluster.hello("web-0", 11, now_epoch_s=1.0)
    heavy = (Offender("address:192.0.2.1", 0.5, 300, 200, 7), Offender("account:3", 0.01, 1, 0, 0))
    seen = []
    for second in range(int(OFFENDER_AGAIN_S) + 1):
        cluster.take("web-0", a_report(offenders=heavy, **OVERLOADED), at_s=float(second))
        notes = cluster.second(at_s=float(second), now_epoch_s=1_000.0 + second)
        seen += [(second, note) for note in notes if note.kind == "offender"]
    assert [second for second, _ in seen] == [0, int(OFFENDER_AGAIN_S)]
    note = seen[0][1]
    assert (note.who, note.address, note.count) == ("address", "192.0.2.1", 300)
    assert "192.0.2.1" not in note.text


def test_in_calm_nobody_is_written_down_for_working():
    cluster = ClusterState()
    cluster.hello("web-0", 11, now_epoch_s=1.0)
    cluster.take("web-0", a_report(offenders=(Offender("account:3", 0.9, 100, 0, 0),)), at_s=1.0)
    assert cluster.second(at_s=1.0, now_epoch_s=1_000.0) == []


# Collateral


# Orders
