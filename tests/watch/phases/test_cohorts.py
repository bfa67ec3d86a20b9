"""Into which cohort a request is sorted, and how many senders a sample shows."""

from __future__ import annotations

from random import Random

import pytest

from stormpetrel.shield import evidence as e
from stormpetrel.watch.phases.cohorts import (
    HEAVY_ADDRESS_PER_S,
    LARGE_BODY_BYTES,
    WINDOW_S,
    HeavySenders,
    Sampled,
    came_by_a_link,
    cohort_of,
    distinct,
    heavy_senders,
    is_like_a_program,
)
from tests.watch.phases.traffic import MAIL, OWN, asked

NEW, HEAVY = e.NEW_NETWORK, HeavySenders(frozenset({1, 2}), frozenset({2}), frozenset({7}))


@pytest.mark.parametrize(
    ("row", "cohort"),
    [
        (asked(e.DEEP, NEW, e.APP, address=1, flags=e.CLAIMS_ADDRESS), "claims"),
        (asked(e.SIGN_UPS, NEW, e.APP, address=9, body_bytes=LARGE_BODY_BYTES), "bodies"),
        (asked(e.WRITE, e.MEMBER, e.APP, address=9, body_bytes=10**7, flags=e.IS_WRITE), "writes"),
        (asked(e.SIGN_UPS, NEW, e.APP, address=9), "sign_ups"),
        (asked(e.TOKENS, NEW, e.APP, address=1), "sign_ins"),
        (asked(e.STREAMS, e.FORGED, e.APP, address=1, credential=3), "streams"),
        (asked(e.APIS, e.FORGED, e.APP, address=1, credential=3), "forged"),
        (asked(e.APIS, e.MEMBER, e.APP, address=1, credential=7), "abused"),
        (asked(e.APIS, e.MEMBER, e.APP, address=1, credential=8), "members"),
        (asked(e.ASSET, NEW, e.BROWSER, address=1), "files"),
        (asked(e.CACHED, NEW, e.BROWSER, address=1, flags=e.IS_PIPELINED), "pipelined"),
        (asked(e.DEEP, NEW, e.BROWSER, address=1), "few"),
        (asked(e.DEEP, NEW, e.BROWSER, address=2), "shared"),
        (asked(e.FEEDS, NEW, e.READER, address=9), "feeds"),
        (asked(e.SEARCHES, NEW, e.BROWSER, address=9), "search"),
        (asked(e.UNKNOWN_PATH, NEW, e.BROWSER, address=9), "expensive"),
        (asked(e.CACHED, NEW, e.BROWSER, address=9), "pages"),
        (asked(e.APIS, NEW, e.APP, address=9), "others"),
    ],
)
def test_a_request_is_counted_where_its_strongest_mark_is(row, cohort) -> None:
    assert cohort_of(row, HEAVY) == cohort


def test_an_address_is_heavy_by_its_rate_and_shared_if_members_use_it_too() -> None:
    often = round(HEAVY_ADDRESS_PER_S * WINDOW_S) + 1
    rows = [asked(e.DEEP, NEW, e.BROWSER, address=address) for address in (1, 2) for _ in range(often)]
    rows.append(asked(e.APIS, e.MEMBER, e.APP, address=2, credential=5))
    rows += [asked(e.ASSET, NEW, e.BROWSER, address=3) for _ in range(often)]
    found = heavy_senders([Sampled(1.0, tuple(rows))], seconds=WINDOW_S)
    assert found == HeavySenders(frozenset({1, 2}), frozenset({2}), frozenset())
    # One request of a sample of a twentieth is not a flood.
    one = Sampled(20.0, (asked(e.DEEP, NEW, e.BROWSER, address=1),))
    assert heavy_senders([one], seconds=WINDOW_S).addresses == frozenset()


@pytest.mark.parametrize(
    ("row", "is_program"),
    [
        (asked(e.CACHED, NEW, e.PROGRAM, address=1, referrer=MAIL), True),
        (asked(e.CACHED, NEW, e.NO_AGENT, address=1), True),
        (asked(e.CACHED, NEW, e.BROWSER, address=1, flags=e.HAS_EXTRA_QUERY), True),
        # A link with a parameter of the mail or the site that it was in.
        (asked(e.CACHED, NEW, e.BROWSER, address=1, referrer=MAIL, flags=e.HAS_EXTRA_QUERY), False),
        (asked(e.CACHED, NEW, e.BROWSER, address=1), False),
        (asked(e.CACHED, NEW, e.BROWSER, address=1, flags=e.HAS_COOKIE), False),
    ],
)
def test_what_looks_like_a_program(row, is_program) -> None:
    assert is_like_a_program(row) is is_program


def test_a_mailed_link_is_recognised_and_a_page_of_our_own_is_none() -> None:
    assert came_by_a_link(asked(e.CACHED, NEW, e.BROWSER, address=1, referrer=MAIL))
    assert not came_by_a_link(asked(e.CACHED, NEW, e.BROWSER, address=1, referrer=OWN))


@pytest.mark.parametrize("senders", [50, 2_000])
@pytest.mark.parametrize("sample", [300, 3_000])
def test_the_number_of_senders_does_not_depend_on_the_size_of_the_sample(senders, sample) -> None:
    rng = Random(1)
    found = distinct([rng.randrange(senders) for _ in range(sample)])
    assert found == pytest.approx(senders, rel=0.35)


def test_a_million_addresses_take_no_more_memory_than_the_sample() -> None:
    rows = [Sampled(1e6 / 300, tuple(asked(e.CACHED, NEW, e.BROWSER, address=n) for n in range(1, 301)))]
    assert heavy_senders(rows * 10, seconds=WINDOW_S).addresses == frozenset(range(1, 301))
    assert distinct(range(300)) == 300 * 299
