"""The beginning and the end of an attack, from the reports of all workers."""

from __future__ import annotations

from stormpetrel.watch.attack import CALM_S, Attack, step
from tests.watch.reporting import OVERLOADED, a_report


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
    # If the watch saw calm before, it began with the overload.
    assert step(Attack(), [late], now_epoch_s=1_000.0, saw_calm=True).onset_epoch_s == 990.0


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
