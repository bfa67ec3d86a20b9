"""The GSM 7-bit alphabet: text to septets, septets to text, and septets packed into octets.

Source: 3GPP TS 23.038, 6.1.2 (packing) and 6.2.1 (alphabets). Septets are bytes with one septet each, as SMPP
carries them; packed octets are those of the radio interface. We send the default alphabet and its extension
only, because many phones and carriers ignore the national tables; we decode those too.
"""

from __future__ import annotations

import codecs

from stormpetrel.sms.national_tables import DEFAULT, ESCAPE, LOCKING, SINGLE, UNASSIGNED

_ESCAPE = bytes([ESCAPE])
_ENCODING = {ord(character): septet for septet, character in enumerate(DEFAULT) if septet != ESCAPE} | {
    ord(character): _ESCAPE + bytes([septet])
    for septet, character in enumerate(SINGLE[0])
    if character != UNASSIGNED
}


def encode(text: str) -> bytes | None:
    """Return the septets of the text, two for each character of the extension table; None if a character is in
    neither table.
    """
    try:
        return codecs.charmap_encode(text, "strict", _ENCODING)[0]
    except UnicodeEncodeError:
        return None


def unencodable(text: str) -> set[str]:
    """Return the characters that neither the default alphabet nor its extension has."""
    return {character for character in set(text) if ord(character) not in _ENCODING}


def decode(septets: bytes, *, locking: int = 0, single: int = 0) -> str:
    """Return the text of septets.

    `locking` and `single` are national language identifiers (TS 23.038, 6.2.1.2.4); an unknown one means the
    default table. An octet above 127 becomes U+FFFD, and an unassigned septet a space. After ESCAPE, a septet
    that the single shift table does not have is read from the main table (6.2.1.1); a second ESCAPE, or the end
    of the text, makes a space of the first.
    """
    main = LOCKING.get(locking, DEFAULT)
    text = _mapped(septets.partition(_ESCAPE)[0], main)
    if len(septets) == len(text):
        return text
    shifted = SINGLE.get(single, SINGLE[0])
    pieces = [text]
    place = len(text)
    while place < len(septets):
        # septets[place] is an ESCAPE.
        code = septets[place + 1 : place + 2]
        if code and code != _ESCAPE:
            character = shifted[code[0]] if code[0] < len(shifted) else "\ufffd"
            pieces.append(character if character != UNASSIGNED else _mapped(code, main))
        else:
            pieces.append(" ")
        place += 2
        end = septets.find(_ESCAPE, place)
        end = end if end >= 0 else len(septets)
        pieces.append(_mapped(septets[place:end], main))
        place = max(place, end)
    return "".join(pieces)


def _mapped(septets: bytes, table: str) -> str:
    """Return the characters of septets without ESCAPE."""
    text = codecs.charmap_decode(septets, "replace", table)[0]
    return text.replace(UNASSIGNED, " ") if UNASSIGNED in text else text
