"""The table of classes: which visit waits in which."""

from __future__ import annotations

import pytest

from stormpetrel.shield.classify import (
    CHANGES,
    DEMOTED,
    DEVICE,
    ESTABLISHED,
    KNOWN,
    LANES,
    NEAR,
    OVER,
    READER,
    RETURNS,
    RULES,
    SIGNS_IN,
    classify,
)


@pytest.mark.parametrize(
    ("flags", "lane", "because"),
    [
        (KNOWN | ESTABLISHED, "K1", "class/known-reads"),
        (KNOWN | ESTABLISHED | CHANGES, "K0", "class/known-writes"),
        (KNOWN | ESTABLISHED | CHANGES | DEMOTED, "K4", "class/demoted"),
        (KNOWN, "K3", "class/new-credential-far"),
        (KNOWN | NEAR, "K3", "class/new-credential"),
        (SIGNS_IN | CHANGES | DEVICE | OVER, "K2", "class/known-device"),
        (SIGNS_IN | CHANGES | RETURNS, "K3", "class/sign-in"),
        (SIGNS_IN | CHANGES, "K3", "class/sign-in-far"),
        (SIGNS_IN | CHANGES | OVER, "K4", "class/over-budget"),
        (RETURNS, "K2", "class/returning"),
        (READER, "K2", "class/known-reader"),
        (NEAR, "K3", "class/near-stranger"),
        (CHANGES, "K3", "class/stranger"),
        (OVER | NEAR, "K4", "class/over-budget"),
    ],
)
def test_classes(flags: int, lane: str, because: str) -> None:
    rule = classify(flags)
    assert (LANES[rule.lane].name, rule.because) == (lane, because)


def test_weights_are_parts_of_a_hundred_and_the_last_rule_fits_everybody() -> None:
    assert sum(lane.weight for lane in LANES) == 100
    assert RULES[-1].needs == 0
