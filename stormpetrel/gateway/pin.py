"""Takes the PIN out of a message before anything is stored: "1234 text" becomes the PIN and the text.

A text cleaned after it was stored would stay in the database's log, so a message in parts is cleaned in its octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from stormpetrel.sms import gsm
from stormpetrel.sms.national_tables import ESCAPE
from stormpetrel.sms.user_data import Coding, UserData, text_of

LEAST_DIGITS, MOST_DIGITS = 4, 8

_UNSEEN = r"\s\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff"
_DIGITS = re.compile(rf"(?<!\d)\d{{{LEAST_DIGITS},{MOST_DIGITS}}}(?!\d)")
_PIN = re.compile(rf"[{_UNSEEN}]*(\d{{{LEAST_DIGITS},{MOST_DIGITS}}})(?!\d)[.:,;]?(?:[{_UNSEEN}]+|\Z)")


def split_pin(text: str) -> tuple[str | None, str]:
    """Return the PIN at the beginning of the text and the text after it; None and the whole text if there is none.

    The PIN has 4 to 8 digits of any script and is returned in ASCII. A space or the end of the text follows it.
    """
    match = _PIN.match(text)
    return (None, text) if match is None else (_ascii(match), text[match.end() :])


def strip_octets(part: UserData) -> tuple[str | None, UserData]:
    """Return the PIN at the beginning of a message or of its first part, and the part without it.

    None and the same part if there is none.
    """
    text = text_of([part])
    match = _PIN.match(text) if text is not None else None
    if match is None:
        return None, part
    return _ascii(match), replace(part, octets=part.octets[_octets_of(match[0], part) :])


def without_misplaced_pin(text: str, is_pin: Callable[[str], bool]) -> str:
    """Return the text with "*" for the digits of each PIN in it: written without a space, or at the end."""

    def hidden(match: re.Match[str]) -> str:
        return "*" * len(match[0]) if is_pin(_ascii_digits(match[0])) else match[0]

    return _DIGITS.sub(hidden, text)


def mask_octets(part: UserData, is_pin: Callable[[str], bool]) -> UserData:
    """Return the part of a message with "*" for the digits of each PIN in it. A PIN in two parts stays."""
    text = text_of([part])
    if text is None:
        return part
    octets = part.octets
    for match in reversed([one for one in _DIGITS.finditer(text) if is_pin(_ascii_digits(one[0]))]):
        start, end = (_octets_of(text[:place], part) for place in match.span())
        octets = octets[:start] + len(match[0]) * _star(part) + octets[end:]
    return replace(part, octets=octets)


def _star(part: UserData) -> bytes:
    """Return "*" in the coding and the alphabet of the part, or a space in an alphabet that lacks it."""
    if part.coding is not Coding.GSM7:
        return "*".encode(part.coding.value)
    header = part.header
    for septet in (ord("*"), *range(128)):
        if (
            septet != ESCAPE
            and gsm.decode(bytes([septet]), locking=header.locking, single=header.single) == "*"
        ):
            return bytes([septet])
    return b" "


def _ascii(match: re.Match[str]) -> str:
    return _ascii_digits(match[1])


def _ascii_digits(digits: str) -> str:
    return "".join(str(int(digit)) for digit in digits)


def _octets_of(beginning: str, part: UserData) -> int:
    """Return the number of octets of the text's beginning."""
    if part.coding is Coding.UCS2:
        return len(beginning.encode("utf-16-be"))
    if part.coding is not Coding.GSM7:
        return len(beginning)
    place = 0
    for _ in beginning:
        # An escape and its septet are one character, also where no table has it.
        place += 2 if part.octets[place] == ESCAPE else 1
    return place
