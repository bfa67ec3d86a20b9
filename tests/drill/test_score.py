"""Scores from handwritten lines: what each score counts, and what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stormpetrel.drill import scenario
from stormpetrel.drill.margins import shortfalls
from stormpetrel.drill.percentile import percentile
from stormpetrel.drill.record import (
    FAILED,
    LATE,
    OK,
    REFUSED,
    TIMEOUT,
    AttackSecond,
    CpuUsage,
    FoundPost,
    Line,
)
from stormpetrel.drill.score import KeptShare, Scores, score

CALM_ATTACK_CALM = scenario.build("t", (20, "calm", ()), (40, "A3", [("A3", 1.0)]), (20, "calm again", ()))


def line(t: float, outcome: str = OK, **more: object) -> Line:
    """Return a line for a member's request by app. `more` replaces fields."""
    fields: dict[str, object] = {
        "phase": CALM_ATTACK_CALM.at(t).name,
        "kind": "own",
        "channel": "apps",
        "who": "lena",
        "app": "Tusky",
        "address_kind": "own",
        "status": 200 if outcome == OK else 503,
        "ms": 10.0,
        "late_ms": 0.1,
        "known": True,
    } | more
    return Line(t=t, outcome=outcome, **fields)  # type: ignore[arg-type]


def scores(
    lines: Sequence[Line],
    *,
    attacks: Sequence[AttackSecond] = (),
    found: Sequence[FoundPost] = (),
    usage: CpuUsage | None = None,
) -> Scores:
    return score(CALM_ATTACK_CALM, lines, attacks, found, usage)


# G1


def test_kept_counts_first_attempts_under_attack_and_nothing_else() -> None:
    lines = [
        line(5, REFUSED),
        line(25),
        line(26, REFUSED),
        line(27, TIMEOUT),
        line(28, FAILED),
        line(29, LATE),
        line(30, OK, is_retry=True),
        line(65, REFUSED),
    ]
    got = scores(lines)
    assert got.kept == {"apps": KeptShare(1, 5)}
    assert got.kept_by_phase["calm"] == {"apps": KeptShare(0, 1)}
    assert got.kept_by_phase["calm again"] == {"apps": KeptShare(0, 1)}


def test_channels_are_told_apart_and_in_a_fixed_order() -> None:
    got = scores([line(25, channel="new"), line(25, channel="posting"), line(25, FAILED, channel="web")])
    assert list(got.kept.items()) == [
        ("web", KeptShare(0, 1)),
        ("posting", KeptShare(1, 1)),
        ("new", KeptShare(1, 1)),
    ]


def test_the_crowd_is_what_a1_got() -> None:
    attacks = [
        AttackSecond(21, "A1", 12, 9, 1, 0, 3),
        AttackSecond(22, "A1", 10, 10, 0, 0, 3),
        AttackSecond(22, "A3", 9, 0, 9, 0, 0),
    ]
    assert scores([line(25)], attacks=attacks).crowd == KeptShare(19, 20)
    assert scores([line(25)], attacks=attacks[2:]).crowd is None


# G2


def test_collateral_is_known_people_who_were_refused_once_or_more_often() -> None:
    lines = [
        line(25, REFUSED, who="lena"),
        line(26, REFUSED, who="lena", is_retry=True),
        line(27, OK, who="tim", app="Ivory"),
        line(28, TIMEOUT, who="ana", app="Ivory"),
        line(29, REFUSED, who="stranger", known=False, channel="new", app=""),
        line(5, REFUSED, who="ben"),
    ]
    got = scores(lines).collateral
    assert (got.known, got.refused) == (3, ("lena",))
    assert got.by_app == {"Ivory": KeptShare(2, 2), "Tusky": KeptShare(0, 1)}
    assert got.by_channel == {"apps": KeptShare(2, 3)}
    assert got.share == pytest.approx(1 / 3)
    # Retries count, strangers and the calm do not.
    assert got.requests == KeptShare(2, 4)


@pytest.mark.parametrize(
    ("shared", "own", "ratio"),
    [
        ([OK, OK], [OK, OK], 1.0),
        ([REFUSED, OK], [REFUSED, OK], 1.0),
        ([REFUSED, REFUSED], [REFUSED, OK], 2.0),
    ],
)
def test_members_on_shared_addresses_are_compared_with_those_on_their_own(
    shared: list[str], own: list[str], ratio: float
) -> None:
    lines = [line(25, outcome, who=f"s{i}", address_kind="school") for i, outcome in enumerate(shared)]
    lines += [line(25, outcome, who=f"o{i}") for i, outcome in enumerate(own)]
    assert scores(lines).collateral.shared_to_own == pytest.approx(ratio)


def test_when_only_shared_addresses_are_refused_the_ratio_has_no_end() -> None:
    lines = [line(25, REFUSED, who="s", address_kind="tor"), line(25, who="o")]
    assert scores(lines).collateral.shared_to_own == float("inf")


# G3, G4


def busy(start_s: int, end_s: int, outcome: str = OK, each: int = 10, **more: object) -> list[Line]:
    """Return lines with `each` requests in every second."""
    return [line(t + i / each, outcome, **more) for t in range(start_s, end_s) for i in range(each)]


def test_mitigation_ends_with_the_last_bad_second() -> None:
    lines = [*busy(0, 20), *busy(20, 24, FAILED), *busy(24, 80)]
    assert scores(lines).mitigated_s == 4.0


def test_an_attack_that_never_succeeds_is_mitigated_at_once_and_one_that_lasts_never() -> None:
    assert scores(busy(0, 80)).mitigated_s == 0.0
    assert scores([*busy(0, 20), *busy(20, 60, TIMEOUT)]).mitigated_s == 40.0


def test_one_miss_in_a_second_is_chance_and_what_strangers_get_counts_too() -> None:
    assert scores([*busy(0, 80), line(30.5, FAILED)]).mitigated_s == 0.0
    strangers = busy(20, 23, REFUSED, each=4, channel="new", known=False)
    assert scores([*busy(0, 80), *strangers]).mitigated_s == 3.0


def test_windows_of_ten_seconds_are_counted_from_the_first_attack() -> None:
    lines = [*busy(0, 10, FAILED), *busy(10, 30), *busy(30, 40, FAILED), *busy(40, 80)]
    got = scores(lines)
    assert (got.windows_below, got.adjacent_below) == (1, 0)
    got = scores([*busy(0, 30), *busy(30, 50, FAILED), *busy(50, 80)])
    assert (got.windows_below, got.adjacent_below) == (2, 1)


def test_a_restart_counts_in_no_score_but_how_long_it_took_and_the_posts() -> None:
    cold = scenario.cold()
    start_s = next(phase.start_s for phase in cold.phases if phase.restarts)
    first_s, last_s = int(start_s), int(cold.seconds)
    down = busy(first_s, first_s + 6, FAILED)
    up = busy(first_s + 6, last_s)
    acknowledged = line(start_s + 7.5, text="hello", channel="posting")
    got = score(cold, [*busy(0, first_s), *down, *up, acknowledged], (), (), None)
    assert got.restored_s == 6.0
    assert (got.mitigated_s, got.windows_below, got.kept["apps"].percent) == (0.0, 0, 100.0)
    assert got.lost == ("hello",)
    assert not [one for one in shortfalls([got], strangers_attack=True) if one.goal == "G4"]
    longer = score(cold, [*busy(0, first_s), *busy(first_s, first_s + 15, FAILED)], (), (), None)
    assert longer.restored_s == 15.0
    assert [one.goal for one in shortfalls([longer], strangers_attack=True)].count("G4") == 1
    assert scores(busy(0, 80)).restored_s is None


def test_recovery_is_when_the_p95_after_the_attack_is_near_that_of_calm() -> None:
    slow = busy(60, 66, ms=500.0)
    assert scores([*busy(0, 60), *slow, *busy(66, 80)]).recovered_s == 6.0
    assert scores(busy(0, 80)).recovered_s == 0.0
    assert scores([*busy(0, 60), *busy(60, 80, ms=500.0)]).recovered_s == 20.0
    assert scores([*busy(0, 60), line(70)]).recovered_s is None


# G5


@pytest.mark.parametrize(
    ("percent", "values", "wanted"),
    [(50, [3, 1, 2], 2), (99, list(range(1, 101)), 99), (99, [7], 7), (95, [], None), (100, [1, 2], 2)],
)
def test_a_percentile_is_a_value_that_occurred(
    percent: float, values: list[float], wanted: float | None
) -> None:
    assert percentile(percent, values) == wanted


def test_latency_is_of_what_was_served_at_the_first_attempt() -> None:
    lines = [
        line(25, ms=20.0),
        line(25, ms=30.0, is_hot=True, channel="new", known=False),
        line(25, TIMEOUT, ms=5000.0),
        line(25, ms=900.0, is_retry=True),
        line(5, ms=700.0),
    ]
    got = scores(lines)
    assert (got.members_p99_ms, got.hot_p99_ms) == (20.0, 30.0)
    assert got.latency == {"apps": (20.0, 20.0), "new": (30.0, 30.0)}


# G7


def test_a_post_is_lost_when_it_was_acknowledged_and_is_not_there() -> None:
    lines = [line(25, channel="posting", text=text) for text in ("there", "gone", "never looked for")]
    got = scores(lines, found=[FoundPost("there", 1), FoundPost("gone", 0), FoundPost("not acknowledged", 0)])
    assert (got.posts, got.lost, got.doubled) == (3, ("gone", "never looked for"), ())


def test_a_post_is_doubled_also_when_nobody_acknowledged_it() -> None:
    got = scores(
        [line(25, channel="posting", text="a")],
        found=[FoundPost("a", 2), FoundPost("b", 2), FoundPost("c", 1)],
    )
    assert got.doubled == ("a", "b")


# G8, G9


def test_the_contract_is_judged_where_it_binds_in_every_phase_and_for_retries_too() -> None:
    lines = [
        line(5, REFUSED, contract=True),
        line(25, REFUSED, contract=False, is_retry=True),
        line(25, REFUSED, channel="web", contract=None),
        line(25),
    ]
    assert scores(lines).contract == KeptShare(1, 2)


def test_a_refusal_before_the_first_attack_is_a_false_alarm_and_one_after_the_last_is_not() -> None:
    assert scores([line(5, REFUSED), line(6, TIMEOUT), line(70, REFUSED)]).false_alarms == 1


# Validity


def test_a_run_is_invalid_when_the_machine_is_taken_or_people_are_late() -> None:
    fine = CpuUsage(people_s=10, attackers_s=39, server_s=60, available_s=100)
    assert scores(busy(0, 80), usage=fine).invalid == ()
    greedy = CpuUsage(people_s=10, attackers_s=41, server_s=40, available_s=100)
    assert "51 % of the machine" in scores(busy(0, 80), usage=greedy).invalid[0]
    starved = CpuUsage(people_s=10, attackers_s=20, server_s=40, available_s=100, others_s=21)
    assert "other programs used 21 %" in scores(busy(0, 80), usage=starved).invalid[0]
    assert "11 ms late" in scores(busy(0, 80, late_ms=11.0), usage=fine).invalid[0]
    assert scores([*busy(0, 80), line(25, late_ms=400.0)], usage=fine).invalid == ()
    assert scores([], usage=fine).invalid == (
        "simulated users made no requests: check the errors above, and run the drill again",
    )
