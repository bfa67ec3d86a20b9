"""Web addresses in a text: where each begins and ends.

RFC 3986 and RFC 3987 allow characters that belong to the sentence: punctuation at its end, and a bracket or
quotation mark around the address, are not part of the address, in any script.
"""

from __future__ import annotations

import unicodedata

from stormpetrel.model.characters import DIRECTION, UNSPACED, pattern

ADDRESS_START = r"(?P<scheme>[hH][tT][tT][pP][sS]?://)"
_AUTHORITY = pattern(
    r"(?:[\p{L}\p{M}\p{N}\p{So}\p{Sk}\u200c\u200d\u00b7\u30fb._~%$&*+=:@-]++|\[[\da-fA-F:.]++\])++"
)
_HOST_LETTER = pattern(r"[\p{L}\p{N}\p{So}\]]")
_ASCII_LABEL = pattern(r"[A-Za-z]{2,}+(?=[\p{L}\p{So}--\p{Latin}])")
_UNSPACED = pattern(UNSPACED)
_PAIRS = {opening: chr(ord(opening) + 1) for opening in "(（⸨《〈「『【〔〖〘〚｟｢‘“‹⁅⟦⟨⟪⟬⟮❨❪❬❮❰❲❴"} | {
    "[": "]",
    "{": "}",
    "［": "］",
    "｛": "｝",
    "«": "»",
    "〝": "〞",
}
"""The closing sign of each bracket and quotation mark."""
_ASCII_PAIRS = {opening: closing for opening, closing in _PAIRS.items() if opening.isascii()}
_CLOSINGS = frozenset(_PAIRS.values())
# Just before an address, these signs can also be closed by others, some of which open a quotation elsewhere.
_CLOSED_BY = _PAIRS | {"„": "“”", "‚": "‘’", "”": "”", "’": "’", "»": "«", "›": "‹", "〝": "〞〟", "'": "'"}
_APOSTROPHES = "'’"
# Where an address may end: at a character that no address contains, at punctuation of another script, or at a
# bracket or quotation mark.
_NOTABLE = pattern(
    rf"[\s<>\"`\p{{Cc}}\u200b\u2060\ufeff\ufffe\uffff{DIRECTION}"
    r"\p{Ps}\p{Pe}\p{Pi}\p{Pf}'[\p{Terminal_Punctuation}--\p{ASCII}]]"
)
_ENDS_SENTENCE = ".,;:!?'"
_AUTHORITY_ENDS = "._~%$&*+=:@-·・"


def address_end(text: str, start: int, host: int) -> int:
    """Return the end of the address whose scheme begins at `start` and host at `host`;
    `host` if there is no address.
    """
    found = _AUTHORITY.match(text, host)
    if found is None or _HOST_LETTER.search(found[0]) is None:
        return host
    end = found.end()
    authority = found[0].rstrip(_AUTHORITY_ENDS)
    spoken = _after_ascii_domain(authority)
    if spoken or end == len(text) or text[end] not in "/?#":
        return host + len(authority) - spoken
    before = text[start - 1] if start else ""
    return _trimmed(text, end, _cut(text, end, _CLOSED_BY.get(before, "")))


def _after_ascii_domain(authority: str) -> int:
    """Return how many letters at the end belong to the sentence: no top-level domain mixes two scripts."""
    if authority.isascii() or "." not in authority:
        return 0
    last = authority.rpartition(".")[2]
    label = _ASCII_LABEL.match(last)
    return 0 if label is None else len(last) - label.end()


def _cut(text: str, start: int, expected: str) -> int:
    """Return the first place where the address cannot continue.

    `expected`: the signs that close the one before it.
    """
    closings: dict[str, int] = {}
    for match in _NOTABLE.finditer(text, start):
        sign, place = str(match[0]), int(match.start())
        if closings.get(sign):
            closings[sign] -= 1
        elif sign in _APOSTROPHES and _is_apostrophe(text, place):
            continue
        elif sign in expected:
            return place
        elif sign in _PAIRS:
            closings[_PAIRS[sign]] = closings.get(_PAIRS[sign], 0) + 1
        elif not (sign in ")]}'" or _is_opening(sign)):
            return place
    return len(text)


def _is_apostrophe(text: str, place: int) -> bool:
    """Return True if letters of a script with spaces are on both sides, as in L'Exemple."""
    after = text[place + 1 : place + 2]
    return text[place - 1].isalnum() and after.isalnum() and _UNSPACED.match(after) is None


def _is_opening(sign: str) -> bool:
    return unicodedata.category(sign) in ("Ps", "Pi")


def _trimmed(text: str, start: int, end: int) -> int:
    """Return `end` without trailing punctuation of the sentence, in one pass; `start` is the end of the host."""
    # Of other scripts' signs, `_cut` has left only closings whose opening is in the address.
    unopened = {
        closing: text.count(closing, start, end) - text.count(opening, start, end)
        for opening, closing in _ASCII_PAIRS.items()
    }
    while end > start:
        sign = text[end - 1]
        if sign in _ASCII_PAIRS:
            unopened[_ASCII_PAIRS[sign]] += 1
        elif sign in unopened:
            if unopened[sign] <= 0:
                break
            unopened[sign] -= 1
        elif sign in _CLOSINGS or (
            sign not in _ENDS_SENTENCE and (sign.isascii() or unicodedata.category(sign)[0] != "P")
        ):
            break
        end -= 1
    return end
