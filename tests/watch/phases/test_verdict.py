"""Crowd or attack, with evidence for and against; and the answer of a rule on volume alone."""

from __future__ import annotations

from random import Random

import pytest

from stormpetrel.shield import evidence as e
from stormpetrel.watch.phases.measures import Measurer, Measures, mean
from stormpetrel.watch.phases.usual import Usual
from stormpetrel.watch.phases.verdict import CALM, find, volume_rule
from tests.watch.phases import traffic
from tests.watch.phases.traffic import learnt, seconds_of


def found(*mixes, seed=1, **more):
    rng = Random(seed)
    measurer, usual = learnt(rng)
    return find(mean(seconds_of(measurer, rng, 60, mixes, **more)), usual)


def test_usual_traffic_is_calm_and_so_is_everything_before_the_usual_is_known() -> None:
    assert found() == CALM
    measurer = learnt(Random(1))[0]
    flood = seconds_of(measurer, Random(1), 60, [(traffic.page_flood, 1_000)])
    assert find(mean(flood), Usual()) == CALM


def test_people_who_follow_a_mailed_link_are_a_crowd() -> None:
    finding = found((traffic.crowd, 1_500))
    assert (finding.verdict, finding.vectors) == ("crowd", ())
    assert finding.attack_share < 0.1
    assert "page_links" in {item.name for item in finding.evidence_against}


def test_people_without_a_referrer_are_a_crowd_if_they_load_the_files_of_the_page() -> None:
    assert found((traffic.crowd_without_referrer, 1_000)).verdict == "crowd"


def test_programs_at_the_same_page_are_an_attack() -> None:
    finding = found((traffic.page_flood, 1_000))
    assert finding.verdict == "attack"
    assert finding.attack_share > 0.9
    assert "page_programs" in {item.name for item in finding.evidence_for}


def test_a_crowd_and_an_attack_at_once_are_mixed_and_the_share_is_that_of_the_attack() -> None:
    finding = found((traffic.crowd, 500), (traffic.expensive_reads, 500))
    assert finding.verdict == "mixed"
    assert finding.attack_share == pytest.approx(0.5, abs=0.1)
    assert [vector.name for vector in finding.vectors] == ["expensive_reads"]


def test_chance_among_people_does_not_make_a_small_attack_a_mixed_one() -> None:
    for seed in range(20):
        finding = found(seed=seed, features={"texts_new": 9.0})
        assert (finding.verdict, finding.attack_share) == ("attack", 1.0)


def test_a_crowd_of_half_is_neither_called_an_attack_nor_missed() -> None:
    labels = {found((traffic.crowd, per_s), seed=per_s).verdict for per_s in (200, 400, 800, 3_000)}
    assert labels == {"crowd"}


def from_few_networks(networks, maker, *, first=900_000):
    """Return a maker of the same requests from the first `networks` networks of 250 addresses each."""

    def make(rng):
        at = first + 250 * rng.randrange(networks) + rng.randrange(250)
        return maker(rng)._replace(address=at, network=at // 250 + 1)

    return make


@pytest.mark.parametrize("calm", [70, 280])
@pytest.mark.parametrize("networks", [1, 5, 8])
@pytest.mark.parametrize(
    "maker", [traffic.crowd, traffic.crowd_without_referrer, traffic.an_api_flood, traffic.people]
)
def test_few_networks_are_never_a_crowd_however_busy_the_machine_is(calm, networks, maker):
    rng = Random(networks)
    measurer, usual = Measurer(), Usual()
    for second in range(60):
        usual = usual.learn(measurer.measure(*traffic.a_second(rng, second, calm=calm), at_s=float(second)))
    for per_s in (80, 150, 400, 2_000):
        burst = [(from_few_networks(networks, maker), per_s)]
        seconds = seconds_of(measurer, rng, 60, burst, calm=calm, seconds=8)
        assert "crowd" not in {find(one, usual).verdict for one in (*seconds, mean(seconds))}
        measurer.forget(1_000.0)


@pytest.mark.parametrize("networks", [1, 5, 8])
@pytest.mark.parametrize("maker", [traffic.crowd, traffic.crowd_without_referrer])
def test_few_networks_beside_an_attack_are_no_crowd_either(networks, maker):
    burst = (from_few_networks(networks, maker), 500)
    assert found((traffic.expensive_reads, 500), burst, seed=networks).verdict in ("attack", "unknown")
    assert found((traffic.expensive_reads, 500), (maker, 500), seed=networks).verdict == "mixed"


def test_a_few_visitors_of_an_idle_instance_are_calm():
    # Recorded when the first people came to an instance: their pages load twenty files each. Three times as much is
    # not decided.
    usual = Usual(seconds=20.0, rates={"members": 2.0, "requests": 5.0}, mix={"members": 2.0})

    def seen(times):
        rates = {"files": 45.7, "pages": 11.7, "members": 3.0, "requests": 63.0}
        rates = {name: rate * times for name, rate in rates.items()}
        mix = {name: rate for name, rate in rates.items() if name != "requests"}
        return Measures(
            60.0, rates, {"networks": 7.0}, mix, sampled=63, networks={"files": 5.0, "pages": 12.0}
        )

    assert find(seen(1), usual) == CALM
    assert find(seen(3), usual).verdict == "unknown"


def test_members_of_many_networks_who_come_at_once_are_a_crowd():
    def members(rng):
        return traffic.asked(
            e.APIS, e.MEMBER, e.APP, address=rng.randrange(50_000), credential=rng.randrange(50_000)
        )

    assert found((members, 1_000)).verdict == "crowd"


def test_the_volume_rule_says_attack_of_a_crowd_and_nothing_of_slow_connections() -> None:
    assert volume_rule([70.0] * 10 + [700.0] * 10)
    assert volume_rule([10.0] * 2 + [600.0] * 2)
    assert not volume_rule([70.0] * 20)
    # Slowly, without a jump.
    assert not volume_rule([600.0 + 20 * second for second in range(20)])
