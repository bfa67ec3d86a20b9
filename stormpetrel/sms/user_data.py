"""The text that a message or several parts carry, in any of the codings that carriers use."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from stormpetrel.sms import gsm
from stormpetrel.sms.udh import NO_HEADER, Udh


class Coding(enum.Enum):
    """How octets stand for characters; the value of each text coding but GSM7 is the name of Python's codec."""

    GSM7 = "gsm7"
    UCS2 = "utf-16-be"
    ASCII = "ascii"
    LATIN1 = "latin-1"
    CYRILLIC = "iso8859-5"
    HEBREW = "iso8859-8"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class UserData:
    """The octets of one message or part, without its header. GSM7 has one septet in each octet."""

    coding: Coding
    octets: bytes
    header: Udh = NO_HEADER


def text_of(parts: Iterable[UserData]) -> str | None:
    """Return the text of a message from its parts, in order; None if a part is no text.

    Neighbours of the same coding are joined before they are decoded, because some phones cut a text within an
    escape or a surrogate pair. Octets that are no character become U+FFFD.
    """
    pieces = []
    for key, group in itertools.groupby(parts, _alphabet):
        coding, locking, single = key
        octets = b"".join(part.octets for part in group)
        if coding is Coding.BINARY:
            return None
        if coding is Coding.GSM7:
            pieces.append(gsm.decode(octets, locking=locking, single=single))
        else:
            pieces.append(octets.decode(coding.value, "replace"))
    return "".join(pieces)


def _alphabet(part: UserData) -> tuple[Coding, int, int]:
    if part.coding is not Coding.GSM7:
        return part.coding, 0, 0
    return part.coding, part.header.locking, part.header.single
