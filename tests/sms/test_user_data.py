"""The text of a message from the octets of its parts."""

from __future__ import annotations

import pytest

from stormpetrel.sms.udh import Udh
from stormpetrel.sms.user_data import Coding, UserData, text_of


def test_an_escape_and_a_surrogate_pair_cut_by_another_phone_are_joined():
    parts = [UserData(Coding.GSM7, b"10 \x1b"), UserData(Coding.GSM7, b"\x65!")]
    assert text_of(parts) == "10 €!"
    octets = "ა😀".encode("utf-16-be")
    assert text_of([UserData(Coding.UCS2, octets[:4]), UserData(Coding.UCS2, octets[4:])]) == "ა😀"


def test_parts_of_different_codings_make_one_text():
    parts = [UserData(Coding.GSM7, b"a\x1b"), UserData(Coding.UCS2, "ბ".encode("utf-16-be"))]
    assert text_of([*parts, UserData(Coding.GSM7, b"\x00")]) == "a ბ@"


def test_each_part_is_read_by_its_own_national_table():
    turkish = UserData(Coding.GSM7, b"\x1bS", Udh(single=1))
    assert text_of([turkish, UserData(Coding.GSM7, b"\x1bS")]) == "ŞS"


@pytest.mark.parametrize(
    ("coding", "octets", "text"),
    [
        (Coding.ASCII, b"@{}\xe9", "@{}\ufffd"),
        (Coding.LATIN1, b"\xe9t\xe9", "été"),
        (Coding.CYRILLIC, b"\xe1\xe2\xde\xdf", "стоп"),
        (Coding.HEBREW, b"\xf9\xec", "של"),
        (Coding.UCS2, b"\x00a\xd8\x00", "a\ufffd"),
        (Coding.UCS2, b"\x00a\x00", "a\ufffd"),
        (Coding.BINARY, b"\x00", None),
    ],
)
def test_each_coding_is_decoded_and_damage_is_visible(coding, octets, text):
    assert text_of([UserData(coding, octets)]) == text


def test_a_message_with_a_binary_part_has_no_text():
    assert text_of([UserData(Coding.GSM7, b"a"), UserData(Coding.BINARY, b"b")]) is None
