"""Encodes and decodes the PDUs of SMPP 3.4: octets to values and back. It knows no socket.

A PDU is a header of 16 octets (length, command, status, sequence number), fields in a fixed order, and optional
parameters (SMPP 3.4, 3.2 and 4). `Pdu.body` is one of the classes below; a command that is not in `Command` has
an UnknownBody, so that a link can answer it with generic_nack. Decoding raises only PduError, whatever the octets.

    data = encode(Pdu(Command.SUBMIT_SM, sequence=1, body=ShortMessage(destination="15551234567", octets=b"hi")))
    length = pdu_length(data)    # None until the first four octets are there
    pdu = decode(data[:length])
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from stormpetrel.sms.smpp.protocol import INTERFACE_VERSION, RESPONSE, Command, CommandStatus, TlvTag

MAX_PDU_OCTETS = 0x1_0000 + 1024
"""A message_payload has at most 65,535 octets; all other fields of a PDU take less than 1,024."""
MAX_SEQUENCE = 0x7FFF_FFFF
MAX_TLVS = 64
MAX_SHORT_MESSAGE_OCTETS = 254

_HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")

Octet: TypeAlias = int
Tlvs: TypeAlias = tuple[tuple[int, bytes], ...]
"""Optional parameters as (tag, value), in the order of the PDU."""


class PduError(Exception):
    """Octets that are no PDU, or values that do not fit into one. `status` is the answer to the sender."""

    def __init__(self, reason: str, status: CommandStatus = CommandStatus.INVALID_COMMAND_LENGTH) -> None:
        super().__init__(reason)
        self.status = status


# The fields of each body, in their order: an octet, or a C-octet string of at most so many octets with its NUL.
_OCTET = 0


@dataclass(frozen=True, slots=True)
class EmptyBody:
    """enquire_link, unbind, their responses, and generic_nack."""

    FIELDS: ClassVar[tuple[tuple[str, int], ...]] = ()


@dataclass(frozen=True, slots=True)
class Bind:
    """bind_transmitter, bind_receiver, bind_transceiver (SMPP 3.4, 4.1).

    The password may have 64 characters: carriers assign longer ones than the specification's 8.
    """

    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: Octet = INTERFACE_VERSION
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    address_range: str = ""

    FIELDS: ClassVar = (
        ("system_id", 16),
        ("password", 65),
        ("system_type", 13),
        ("interface_version", _OCTET),
        ("addr_ton", _OCTET),
        ("addr_npi", _OCTET),
        ("address_range", 41),
    )


@dataclass(frozen=True, slots=True)
class BindResponse:
    """The responses to the three binds (SMPP 3.4, 4.1.2)."""

    system_id: str = ""

    FIELDS: ClassVar = (("system_id", 16),)


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """submit_sm and deliver_sm (SMPP 3.4, 4.4 and 4.6). `octets` is short_message, up to 254 octets."""

    source: str = ""
    destination: str = ""
    octets: bytes = b""
    service_type: str = ""
    source_ton: Octet = 0
    source_npi: Octet = 0
    destination_ton: Octet = 0
    destination_npi: Octet = 0
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority: Octet = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: Octet = 0
    replace_if_present: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0

    FIELDS: ClassVar = (
        ("service_type", 6),
        ("source_ton", _OCTET),
        ("source_npi", _OCTET),
        ("source", 21),
        ("destination_ton", _OCTET),
        ("destination_npi", _OCTET),
        ("destination", 21),
        ("esm_class", _OCTET),
        ("protocol_id", _OCTET),
        ("priority", _OCTET),
        ("schedule_delivery_time", 17),
        ("validity_period", 17),
        ("registered_delivery", _OCTET),
        ("replace_if_present", _OCTET),
        ("data_coding", _OCTET),
        ("sm_default_msg_id", _OCTET),
    )


@dataclass(frozen=True, slots=True)
class DataMessage:
    """data_sm (SMPP 3.4, 4.7). Its text is the optional parameter message_payload."""

    source: str = ""
    destination: str = ""
    service_type: str = ""
    source_ton: Octet = 0
    source_npi: Octet = 0
    destination_ton: Octet = 0
    destination_npi: Octet = 0
    esm_class: Octet = 0
    registered_delivery: Octet = 0
    data_coding: Octet = 0

    FIELDS: ClassVar = (
        ("service_type", 6),
        ("source_ton", _OCTET),
        ("source_npi", _OCTET),
        ("source", 65),
        ("destination_ton", _OCTET),
        ("destination_npi", _OCTET),
        ("destination", 65),
        ("esm_class", _OCTET),
        ("registered_delivery", _OCTET),
        ("data_coding", _OCTET),
    )


@dataclass(frozen=True, slots=True)
class MessageResponse:
    """The responses to submit_sm, deliver_sm and data_sm; the id is empty for a deliver_sm."""

    message_id: str = ""

    FIELDS: ClassVar = (("message_id", 65),)


@dataclass(frozen=True, slots=True)
class UnknownBody:
    """The octets after the header of a command that is not in `Command`."""

    octets: bytes = b""

    FIELDS: ClassVar[tuple[tuple[str, int], ...]] = ()


Body: TypeAlias = EmptyBody | Bind | BindResponse | ShortMessage | DataMessage | MessageResponse | UnknownBody

_BODIES: dict[int, type[EmptyBody | Bind | BindResponse | ShortMessage | DataMessage | MessageResponse]] = {
    **dict.fromkeys((Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER), Bind),
    **dict.fromkeys(
        (Command.BIND_RECEIVER_RESP, Command.BIND_TRANSMITTER_RESP, Command.BIND_TRANSCEIVER_RESP),
        BindResponse,
    ),
    **dict.fromkeys((Command.SUBMIT_SM, Command.DELIVER_SM), ShortMessage),
    **dict.fromkeys((Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.DATA_SM_RESP), MessageResponse),
    Command.DATA_SM: DataMessage,
    **dict.fromkeys((Command.ENQUIRE_LINK, Command.ENQUIRE_LINK_RESP), EmptyBody),
    **dict.fromkeys((Command.UNBIND, Command.UNBIND_RESP, Command.GENERIC_NACK), EmptyBody),
}
_NAMES = {command.value: command.name for command in Command}


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU. `status` is 0 in a request; a response has the sequence number of its request."""

    command: int
    sequence: int
    body: Body = EmptyBody()
    status: int = CommandStatus.OK
    tlvs: Tlvs = ()

    def is_response(self) -> bool:
        """Return True for a response, generic_nack included."""
        return bool(self.command & RESPONSE)

    def command_name(self) -> str:
        """Return the name of the command, such as "SUBMIT_SM"; its number in hexadecimal if it is not known."""
        return _NAMES.get(self.command, f"{self.command:#x}")

    def tlv(self, tag: TlvTag) -> bytes | None:
        """Return the value of the first optional parameter with the tag; None without one."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None


def pdu_length(octets: bytes | bytearray | memoryview) -> int | None:
    """Return the length of the PDU that begins here; None with fewer than four octets.

    Raise PduError for a length below 16 or above MAX_PDU_OCTETS: what follows on the link cannot be read.
    """
    if len(octets) < 4:
        return None
    length = int.from_bytes(octets[:4])
    if not _HEADER.size <= length <= MAX_PDU_OCTETS:
        raise PduError(f"a PDU of {length} octets")
    return length


def decode(octets: bytes) -> Pdu:
    """Return the PDU in the octets, exactly one. Raise PduError if they are not one.

    Strings are decoded as Latin-1, so that each octet stays what it was. A response without a body, as carriers
    send with an error, has the defaults of its class.
    """
    if len(octets) < _HEADER.size or pdu_length(octets) != len(octets):
        raise PduError(f"{len(octets)} octets are not one PDU")
    _, command, status, sequence = _HEADER.unpack_from(octets)
    kind = _BODIES.get(command)
    if kind is None:
        return Pdu(command, sequence, UnknownBody(octets[_HEADER.size :]), status)
    if len(octets) == _HEADER.size and (command & RESPONSE or kind is EmptyBody):
        return Pdu(command, sequence, kind(), status)
    values: dict[str, int | str | bytes] = {}
    place = _HEADER.size
    try:
        for name, limit in kind.FIELDS:
            if limit == _OCTET:
                values[name] = octets[place]
                place += 1
            else:
                end = octets.index(0, place, place + limit)
                values[name] = octets[place:end].decode("latin-1")
                place = end + 1
        if kind is ShortMessage:
            end = place + 1 + octets[place]
            values["octets"] = octets[place + 1 : end]
            place = end
    except IndexError:
        raise PduError(f"command {command:#x} ends within a field") from None
    except ValueError:
        raise PduError(f"command {command:#x}: {name} does not end within {limit} octets") from None
    if place > len(octets):
        raise PduError(
            f"command {command:#x}: short_message ends after the PDU", CommandStatus.INVALID_MESSAGE_LENGTH
        )
    tlvs = _decode_tlvs(octets, place) if place < len(octets) else ()
    return Pdu(command, sequence, kind(**values), status, tlvs)  # type: ignore[arg-type]  # by FIELDS


def _decode_tlvs(octets: bytes, place: int) -> Tlvs:
    tlvs: list[tuple[int, bytes]] = []
    while place < len(octets):
        if place + _TLV.size > len(octets) or len(tlvs) == MAX_TLVS:
            raise PduError("invalid optional parameters", CommandStatus.INVALID_OPTIONAL_PARAMETERS)
        tag, length = _TLV.unpack_from(octets, place)
        place += _TLV.size + length
        if place > len(octets):
            raise PduError(
                f"parameter {tag:#x} ends after the PDU", CommandStatus.INVALID_OPTIONAL_PARAMETERS
            )
        tlvs.append((tag, octets[place - length : place]))
    return tuple(tlvs)


def encode(pdu: Pdu) -> bytes:
    """Return the octets of the PDU. Raise PduError for a value that does not fit into its field."""
    body = pdu.body
    kind = _BODIES.get(pdu.command, UnknownBody)
    if type(body) is not kind:
        raise PduError(f"{type(body).__name__} is no body of command {pdu.command:#x}")
    if isinstance(body, UnknownBody):
        pieces = [body.octets]
    else:
        pieces = [_field(name, getattr(body, name), limit) for name, limit in body.FIELDS]
    if isinstance(body, ShortMessage):
        if len(body.octets) > MAX_SHORT_MESSAGE_OCTETS:
            raise PduError(
                f"short_message of {len(body.octets)} octets", CommandStatus.INVALID_MESSAGE_LENGTH
            )
        pieces += (bytes([len(body.octets)]), body.octets)
    if len(pdu.tlvs) > MAX_TLVS:
        raise PduError(f"{len(pdu.tlvs)} optional parameters")
    for tag, value in pdu.tlvs:
        if not 0 <= tag <= 0xFFFF or len(value) > 0xFFFF:
            raise PduError(f"optional parameter {tag:#x} of {len(value)} octets")
        pieces += (_TLV.pack(tag, len(value)), value)
    octets = b"".join(pieces)
    length = _HEADER.size + len(octets)
    if length > MAX_PDU_OCTETS:
        raise PduError(f"a PDU of {length} octets")
    try:
        return _HEADER.pack(length, pdu.command, pdu.status, pdu.sequence) + octets
    except struct.error as error:
        raise PduError(f"header out of range: {error}") from error


def _field(name: str, value: int | str, limit: int) -> bytes:
    if isinstance(value, int):
        if not 0 <= value <= 0xFF:
            raise PduError(f"{name} {value} is no octet")
        return bytes([value])
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise PduError(f"{name} has a character above U+00FF") from None
    if len(octets) >= limit or 0 in octets:
        raise PduError(f"{name} has {len(octets)} octets or a NUL; at most {limit - 1} fit")
    return octets + b"\0"
