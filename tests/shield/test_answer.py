"""Retry-After, and the content of a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.admit import (
    Gate,
    Policy,
)
from stormpetrel.shield.answer import FORGIVEN_AFTER_S, MAX_RETRY_AFTER_S, RetryTracker, retry_after_s
from tests.shield.test_admit import stranger


@given(st.integers(0, 10_000), st.floats(0, 1e5), st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_retry_after_is_a_whole_number_of_seconds_within_bounds_and_rises(
    waiting: int, drained_per_s: float, refusals: int, jitter: float
) -> None:
    keys = {"waiting": waiting, "drained_per_s": drained_per_s, "jitter": jitter}
    first = retry_after_s(refusals=refusals, **keys)  # type: ignore[arg-type]
    assert 1 <= first <= MAX_RETRY_AFTER_S
    assert retry_after_s(refusals=refusals + 1, **keys) >= first  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("waiting", "drained_per_s", "refusals", "jitter", "expected"),
    [(0, 100.0, 1, 0.0, 1), (400, 100.0, 1, 0.0, 5), (400, 100.0, 2, 0.5, 12), (10_000, 1.0, 1, 0.0, 120)],
)
def test_retry_after_is_the_formula_in_its_docstring(
    waiting: int, drained_per_s: float, refusals: int, jitter: float, expected: int
) -> None:
    assert (
        retry_after_s(waiting=waiting, drained_per_s=drained_per_s, refusals=refusals, jitter=jitter)
        == expected
    )


def test_patience_starts_again_after_a_while() -> None:
    patience = RetryTracker()
    assert [patience.refused(stranger(1), at_s) for at_s in (0.0, 1.0, 2.0)] == [1, 2, 3]
    assert patience.refused(stranger(1), 2.1 + FORGIVEN_AFTER_S) == 1


@pytest.mark.parametrize("because", ["ceiling/requests", "queue/identity", "queue/full", "queue/deadline"])
def test_a_refusal_says_when_to_return_and_429_says_the_limit(because: str) -> None:
    gate = Gate(Policy(requests_per_5min=300))
    refused = gate.refusal(because, stranger(1), suspect=stranger(1), at_s=5.0, epoch_s=1000.0, jitter=0.3)
    assert refused.status == (429 if because in ("ceiling/requests", "queue/identity") else 503)
    assert refused.retry_after_s is not None
    assert (refused.rate_limit is not None) == (refused.status == 429)
    assert refused.because == because
