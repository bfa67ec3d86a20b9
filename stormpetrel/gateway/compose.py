"""Composes deliveries: a post as a text message of few segments, its further pages, and the digest.

A delivery is `@name: text #n`, where n is the tag by which the reader answers (R n, LIKE n). A longer text is cut at
a word: `@name: text… MORE n #n`. Typography is replaced by signs of the GSM alphabet where that saves a promotion to
UCS-2 (sms/transliterate.py); the ellipsis is three points then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stormpetrel.model import characters
from stormpetrel.model.text import excerpt
from stormpetrel.sms import gsm
from stormpetrel.sms.split import SINGLE_SEPTETS, split
from stormpetrel.sms.transliterate import for_gsm
from stormpetrel.sms.udh import MOST_PARTS, ReferenceKind

_KIND = ReferenceKind.UDH_16  # the header that leaves the least room: the result fits with every kind
_MOST_HEAD = 40  # units; a UCS-2 segment of 70 needs room for text and for "… MORE 99999 #99999"
_MOST_CHARACTERS = 10 * SINGLE_SEPTETS  # no person or operator asks for more than 10 segments
_DIGEST_LENGTHS = (160, 100, 60, 40, 25, 15)
"""Characters of each text in a digest: the longest of these lengths with which all lines fit."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A text to send. `next_offset`: where the next page begins, for `more`; None if this is the last one.

    `rest_count`: characters on further pages.
    """

    text: str
    next_offset: int | None = None
    rest_count: int = 0


@dataclass(frozen=True, slots=True)
class DigestLine:
    """A post in a digest: the username of its author, its text or content warning, and its tag."""

    name: str
    text: str
    tag: int


@dataclass(frozen=True, slots=True)
class Digest:
    """A text to send, with the first `count` of the lines."""

    text: str
    count: int


def content(text: str, media: Iterable[str] = ()) -> str:
    """Return the text of a post followed by its attachments in brackets.

    `media`: for each one its description, or where it has none the word for its kind ("Picture").
    """
    return " ".join(part for part in (text, *(f"[{' '.join(item.split())}]" for item in media)) if part)


def delivery(
    name: str,
    text: str,
    *,
    tag: int,
    segments: int = 1,
    warning: str = "",
    booster: str = "",
    is_direct: bool = False,
) -> Delivery:
    """Return the first page of a post, of at most `segments` segments.

    `text`: from `content`. `warning`: the content warning, which is sent alone; MORE sends the text. `booster`: the
    username of the account that boosted the post. `is_direct`: a direct message. A mention needs no mark, because
    its text names the reader.
    """
    head = _head(name, booster, is_direct=is_direct)
    prepared = _prepared(text)
    if not warning:
        return _page(head, prepared, 0, tag, segments)
    shown = " ".join(_prepared(warning).split())
    message = _form(f"{head}CW: {shown}", tag, is_cut=bool(prepared))
    if not _fits(message, segments):
        message = _longest(f"{head}CW: ", shown, tag, segments)[0]
    return Delivery(message, 0 if prepared else None, len(prepared))


def more(
    name: str,
    text: str,
    *,
    tag: int,
    offset: int,
    segments: int = 1,
    booster: str = "",
    is_direct: bool = False,
) -> Delivery:
    """Return the page of a post that begins at `offset`, the `next_offset` of the page before.

    `text` must be the text of the first page. Past its end (after an edit) the page is empty.
    """
    return _page(_head(name, booster, is_direct=is_direct), _prepared(text), offset, tag, segments)


def digest(lines: Sequence[DigestLine], *, segments: int = 1) -> Digest:
    """Return as many lines as fit, from the first one on, each shortened; "+3" at the end counts the others."""
    texts = [
        [f"@{line.name}: {excerpt(_prepared(line.text), most)} #{line.tag}" for line in lines]
        for most in _DIGEST_LENGTHS
    ]
    for shortened in texts:
        whole = _shortest("\n".join(shortened))
        if _fits(whole, segments):
            return Digest(whole, len(lines))

    def first(count: int) -> str:
        return _shortest("\n".join([*texts[-1][:count], f"+{len(lines) - count}"]))

    count = _last_true(0, len(lines) - 1, lambda count: _fits(first(count), segments))
    return Digest(first(count), count)


def _head(name: str, booster: str, *, is_direct: bool) -> str:
    if is_direct:
        return f"DM @{name}: "
    head = f"@{booster} RT @{name}: " if booster else f"@{name}: "
    return head if len(head) <= _MOST_HEAD else f"RT @{name}: "


def _prepared(text: str) -> str:
    """Return the text in the form that offsets count in."""
    plain = characters.with_few_marks(characters.undirected(characters.printable(text)))
    return characters.trimmed(characters.normalized("NFC", plain))


def _page(head: str, text: str, offset: int, tag: int, segments: int) -> Delivery:
    rest = text[offset:]
    message = _form(head + rest, tag, is_cut=False)
    if _fits(message, segments):
        return Delivery(message)
    message, length = _longest(head, rest, tag, segments)
    spaces = len(rest) - length - len(rest[length:].lstrip())
    begin = offset + length + spaces
    return Delivery(message, begin, len(text) - begin)


def _longest(head: str, rest: str, tag: int, segments: int) -> tuple[str, int]:
    """Return the message with the longest beginning of `rest` that fits, and the length of this beginning."""

    def message(end: int) -> str:
        return _form(head + rest[:end].rstrip(), tag, is_cut=True)

    most = min(len(rest) - 1, SINGLE_SEPTETS * segments)
    fitting = _last_true(1, most, lambda end: _fits(message(end), segments))
    end = _word_end(rest, fitting)
    return message(end), end


def _word_end(text: str, end: int) -> int:
    """Return the end of the last word or grapheme cluster at or before `end`; a word counts in the second half."""
    if text[end : end + 1].isspace():
        return end
    whole = characters.whole_clusters(text, end) or end
    space = next((place for place in range(whole - 1, whole // 2, -1) if text[place].isspace()), None)
    return whole if space is None else space


def _form(text: str, tag: int, *, is_cut: bool) -> str:
    """Return the message with its tail, in the form of fewer segments."""
    tail = f" MORE {tag} #{tag}" if is_cut else f" #{tag}"
    typographic = f"{text}{'…' if is_cut else ''}{tail}"
    # Without the tail, because an ellipsis after a link would count as a part of the link.
    plain = for_gsm(text)
    if gsm.encode(plain) is None:
        return typographic
    return min(f"{plain}{'...' if is_cut else ''}{tail}", typographic, key=_segments)


def _shortest(text: str) -> str:
    # With points first: the ellipsis after a shortened link would count as a part of the link.
    return min(for_gsm(text.replace("…", "...")), text, key=_segments)


def _segments(message: str) -> int:
    """Return the number of segments of the message; MOST_PARTS for one that is longer than any that we send."""
    return len(split(message, kind=_KIND)) if len(message) <= _MOST_CHARACTERS else MOST_PARTS


def _fits(message: str, segments: int) -> bool:
    # A character has at least one septet, so a longer text need not be encoded.
    return len(message) <= SINGLE_SEPTETS * segments and _segments(message) <= segments


def _last_true(low: int, high: int, is_true: Callable[[int], bool]) -> int:
    """Return the last number of low to high for which it is true, if it is true up to some number; at least low."""
    while low < high:
        middle = (low + high + 1) // 2
        if is_true(middle):
            low = middle
        else:
            high = middle - 1
    return low
