"""Units as SMPP writes them."""

from __future__ import annotations

import dataclasses

import pytest

from stormpetrel.config_sms import SmppKeys
from stormpetrel.gateway.providers.smpp_submission import submission
from tests.gateway.providers.smpp_parts import units


@pytest.mark.parametrize(
    ("charset", "text", "data_coding", "octets"),
    [
        ("gsm", "@é", 0, b"\x00\x05"),
        ("gsm", "ა", 8, "ა".encode("utf-16-be")),
        ("latin1", "@é", 0, b"@\xe9"),
        ("latin1", "5 €", 8, "5 €".encode("utf-16-be")),
        ("latin1", "x" * 100 + "€", 0, b"x" * 100 + b"?"),
        ("ucs2", "@é", 3, b"@\xe9"),
        ("ucs2", "ა", 8, "ა".encode("utf-16-be")),
    ],
)
def test_texts_are_written_in_the_alphabet_of_the_carrier(charset, text, data_coding, octets):
    body, tlvs = submission(units(text)[0], SmppKeys(charset=charset))
    assert (body.data_coding, body.octets, tlvs) == (data_coding, octets, ())


def test_a_name_as_the_sender_is_alphanumeric():
    unit = units("hello")[0]
    assert submission(unit, SmppKeys())[0].source_ton == 0
    assert submission(dataclasses.replace(unit, sender="Petrel"), SmppKeys())[0].source_ton == 5
    assert submission(dataclasses.replace(unit, sender="+1555"), SmppKeys(source_ton=1))[0].source == "1555"
