"""The smoke drill: the shield serves its people through six vectors, and without it the same minute fails.

Takes some 100 seconds. `make prove` also runs it with limits per address. On a machine that is too busy for a
verdict, the test is skipped with the reason.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from stormpetrel.drill import scenario
from stormpetrel.drill.margins import KEPT
from stormpetrel.drill.score import KeptShare, Scores
from stormpetrel.drill.table import channel_rows, kept_line, pooled
from tests.drill.prepared import drilled, shortened

KEPT_AT_LEAST = 0.97
COLLATERAL_AT_MOST = 0.01
SHORTER = 2 / 3
"""The fraction of the minute. Every phase retains its shape, and each channel still has some dozens of
requests.
"""
MUCH_SHORTER = 1 / 3
"""For the modes that must fail, which they do at once."""

pytestmark = [pytest.mark.timeout(300), pytest.mark.alone]


def smoked(directory: Path, mode: str, factor: float) -> Scores:
    is_kept = mode == "full"
    _, scores = drilled(
        directory,
        shortened(scenario.smoke(), factor),
        mode=mode,
        kept=is_kept,
        passes=lambda _, scores: bool(missed(scores)) != is_kept,
    )
    for row in channel_rows([scores]):
        print(*row)
    print(kept_line([scores]))
    return scores


def is_below(kept: KeptShare, least: float) -> bool:
    """Return True if the share is below `least` by more than chance explains: one-sided binomial test, 5 %.

    Some channels have 40 requests only: two failures are 95.5 %.
    """

    def chance_of(misses: int) -> float:
        ways = math.lgamma(kept.asked + 1) - math.lgamma(misses + 1) - math.lgamma(kept.asked - misses + 1)
        return math.exp(ways + misses * math.log(1 - least) + (kept.asked - misses) * math.log(least))

    return 1 - sum(map(chance_of, range(kept.asked - kept.ok))) < 0.05


def missed(scores: Scores) -> list[str]:
    """Return the margins of the smoke drill that the scores miss."""
    found = [
        f"{channel} kept {scores.kept[channel].percent:.1f} %"
        for channel in KEPT
        if channel in scores.kept and is_below(scores.kept[channel], KEPT_AT_LEAST)
    ]
    refused, known = len(scores.collateral.refused), scores.collateral.known
    if is_below(KeptShare(known - refused, known), 1 - COLLATERAL_AT_MOST):
        found.append(f"{refused} of {known} known users refused")
    if scores.lost or scores.doubled:
        found.append(f"{len(scores.lost)} posts lost, {len(scores.doubled)} doubled")
    if pooled([scores.contract]).share < 1:
        found.append(f"{scores.contract.asked - scores.contract.ok} refusals broke the contract")
    return found


@pytest.mark.parametrize(
    ("ok", "asked", "is_so"),
    [
        (44, 44, False),
        (42, 44, False),
        (40, 44, True),
        (1190, 1235, False),
        (1170, 1235, True),
        (160, 1235, True),
    ],
)
def test_a_share_is_below_its_margin_only_beyond_chance(ok: int, asked: int, is_so: bool) -> None:
    assert is_below(KeptShare(ok, asked), 0.97) is is_so


def test_the_shield_keeps_its_people_through_the_smoke(tmp_path: Path) -> None:
    scores = smoked(tmp_path, "full", SHORTER)
    assert missed(scores) == []
    assert set(scores.kept) >= set(KEPT)
    assert scores.posts > 0


@pytest.mark.parametrize("mode", ["off", pytest.param("per-address", marks=pytest.mark.prove)])
def test_without_the_shield_or_with_limits_per_address_the_same_smoke_goes_wrong(
    tmp_path: Path, mode: str
) -> None:
    assert missed(smoked(tmp_path, mode, MUCH_SHORTER)) != []
