"""Phones: quiet hours and digests in a time zone, PINs, and keyed hashes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.phone import (
    PhoneKeys,
    clean_digest,
    clean_pin,
    clean_quiet,
    is_same_hash,
    is_zone,
    next_time_ms,
    quiet_until_ms,
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("22-7", "22-7"),
        ("22:30-7:00", "22:30-7"),
        ("22 – 7", "22-7"),
        ("off", ""),
        ("", ""),
        ("22-22", None),
        ("25-7", None),
        ("night", None),
    ],
)
def test_quiet_hours_have_one_form(text: str, cleaned: str | None) -> None:
    assert clean_quiet(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"), [("18:00", "18:00"), ("8", "08:00"), ("off", ""), ("24:00", None), ("soon", None)]
)
def test_the_time_of_a_digest_has_one_form(text: str, cleaned: str | None) -> None:
    assert clean_digest(text) == cleaned


@pytest.mark.parametrize(
    ("now", "zone", "ends"),
    [
        ("2026-11-29T21:59", "UTC", None),
        ("2026-11-29T22:00", "UTC", "2026-11-30T07:00"),
        ("2026-11-30T06:59", "UTC", "2026-11-30T07:00"),
        ("2026-11-30T07:00", "UTC", None),
        # Tbilisi is four hours ahead.
        ("2026-11-29T18:00", "Asia/Tbilisi", "2026-11-30T03:00"),
        ("2026-11-29T17:59", "Asia/Tbilisi", None),
        # The night in which clocks in Berlin go back is an hour longer.
        ("2026-10-24T21:00", "Europe/Berlin", "2026-10-25T06:00"),
        ("2026-11-29T22:30", "No/Where", "2026-11-30T07:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_of_the_phone(now: str, zone: str, ends: str | None) -> None:
    until_ms = quiet_until_ms("22-7", zone=zone, now_ms=at(now))
    assert until_ms == (0 if ends is None else at(ends))


def test_quiet_hours_within_a_day() -> None:
    assert quiet_until_ms("12-14", zone="UTC", now_ms=at("2026-11-29T13:00")) == at("2026-11-29T14:00")
    assert quiet_until_ms("12-14", zone="UTC", now_ms=at("2026-11-29T14:00")) == 0
    assert quiet_until_ms("", zone="UTC", now_ms=at("2026-11-29T13:00")) == 0


@given(
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(["UTC", "Asia/Tbilisi", "America/New_York", "Asia/Kathmandu"]),
    st.integers(at("2026-01-01T00:00"), at("2027-01-01T00:00")),
)
def test_the_next_time_is_within_about_a_day(hour: int, minute: int, zone: str, now_ms: int) -> None:
    wait_ms = next_time_ms(f"{hour:02}:{minute:02}", zone=zone, now_ms=now_ms) - now_ms
    assert 0 < wait_ms <= 25 * 3_600_000


@pytest.mark.parametrize(
    ("text", "pin"),
    [("1234", "1234"), (" ١٢٣٤ ", "1234"), ("123", None), ("123456789", None), ("12a4", None)],
)
def test_a_pin_has_4_to_8_digits(text: str, pin: str | None) -> None:
    assert clean_pin(text) == pin


def test_a_number_is_sealed_and_found_by_its_keyed_hash() -> None:
    keys, others = PhoneKeys(b"k" * 32), PhoneKeys(b"o" * 32)
    sealed = keys.seal("+995599123456")
    assert "599123456" not in sealed
    assert keys.open(sealed) == "+995599123456"
    with pytest.raises(ValueError, match="another secret key"):
        others.open(sealed)
    assert keys.number_hash("+995599123456") == keys.number_hash("+995599123456")
    assert keys.number_hash("+995599123456") != others.number_hash("+995599123456")
    # The same PIN of two phones has two hashes, and a code's hash is not a number's.
    assert keys.pin_hash("+1", "1234") != keys.pin_hash("+2", "1234")
    assert keys.code_hash("123456") != keys.number_hash("123456")


def test_nothing_is_the_same_as_no_hash() -> None:
    assert not is_same_hash(None, None)
    assert not is_same_hash(b"a", None)
    assert is_same_hash(b"a", b"a")


def test_zones_are_names_of_the_zone_table() -> None:
    assert is_zone("Asia/Tbilisi")
    assert not is_zone("../../etc/passwd")
    assert not is_zone("")
