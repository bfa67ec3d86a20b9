"""Scenarios, the community's file and the lines: they survive being written and read, and phases have no
gaps.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stormpetrel.drill import community, record, scenario
from stormpetrel.drill.community import Community, Member, SharedAddresses, Victim
from stormpetrel.drill.record import AttackSecond, CpuUsage, FoundPost, Line
from stormpetrel.drill.scenario import Scenario

ALL = [
    scenario.smoke(),
    scenario.august_2009(),
    scenario.april_2026(),
    scenario.cold(),
    *(scenario.storm(seed=seed) for seed in range(5)),
    *(scenario.mixed(seed=seed) for seed in range(5)),
    scenario.only(["A7"]),
]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_phases_follow_each_other_without_gaps_and_begin_and_end_calm(one: Scenario) -> None:
    assert one.phases[0].start_s == 0
    assert all(a.end_s == b.start_s for a, b in zip(one.phases, one.phases[1:], strict=False))
    assert one.phases[0].is_calm
    assert one.phases[-1].is_calm


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_only_known_vectors_attack(one: Scenario) -> None:
    assert {name for phase in one.phases for name, _ in phase.vectors} <= set(scenario.VECTORS)


def test_the_smoke_takes_a_minute_and_has_six_vectors() -> None:
    smoke = scenario.smoke()
    attacks = [pair for phase in smoke.phases for pair in phase.vectors]
    assert smoke.seconds == 60
    assert len({name for name, _ in attacks}) == 6
    assert {factor for _, factor in attacks} == {1.0}


def test_a_cold_start_is_in_the_middle_of_an_attack_that_goes_on() -> None:
    phases = scenario.cold().phases
    (number,) = [number for number, phase in enumerate(phases) if phase.restarts]
    before, restart, after = phases[number - 1 : number + 2]
    assert before.vectors == restart.vectors == after.vectors != ()
    assert restart.end_s - restart.start_s == scenario.RESTART_S


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_has_every_vector_two_pairs_and_the_killing_in_a3(seed: int) -> None:
    phases = scenario.storm(seed=seed).phases
    assert {name for phase in phases for name, _ in phase.vectors} == set(scenario.VECTORS)
    groups = [{name for name, _ in phase.vectors} for phase in phases]
    assert sum(len(group - {"A17"}) == 2 for group in groups) == 2
    assert next(group for group in groups if "A17" in group) >= {"A3", "A17"}


def test_storms_of_two_seeds_differ_and_of_one_seed_do_not() -> None:
    assert scenario.storm(seed=1) == scenario.storm(seed=1)
    assert scenario.storm(seed=1) != scenario.storm(seed=2)


def test_a_vector_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="A99"):
        scenario.only(["A1", "A99"])


def test_a_moment_after_the_end_belongs_to_the_last_phase() -> None:
    smoke = scenario.smoke()
    assert smoke.at(0.0).name == scenario.CALM
    assert smoke.at(smoke.phases[1].start_s).name == "crowd"
    assert smoke.at(999.0) == smoke.phases[-1]


def test_a_community_is_the_same_after_writing_and_private(tmp_path: Path) -> None:
    lena = Member("own", "lena", "l@x.example", "pw", "7", "127.40.0.1", "Tusky", "t", "", "", 1)
    one = Community(
        members=(lena,),
        sleepers=(dataclasses.replace(lena, kind="sleeper"),),
        newcomers=(),
        victim=Victim("victim", "8", ("9", "10"), "t2", "s2", "Ivory", "127.41.0.1"),
        popular=lena,
        visitors=("v",),
        shared=SharedAddresses(("127.50.1.1",), ("127.60.1.1",), ("127.70.1.1",)),
        names=("lena",),
        tags=("sea",),
        cookies={"session": "s", "visitor": "", "device": ""},
        listens={"7": ("8",)},
    )
    path = tmp_path / "community.json"
    community.save(one, path)
    assert community.load(path) == one
    assert path.stat().st_mode & 0o077 == 0
    assert one.of("own") == (lena,)


def test_every_kind_of_line_can_be_read_again(tmp_path: Path) -> None:
    line = Line(1.5, "calm", "own", "apps", "lena", "Tusky", "own", 429, 12.25, 0.5, "refused", True, 3.0)
    post = dataclasses.replace(line, text="grüße", is_retry=True, is_hot=True, known=True)
    attack = AttackSecond(2.0, "A1", 10, 9, 1, 0, 4, 0.125)
    path = tmp_path / "lines.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        record.write(file, [line, post, attack])
        file.write(record.found_json(FoundPost("grüße", 1)) + "\n")
        file.write(record.usage_json(CpuUsage(1.0, 2.0, 3.0, 120.0)) + "\n")
        file.write('{"of": "another version"}\n{"t": 3.0, "cut')
    assert list(record.read(path)) == [
        line,
        post,
        attack,
        FoundPost("grüße", 1),
        CpuUsage(1.0, 2.0, 3.0, 120.0),
    ]


def test_a_mixed_attack_is_drawn_by_its_seed_from_all_vectors_within_the_bounds_of_their_rates() -> None:
    assert scenario.mixed(seed=1) == scenario.mixed(seed=1) != scenario.mixed(seed=2)
    drawn: set[str] = set()
    for seed in range(40):
        attacks = [phase for phase in scenario.mixed(seed=seed, scale=2.0).phases if phase.vectors]
        assert len(attacks) == 8
        for phase in attacks:
            names = [name for name, _ in phase.vectors]
            assert 1 <= len(names) == len(set(names)) <= 3
            assert all(0.5 <= factor <= 8.0 for _, factor in phase.vectors)
            drawn.update(names)
    # A17 kills processes: that is not a kind of traffic.
    assert drawn == set(scenario.VECTORS) - {"A17"}
