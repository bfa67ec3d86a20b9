"""How true the status page is, from handwritten lines, and reading the page of a real instance."""

from __future__ import annotations

import json
import time

import pytest

from stormpetrel.drill.loopback import Address
from stormpetrel.drill.record import OK, REFUSED, PageLook, look_json, parse
from stormpetrel.drill.status_page import PEOPLE, PageScore, StatusReader, page_score
from stormpetrel.model.channel import CHANNEL_NAMES
from tests.drill.lines import line
from tests.ports import reserved_ports

GREEN = {"Apps": "operational", "Feeds": "operational"}


def looks(shown, *, first=0, last=60):
    """Return a look at the page in each second; `shown` is a function of the second."""
    return [PageLook(float(t), 2.0, shown(t)) for t in range(first, last)]


def asked(bad_from, bad_until, *, each_s=0.5, channel="apps"):
    """Return a request every `each_s` for a minute; those of the bad seconds are refused."""
    return [
        line(t * each_s, REFUSED if bad_from <= t * each_s < bad_until else OK, channel=channel)
        for t in range(int(60 / each_s))
    ]


def test_a_page_that_stays_green_lies_once_people_suffered_for_ten_seconds():
    score = page_score(asked(20, 60), looks(lambda t: GREEN))
    # From second 20.5 on the last ten seconds are bad, and from 30.5 on those before them too.
    assert score == PageScore(looks=60, reached=60, lies_s={"Apps": 29}, p99_ms=2.0)
    assert score.lie_seconds == 29


@pytest.mark.parametrize(
    "state", ["degraded_performance", "partial_outage", "major_outage", "unknown", "under_maintenance"]
)
def test_only_green_can_lie(state):
    score = page_score(asked(20, 60), looks(lambda t: {"Apps": "operational" if t < 30 else state}))
    assert score.lies_s == {}


def test_a_page_that_turns_green_again_too_soon_lies():
    score = page_score(
        asked(20, 60), looks(lambda t: {"Apps": "operational" if t < 28 or t >= 50 else "major_outage"})
    )
    assert score.lies_s == {"Apps": 10}


@pytest.mark.parametrize("began_s", [20.0, 21.5, 23.0])
def test_a_failure_of_three_seconds_that_is_over_is_no_lie_wherever_the_windows_divide_it(began_s):
    # As when a worker is killed: apps open their streams again after two or three seconds.
    lines = asked(began_s, began_s + 3, each_s=0.1)
    assert page_score(lines, looks(lambda t: GREEN)).lies_s == {}


def test_a_failure_that_comes_and_goes_is_a_lie_while_it_comes():
    lines = [
        line(t / 10, REFUSED if t / 10 >= 20 and t % 40 < 10 else OK, channel="apps") for t in range(600)
    ]
    assert page_score(lines, looks(lambda t: GREEN)).lies_s == {"Apps": 29}


def test_each_channel_is_judged_by_its_own_people():
    lines = [*asked(20, 60), *asked(0, 0, channel="feeds")]
    assert page_score(lines, looks(lambda t: GREEN)).lies_s.keys() == {"Apps"}


def test_few_requests_say_nothing_and_retries_do_not_count():
    assert page_score(asked(20, 60, each_s=2.0), looks(lambda t: GREEN)).lies_s == {}
    retries = [line(t / 2, REFUSED, is_retry=True) for t in range(40, 120)]
    assert page_score([*asked(0, 0), *retries], looks(lambda t: GREEN)).lies_s == {}


def test_a_page_that_does_not_answer_is_counted_and_is_no_lie():
    score = page_score(asked(20, 60), looks(lambda t: {} if t % 2 else {"Apps": "major_outage"}))
    assert score == PageScore(looks=60, reached=30, lies_s={}, p99_ms=2.0)
    assert page_score(asked(20, 60), []) is None


def test_the_time_of_99_of_100_answers_counts_without_those_that_never_came():
    slow = [PageLook(float(t), 2.0 + t, GREEN if t else {}) for t in range(101)]
    assert page_score([], slow).p99_ms == 101.0
    assert page_score([], slow[:1]).p99_ms is None


def test_a_look_is_a_line_of_the_record():
    look = PageLook(3.25, 1.5, GREEN)
    assert parse(look_json(look)) == look
    assert json.loads(look_json(look))["page"] == GREEN


def test_the_page_has_every_channel_that_is_judged():
    # The drill imports nothing of the product, so it repeats the names.
    assert set(PEOPLE) <= set(CHANNEL_NAMES.values())


def test_it_reads_a_real_page_each_second(place):
    target = Address("127.0.0.1", int(place.instance.status_url.rpartition(":")[2]))
    with StatusReader(target, begin_s=time.monotonic(), seconds=2.5) as reader:
        time.sleep(2.6)
    assert [int(look.t) for look in reader.looks] == [0, 1, 2]
    assert all("Web pages" in look.shown and "Apps" in look.shown for look in reader.looks)


def test_nothing_is_read_where_nothing_listens():
    with reserved_ports(1) as (port,):
        target = Address("127.0.0.1", port)
        with StatusReader(target, begin_s=time.monotonic(), seconds=0.5) as reader:
            time.sleep(0.2)
    assert [look.shown for look in reader.looks] == [{}]
