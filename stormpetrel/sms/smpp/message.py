"""The user data of a message PDU: its octets, their coding, and its place among the parts of a longer text."""

from __future__ import annotations

from dataclasses import replace

from stormpetrel.sms import udh
from stormpetrel.sms.smpp.pdu import DataMessage, Pdu, ShortMessage
from stormpetrel.sms.smpp.protocol import ESM_UDHI, TlvTag
from stormpetrel.sms.udh import NO_HEADER, Concatenation, ReferenceKind
from stormpetrel.sms.user_data import Coding, UserData

# SMPP 3.4, 5.2.19. The codings of Japanese and Korean (0x05, 0x0A, 0x0D, 0x0E) are not decoded.
_CODINGS = {
    0x01: Coding.ASCII,
    0x03: Coding.LATIN1,
    0x06: Coding.CYRILLIC,
    0x07: Coding.HEBREW,
    0x08: Coding.UCS2,
}


def message_octets(pdu: Pdu) -> bytes:
    """Return the octets of a message, header included: message_payload, or else short_message.

    Empty for a PDU that is no message.
    """
    payload = pdu.tlv(TlvTag.MESSAGE_PAYLOAD)
    octets = pdu.body.octets if isinstance(pdu.body, ShortMessage) else b""
    return octets or payload or b""


def coding_of(data_coding: int, *, default: Coding) -> Coding:
    """Return the coding that a data_coding names; `default`, a property of the carrier, for 0.

    Values from 0xC0 on are GSM data coding schemes (TS 23.038, 4): message waiting (0xC0 to 0xEF) and message
    class (0xF0 to 0xFF). So are 0x10 to 0x1F, which many carriers use for messages of class 0 to 3.
    """
    if data_coding == 0:
        return default
    if data_coding in _CODINGS:
        return _CODINGS[data_coding]
    group = data_coding & 0xF0
    if group in (0xC0, 0xD0):
        return default
    if group == 0xE0:
        return Coding.UCS2
    if group == 0xF0:
        return Coding.BINARY if data_coding & 0x04 else default
    if group == 0x10:
        return {0x00: default, 0x08: Coding.UCS2}.get(data_coding & 0x0C, Coding.BINARY)
    return Coding.BINARY


def user_data_of(pdu: Pdu, *, default: Coding) -> UserData:
    """Return the user data of a submit_sm, deliver_sm or data_sm.

    The header says which part of a text it is, by user data header or, without one, by SAR parameters. A message
    with a national language table is GSM 7-bit. Raise ValueError for another PDU.
    """
    body = pdu.body
    if not isinstance(body, ShortMessage | DataMessage):
        raise ValueError(f"command {pdu.command:#x} is no message")
    header, octets = NO_HEADER, message_octets(pdu)
    if body.esm_class & ESM_UDHI:
        header, octets = udh.separate(octets)
    port = pdu.tlv(TlvTag.DEST_PORT)
    if header.port is None and port:
        header = replace(header, port=int.from_bytes(port))
    if header.concatenation is None:
        header = replace(header, concatenation=sar_of(pdu))
    coding = coding_of(body.data_coding, default=default)
    if (header.locking or header.single) and coding is default:
        coding = Coding.GSM7
    return UserData(coding, octets, header)


def sar_of(pdu: Pdu) -> Concatenation | None:
    """Return the part that the SAR parameters name (SMPP 3.4, 5.3.2.22 to 24); None unless all three are valid."""
    reference = pdu.tlv(TlvTag.SAR_MSG_REF_NUM)
    total = pdu.tlv(TlvTag.SAR_TOTAL_SEGMENTS)
    number = pdu.tlv(TlvTag.SAR_SEGMENT_SEQNUM)
    if not reference or not total or not number or len(reference) > 2 or len(total) != 1 or len(number) != 1:
        return None
    part = Concatenation(ReferenceKind.SAR, int.from_bytes(reference), total[0], number[0])
    return part if part.is_valid() else None


def sar_tlvs(part: Concatenation) -> tuple[tuple[int, bytes], ...]:
    """Return the SAR parameters of a part. Raise ValueError for numbers out of range."""
    if part.kind is not ReferenceKind.SAR or not part.is_valid() or not 0 <= part.reference <= 0xFFFF:
        raise ValueError(f"no SAR parameters for {part}")
    return (
        (TlvTag.SAR_MSG_REF_NUM, part.reference.to_bytes(2)),
        (TlvTag.SAR_TOTAL_SEGMENTS, bytes([part.total])),
        (TlvTag.SAR_SEGMENT_SEQNUM, bytes([part.number])),
    )
