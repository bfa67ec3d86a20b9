"""The measures of a second, from generated samples."""

from __future__ import annotations

from random import Random

import pytest

from stormpetrel.watch.phases.cohorts import COHORTS
from stormpetrel.watch.phases.measures import SENDERS_S, Measurer, figures, mean
from tests.watch.phases import traffic
from tests.watch.phases.traffic import a_second


def test_the_cohorts_of_a_second_add_up_to_its_requests() -> None:
    seen = Measurer().measure(*a_second(Random(1), 5.0, (traffic.page_flood, 1_000)), at_s=5.0)
    assert sum(seen.rates[name] for name in COHORTS) == pytest.approx(1_070)
    assert seen.rates["pages"] > 900
    assert seen.sampled == 300


def test_senders_are_counted_over_ten_seconds_and_forgotten_after_them() -> None:
    rng, measurer = Random(1), Measurer()
    for second in range(10):
        seen = measurer.measure(*a_second(rng, second, (traffic.page_flood, 1_000)), at_s=float(second))
    assert seen.features["addresses"] == pytest.approx(2_000, rel=0.4)
    later_s = 10.0 + SENDERS_S
    seen = measurer.measure(*a_second(rng, later_s, calm=0), at_s=later_s)
    assert "addresses" not in seen.features


def test_a_new_phase_begins_with_its_own_senders():
    rng, measurer = Random(1), Measurer()
    for second in range(5):
        measurer.measure(*a_second(rng, second, (traffic.page_flood, 1_000)), at_s=float(second))
    measurer.forget(4.0)
    seen = measurer.measure(*a_second(rng, 5.0, (traffic.few_sources, 1_000)), at_s=5.0)
    assert seen.features["addresses"] < 200


def burst_of(second):
    """Return the maker of requests of senders who come in this second, ten others than in the one before."""
    return lambda rng: traffic.few_sources(rng)._replace(address=60_000 + second * 10 + rng.randrange(10))


@pytest.mark.parametrize(
    ("maker_of", "steady"),
    [(lambda second: traffic.few_sources, 1.0), (burst_of, 0.0)],
    ids=["stay", "change"],
)
def test_senders_of_many_requests_stay_or_change(maker_of, steady) -> None:
    rng, measurer = Random(4), Measurer()
    found = []
    for second in range(8):
        seen = measurer.measure(*a_second(rng, second, (maker_of(second), 1_000)), at_s=float(second))
        found.append(seen.features.get("steady"))
    # In the first seconds no sender can have been there before.
    assert found[:3] == [None] * 3
    assert found[3:] == [pytest.approx(steady, abs=0.02)] * 5


def test_a_mean_averages_rates_over_all_seconds_and_shares_over_those_that_have_them() -> None:
    rng, measurer = Random(2), Measurer()
    one = measurer.measure(*a_second(rng, 1.0, calm=0), at_s=1.0)
    other = measurer.measure(*a_second(rng, 2.0, (traffic.page_flood, 200), calm=0), at_s=2.0)
    both = mean([one, other])
    assert both.rates["pages"] == pytest.approx(other.rates["pages"] / 2)
    assert both.features["page_programs"] == other.features["page_programs"]
    with pytest.raises(ValueError, match="no measures"):
        mean([])


@pytest.mark.parametrize(
    ("lost", "reset", "malformed", "churned"),
    [
        (60, 100, 0, 60.0),  # Most are reset before the request is read.
        (5, 100, 0, 80.0),  # Soon after the beginning they are not: all may be.
        (0, 100, 100, 0.0),  # What cannot be read asks for no page.
    ],
)
def test_pages_asked_on_connections_that_were_reset_are_counted(lost, reset, malformed, churned) -> None:
    rng, pages = Random(5), iter(range(80))

    def asked(rng):
        page = traffic.crowd(rng)
        return page._replace(address=0, network=0) if next(pages) < lost else page

    second = a_second(
        rng, 1.0, (asked, 80), calm=0, connections={"reset": reset}, because={"edge/malformed": malformed}
    )
    assert Measurer().measure(*second, at_s=1.0).rates["churned_pages"] == pytest.approx(churned)


def test_figures_have_their_unit_in_the_name() -> None:
    because = {"edge/body-too-large": 3, "edge/malformed": 2}
    second = a_second(Random(3), 1.0, connections={"slow_head": 7}, because=because)
    found = figures(Measurer().measure(*second, at_s=1.0))
    assert (found["slow"], found["requests_per_s"]) == (7.0, 70.0)
    assert (found["refused_bodies_per_s"], found["malformed_per_s"]) == (3.0, 5.0)
