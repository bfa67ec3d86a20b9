"""The targets of a run: each notices what misses it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stormpetrel.drill.margins import shortfalls
from stormpetrel.drill.record import (
    FAILED,
    REFUSED,
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
