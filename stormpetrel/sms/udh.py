"""The user data header of a text message: which part of a longer text it is, its alphabet, its port.

Source: 3GPP TS 23.040, 9.2.3.24. A header is an octet with its length, then information elements of identifier,
length and value. Unknown elements are skipped, as the standard asks.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

MOST_PARTS = 255


class ReferenceKind(enum.Enum):
    """Where the reference of a part is written; references of different kinds are different numbers."""

    UDH_8 = "udh8"
    UDH_16 = "udh16"
    SAR = "sar"


_ELEMENT_8, _ELEMENT_16 = 0x00, 0x08  # concatenation with a reference of 8 and of 16 bits
_PORTS_8, _PORTS_16 = 0x04, 0x05  # destination port, then source port
_SINGLE_SHIFT, _LOCKING_SHIFT = 0x24, 0x25


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Part `number` (from 1) of `total`; the parts of one text have the same reference."""

    kind: ReferenceKind
    reference: int
    total: int
    number: int

    def is_valid(self) -> bool:
        """Return True if the number is one of 1 to total."""
        return 1 <= self.number <= self.total <= MOST_PARTS


@dataclass(frozen=True, slots=True)
class Udh:
    """The elements of a header that matter to a text. `port` is the destination port, None for plain text.

    `locking` and `single` are national language identifiers (stormpetrel/sms/gsm.py).
    """

    concatenation: Concatenation | None = None
    locking: int = 0
    single: int = 0
    port: int | None = None


NO_HEADER = Udh()


def separate(user_data: bytes) -> tuple[Udh, bytes]:
    """Return the header at the beginning of the user data, and the octets after it. Never raises.

    A header whose elements do not fill its length exactly is ignored as a whole; so is a concatenation with a
    number outside 1 to total. Of an element that occurs twice the last one counts.
    """
    if not user_data:
        return NO_HEADER, b""
    end = 1 + user_data[0]
    header, body = user_data[1:end], user_data[end:]
    if len(header) != end - 1:
        return NO_HEADER, body
    elements: dict[int, bytes] = {}
    place = 0
    while place < len(header):
        value = header[place + 2 : place + 2 + header[place + 1]] if place + 1 < len(header) else None
        if value is None or len(value) != header[place + 1]:
            return NO_HEADER, body
        elements[header[place]] = value
        place += 2 + len(value)
    return _udh(elements), body


def _udh(elements: dict[int, bytes]) -> Udh:
    locking = elements.get(_LOCKING_SHIFT, b"")
    single = elements.get(_SINGLE_SHIFT, b"")
    ports = elements.get(_PORTS_16, b"")[:2] or elements.get(_PORTS_8, b"")[:1]
    return Udh(
        concatenation=_concatenation(elements),
        locking=locking[0] if locking else 0,
        single=single[0] if single else 0,
        port=int.from_bytes(ports) if ports else None,
    )


def _concatenation(elements: dict[int, bytes]) -> Concatenation | None:
    for element, kind, octets in (
        (_ELEMENT_16, ReferenceKind.UDH_16, 2),
        (_ELEMENT_8, ReferenceKind.UDH_8, 1),
    ):
        value = elements.get(element, b"")
        if len(value) != octets + 2:
            continue
        found = Concatenation(kind, int.from_bytes(value[:octets]), value[octets], value[octets + 1])
        if found.is_valid():
            return found
    return None


def header_of(part: Concatenation) -> bytes:
    """Return the header of a part, 6 octets with an 8-bit reference, 7 with one of 16 bits.

    Raise ValueError for a SAR reference, which is not written in a header, and for numbers out of range.
    """
    octets = {ReferenceKind.UDH_8: 1, ReferenceKind.UDH_16: 2}.get(part.kind)
    if octets is None or not part.is_valid() or not 0 <= part.reference < 1 << 8 * octets:
        raise ValueError(f"no header for {part}")
    element = _ELEMENT_8 if octets == 1 else _ELEMENT_16
    value = part.reference.to_bytes(octets) + bytes([part.total, part.number])
    return bytes([2 + len(value), element, len(value)]) + value
