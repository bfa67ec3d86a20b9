"""A small instance prepared for drills, made once for all tests that run one."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stormpetrel.cli import drill_community
from stormpetrel.drill.run import Result, RunProgress, Setting, run
from stormpetrel.drill.scenario import Phase, Scenario
from stormpetrel.drill.score import Scores, machine_problems, score
from tests.repository import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import machine

USERS, POSTS = 2000, 8000
TRIES = 3
"""A run on a busy machine is inconclusive, and is repeated up to this often."""
DISTURBED_SHARE = 0.05
"""Of the machine's CPU time. The drill keeps both cores busy: its server lacks the time that other programs take."""
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


def weakened(scenario: Scenario, slowness: float) -> Scenario:
    """Return the scenario with the rate of each attack divided by `slowness`.

    People and attackers share the machine with the server: the storm of a machine half as fast is half as strong.
    """
    return Scenario(
        scenario.name,
        tuple(
            Phase(
                p.name, p.start_s, p.end_s, tuple((vector, scale / slowness) for vector, scale in p.vectors)
            )
            for p in scenario.phases
        ),
    )


def drilled(
    directory: Path,
    scenario: Scenario,
    *,
    mode: str,
    moments: list[RunProgress] | None = None,
    kept: bool = True,
    passes: Callable[[Result, Scores], bool] = lambda result, scores: True,
    front: str = "",
    has_tls: bool = False,
) -> tuple[Result, Scores]:
    """Run the scenario until a run counts, and return that run and its scores.

    Where people are expected to be served, the attack is weakened as far as this machine is now slower than the
    reference (bench/machine.py).

    A run does not count on a machine that is too busy; nor does one that `passes` refuses while other programs
    used more than DISTURBED_SHARE of the machine, for they may have made it fail. A run without an attack that passes
    does count on a busy machine: other programs can only make it fail. A failed run on a quiet machine is repeated
    once: the second one decides. After TRIES runs without a verdict the test is skipped as
    inconclusive: that is no fault of the server.

    `kept`: the people are expected to be served. Where all of them lose, milliseconds of their own lateness do
    not matter. `moments`: gets the moments of the run that counts. `front`, `has_tls`: as for `run`.
    """
    failures = 0
    reasons: tuple[str, ...] = ()
    for attempt in range(TRIES):
        if moments is not None:
            moments.clear()
        slowness = machine.slowness() if kept else 1.0
        result = run(
            setting(),
            directory / f"{mode}-{attempt}",
            scenario=weakened(scenario, slowness),
            mode=mode,
            seed=1,
            scale=1.0,
            tell=(lambda moment: None) if moments is None else moments.append,
            front=front,
            has_tls=has_tls,
        )
        scores = score(result.run.scenario, result.lines, result.attacks, result.found, result.usage)
        reasons = scores.invalid if kept else machine_problems(result.usage)
        others_share = result.usage.others_s / result.usage.available_s
        print(
            f"{mode}, run {attempt}: the storm was divided by {slowness:.2f} for this machine's speed; other "
            f"programs used {100 * others_share:.1f} % of the machine"
        )
        if passes(result, scores):
            if all(phase.is_calm for phase in scenario.phases):
                reasons = ()
        elif not reasons:
            failures += 1
            if others_share > DISTURBED_SHARE:
                reasons = (f"it failed while other programs used {100 * others_share:.0f} % of the machine",)
            elif failures == 1:
                reasons = ("it failed once, and no second run could decide",)
        if not reasons:
            return result, scores
    pytest.skip(f"inconclusive, this machine is too busy to tell: {'; '.join(reasons)}")
