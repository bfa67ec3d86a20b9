"""Visitor and device cookies: only our own, of the right kind and not too old, and never with an earlier
time.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.cookies import mint, read
from stormpetrel.shield.marks import (
    COARSE_S,
    DEVICE_AGE_S,
    DEVICE_COOKIE,
    NO_MARKS,
    VISITOR_AGE_S,
    VISITOR_COOKIE,
    has_visitor_cookie,
    marks_of,
    mint_device,
    mint_visitor,
    read_device,
)

SECRET = b"a secret that is long enough"
NOW_S = 1_700_000_123


def header(**cookies: str) -> bytes:
    return "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()


@given(mark_id=st.integers(0, 2**64 - 1), at_s=st.integers(10**9, 2 * 10**9))
def test_a_visitor_is_never_taken_for_older_than_it_is(mark_id: int, at_s: int) -> None:
    cookie = header(a="b", **{VISITOR_COOKIE: mint_visitor(SECRET, mark_id=mark_id, at_s=at_s)})
    visitor, device = marks_of(SECRET, cookie, epoch_s=at_s)
    assert visitor is not None
    assert device is None
    assert visitor.mark_id == mark_id
    assert at_s <= visitor.issued_at_s < at_s + COARSE_S


def test_both_are_found_among_others() -> None:
    marks = marks_of(
        SECRET,
        header(
            x="y",
            **{
                DEVICE_COOKIE: mint_device(SECRET, mark_id=1, account_id=2, at_s=NOW_S),
                VISITOR_COOKIE: mint_visitor(SECRET, mark_id=3, at_s=NOW_S),
            },
        ),
        epoch_s=NOW_S,
    )
    assert marks.device is not None
    assert marks.visitor is not None
    assert (marks.device.mark_id, marks.device.account_id, marks.device.issued_at_s) == (1, 2, NOW_S)


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        b"",
        b"a=b",
        b"stormpetrel_visitor",
        b"stormpetrel_visitor=",
        b"stormpetrel_visitor=forged; stormpetrel_device=forged",
        header(**{VISITOR_COOKIE: mint_visitor(b"another secret of 16 bytes", mark_id=1, at_s=NOW_S)}),
        # A cookie of one kind is not accepted as another.
        header(**{VISITOR_COOKIE: mint_device(SECRET, mark_id=1, account_id=1, at_s=NOW_S)}),
        header(**{DEVICE_COOKIE: mint_visitor(SECRET, mark_id=1, at_s=NOW_S)}),
        header(**{DEVICE_COOKIE: mint(SECRET, session_id=1, account_id=1, issued_at_s=NOW_S)}),
        # These are too old.
        header(**{VISITOR_COOKIE: mint_visitor(SECRET, mark_id=1, at_s=NOW_S - VISITOR_AGE_S - COARSE_S)}),
        header(
            **{DEVICE_COOKIE: mint_device(SECRET, mark_id=1, account_id=1, at_s=NOW_S - DEVICE_AGE_S - 1)}
        ),
    ],
)
def test_everything_else_is_no_mark(cookie: bytes | None) -> None:
    assert marks_of(SECRET, cookie, epoch_s=NOW_S) == NO_MARKS


def test_a_mark_is_no_session() -> None:
    assert read(SECRET, mint_device(SECRET, mark_id=1, account_id=2, at_s=NOW_S)) is None
    assert read(SECRET, mint_visitor(SECRET, mark_id=1, at_s=NOW_S)) is None


def test_whoever_brings_any_visitor_cookie_is_not_given_another() -> None:
    assert has_visitor_cookie(b"a=b; stormpetrel_visitor=whatever")
    assert not has_visitor_cookie(b"stormpetrel_device=1")
    assert not has_visitor_cookie(None)


def test_a_device_is_read_from_its_value() -> None:
    value = mint_device(SECRET, mark_id=1, account_id=2, at_s=NOW_S)
    assert read_device(SECRET, value, epoch_s=NOW_S) == (1, 2, NOW_S)
    assert read_device(SECRET, "", epoch_s=NOW_S) is None
    assert read_device(SECRET, "é" * 54, epoch_s=NOW_S) is None


@given(
    value=st.one_of(
        st.just(mint_visitor(SECRET, mark_id=5, at_s=NOW_S)).map(str.encode),
        st.just(mint_device(SECRET, mark_id=5, account_id=6, at_s=NOW_S)).map(str.encode),
        st.binary(min_size=54, max_size=54),
        st.text('aA;= "\t', min_size=54, max_size=54).map(str.encode),
    )
)
def test_a_visitor_cookie_that_comes_alone_is_read_as_among_others(value: bytes) -> None:
    alone = VISITOR_COOKIE.encode() + b"=" + value
    assert marks_of(SECRET, alone, epoch_s=NOW_S) == marks_of(SECRET, b"a=b; " + alone, epoch_s=NOW_S)
