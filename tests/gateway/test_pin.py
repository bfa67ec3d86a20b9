"""The PIN before a text: found in every coding, and no digit of it stays."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stormpetrel.gateway.pin import mask_octets, split_pin, strip_octets, without_misplaced_pin
from stormpetrel.sms import gsm
from stormpetrel.sms.udh import Concatenation, ReferenceKind, Udh
from stormpetrel.sms.user_data import Coding, UserData, text_of

HEADER = Udh(Concatenation(ReferenceKind.UDH_8, 7, 2, 1))


@pytest.mark.parametrize(
    ("text", "pin", "rest"),
    [
        ("1234 Hello", "1234", "Hello"),
        ("  12345678\nHello 5678 ", "12345678", "Hello 5678 "),
        ("\u200f1234 سلام", "1234", "سلام"),
        ("١٢٣٤ سلام", "1234", "سلام"),
        ("１２３４　hello", "1234", "hello"),
        ("1234: Hello", "1234", "Hello"),
        ("1234", "1234", ""),
        ("1234 5678 x", "1234", "5678 x"),
        ("123 Hello", None, "123 Hello"),
        ("123456789 Hello", None, "123456789 Hello"),
        ("1234Hello", None, "1234Hello"),
        ("GO 482913", None, "GO 482913"),
        ("12.50 euro", None, "12.50 euro"),
        ("", None, ""),
    ],
)
def test_a_pin_is_four_to_eight_digits_before_a_space(text, pin, rest):
    assert split_pin(text) == (pin, rest)
    found, part = strip_octets(UserData(Coding.UCS2, text.encode("utf-16-be"), HEADER))
    assert (found, text_of([part])) == (pin, rest)
    assert part.header is HEADER
    septets = gsm.encode(text)
    if septets is not None:
        found, part = strip_octets(UserData(Coding.GSM7, septets, HEADER))
        assert (found, text_of([part])) == (pin, rest)


def test_a_pin_in_a_national_alphabet_is_found():
    # Single shift table 4 (Bengali) has its digits behind an escape, at 0x19 to 0x1a and 0x1c to 0x23.
    octets = b"\x1b\x19\x1b\x1a\x1b\x1c\x1b\x1d Hi"
    assert strip_octets(UserData(Coding.GSM7, octets, Udh(single=4))) == (
        "0123",
        UserData(Coding.GSM7, b"Hi", Udh(single=4)),
    )


@pytest.mark.parametrize("coding", [Coding.ASCII, Coding.LATIN1, Coding.CYRILLIC, Coding.HEBREW])
def test_a_pin_in_other_codings_is_found(coding):
    assert strip_octets(UserData(coding, b"1234 Hi\xff")) == ("1234", UserData(coding, b"Hi\xff"))


def test_octets_that_are_no_text_stay():
    part = UserData(Coding.BINARY, b"1234 Hi")
    assert strip_octets(part) == (None, part)


@given(
    st.sampled_from(["", " ", "\n", "\x1b", "\x1b\x1b"]).map(str.encode),
    st.text("0123456789", max_size=10).map(str.encode),
    st.binary(max_size=20),
    st.sampled_from(Coding),
    st.builds(Udh, locking=st.integers(0, 14), single=st.integers(0, 14)),
)
@example(b"\x1b", b"1234", b"\x1b", Coding.GSM7, Udh())
def test_the_octets_and_the_text_give_the_same_pin_and_the_same_rest(before, digits, rest, coding, header):
    octets = before + digits + rest
    if coding is Coding.UCS2:
        octets = b"".join(bytes([0, octet]) for octet in before + digits) + rest
    part = UserData(coding, octets, header)
    pin, stripped = strip_octets(part)
    text = text_of([part])
    if text is None:
        assert pin is None
    else:
        assert (pin, text_of([stripped])) == split_pin(text)


@given(
    st.lists(st.sampled_from(["4711", "4712", "٤٧١١", " ", "x", "€", "ა", "😀", "\x1b"]), max_size=12).map(
        "".join
    ),
    st.sampled_from([Coding.UCS2, Coding.GSM7, Coding.LATIN1]),
    st.binary(max_size=3),
)
@example("(4711) a€ 4711", Coding.GSM7, b"")
@example("😀4711😀", Coding.UCS2, b"\xd8")
def test_a_misplaced_pin_is_masked_in_octets_as_in_text(text, coding, rest):
    octets = gsm.encode(text) if coding is Coding.GSM7 else text.encode(coding.value, "replace")
    if octets is None:
        octets = b"no text of this alphabet"
    part = UserData(coding, octets + rest, HEADER)
    masked = mask_octets(part, lambda digits: digits == "4711")
    assert text_of([masked]) == without_misplaced_pin(text_of([part]) or "", lambda digits: digits == "4711")
    assert masked.header is HEADER


def test_a_pin_in_an_alphabet_without_a_star_or_in_binary_data_is_masked_or_stays():
    # The locking shift table 8 (Malayalam) has its digits and no star at their usual places.
    for locking in range(1, 14):
        part = UserData(Coding.GSM7, bytes(range(0x30, 0x3A))[:8], Udh(locking=locking))
        text = text_of([part]) or ""
        masked = text_of([mask_octets(part, lambda digits: True)]) or ""
        assert not any(one.isdecimal() for one in masked) or not text.isdecimal(), locking
    data = UserData(Coding.BINARY, b"4711")
    assert mask_octets(data, lambda digits: True) is data
