"""The user data header of 3GPP TS 23.040, 9.2.3.24."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.udh import NO_HEADER, Concatenation, ReferenceKind, Udh, header_of, separate

UDH_8, UDH_16 = ReferenceKind.UDH_8, ReferenceKind.UDH_16


@pytest.mark.parametrize(
    ("header", "concatenation"),
    [
        ("05 00 03 2a 02 01", Concatenation(UDH_8, 0x2A, 2, 1)),
        ("06 08 04 01 2a ff ff", Concatenation(UDH_16, 0x12A, 255, 255)),
    ],
)
def test_the_two_headers_of_a_part(header, concatenation):
    octets = bytes.fromhex(header)
    assert header_of(concatenation) == octets
    assert separate(octets + b"text") == (Udh(concatenation), b"text")


@given(st.integers(0, 255), st.integers(1, 255), st.booleans(), st.data())
def test_a_header_survives_the_way_there_and_back(reference, total, is_wide, data):
    part = Concatenation(UDH_16 if is_wide else UDH_8, reference, total, data.draw(st.integers(1, total)))
    assert separate(header_of(part)) == (Udh(part), b"")


@pytest.mark.parametrize(
    "part",
    [
        Concatenation(UDH_8, 256, 2, 1),
        Concatenation(UDH_16, 65_536, 2, 1),
        Concatenation(UDH_8, 0, 2, 0),
        Concatenation(UDH_8, 0, 2, 3),
        Concatenation(UDH_8, 0, 256, 1),
        Concatenation(ReferenceKind.SAR, 0, 2, 1),
    ],
)
def test_no_header_is_made_of_numbers_out_of_range(part):
    with pytest.raises(ValueError, match="no header"):
        header_of(part)


def test_other_elements_are_skipped_and_shifts_and_ports_are_read():
    # Special SMS indication, single shift Turkish, locking shift Portuguese, ports 2948 and 9200.
    header = bytes.fromhex("12 01 02 80 01 24 01 01 25 01 03 05 04 0b84 23f0") + b"\x6f\x00"
    assert len(header) == 19
    assert separate(header + b"x") == (Udh(None, locking=3, single=1, port=2948), b"x")
    assert separate(bytes.fromhex("04 04 02 f5 f0"))[0].port == 0xF5


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        ("05 00 03 2a 02", ""),  # shorter than its length
        ("05 00 04 2a 02 01 41", "41"),  # an element longer than the header
        ("01 00 41", "41"),  # an element without a length
        ("00 41", "41"),
        ("", ""),
    ],
)
def test_a_header_that_its_elements_do_not_fill_is_ignored(octets, body):
    assert separate(bytes.fromhex(octets)) == (NO_HEADER, bytes.fromhex(body))


@pytest.mark.parametrize("numbers", ["00 00", "00 01", "02 00", "02 03"])
def test_a_part_number_outside_one_to_total_is_ignored(numbers):
    assert separate(bytes.fromhex("05 00 03 2a" + numbers) + b"A") == (NO_HEADER, b"A")


def test_of_an_element_that_comes_twice_the_last_one_counts():
    header = bytes.fromhex("0a 00 03 01 02 01 00 03 07 03 02")
    assert separate(header)[0].concatenation == Concatenation(UDH_8, 7, 3, 2)


@given(st.binary(max_size=200))
def test_any_octets_can_be_separated(octets):
    header, body = separate(octets)
    assert octets.endswith(body)
    assert header.concatenation is None or header.concatenation.is_valid()
