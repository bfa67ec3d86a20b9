"""Delivery receipts in the text of SMPP 3.4, appendix B, as carriers write it, and in optional parameters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.smpp.pdu import DataMessage, Pdu, ShortMessage
from stormpetrel.sms.smpp.protocol import Command, MessageState, TlvTag
from stormpetrel.sms.smpp.receipt import FINAL, Receipt, canonical_id, receipt_of

TEXT = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:1511291030 done date:1511291031 "
    b"stat:DELIVRD err:000 text:stat:EXPIRED"
)


def receipt(octets=b"", *, esm_class=0x04, tlvs=()):
    return receipt_of(Pdu(Command.DELIVER_SM, 1, ShortMessage(octets=octets, esm_class=esm_class), tlvs=tlvs))


def test_the_text_of_the_specification():
    assert receipt(TEXT) == Receipt("0123456789", MessageState.DELIVERED, "000")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        *((b"DELIVRD", "DELIVERED"), (b"EXPIRED", "EXPIRED"), (b"DELETED", "DELETED")),
        *((b"UNDELIV", "UNDELIVERABLE"), (b"ACCEPTD", "ACCEPTED"), (b"UNKNOWN", "UNKNOWN")),
        *((b"REJECTD", "REJECTED"), (b"ENROUTE", "ENROUTE"), (b"delivrd", "DELIVERED")),
        *((b"DELIVRD,", "DELIVERED"), (b"SOMETHING", "UNKNOWN")),
    ],
)
def test_each_word_is_a_state(word, state):
    assert receipt(b"id:1 stat:" + word).state is MessageState[state]


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"ID:7F stat:UNDELIV err:0b3", Receipt("7F", MessageState.UNDELIVERABLE, "0b3")),
        (b"id: 7f stat : EXPIRED", Receipt("7f", MessageState.EXPIRED)),
        (b"id:7f", Receipt("7f", MessageState.UNKNOWN)),
        (b"id:7f id:8f stat:DELIVRD", Receipt("7f", MessageState.DELIVERED)),
        (b"id:a-b_c.1 stat:DELIVRD Text:id:x", Receipt("a-b_c.1", MessageState.DELIVERED)),
        (b"stat:DELIVRD", None),
        (b"text:id:1", None),
        (b"", None),
    ],
)
def test_variants_of_carriers(octets, expected):
    assert receipt(octets) == expected


def test_the_id_as_a_parameter_makes_a_receipt_of_a_message_without_that_type():
    tlvs = ((TlvTag.RECEIPTED_MESSAGE_ID, b"1f\0"),)
    assert receipt(TEXT, esm_class=0, tlvs=tlvs) == Receipt("1f", MessageState.DELIVERED, "000")
    assert receipt(TEXT, esm_class=0) is None
    assert receipt(TEXT, esm_class=0x10, tlvs=tlvs) is None


def test_optional_parameters_win_and_suffice():
    tlvs = ((TlvTag.RECEIPTED_MESSAGE_ID, b"1f\0"), (TlvTag.MESSAGE_STATE, b"\x05"))
    assert receipt(tlvs=tlvs) == Receipt("1f", MessageState.UNDELIVERABLE)
    assert receipt(b"id:31 stat:DELIVRD err:11", tlvs=tlvs) == Receipt("1f", MessageState.UNDELIVERABLE, "11")
    assert (
        receipt(b"id:31 stat:DELIVRD", tlvs=((TlvTag.MESSAGE_STATE, b"\x63"),)).state
        is MessageState.DELIVERED
    )


def test_a_receipt_may_come_in_the_payload_and_by_data_sm():
    payload = ((TlvTag.MESSAGE_PAYLOAD, b"id:31 stat:EXPIRED"),)
    assert receipt(tlvs=payload) == Receipt("31", MessageState.EXPIRED)
    assert receipt_of(Pdu(Command.DATA_SM, 1, DataMessage(esm_class=4), tlvs=payload)).message_id == "31"


@pytest.mark.parametrize("esm_class", [0x00, 0x40, 0x08, 0x10, 0x18])
def test_a_message_of_a_person_is_no_receipt_whatever_it_says(esm_class):
    assert receipt(TEXT, esm_class=esm_class) is None


def test_an_intermediate_notification_is_read_and_not_final():
    assert receipt(b"id:1 stat:ENROUTE", esm_class=0x20).state not in FINAL
    assert receipt_of(Pdu(Command.UNBIND, 1)) is None


@given(st.binary(max_size=254), st.binary(max_size=70), st.binary(max_size=3))
def test_any_octets_are_a_receipt_or_none(octets, message_id, state):
    found = receipt(octets, tlvs=((TlvTag.RECEIPTED_MESSAGE_ID, message_id), (TlvTag.MESSAGE_STATE, state)))
    assert found is None or found.message_id


@pytest.mark.parametrize(
    ("submitted", "base", "reported", "its_base"),
    [
        ("1F", 16, "0000000031", 10),
        ("31", 10, "1f", 16),
        ("7a3C-x", None, "7A3c-X", None),
        ("no-number", 16, "NO-NUMBER", 10),
        ("", 10, "", 16),
    ],
)
def test_ids_are_equal_across_their_bases(submitted, base, reported, its_base):
    assert canonical_id(submitted, base=base) == canonical_id(reported, base=its_base)


def test_other_ids_are_not_equal():
    assert canonical_id("31", base=10) != canonical_id("31", base=16)
    assert canonical_id("007", base=None) != canonical_id("7", base=None)
    assert canonical_id("1_0", base=10) == "1_0"
