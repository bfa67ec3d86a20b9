"""The user data of messages: octets, codings, headers, SAR parameters, and npm smpp as the other end."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.smpp.message import coding_of, message_octets, sar_of, sar_tlvs, user_data_of
from stormpetrel.sms.smpp.pdu import DataMessage, Pdu, ShortMessage, decode, encode
from stormpetrel.sms.smpp.protocol import ESM_UDHI, Command, TlvTag
from stormpetrel.sms.split import split
from stormpetrel.sms.udh import NO_HEADER, Concatenation, ReferenceKind, Udh, header_of
from stormpetrel.sms.user_data import Coding, UserData, text_of
from tests.parts import NODE, require


def message(octets=b"", *, tlvs=(), **values):
    return Pdu(Command.DELIVER_SM, 1, ShortMessage("15551234567", "40404", octets, **values), tlvs=tlvs)


# SMPP 3.4, 5.2.19, and TS 23.038, 4
@pytest.mark.parametrize(
    ("data_coding", "coding"),
    [
        *((0x00, Coding.GSM7), (0x01, Coding.ASCII), (0x02, Coding.BINARY), (0x03, Coding.LATIN1)),
        *((0x04, Coding.BINARY), (0x05, Coding.BINARY), (0x06, Coding.CYRILLIC), (0x07, Coding.HEBREW)),
        *((0x08, Coding.UCS2), (0x0E, Coding.BINARY), (0x10, Coding.GSM7), (0x14, Coding.BINARY)),
        *((0x18, Coding.UCS2), (0xC0, Coding.GSM7), (0xD1, Coding.GSM7), (0xE0, Coding.UCS2)),
        *((0xF0, Coding.GSM7), (0xF5, Coding.BINARY), (0xF3, Coding.GSM7), (0x99, Coding.BINARY)),
    ],
)
def test_each_data_coding_names_a_coding(data_coding, coding):
    assert coding_of(data_coding, default=Coding.GSM7) is coding


@pytest.mark.parametrize("default", [Coding.GSM7, Coding.LATIN1, Coding.UCS2])
def test_data_coding_0_is_the_coding_of_the_carrier(default):
    octets = "ñ".encode(default.value) if default is not Coding.GSM7 else b"\x7d"
    assert text_of([user_data_of(message(octets), default=default)]) == "ñ"


def test_the_text_is_in_the_short_message_or_else_in_the_payload():
    payload = ((TlvTag.MESSAGE_PAYLOAD, b"payload"),)
    assert message_octets(message(tlvs=payload)) == b"payload"
    assert message_octets(message(b"short", tlvs=payload)) == b"short"
    assert message_octets(Pdu(Command.DATA_SM, 1, DataMessage(), tlvs=payload)) == b"payload"
    assert message_octets(message()) == message_octets(Pdu(Command.UNBIND, 1)) == b""


def test_a_header_counts_only_if_the_esm_class_says_so():
    octets = bytes.fromhex("0500032a0201") + b"hi"
    part = Concatenation(ReferenceKind.UDH_8, 0x2A, 2, 1)
    assert user_data_of(message(octets, esm_class=ESM_UDHI), default=Coding.GSM7) == UserData(
        Coding.GSM7, b"hi", Udh(part)
    )
    assert user_data_of(message(octets), default=Coding.GSM7) == UserData(Coding.GSM7, octets, NO_HEADER)


def test_a_header_wins_over_sar_parameters():
    sar = Concatenation(ReferenceKind.SAR, 9, 3, 3)
    both = message(bytes.fromhex("0500032a020168"), esm_class=ESM_UDHI, tlvs=sar_tlvs(sar))
    assert user_data_of(both, default=Coding.GSM7).header.concatenation.reference == 0x2A
    assert user_data_of(message(b"h", tlvs=sar_tlvs(sar)), default=Coding.GSM7).header.concatenation == sar


def test_a_national_table_means_gsm_even_where_the_carrier_writes_latin_1():
    octets = bytes.fromhex("03240101") + b"\x1bS"
    assert text_of([user_data_of(message(octets, esm_class=ESM_UDHI), default=Coding.LATIN1)]) == "Ş"


def test_a_port_is_read_from_the_header_or_the_parameter():
    tlvs = ((TlvTag.DEST_PORT, b"\x0b\x84"),)
    assert user_data_of(message(b"x", tlvs=tlvs), default=Coding.GSM7).header.port == 2948


def test_another_pdu_has_no_user_data():
    with pytest.raises(ValueError, match="no message"):
        user_data_of(Pdu(Command.UNBIND, 1), default=Coding.GSM7)


@given(st.integers(0, 0xFFFF), st.integers(1, 255), st.data())
def test_sar_parameters_survive_the_way_there_and_back(reference, total, data):
    part = Concatenation(ReferenceKind.SAR, reference, total, data.draw(st.integers(1, total)))
    assert sar_of(decode(encode(message(tlvs=sar_tlvs(part))))) == part


@pytest.mark.parametrize(
    "values",
    [
        (b"\1\2", b"\2", None),
        (b"\1\2", b"\2", b"\0"),
        (b"\1\2", b"\2", b"\3"),
        (b"", b"\2", b"\1"),
        (b"\1\2\3", b"\2", b"\1"),
        (b"\1\2", b"\2\2", b"\1"),
        (b"\1\2", b"\0", b"\0"),
    ],
)
def test_sar_parameters_are_ignored_unless_all_are_valid(values):
    tags = (TlvTag.SAR_MSG_REF_NUM, TlvTag.SAR_TOTAL_SEGMENTS, TlvTag.SAR_SEGMENT_SEQNUM)
    tlvs = tuple((tag, value) for tag, value in zip(tags, values, strict=True) if value is not None)
    assert sar_of(message(tlvs=tlvs)) is None


@pytest.mark.parametrize(
    "part",
    [
        Concatenation(ReferenceKind.SAR, 0x1_0000, 2, 1),
        Concatenation(ReferenceKind.SAR, 1, 2, 3),
        Concatenation(ReferenceKind.UDH_16, 1, 2, 1),
    ],
)
def test_no_sar_parameters_are_made_of_numbers_out_of_range(part):
    with pytest.raises(ValueError, match="no SAR"):
        sar_tlvs(part)


TEXTS = [
    "hello",
    "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ ¤ ÄÖÑÜ§¿äöñüà ^{}\\[~]|€",
    "€" * 100,
    "x" * 152 + "€" + "y" * 100,
    "გამარჯობა " * 20,
    "ა" * 66 + "😀" + "ბ" * 10,
]


def test_the_peer_reads_our_parts_and_we_read_the_peers():
    require("node")
    parts, sent = [], []
    for text in TEXTS:
        segments = split(text)
        data_coding = 8 if segments.coding is Coding.UCS2 else 0
        total = len(segments)
        for number, (part, octets) in enumerate(zip(segments.texts, segments.octets, strict=True), start=1):
            esm_class = ESM_UDHI if total > 1 else 0
            if total > 1:
                octets = header_of(Concatenation(ReferenceKind.UDH_8, 0x2A, total, number)) + octets
            parts.append(part)
            sent.append(message(octets, esm_class=esm_class, data_coding=data_coding))
    texts = [*TEXTS[:2], "გამარჯობა 😀"]
    theirs = [
        {"command": "deliver_sm", "short_message": text, "data_coding": data_coding}
        for text, data_coding in zip(texts, (0, 0, 8), strict=True)
    ]
    request = {"decode": [encode(pdu).hex() for pdu in sent], "encode": theirs}
    done = subprocess.run(
        ["node", "smpp_pdus.mjs"],
        cwd=NODE,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert [pdu["short_message"]["message"] for pdu in answer["decoded"]] == parts
    headers = [pdu["short_message"]["udh"][0]["hex"] for pdu in answer["decoded"] if pdu["esm_class"]]
    assert headers[:2] == ["00032a0201", "00032a0202"]
    received = [
        user_data_of(decode(bytes.fromhex(octets)), default=Coding.GSM7) for octets in answer["encoded"]
    ]
    assert [text_of([data]) for data in received] == texts
