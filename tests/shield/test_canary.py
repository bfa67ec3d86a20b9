"""The canary's mark: signed with the secret, short-lived, and impossible to fake."""

from __future__ import annotations

import pytest

from stormpetrel.shield.canary import MARK_AGE_S, mark, person_of

SECRET = b"a secret that is long enough"
AT_S = 1_900_000_000


def test_a_mark_is_known_for_a_while_and_no_longer():
    value = mark(SECRET, at_epoch_s=AT_S).encode()
    assert person_of(SECRET, value, now_epoch_s=AT_S)
    assert person_of(SECRET, value, now_epoch_s=AT_S + MARK_AGE_S - 0.5)
    assert not person_of(SECRET, value, now_epoch_s=AT_S + MARK_AGE_S)
    assert not person_of(SECRET, value, now_epoch_s=AT_S - MARK_AGE_S)


def test_another_secret_or_another_time_is_no_mark():
    value = mark(SECRET, at_epoch_s=AT_S).encode()
    assert not person_of(b"another secret, long enough", value, now_epoch_s=AT_S)
    assert not person_of(SECRET, value.replace(b"1900000000", b"1900000001"), now_epoch_s=AT_S)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b"1900000000",
        b"1900000000.",
        b".0123456789abcdef0123456789abcdef",
        b"-1900000000.0123456789abcdef0123456789abcdef",
        b"9999999999999999999.0123456789abcdef0123456789abcdef",
        b"1900000000.\xff\xfe",
        b"\xb2\xb3.00",
        b"1900000000." + b"0" * 10_000,
    ],
)
def test_what_is_no_mark_is_refused_and_breaks_nothing(value):
    assert not person_of(SECRET, value, now_epoch_s=AT_S)


@pytest.mark.parametrize("person", ["member", "visitor"])
def test_a_mark_names_its_person_and_no_other(person):
    value = mark(SECRET, at_epoch_s=AT_S, person=person).encode()
    assert person_of(SECRET, value, now_epoch_s=AT_S) == person


def test_a_short_secret_is_an_error():
    with pytest.raises(ValueError, match="16 bytes"):
        mark(b"short", at_epoch_s=AT_S)
