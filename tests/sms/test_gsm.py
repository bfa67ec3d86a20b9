"""The GSM 7-bit alphabet of 3GPP TS 23.038: text, septets and packed octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms import gsm
from stormpetrel.sms.national_tables import DEFAULT, LOCKING, SINGLE, UNASSIGNED

LETTERS = DEFAULT.replace(UNASSIGNED, "")
EXTENSION = "\f^{}\\[~]|€"
TEXTS = st.text(alphabet=LETTERS + EXTENSION, max_size=400)
SEPTETS = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))


def test_each_character_of_the_default_alphabet_is_one_septet():
    assert len(LETTERS) == len(set(LETTERS)) == 127
    for septet, character in enumerate(DEFAULT):
        if character != UNASSIGNED:
            assert gsm.encode(character) == bytes([septet])
            assert gsm.decode(bytes([septet])) == character


# TS 23.038, 6.2.1.1
@pytest.mark.parametrize(
    ("character", "septet"),
    list(zip("\f^{}\\[~]|€", bytes.fromhex("0a 14 28 29 2f 3c 3d 3e 40 65"), strict=True)),
)
def test_a_character_of_the_extension_table_is_an_escape_and_a_septet(character, septet):
    assert gsm.encode(character) == bytes([0x1B, septet])
    assert gsm.decode(bytes([0x1B, septet])) == character


@given(TEXTS)
def test_a_text_in_the_alphabet_survives_the_way_there_and_back(text):
    septets = gsm.encode(text)
    assert len(septets) == len(text) + sum(text.count(character) for character in EXTENSION)
    assert gsm.decode(septets) == text
    assert gsm.unencodable(text) == set()


@given(st.text())
def test_a_text_is_encoded_exactly_if_it_has_no_other_character(text):
    others = set(text) - set(LETTERS + EXTENSION)
    assert gsm.unencodable(text) == others
    assert (gsm.encode(text) is None) == bool(others)


def test_letters_outside_the_alphabet_cannot_be_encoded():
    assert gsm.unencodable("ça va, señor? `ok` \x1b á") == {"ç", "`", "\x1b", "á"}


@given(SEPTETS, st.integers(-1, 20), st.integers(-1, 20))
def test_any_septets_decode_to_a_text_without_an_escape(septets, locking, single):
    text = gsm.decode(septets, locking=locking, single=single)
    assert "\x1b" not in text
    assert len(text) <= len(septets)


@given(st.binary(max_size=200))
def test_octets_that_are_no_septets_become_replacement_characters(octets):
    assert gsm.decode(octets).count("\ufffd") <= sum(octet > 127 for octet in octets)


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        (b"a\x1b", "a "),  # the end of the text
        (b"\x1b\x1bA", " A"),  # reserved for another table
        (b"\x1bA", "A"),  # not in the extension table: the character of the main table
        (b"\x1b\x0d", "\r"),
        (b"\x1b\xff", "\ufffd"),
        (b"\x1b\x65\x1b\x65", "€€"),
        (b"", ""),
    ],
)
def test_an_escape_is_read_as_the_standard_says(septets, text):
    assert gsm.decode(septets) == text


# Vectors of the field: the first two are in most descriptions of SMS PDUs.
def test_the_national_tables_have_128_characters_and_an_escape():
    assert sorted(LOCKING) == [0, 1, *range(3, 14)]
    assert sorted(SINGLE) == list(range(14))
    for table in (*LOCKING.values(), *SINGLE.values()):
        assert len(table) == 128
        assert table[0x1B] == UNASSIGNED
    for language, table in SINGLE.items():
        assert table[0x65] == "€", language
    for language, table in LOCKING.items():
        assert (table[0x0A], table[0x0D], table[0x20], table[0x61:0x7B]) == (
            *"\n\r ",
            "abcdefghijklmnopqrstuvwxyz",
        ), language


# TS 23.038, A.2 and A.3
@pytest.mark.parametrize(
    ("octets", "locking", "single", "text"),
    [
        ("1b47 1b49 1b53 1b63 1b67 1b69 1b73", 0, 1, "ĞİŞçğış"),
        ("04 07 0b 0c 1c 1d 40 60", 1, 0, "€ıĞğŞşİç"),
        ("1b09 1b41 1b49 1b4f 1b55 1b61 1b69 1b6f 1b75", 0, 2, "çÁÍÓÚáíóú"),
        ("1b05 1b0b 1b0e 1b12 1b1f 1b5b 1b7c 1b7f", 0, 3, "êÔÁΦÊÃõâ"),
        ("04 09 12 13 15 16 18 1c 24 40 5b 60 7b 7d", 3, 0, "êçªÇ∞^€ÂºÍÃ~ã`"),
        ("00 26 51 38 5a 1b1c 1b2a", 6, 6, "\u0901\u0923\u093f8\u0948\u0966\u0953"),
        (
            "5c 5d 5e 5f 60 7b 7c 7d 7e 7f",
            13,
            0,
            "\u064d\u0650\u064f\u0657\u0654\u0655\u0651\u0653\u0656\u0670",
        ),
        ("1b1c 1b27 1b3f", 13, 13, "\u06f0\u060d\u06d4"),
        ("01 0e 1b1d", 11, 11, "ஂஎ௧"),
    ],
)
def test_national_tables_are_decoded(octets, locking, single, text):
    assert gsm.decode(bytes.fromhex(octets), locking=locking, single=single) == text


def test_unassigned_septets_of_a_national_table_are_spaces():
    assert gsm.decode(b"\x0c\x5b", locking=11) == "  "
