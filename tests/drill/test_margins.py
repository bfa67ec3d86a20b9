"""The targets of a run: each notices what misses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stormpetrel.drill.margins import shortfalls
from stormpetrel.drill.record import (
    FAILED,
    LATE,
    REFUSED,
    TIMEOUT,
    CarrierBill,
    Line,
)
from tests.drill.test_score import busy, line, scores


def perfect() -> list[Line]:
    channels = ("apps", "web", "posting", "streaming", "returning", "feeds", "new")
    return [one for channel in channels for one in busy(0, 80, channel=channel, known=channel != "new")]


def goals(lines: Sequence[Line], **more: object) -> set[str]:
    return {one.goal for one in shortfalls([scores(lines, **more)], strangers_attack=False)}  # type: ignore[arg-type]


def test_a_perfect_run_falls_short_nowhere() -> None:
    assert goals(perfect()) == set()


@pytest.mark.parametrize(
    ("goal", "worse"),
    [
        ("G1", [line(25, FAILED, channel="posting")]),
        ("G2", [line(25, REFUSED, who=f"p{i}", address_kind="own") for i in range(3)]),
        ("G3", busy(20, 30, FAILED)),
        ("G4", busy(60, 80, ms=900.0)),
        ("G5", busy(20, 60, ms=400.0)),
        ("G7", [line(25, channel="posting", text="gone")]),
        ("G8", [line(25, REFUSED, who="x", contract=False)]),
        ("G9", [line(5, REFUSED, contract=True)]),
    ],
)
def test_each_goal_notices_what_is_wrong_with_it(goal: str, worse: list[Line]) -> None:
    assert goal in goals([*perfect(), *worse])


def test_new_visitors_are_granted_more_misses_when_the_attack_comes_as_new_visitors() -> None:
    lines = [*perfect(), *busy(20, 60, REFUSED, each=1, channel="new", known=False)]
    one = [scores(lines)]
    assert any("new" in short.what for short in shortfalls(one, strangers_attack=False))
    assert not any("new" in short.what for short in shortfalls(one, strangers_attack=True))


def test_the_median_of_three_runs_counts_for_shares_and_every_run_for_losses() -> None:
    good, bad = scores(perfect()), scores([*perfect(), *busy(20, 60, FAILED)])
    assert not any("apps" in one.what for one in shortfalls([good, bad, good], strangers_attack=False))
    assert any("apps" in one.what for one in shortfalls([bad, bad, good], strangers_attack=False))
    lost = scores([*perfect(), line(25, channel="posting", text="gone")])
    assert any(one.goal == "G7" for one in shortfalls([good, good, lost], strangers_attack=False))


@pytest.mark.parametrize(
    ("worse", "what"),
    [
        ([line(25, REFUSED, channel="sms_in")], "sms_in"),
        (busy(20, 60, channel="sms_in", ms=600.0), "acknowledgement of texts"),
        (busy(20, 22, LATE, channel="sms_answers"), "sms_answers"),
        (busy(20, 22, TIMEOUT, channel="sms_deliveries"), "sms_deliveries"),
    ],
)
def test_texts_are_stored_and_acknowledged_answered_and_delivered_in_time(
    worse: list[Line], what: str
) -> None:
    well = [one for name in ("sms_in", "sms_answers", "sms_deliveries") for one in busy(0, 80, channel=name)]
    assert shortfalls([scores([*perfect(), *well])], strangers_attack=False) == []
    found = shortfalls([scores([*perfect(), *well, *worse])], strangers_attack=False)
    assert [short for short in found if what in short.what]


def test_more_texts_doubled_than_a_kill_explains_are_a_shortfall() -> None:
    within, over = (
        replace(scores(perfect()), bill=CarrierBill(90, 90, 800, doubled=doubled)) for doubled in (8, 9)
    )
    assert shortfalls([within, within], strangers_attack=False) == []
    (short,) = shortfalls([within, over], strangers_attack=False)
    assert (short.goal, short.what) == ("G7", "9 texts doubled, at most 8 allowed")


def test_a_cent_over_the_limit_of_money_is_a_shortfall() -> None:
    within, over = (replace(scores(perfect()), bill=CarrierBill(9, cents, 800)) for cents in (800, 801))
    assert shortfalls([within], strangers_attack=False) == []
    (short,) = shortfalls([within, over], strangers_attack=False)
    assert (short.goal, short.what) == ("G12", "8.01 for texts, at most 8.00 allowed")
