"""How the watch interprets reports: the beginning and end of an attack, journal entries, and directions."""

from __future__ import annotations

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.shield.entries import MAX_ENTRIES
from stormpetrel.shield.reports import IdentityRefusal, Offender, OperatorEntry
from stormpetrel.watch.attack import CALM_S, Attack, step
from stormpetrel.watch.cluster_state import ALIVE_S, OFFENDER_AGAIN_S, ClusterState
from stormpetrel.watch.collateral import KEPT_EACH, MAX_IDENTITIES, MAX_NOTES, CollateralLog
from stormpetrel.watch.orders import EXPIRY_S, OperatorRules
from tests.watch.reporting import a_report

OVERLOADED = {"overload_since_epoch_s": 990.0, "onset_epoch_s": 985.0}


# The attack


def test_the_onset_is_the_earliest_that_an_overloaded_worker_knows():
    reports = [
        a_report(**OVERLOADED),
        a_report(overload_since_epoch_s=995.0, onset_epoch_s=995.0),
        a_report(),
    ]
    assert step(Attack(), reports, now_epoch_s=1_000.0) == Attack(985.0, 990.0, 1_000.0)


def test_a_worker_that_was_overloaded_as_soon_as_it_was_started_says_nothing_of_the_onset():
    late = a_report(started_epoch_s=980.0, overload_since_epoch_s=990.0, onset_epoch_s=990.0)
    known = step(Attack(), [late, a_report(started_epoch_s=0.0, **OVERLOADED)], now_epoch_s=1_000.0)
    assert known.onset_epoch_s == 985.0
    assert step(known, [late], now_epoch_s=1_001.0).onset_epoch_s == 985.0
    # If no worker knows the onset, credentials older than a day count as established.
    assert step(Attack(), [late], now_epoch_s=1_000.0).onset_epoch_s == 990.0 - 86_400.0


def test_the_onset_does_not_move_while_the_attack_lasts():
    attack = step(Attack(), [a_report(**OVERLOADED)], now_epoch_s=1_000.0)
    later = a_report(overload_since_epoch_s=1_020.0, onset_epoch_s=1_020.0)
    assert step(attack, [later], now_epoch_s=1_021.0).onset_epoch_s == 985.0


def test_pulses_are_one_attack_and_quiet_ends_it():
    attack = step(Attack(), [a_report(**OVERLOADED)], now_epoch_s=1_000.0)
    attack = step(attack, [a_report()], now_epoch_s=1_000.0 + CALM_S - 1)
    assert (attack.onset_epoch_s, attack.overload_since_epoch_s) == (985.0, 0.0)
    assert step(attack, [a_report()], now_epoch_s=1_000.0 + CALM_S) == Attack()


def test_a_worker_that_repeats_the_onset_it_was_told_does_not_keep_the_attack_alive():
    attack = step(Attack(), [a_report(**OVERLOADED)], now_epoch_s=1_000.0)
    told = a_report(onset_epoch_s=985.0)
    assert step(attack, [told], now_epoch_s=1_000.0 + CALM_S) == Attack()


def test_the_beginning_and_the_end_are_written_down_once():
    cluster = ClusterState()
    cluster.hello("web-0", 11, now_epoch_s=999.0)
    kinds = []
    for second in range(int(CALM_S) + 20):
        overload = OVERLOADED if second < 10 else {}
        cluster.take("web-0", a_report(**overload), at_s=float(second))
        kinds += [note.kind for note in cluster.second(at_s=float(second), now_epoch_s=1_000.0 + second)]
    assert kinds == ["overload", "calm"]


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


def test_the_latest_refusals_of_somebody_are_known_and_the_tables_do_not_grow():
    collateral = CollateralLog()
    for number in range(MAX_IDENTITIES + 10):
        collateral.add([IdentityRefusal(float(number), f"account:{number}", "Tusky", "apps", "queue/full")])
    for number in range(KEPT_EACH + 3):
        at_s = 100_000.0 + number
        collateral.add([IdentityRefusal(at_s, "session:7", "", "web", "queue/deadline")])
    assert len(collateral._latest) == len(collateral._counts) == MAX_IDENTITIES
    latest = collateral.latest(["account:5", "session:7"])
    assert [refusal.at_epoch_s for refusal in latest] == [
        100_007.0,
        100_006.0,
        100_005.0,
        100_004.0,
        100_003.0,
    ]
    assert collateral.count(["session:7"]) == KEPT_EACH + 3
    assert collateral.latest(["account:5"]) == ()
    assert len(collateral.latest_of_application("Tusky")) == KEPT_EACH


def test_refusals_are_written_down_by_person_and_past_a_bound_in_sums():
    collateral = CollateralLog()
    for _ in range(3):
        collateral.add([IdentityRefusal(5.0, "account:1", "Tusky", "apps", "queue/full")])
    for number in range(1_000):
        collateral.add([IdentityRefusal(6.0, f"account:{100 + number}", "Other", "web", "queue/full")])
    notes = collateral.notes()
    assert (notes[0].who, notes[0].count, notes[0].application) == ("account:1", 3, "Tusky")
    assert len(notes) == MAX_NOTES + 1
    assert (notes[-1].who, notes[-1].count) == ("", 1_000 - (MAX_NOTES - 1))
    assert sum(note.count for note in notes) == 1_003
    assert collateral.notes() == []


def test_however_many_applications_are_refused_the_journal_gets_a_bounded_number_of_lines():
    collateral = CollateralLog()
    for number in range(10_000):
        collateral.add(
            [IdentityRefusal(6.0, f"account:{number}", f"app {number}", "apps", f"because/{number}")]
        )
    notes = collateral.notes()
    assert len(notes) <= 3 * MAX_NOTES
    assert sum(note.count for note in notes) == 10_000


# Orders


def test_directions_are_a_snapshot_that_runs_out_and_whose_version_rises():
    orders = OperatorRules()
    orders.put("deny", OperatorEntry("address", "192.0.2.0/24", 2_000.0, "scans"))
    orders.put("allow", OperatorEntry("account", "7", 1_001.0, "the mayor"))
    first = orders.directions(now_epoch_s=1_000.0, offenders=(), onset_epoch_s=990.0)
    assert first.expires_epoch_s == 1_000.0 + EXPIRY_S
    assert [entry.value for entry in first.denied] == ["192.0.2.0/24"]
    assert [entry.value for entry in first.allowed] == ["7"]
    second = orders.directions(now_epoch_s=1_000.0, offenders=(), onset_epoch_s=990.0)
    assert second.version > first.version
    third = orders.directions(now_epoch_s=1_001.0, offenders=(), onset_epoch_s=990.0)
    assert third.allowed == ()
    # The version of a watch started later must be higher, or workers would take its directions for older
    # ones.
    assert (
        OperatorRules().directions(now_epoch_s=1_002.0, offenders=(), onset_epoch_s=0.0).version
        > third.version
    )


def test_the_last_word_on_somebody_counts_and_can_be_taken_back():
    orders = OperatorRules()
    orders.put("deny", OperatorEntry("account", "7", 2_000.0, "first"))
    orders.put("allow", OperatorEntry("account", "7", 2_000.0, "a mistake"))
    assert (orders.said("deny"), len(orders.said("allow"))) == ((), 1)
    assert orders.take_back("account", "7")
    assert not orders.take_back("account", "7")


def test_there_is_an_end_to_how_many_entries_there_can_be():
    orders = OperatorRules()
    for number in range(MAX_ENTRIES):
        orders.put("deny", OperatorEntry("account", str(number), 2_000.0, "x"))
    with pytest.raises(SetupError, match="already"):
        orders.put("deny", OperatorEntry("account", "one more", 2_000.0, "x"))
    orders.put("allow", OperatorEntry("account", "5", 2_000.0, "replacing is no more"))
