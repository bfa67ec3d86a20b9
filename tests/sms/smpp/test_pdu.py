"""The SMPP 3.4 codec: vectors, round trips, limits, arbitrary octets, and npm smpp as the other end."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.smpp.message import user_data_of
from stormpetrel.sms.smpp.pdu import (
    MAX_PDU_OCTETS,
    MAX_TLVS,
    Bind,
    BindResponse,
    DataMessage,
    EmptyBody,
    MessageResponse,
    Pdu,
    PduError,
    ShortMessage,
    UnknownBody,
    decode,
    encode,
    pdu_length,
)
from stormpetrel.sms.smpp.protocol import Command, CommandStatus, TlvTag
from stormpetrel.sms.smpp.receipt import receipt_of
from stormpetrel.sms.user_data import Coding, text_of
from tests.parts import NODE, require

BODIES = {
    Bind: (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER),
    BindResponse: (
        Command.BIND_RECEIVER_RESP,
        Command.BIND_TRANSMITTER_RESP,
        Command.BIND_TRANSCEIVER_RESP,
    ),
    ShortMessage: (Command.SUBMIT_SM, Command.DELIVER_SM),
    DataMessage: (Command.DATA_SM,),
    MessageResponse: (Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.DATA_SM_RESP),
    EmptyBody: (
        Command.ENQUIRE_LINK,
        Command.ENQUIRE_LINK_RESP,
        Command.UNBIND,
        Command.UNBIND_RESP,
        Command.GENERIC_NACK,
    ),
}
CHARACTERS = st.characters(min_codepoint=1, max_codepoint=255)
UINT32 = st.integers(0, 0xFFFF_FFFF)
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=5).map(tuple)


def bodies(kind):
    limits = dict(kind.FIELDS)
    values = {
        field.name: st.binary(max_size=254)
        if field.name == "octets"
        else st.integers(0, 255)
        if limits[field.name] == 0
        else st.text(CHARACTERS, max_size=limits[field.name] - 1)
        for field in fields(kind)
    }
    return st.builds(kind, **values)


def pdus_of(kind):
    tlvs = TLVS if kind is not EmptyBody else st.just(())
    return st.builds(Pdu, st.sampled_from(BODIES[kind]), UINT32, bodies(kind), UINT32, tlvs)


PDUS = st.one_of(*(pdus_of(kind) for kind in BODIES))


@given(PDUS)
def test_every_pdu_survives_the_way_there_and_back(pdu):
    octets = encode(pdu)
    assert pdu_length(octets) == len(octets)
    assert decode(octets) == pdu
    assert pdu.is_response() == pdu.command_name().endswith(("_RESP", "_NACK"))


def test_every_command_has_a_body():
    assert {command for commands in BODIES.values() for command in commands} == set(Command)


# SMPP 3.4, 3.2.2: the specification's own example of a bind_transmitter.
def test_the_example_of_the_specification():
    octets = bytes.fromhex(
        "0000002F 00000002 00000000 00000001 534D50503354455354 00 7365637265743038 00 5355424D495431 00 34 01 01 00"
    )
    assert len(octets) == 0x2F
    bind = Bind("SMPP3TEST", "secret08", "SUBMIT1", addr_ton=1, addr_npi=1)
    assert bind.interface_version == 0x34
    pdu = Pdu(Command.BIND_TRANSMITTER, 1, bind)
    assert decode(octets) == pdu
    assert encode(pdu) == octets


def test_a_link_is_probed_by_a_header_alone():
    assert encode(Pdu(Command.ENQUIRE_LINK, 7)).hex(" ", 4) == "00000010 00000015 00000000 00000007"


@pytest.mark.parametrize("status", [0, CommandStatus.THROTTLED])
@pytest.mark.parametrize("kind", [BindResponse, MessageResponse])
def test_a_response_without_a_body_is_read(kind, status):
    for command in BODIES[kind]:
        octets = bytes.fromhex(f"00000010{command:08x}{status:08x}00000001")
        assert decode(octets) == Pdu(command, 1, kind(), status)


def test_a_command_that_is_not_known_can_be_answered():
    octets = bytes.fromhex("00000012 00000103 00000000 00000009").replace(b"\x01\x03", b"\x01\x11") + b"xy"
    pdu = decode(octets)
    assert pdu == Pdu(0x111, 9, UnknownBody(b"xy"))
    assert encode(pdu) == octets


def test_the_first_optional_parameter_of_a_tag_counts():
    pdu = Pdu(
        Command.DATA_SM,
        1,
        DataMessage(),
        tlvs=((TlvTag.MESSAGE_PAYLOAD, b"a"), (TlvTag.MESSAGE_PAYLOAD, b"b")),
    )
    assert pdu.tlv(TlvTag.MESSAGE_PAYLOAD) == b"a"
    assert pdu.tlv(TlvTag.MESSAGE_STATE) is None


# Limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pdu",
    [
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(source="1" * 21)),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(source="1\0")),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(source="ა")),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(octets=b"x" * 255)),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(esm_class=256)),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(esm_class=-1)),
        Pdu(Command.SUBMIT_SM, 1, DataMessage()),
        Pdu(Command.SUBMIT_SM, 1),
        Pdu(0x111, 1),
        Pdu(Command.SUBMIT_SM, -1, ShortMessage()),
        Pdu(Command.SUBMIT_SM, 1 << 32, ShortMessage()),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(), tlvs=((TlvTag.MESSAGE_PAYLOAD, b"x" * 0x1_0000),)),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(), tlvs=((0x1_0000, b""),)),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(), tlvs=((1, b"x" * 0xFFFF),) * 2),
        Pdu(Command.SUBMIT_SM, 1, ShortMessage(), tlvs=((1, b""),) * (MAX_TLVS + 1)),
    ],
)
def test_values_that_do_not_fit_are_an_error(pdu):
    with pytest.raises(PduError):
        encode(pdu)


@pytest.mark.parametrize("length", [0, 15, MAX_PDU_OCTETS + 1, 0xFFFF_FFFF])
def test_a_length_that_no_pdu_has_is_an_error_at_once(length):
    with pytest.raises(PduError):
        pdu_length(length.to_bytes(4))


def test_the_largest_payload_fits():
    pdu = Pdu(Command.DATA_SM, 1, DataMessage(), tlvs=((TlvTag.MESSAGE_PAYLOAD, b"x" * 0xFFFF),))
    assert decode(encode(pdu)) == pdu
    assert pdu_length(b"\0\0\0") is None


def rewritten(octets):
    return len(octets).to_bytes(4) + octets[4:]


@given(PDUS, st.data())
def test_a_pdu_cut_anywhere_is_an_error_or_an_other_pdu(pdu, data):
    octets = encode(pdu)
    cut = octets[: data.draw(st.integers(0, len(octets) - 1))]
    with pytest.raises(PduError):
        decode(cut)
    try:
        decode(rewritten(cut))
    except PduError as error:
        assert error.status in CommandStatus


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        (b"\x04\x24\x00", CommandStatus.INVALID_OPTIONAL_PARAMETERS),
        (b"\x04\x24\x00\x02x", CommandStatus.INVALID_OPTIONAL_PARAMETERS),
        (b"\x04\x24\x00\x00" * (MAX_TLVS + 1), CommandStatus.INVALID_OPTIONAL_PARAMETERS),
    ],
)
def test_invalid_optional_parameters_have_their_own_status(tail, status):
    with pytest.raises(PduError) as caught:
        decode(rewritten(encode(Pdu(Command.SUBMIT_SM, 1, ShortMessage())) + tail))
    assert caught.value.status is status


def test_a_short_message_longer_than_its_pdu_has_its_own_status():
    octets = encode(Pdu(Command.DELIVER_SM, 1, ShortMessage(octets=b"hello")))
    with pytest.raises(PduError) as caught:
        decode(rewritten(octets[:-1]))
    assert caught.value.status is CommandStatus.INVALID_MESSAGE_LENGTH


# Arbitrary octets --------------------------------------------------------------------------------------------


def read_all_of(octets):
    """Decode the octets and everything in them; return True if they are a PDU."""
    try:
        pdu = decode(octets)
    except PduError:
        return False
    assert decode(encode(pdu)) == pdu or len(octets) == 16 or isinstance(pdu.body, EmptyBody)
    receipt_of(pdu)
    if isinstance(pdu.body, ShortMessage | DataMessage):
        text_of([user_data_of(pdu, default=Coding.GSM7)])
    return True


def fuzz(rng, count):
    """Return how many of `count` damaged or random PDUs were read."""
    commands = [*Command, 0, 0x111, 0x8000_0111]
    good = [
        encode(Pdu(Command.BIND_TRANSCEIVER, 1, Bind("user", "secret"))),
        encode(Pdu(Command.SUBMIT_SM_RESP, 2, MessageResponse("1f"))),
        encode(
            Pdu(
                Command.DELIVER_SM,
                3,
                ShortMessage("15551234567", "40404", b"id:1 stat:DELIVRD", esm_class=4),
                tlvs=((TlvTag.RECEIPTED_MESSAGE_ID, b"1\0"), (TlvTag.MESSAGE_STATE, b"\2")),
            )
        ),
        encode(
            Pdu(
                Command.DELIVER_SM,
                4,
                ShortMessage("1", "2", bytes.fromhex("0500032a0201d83d"), esm_class=0x40, data_coding=8),
            )
        ),
        encode(Pdu(Command.DATA_SM, 5, DataMessage("1", "2"), tlvs=((TlvTag.MESSAGE_PAYLOAD, b"hi"),))),
    ]
    read = 0
    for _ in range(count):
        kind = rng.randrange(4)
        if kind == 0:
            octets = bytearray(rng.randbytes(rng.randrange(300)))
        elif kind == 1:
            octets = bytearray(16) + rng.randbytes(rng.randrange(120))
            octets[4:8] = rng.choice(commands).to_bytes(4)
        else:
            octets = bytearray(rng.choice(good))
            for _ in range(rng.randrange(1, 5)):
                octets[rng.randrange(4, len(octets))] = rng.randrange(256)
            if kind == 3:
                del octets[rng.randrange(16, len(octets) + 1) :]
                octets += rng.randbytes(rng.randrange(4))
        if rng.random() < 0.95:
            octets[:4] = len(octets).to_bytes(4)
        read += read_all_of(bytes(octets))
    return read


def test_arbitrary_octets_raise_nothing_but_pdu_errors():
    read = fuzz(random.Random(34), 5_000)
    assert 500 < read < 4_500


@pytest.mark.prove
def test_100_000_arbitrary_pdus_raise_nothing_but_pdu_errors():
    assert fuzz(random.Random(340), 100_000) > 10_000


# npm smpp ------------------------------------------------------------------------------------------------------

THEIR_NAMES = {
    "source_ton": "source_addr_ton",
    "source_npi": "source_addr_npi",
    "source": "source_addr",
    "destination_ton": "dest_addr_ton",
    "destination_npi": "dest_addr_npi",
    "destination": "destination_addr",
    "priority": "priority_flag",
    "replace_if_present": "replace_if_present_flag",
}
OCTET_VALUES = {"data_coding": 4}  # binary, which the peer hands over as it is
TEXT_VALUES = {
    "validity_period": "",
    "schedule_delivery_time": "",
    "password": "secret08",
    "service_type": "CMT",
}


def full(kind):
    """Return a body in which each field has another value."""
    values = {}
    for place, (name, limit) in enumerate(kind.FIELDS, start=1):
        if limit == 0:
            values[name] = OCTET_VALUES.get(name, place)
        else:
            values[name] = TEXT_VALUES.get(name, f"{name} {place}"[: limit - 1])
    if kind is ShortMessage:
        values["octets"] = b"\x00\xff octets"
    return kind(**values)


def samples():
    found = []
    for kind, commands in BODIES.items():
        found += [Pdu(command, 1000 + command % 256, full(kind)) for command in commands]
    found.append(Pdu(Command.SUBMIT_SM_RESP, 5, MessageResponse(), CommandStatus.THROTTLED))
    tlvs = (
        (TlvTag.RECEIPTED_MESSAGE_ID, b"1f\0"),
        (TlvTag.SAR_MSG_REF_NUM, b"\x01\x02"),
        (TlvTag.SAR_TOTAL_SEGMENTS, b"\x03"),
        (TlvTag.SAR_SEGMENT_SEQNUM, b"\x02"),
        (TlvTag.MESSAGE_STATE, b"\x02"),
    )
    found.append(Pdu(Command.DELIVER_SM, 6, full(ShortMessage), tlvs=tlvs))
    return found


def for_peer(pdu):
    """Return the PDU as the peer's options."""
    options = {
        "command": pdu.command_name().lower(),
        "sequence_number": pdu.sequence,
        "command_status": pdu.status,
    }
    for name, _ in pdu.body.FIELDS:
        options[THEIR_NAMES.get(name, name)] = getattr(pdu.body, name)
    if isinstance(pdu.body, ShortMessage):
        options["short_message"] = {"hex": pdu.body.octets.hex()}
    for tag, value in pdu.tlvs:
        is_text = tag == TlvTag.RECEIPTED_MESSAGE_ID
        options[TlvTag(tag).name.lower()] = value[:-1].decode() if is_text else int.from_bytes(value)
    return options


def test_the_peer_reads_our_pdus_and_we_read_the_peers():
    require("node")
    pdus = samples()
    sent = {"decode": [encode(pdu).hex() for pdu in pdus], "encode": [for_peer(pdu) for pdu in pdus]}
    done = subprocess.run(
        ["node", "smpp_pdus.mjs"],
        cwd=NODE,
        input=json.dumps(sent),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    for pdu, decoded, encoded in zip(pdus, answer["decoded"], answer["encoded"], strict=True):
        expected = for_peer(pdu)
        if "short_message" in expected:
            expected["short_message"] = {"message": expected["short_message"]}
        if pdu.status:  # a failed response needs no body
            expected.pop("message_id")
        assert {key: decoded[key] for key in expected} == expected, pdu
        assert decode(bytes.fromhex(encoded)) == pdu
