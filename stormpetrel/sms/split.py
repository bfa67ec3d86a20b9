"""A text in the parts that a carrier transports, and their number before it is sent.

A message has 140 octets: 160 septets or 70 UTF-16 units. Each part of a longer text gives 6 of them to the
header (7 with a 16-bit reference), and has 153 septets (152) or 67 units (66). Source: 3GPP TS 23.040, 9.2.3.24.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model import characters
from stormpetrel.sms import gsm
from stormpetrel.sms.national_tables import ESCAPE
from stormpetrel.sms.udh import MOST_PARTS, ReferenceKind
from stormpetrel.sms.user_data import Coding

OCTETS = 140
SINGLE_SEPTETS = OCTETS * 8 // 7
SINGLE_UNITS = OCTETS // 2
_HEADER_OCTETS = {ReferenceKind.UDH_8: 6, ReferenceKind.UDH_16: 7, ReferenceKind.SAR: 6}
_CR, _LF = 0x0D, 0x0A


@dataclass(frozen=True, slots=True)
class Segments:
    """The parts of a text, in order: their texts, which joined give the text, and the octets of each.

    `coding` is GSM7 (one septet in each octet) or UCS2 (UTF-16, big endian).
    """

    coding: Coding
    texts: tuple[str, ...]
    octets: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.texts)


def split(text: str, *, kind: ReferenceKind = ReferenceKind.UDH_8) -> Segments:
    """Return the parts of the text: in GSM 7-bit if it has every character, otherwise in UCS-2.

    No part ends within an escape sequence, a surrogate pair or a CR LF, nor within a grapheme cluster that fits
    into a part. `kind` decides the room for text: a carrier that gets SAR parameters writes an 8-bit header.
    Raise ValueError above 255 parts. A lone surrogate is sent as "?".
    """
    septets = gsm.encode(text)
    if septets is None:
        return _split_ucs2(text, most_units=(OCTETS - _HEADER_OCTETS[kind]) // 2)
    return _split_gsm(text, septets, most=(OCTETS - _HEADER_OCTETS[kind]) * 8 // 7)


def _split_gsm(text: str, septets: bytes, *, most: int) -> Segments:
    if len(septets) <= SINGLE_SEPTETS:
        return Segments(Coding.GSM7, (text,), (septets,))
    parts: list[bytes] = []
    texts: list[str] = []
    start = place = 0
    while start < len(septets):
        end = start + most
        if end < len(septets) and (
            septets[end - 1] == ESCAPE or (septets[end - 1] == _CR and septets[end] == _LF)
        ):
            end -= 1
        part = septets[start:end]
        length = len(part) - part.count(ESCAPE)
        parts.append(part)
        texts.append(text[place : place + length])
        start, place = end, place + length
    return Segments(Coding.GSM7, tuple(_checked(texts)), tuple(parts))


def _split_ucs2(text: str, *, most_units: int) -> Segments:
    if len(text) <= SINGLE_UNITS and (text.isascii() or _units(text) <= SINGLE_UNITS):
        return Segments(Coding.UCS2, (text,), (_utf16(text),))
    texts: list[str] = []
    start = 0
    while start < len(text):
        end = _end_of_part(text, start, most_units)
        texts.append(text[start:end])
        start = end
    return Segments(Coding.UCS2, tuple(_checked(texts)), tuple(_utf16(part) for part in texts))


def _end_of_part(text: str, start: int, most_units: int) -> int:
    """Return the end of the longest part from `start` on, between clusters if the first one fits."""
    part = text[start : start + most_units]
    # An astral character takes two units, so the part may have to lose as many as it has too many.
    while (excess := _units(part) - most_units) > 0:
        part = part[: -max(1, excess // 2)]
    end = start + len(part)
    if end < len(text):
        # Count from the start of the part, a boundary: a row of flags has no other mark to count from.
        end = start + characters.whole_clusters(text[start : end + 64], end - start)
    return end


def _units(text: str) -> int:
    """Return the length of the text in UTF-16 units."""
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "replace")


def _checked(texts: list[str]) -> list[str]:
    if len(texts) > MOST_PARTS:
        raise ValueError(f"a text of {len(texts)} parts; at most {MOST_PARTS} can be sent")
    return texts
