"""A small instance prepared for drills, made once for all tests that run one."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path

import pytest

from stormpetrel.cli import drill_community
from stormpetrel.drill.run import Moment, Result, Setting, run
from stormpetrel.drill.scenario import Phase, Scenario
from stormpetrel.drill.score import Scores, machine_problems, score

USERS, POSTS = 2000, 8000
TRIES = 3
"""A run on a busy machine is inconclusive, and is repeated up to this often."""
_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def setting() -> Setting:
    """Return the setting. Its directory is removed when the test process ends."""
    _kept.append(tempfile.TemporaryDirectory(prefix="stormpetrel-test-drill-"))
    prepared = Path(_kept[-1].name) / "prepared"
    drill_community.prepare(
        prepared, seed=1, users=USERS, posts=POSTS, popular_followers=100, tell=lambda doing: None
    )
    return Setting(
        prepared=prepared,
        community=prepared / drill_community.COMMUNITY_FILE,
        command=(sys.executable, "-m", "stormpetrel", "serve"),
        environment=drill_community.environment,
    )


def shortened(scenario: Scenario, factor: float) -> Scenario:
    """Return the scenario with the duration of each phase multiplied by `factor`."""
    return Scenario(
        scenario.name,
        tuple(Phase(p.name, p.start_s * factor, p.end_s * factor, p.vectors) for p in scenario.phases),
    )


def drilled(
    directory: Path, scenario: Scenario, *, mode: str, moments: list[Moment] | None = None, kept: bool = True
) -> tuple[Result, Scores]:
    """Return a conclusive run and its scores. Skip the test, with the reasons, if the machine is too busy
    TRIES times.

    `kept`: the run must serve people. If all of them fail, their own lateness of milliseconds is not a reason
    to repeat. `moments`: filled with those of the conclusive run.
    """
    busy: tuple[str, ...] = ()
    for attempt in range(TRIES):
        if moments is not None:
            moments.clear()
        result = run(
            setting(),
            directory / f"{mode}-{attempt}",
            scenario=scenario,
            mode=mode,
            seed=1,
            scale=1.0,
            tell=(lambda moment: None) if moments is None else moments.append,
        )
        scores = score(result.run.scenario, result.lines, result.attacks, result.found, result.usage)
        busy = scores.invalid if kept else machine_problems(result.usage)
        if not busy:
            return result, scores
    pytest.skip(f"inconclusive, this machine is too busy to tell: {'; '.join(busy)}")
