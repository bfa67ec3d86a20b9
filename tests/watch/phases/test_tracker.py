"""Phases over time: when they are noticed, where they begin and end, and how a span ends."""

from __future__ import annotations

from random import Random

import pytest

from stormpetrel.watch.phases.measures import Measurer
from stormpetrel.watch.phases.tracker import CALM_S, PhaseTracker
from tests.watch.phases import traffic
from tests.watch.phases.traffic import a_second

START_S = 30


class Replay:
    """A tracker with generated seconds. `phases`, `spans`: the last state of each by number."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = Random(seed)
        self.measurer = Measurer()
        self.tracker = PhaseTracker()
        self.at_s = 0
        self.phases = {}
        self.spans = {}

    def play(self, seconds, *mixes, overload_epoch_s=0.0, **more):
        for _ in range(seconds):
            self.at_s += 1
            second = a_second(self.rng, self.at_s, *mixes, **more)
            seen = self.measurer.measure(*second, at_s=float(self.at_s))
            tracked = self.tracker.step(
                seen, pages={"/@ana": 3}, onset_epoch_s=overload_epoch_s, overload_epoch_s=overload_epoch_s
            )
            self.phases |= {phase.number: phase for phase in tracked.phases}
            if tracked.span is not None:
                self.spans[tracked.span.number] = tracked.span
        return self

    @property
    def labels(self):
        return [(p.verdict, *(v.name for v in p.vectors)) for p in self.phases.values()]


def test_nothing_happens_in_calm() -> None:
    replay = Replay().play(600)
    assert (replay.phases, replay.spans) == ({}, {})


def test_a_gap_is_no_attack_and_neither_is_the_jump_after_it() -> None:
    replay = Replay().play(120, calm=60).play(300, calm=0).play(120, calm=60)
    assert replay.phases == {}
    # Nineteen times as much, as where files of a recorded trace were joined. These people are in twelve networks.
    replay.play(30, calm=20).play(30, calm=380).play(90, calm=20)
    assert {label[0] for label in replay.labels} <= {"unknown", "calm"}


@pytest.mark.parametrize("maker", [traffic.page_flood, traffic.few_sources, traffic.forged_credentials])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_attack_without_overload_is_noticed_within_two_seconds_and_begins_where_it_began(
    maker, seed
) -> None:
    replay = Replay(seed).play(START_S).play(10, (maker, 800))
    (phase,) = replay.phases.values()
    assert phase.noticed_ms <= (START_S + 2) * 1000
    assert phase.began_ms == pytest.approx(START_S * 1000, abs=1_000)
    assert phase.verdict == "attack"
    (span,) = replay.spans.values()
    assert (span.onset_ms, span.noticed_ms, span.ended_ms) == (phase.began_ms, phase.noticed_ms, 0)


def test_each_change_of_nature_is_a_phase_and_its_boundary_is_where_it_changed() -> None:
    replay = Replay().play(START_S)
    replay.play(15, (traffic.crowd, 1_000))
    replay.play(15, (traffic.crowd, 1_000), (traffic.page_flood, 1_500))
    replay.play(15, (traffic.expensive_reads, 300))
    replay.play(15)
    assert replay.labels == [
        ("crowd",),
        ("mixed", "page_flood"),
        ("attack", "expensive_reads"),
        ("calm",),
    ]
    for phase, expected_s in zip(replay.phases.values(), (30, 45, 60, 75), strict=True):
        assert phase.began_ms == pytest.approx(expected_s * 1000, abs=2_000)
    ends = [phase.ended_ms for phase in replay.phases.values()]
    assert ends == [*(phase.began_ms for phase in list(replay.phases.values())[1:]), 0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_small_attack_after_calm_does_not_give_the_calm_its_name(seed) -> None:
    # Ten texts from new numbers a second, beside 140 requests: the mix hardly changes.
    replay = Replay(seed).play(START_S, calm=140).play(12, (traffic.few_sources, 500), calm=140)
    replay.play(10, calm=140).play(12, calm=140, features={"texts_new": 10.0})
    assert replay.labels == [("attack", "few_sources"), ("calm",), ("attack", "sms_pumping")]
    assert list(replay.phases.values())[-1].began_ms == pytest.approx(52_000, abs=1_000)


def test_a_span_ends_after_a_minute_of_calm_at_its_last_unusual_second() -> None:
    replay = Replay().play(START_S).play(10, (traffic.few_sources, 500)).play(int(CALM_S) + 5)
    (span,) = replay.spans.values()
    assert span.ended_ms == pytest.approx(40_000, abs=3_500)
    assert replay.tracker.phase is None
    assert all(phase.ended_ms for phase in replay.phases.values())
    # The next attack is another one.
    replay.play(10, (traffic.few_sources, 500))
    assert len(replay.spans) == 2


def test_an_overload_begins_a_span_even_if_the_traffic_is_usual() -> None:
    replay = Replay().play(START_S).play(5, overload_epoch_s=float(START_S))
    (span,) = replay.spans.values()
    assert span.onset_ms == START_S * 1000
    assert replay.labels == [("calm",)]


def test_an_overload_of_an_instance_without_load_is_no_attack() -> None:
    # The machine stands still for some seconds, while one person signs in and another signs up.
    replay = Replay().play(START_S, calm=1).play(8, calm=4, overload_epoch_s=float(START_S)).play(20, calm=1)
    assert (replay.phases, replay.spans) == ({}, {})
    # A flood that begins in the overload opens one at once.
    replay.play(2, (traffic.few_sources, 500), calm=1, overload_epoch_s=float(replay.at_s))
    assert [label[0] for label in replay.labels] == ["attack"]


def test_what_is_usual_is_learnt_of_an_instance_without_load_also_while_its_machine_is_busy() -> None:
    # It starts beside other programs. Learnt later, the beginning of the flood would be the usual traffic.
    replay = Replay().play(14, calm=4, overload_epoch_s=1.0).play(6, (traffic.few_sources, 200), calm=4)
    assert [label[0] for label in replay.labels] == ["attack"]


def test_pulses_are_one_attack() -> None:
    replay = Replay().play(START_S)
    for _ in range(4):
        replay.play(5, connections={"opened": 3_000, "reset": 2_000, "unused": 900}).play(10)
    assert len(replay.spans) == 1
    assert {label for label in replay.labels if label != ("calm",)} == {("attack", "connection_churn")}


def test_a_crowd_that_stays_becomes_usual_in_time() -> None:
    replay = Replay().play(START_S, calm=10).play(2_000, (traffic.crowd, 120), calm=10)
    assert len(replay.spans) == 1
    assert replay.tracker.span is None
