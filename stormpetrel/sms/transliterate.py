"""Replaces typography by characters of the GSM alphabet where that saves the promotion of a text to UCS-2.

One curly quote makes a text of 160 characters three parts instead of one. Only signs with an equal in the GSM
alphabet are replaced: quotes, dashes, spaces, the ellipsis, bullets, invisible characters, and letters in a
compatibility form (a ligature, full width). Letters are never replaced by other letters: without its accent a
word may be another word (Spanish "año" and "ano"). A text with any other character stays as it is.
"""

from __future__ import annotations

import re
import unicodedata

from stormpetrel.sms import gsm

_REPLACEMENTS = {
    "'": "`´‘’‚‛‹›′ʼʹ",
    '"': "“”„‟«»″ˮ",
    "-": "‐‑‒–—―−",
    " ": "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "\n": "\u000b\u0085\u2028\u2029",
    "...": "…",
    "*": "•‣",
    "/": "⁄∕",
    "": "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff\ufe0e",
}
_SIGNS = {sign: replacement for replacement, signs in _REPLACEMENTS.items() for sign in signs}
_COMPATIBILITY = {"<wide>", "<narrow>"}
_LIGATURES = frozenset("ﬀﬁﬂﬃﬄﬅﬆĳĲ")
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)


def for_gsm(text: str) -> str:
    """Return the text in characters of the GSM alphabet, or unchanged if it cannot be written in them without a
    change of meaning.

    Letters and their combining marks are composed (NFC) first. A text in which a link has a sign to replace
    stays unchanged too, because the link would lead elsewhere.
    """
    if gsm.encode(text) is not None:
        return text
    composed = unicodedata.normalize("NFC", text)
    table = {}
    for character in gsm.unencodable(composed):
        replacement = _replacement(character)
        if replacement is None:
            return text
        table[ord(character)] = replacement
    replaced = composed.translate(table)
    return text if _links(text) != _links(replaced) else replaced


def _replacement(character: str) -> str | None:
    """Return the equal of the character in the GSM alphabet; None if it has none."""
    sign = _SIGNS.get(character)
    if sign is not None:
        return sign
    is_form = character in _LIGATURES or unicodedata.decomposition(character).split(" ")[0] in _COMPATIBILITY
    plain = unicodedata.normalize("NFKC", character) if is_form else ""
    return plain if plain and gsm.encode(plain) is not None else None


def _links(text: str) -> list[str]:
    return _LINK.findall(text) if "://" in text else []
