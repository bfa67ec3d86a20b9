"""Properties of characters for all rules on text: words, boundaries, equality, length, blanks, direction.

The properties are Unicode's, from the library `regex` (docs/decisions/0011-unicode-by-regex.md): Python's own
`re` does not count vowel signs as letters, and neither it nor `len` knows grapheme clusters. Every function
takes time in proportion to its text (tests/model/test_characters.py).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import regex

BYTES_PER_CHARACTER = 32
"""A text with a limit of n characters may have n times as many bytes of UTF-8: an emoji of a family of four
has 25, and the number of marks on a letter is unlimited.
"""

# Character classes for patterns of regex's version 1, which supports set operations.

UNSPACED = (
    r"[\p{Lb=SA}\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}\p{Yi}\p{Tibetan}\p{Thai}\p{Lao}\p{Khmer}"
    r"\p{Myanmar}\p{Balinese}\p{Javanese}\p{Tangut}\p{Nushu}\p{Khitan_Small_Script}\u30fc\uff70"
    r"--\P{XIDC}]"
)
"""Letters, marks and digits of scripts without spaces between words; and Hangul, whose words include their
particles. Any part of a text in them counts as a word.
"""
_NO_PART_OF_A_WORD = r"\ufe00-\ufe0f\u20d0-\u20ff"  # marks that decorate emoji and digits
_WITHIN = r"\u00b7\u0387\u0f0b\u05f3\u05f4\u2027\u30fb\uff65\u200c\u200d"
WITHIN_WORD = rf"[{_WITHIN}]"
"""Characters allowed inside a word, but not at its ends: middle dots, the Tibetan tsheg, geresh and
gershayim, and the joiners (UAX #31, tables 3a and 3b).
"""
WORD = rf"[\p{{XIDC}}--[{_NO_PART_OF_A_WORD}{_WITHIN}]]"
"""Letters with their marks, digits, and connectors within words such as "_" (UAX #31, XID_Continue)."""
INVISIBLE = r"\p{DI}"
"""Default_Ignorable_Code_Point: characters that are not displayed."""
DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"


def pattern(text: str) -> regex.Pattern[str]:
    """Compile a pattern that uses the classes above."""
    return regex.compile(text, regex.VERSION1)


_UNPRINTED = pattern(r"[\p{Cc}\p{Cs}--[\n\t]]")
# Characters that display nothing although Unicode does not mark them as ignorable: the empty Braille cell, a
# note without a head, a filler, annotation anchors, hieroglyph joiners. Signs written before a number (U+0600
# …) do display.
_BLANK = pattern(r"[[\s\p{DI}\p{Cc}\p{Cf}\u2800\U0001d159\U00016fe4]--\p{Prepended_Concatenation_Mark}]*+")
_ENDS = pattern(r"\A[\s\p{DI}]++|(?<![\s\p{DI}])[\s\p{DI}]++\Z")
_CLUSTER = pattern(r"\X")
_FLAG = pattern(r"[\U0001f1e6-\U0001f1ff]{2}")
# In a text without any of these, each character is a cluster.
_CLUSTERED = pattern(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{RI}\r]"
)
_INVISIBLE = pattern(INVISIBLE)
_ONE_WORD = pattern(rf"{UNSPACED}|[{WORD}--{UNSPACED}]++")
# Marks, and characters that normalization turns into marks.
_MARK = r"[\P{ccc=0}\u0f73\u0f75\u0f81\uff9e\uff9f]"
MOST_MARKS = 30
_MANY_MARKS = pattern(rf"(?<!{_MARK}){_MARK}{{{MOST_MARKS + 1},}}+")
_JOINER = "\u034f"  # the combining grapheme joiner
_ASCII_WORD = re.compile(r"\w+", re.ASCII)

BOUNDARY = "\x01"
_EMBEDDINGS = "\u202a\u202b\u202d\u202e"
_ISOLATES = "\u2066\u2067\u2068"
_POP_EMBEDDING = "\u202c"
_POP_ISOLATE = "\u2069"
_NESTING = pattern(r"[\u202a-\u202e\u2066-\u2069\n\u2029]")
_NESTING_ONLY = pattern(r"[\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Drop control characters except \\n and \\t, and lone surrogates: PostgreSQL and UTF-8 cannot hold them."""
    return text if text.isprintable() else _UNPRINTED.sub("", text)


def trimmed(text: str) -> str:
    """Return the text without spaces and invisible characters at either end: phones and copied text add both."""
    return str(_ENDS.sub("", text))


def is_blank(text: str) -> bool:
    """Return True if the text displays nothing."""
    if text.isascii():
        return not text.strip()
    return _BLANK.fullmatch(text) is not None


def length(text: str) -> int:
    """Return the number of grapheme clusters (UAX #29), which readers call characters."""
    if text.isascii() or _CLUSTERED.search(text) is None:
        return len(text) - text.count("\r\n")
    # Two letters make a flag; replace each flag by one letter. For each letter of a row the library goes back
    # to the first one, so that 64 KB of them would take seconds.
    return sum(1 for _ in _CLUSTER.finditer(_FLAG.sub("A", text)))


def is_too_long(text: str, characters: int) -> bool:
    """Return True if the text has more than this many characters, or more bytes than they may take."""
    return is_too_large(text, characters) or length(text) > characters


def is_too_large(text: str, characters: int) -> bool:
    """Return True if the text has more bytes than this many characters may take, however few it counts."""
    most = characters * BYTES_PER_CHARACTER
    if len(text) > most or 4 * len(text) <= most:
        return len(text) > most
    return len(text.encode("utf-8", "replace")) > most


def whole_clusters(text: str, end: int) -> int:
    """Return the nearest boundary of grapheme clusters at or before `end`; `end` where there is none."""
    if end >= len(text):
        return len(text)
    if end > 0 and _CLUSTERED.search(text, end - 1, end + 1) is None:
        return end
    # A cluster may be long, so only look at 64 characters on each side.
    start = max(0, end - 64)
    places = [match.start() for match in _CLUSTER.finditer(text, start, min(len(text), end + 64))]
    return max((place for place in places if start < place <= end), default=end)


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Return the text in that normalization form, with a joiner after each MOST_MARKS marks in a row.

    Sorting marks takes quadratic time: 8 s for 60 KB of them; with the joiners, one millisecond. Source: UAX
    #15, 13, Stream-Safe Text Format. No language uses that many marks.
    """
    if text.isascii():
        return text
    return unicodedata.normalize(form, _MANY_MARKS.sub(_with_joiners, text))


def with_few_marks(text: str) -> str:
    """Drop the marks beyond MOST_MARKS in a row.

    A column of marks covers the posts around it, and PostgreSQL normalizes indexed
    text in quadratic time too.
    """
    return text if text.isascii() else str(_MANY_MARKS.sub(lambda match: match[0][:MOST_MARKS], text))


def _with_joiners(match: regex.Match[str]) -> str:
    run = match[0]
    return _JOINER.join(run[start : start + MOST_MARKS] for start in range(0, len(run), MOST_MARKS))


def fold(text: str) -> str:
    """Return the text in the form for comparing, equal for texts that look the same to a reader: toNFKC_Casefold.

    Unicode Standard 3.13, D146, but with the second normalization last, as folding may
    create composable characters.
    """
    if text.isascii():
        return text.lower()
    return fold_visible(_INVISIBLE.sub("", text))


def fold_visible(text: str) -> str:
    """Fold as `fold` does, but keep invisible characters."""
    folded = normalized("NFKC", normalized("NFKC", text).casefold()).casefold()
    return normalized("NFKC", folded)


def mark_boundaries(text: str) -> str:
    """Put BOUNDARY at both ends of each word, so that a plain-text search finds whole words.

    Each character of a script without spaces is a word.
    """
    return (_ASCII_WORD if text.isascii() else _ONE_WORD).sub(rf"{BOUNDARY}\g<0>{BOUNDARY}", text)


def balanced(text: str) -> str:
    """Close every change of direction in the line where it begins, and drop unmatched
    closings (UAX #9, X1-X8).

    Text next to it then keeps its own direction.
    """
    if text.isascii() or _NESTING_ONLY.search(text) is None:
        return text
    pieces: list[str] = []
    open_: list[str] = []
    isolates = 0
    place = 0
    for match in _NESTING.finditer(text):
        control = match[0]
        pieces.append(text[place : match.start()])
        place = match.end()
        if control in _EMBEDDINGS:
            open_.append(_POP_EMBEDDING)
        elif control in _ISOLATES:
            open_.append(_POP_ISOLATE)
            isolates += 1
        elif control == _POP_EMBEDDING:
            if not open_ or open_[-1] != _POP_EMBEDDING:
                continue
            open_.pop()
        elif control == _POP_ISOLATE:
            if not isolates:
                continue
            while open_.pop() != _POP_ISOLATE:
                pass
            isolates -= 1
        else:
            pieces.extend(reversed(open_))
            open_.clear()
            isolates = 0
        pieces.append(control)
    pieces.append(text[place:])
    pieces.extend(reversed(open_))
    return "".join(pieces)


def undirected(text: str) -> str:
    """Drop every change of direction, for a text that is cut."""
    return text if text.isascii() else _NESTING_ONLY.sub("", text)
