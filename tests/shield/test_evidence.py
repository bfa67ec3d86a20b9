"""The sample of a worker's requests: uniform, bounded at once, and without names."""

from __future__ import annotations

from random import Random

import pytest

from stormpetrel.shield.evidence import (
    ASSET,
    CACHED,
    DEEP,
    FEEDS,
    KINDS,
    MAX_FAILED_LOGINS,
    MAX_SAMPLE,
    MEDIA,
    PAGES,
    SEARCHES,
    SEVERAL,
    SIGN_INS,
    SIGN_UPS,
    TAGS,
    UNKNOWN_PATH,
    WRITE,
    EvidenceCounts,
    FailedLogins,
    FailedSignIns,
    KeyedHash,
    RequestSampler,
    SampledRequest,
    kind_of,
)
from stormpetrel.shield.paths import APPS, FEED, SEARCH, SIGN_IN, TAG, PathFacts


def row(address: int = 1) -> SampledRequest:
    return SampledRequest(PAGES, 3, 0, 0, 0, address, 1, 0, 1, 0, 0)


def sampled(requests: int, sampler: RequestSampler, *, start: int = 0) -> list[int]:
    taken = []
    for number in range(start + 1, start + requests + 1):
        if number >= sampler.due:
            sampler.add(row(number), b"/page")
            taken.append(number)
    return taken


def test_few_requests_are_all_looked_at() -> None:
    sampler = RequestSampler()
    sampled(MAX_SAMPLE - 1, sampler)
    requests, rows, paths = sampler.take(MAX_SAMPLE - 1)
    assert requests == len(rows) == MAX_SAMPLE - 1
    assert paths == {"/page": MAX_SAMPLE - 1}


def test_a_flood_costs_a_bounded_number_of_looks_already_in_its_first_second() -> None:
    sampler = RequestSampler()
    looks = sampled(20_000, sampler)
    requests, rows, _ = sampler.take(20_000)
    assert requests == 20_000
    assert MAX_SAMPLE // 2 <= len(rows) <= MAX_SAMPLE
    assert len(looks) < MAX_SAMPLE * 5
    # Evenly over the whole second, not its beginning.
    numbers = [one.address for one in rows]
    assert sum(number > 10_000 for number in numbers) == pytest.approx(len(numbers) / 2, rel=0.1)
    # The next second of the flood is cheaper, and calm is sampled completely again soon.
    assert len(sampled(20_000, sampler, start=20_000)) <= MAX_SAMPLE < len(looks)
    sampler.take(40_000)
    sampled(100, sampler, start=40_000)
    sampler.take(40_100)
    assert len(sampled(100, sampler, start=40_100)) == 100


def test_a_path_that_is_requested_once_is_not_reported_by_name() -> None:
    sampler = RequestSampler()
    for path in [b"/auth/confirm/secret", *[b"/@ana"] * SEVERAL]:
        sampler.add(row(), path)
    assert sampler.take(4)[2] == {"/@ana": SEVERAL}


def test_requests_that_are_left_out_do_not_count_for_those_in_the_sample() -> None:
    sampler = RequestSampler()
    for _ in range(13):
        sampler.skip()
    assert sampler.take(13)[0] == 0
    for _ in range(13):
        sampler.skip()
    sampler.add(row(), b"/auth/sign_in")
    sampler.add(row(), b"/auth/sign_up")
    assert sampler.take(28)[0] == 2
    # In a flood, those left out are as rare in the sample as among all.
    rng = Random(1)
    for number in range(29, 20_029):
        if number >= sampler.due:
            if rng.random() < 0.9:
                sampler.add(row(), b"/page")
            else:
                sampler.skip()
    assert sampler.take(20_028)[0] == pytest.approx(18_000, rel=0.05)


def test_a_hash_is_the_same_in_every_worker_of_an_instance_and_in_no_other() -> None:
    one, same, other = (KeyedHash(secret) for secret in (b"a" * 32, b"a" * 32, b"b" * 32))
    assert one("192.0.2.1") == same(b"192.0.2.1") != other("192.0.2.1")
    assert one("") == 0
    assert 0 < one("x") < 2**32


@pytest.mark.parametrize(
    ("facts", "path", "query", "changes", "is_cached", "kind"),
    [
        (PathFacts(exists=True), b"/@ana", b"", False, True, CACHED),
        (PathFacts(exists=True), b"/@ana", b"", False, False, PAGES),
        (PathFacts(exists=True), b"/public", b"max_id=1", False, False, DEEP),
        (PathFacts(), b"/x.php", b"", False, False, UNKNOWN_PATH),
        (PathFacts(exists=True, kind=TAG), b"/tags/a", b"", False, False, TAGS),
        (PathFacts(exists=True, kind=SEARCH), b"/search", b"q=a", False, False, SEARCHES),
        (PathFacts(exists=True, kind=FEED), b"/@ana/feed.atom", b"", False, True, FEEDS),
        (PathFacts(exists=True, is_same_for_all=True), b"/assets/a.css", b"", False, True, ASSET),
        (PathFacts(exists=True), b"/media/a", b"", False, False, MEDIA),
        (PathFacts(exists=True, changing_kind=SIGN_IN), b"/auth/sign_in", b"", True, False, SIGN_INS),
        (PathFacts(exists=True, changing_kind=APPS), b"/api/v1/apps", b"", True, False, SIGN_UPS),
        (PathFacts(exists=True), b"/api/v1/statuses", b"", True, False, WRITE),
    ],
)
def test_a_request_is_named_by_its_purpose(facts, path, query, changes, is_cached, kind) -> None:
    assert KINDS[kind_of(facts, path, query, changes=changes, is_cached=is_cached)] == KINDS[kind]


def test_costs_are_reported_by_kind_and_once() -> None:
    counts = EvidenceCounts()
    counts.cost_s[PAGES] += 0.002
    counts.ignored += 2
    assert counts.take() == ({"page": 2.0}, {"ignored": 2})
    assert counts.take() == ({}, {})


def test_failed_sign_ins_are_counted_with_those_of_the_account_that_has_most() -> None:
    failed = FailedLogins()
    for login in [*range(MAX_FAILED_LOGINS + 50), *[7] * 40]:
        failed.count(login)
    assert failed.take() == FailedSignIns(MAX_FAILED_LOGINS + 90, 41)
    assert failed.take() == FailedSignIns()
