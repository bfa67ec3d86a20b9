"""What a unit looks like in SMPP, and what a carrier's answer to it means."""

from __future__ import annotations

from stormpetrel.config_sms import SmppKeys
from stormpetrel.gateway.provider import Unit
from stormpetrel.sms.smpp.message import sar_tlvs
from stormpetrel.sms.smpp.pdu import MAX_SHORT_MESSAGE_OCTETS, ShortMessage, Tlvs
from stormpetrel.sms.smpp.protocol import ESM_UDHI, CommandStatus, TlvTag
from stormpetrel.sms.split import OCTETS
from stormpetrel.sms.udh import Concatenation, ReferenceKind, header_of
from stormpetrel.sms.user_data import Coding

DEFAULT_CODING, LATIN1_CODING, UCS2_CODING = 0x00, 0x03, 0x08  # SMPP 3.4, 5.2.19
ALPHANUMERIC = 5
"""The type of number of a sender that is a name (SMPP 3.4, 5.2.5)."""
RECEIPT_WANTED = 1

THROTTLES = frozenset({CommandStatus.THROTTLED, CommandStatus.QUEUE_FULL})
PERMANENT = frozenset(
    {
        *(0x01, 0x02, 0x03, 0x06, 0x07),  # lengths, command, priority, registered delivery
        *(0x0A, 0x0B, 0x15),  # addresses, service type
        *(0x40, 0x42, 0x43, 0x44),  # destination flag, replacing, esm_class, distribution list
        *(0x48, 0x49, 0x50, 0x51, 0x53),  # types of number, numbering plans, system type
        *(0x61, 0x62, 0x63, 0x65, 0x66),  # times, a message's id, rejected for good
        *(0xC0, 0xC1, 0xC2, 0xC3, 0xC4),  # optional parameters
    }
)
"""Errors that the same unit would meet again (SMPP 3.4, 5.1.3). Others, a carrier's own among them, can pass."""


def status_name(status: int) -> str:
    """Return the status for logs and messages, such as "invalid password 0x0e"."""
    try:
        return f"{CommandStatus(status).name.lower().replace('_', ' ')} {status:#04x}"
    except ValueError:
        return f"status {status:#04x}"


def default_coding(keys: SmppKeys) -> Coding:
    """Return the carrier's coding for data_coding 0."""
    return {"gsm": Coding.GSM7, "latin1": Coding.LATIN1, "ucs2": Coding.UCS2}[keys.charset]


def submission(unit: Unit, keys: SmppKeys) -> tuple[ShortMessage, Tlvs]:
    """Return the body of a submit_sm and its optional parameters."""
    data_coding, octets = _coded(unit, keys)
    esm_class = 0
    tlvs: Tlvs = ()
    if unit.total > 1 and keys.long == "udh":
        esm_class = ESM_UDHI
        reference = unit.reference & 0xFF
        octets = header_of(Concatenation(ReferenceKind.UDH_8, reference, unit.total, unit.number)) + octets
    elif unit.total > 1 and keys.long == "sar":
        reference = unit.reference & 0xFFFF
        tlvs = sar_tlvs(Concatenation(ReferenceKind.SAR, reference, unit.total, unit.number))
    if len(octets) > MAX_SHORT_MESSAGE_OCTETS or (unit.segments > 1 and keys.long == "payload"):
        tlvs = (*tlvs, (TlvTag.MESSAGE_PAYLOAD, octets))
        octets = b""
    is_name = keys.source_ton == 0 and not unit.sender.lstrip("+").isdigit()
    body = ShortMessage(
        source=unit.sender.removeprefix("+"),
        source_ton=ALPHANUMERIC if is_name and unit.sender else keys.source_ton,
        source_npi=keys.source_npi,
        destination=unit.receiver.removeprefix("+"),
        destination_ton=keys.dest_ton,
        destination_npi=keys.dest_npi,
        esm_class=esm_class,
        registered_delivery=RECEIPT_WANTED if unit.wants_receipt else 0,
        data_coding=data_coding,
        octets=octets,
    )
    return body, tlvs


def _coded(unit: Unit, keys: SmppKeys) -> tuple[int, bytes]:
    """Return the data_coding and the octets of the unit's text.

    To a carrier whose data_coding 0 is not GSM 7-bit, a text of GSM characters goes in Latin-1. If it has
    characters that Latin-1 lacks (€, Greek capitals), it goes in UCS-2 if it fits into a message, and otherwise
    with "?" in their places.
    """
    if unit.coding is not Coding.GSM7:
        return UCS2_CODING, unit.octets
    if keys.charset == "gsm":
        return DEFAULT_CODING, unit.octets
    latin1_coding = DEFAULT_CODING if keys.charset == "latin1" else LATIN1_CODING
    try:
        return latin1_coding, unit.text.encode("latin-1")
    except UnicodeEncodeError:
        octets = unit.text.encode("utf-16-be")
        if len(octets) <= OCTETS - (6 if unit.total > 1 else 0) or keys.long == "payload":
            return UCS2_CODING, octets
        return latin1_coding, unit.text.encode("latin-1", "replace")
