"""Search: a search text as a frozen query, and text in the form in which it is indexed.

All functions are pure and accept any text. The words of a query consist of letters, digits and spaces only,
so that they are safe in the query language of any index.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from stormpetrel.model.characters import UNSPACED, normalized, pattern
from stormpetrel.model.text import tags_in

MAX_TERMS = 10
"""Limit of words and phrases, each for wanted and unwanted ones; further ones are ignored.
Each one costs a look-up.
"""
MAX_WORD = 60
MAX_QUERY_CHARACTERS = 512
MAX_NAME_WORDS = 8

# In scripts without spaces each character, with its marks, is a word, and several form a phrase: so any part
# of a sentence can be found.
_UNSPACED = pattern(rf"([{UNSPACED}--\p{{M}}][{UNSPACED}&&\p{{M}}]*+)")
# Blocks of which some have these scripts. Looking for them takes 0.6 us in a text of Latin letters, and the pattern
# above 10 us: each post is indexed in this form.
_MAY_BE_UNSPACED = re.compile("[\u0e00-\u109f\u1100-\u1dff\u2e80-\U0010ffff]")
# Accents, and the points of Hebrew and Arabic, which not all writers use. Also invisible characters, except
# those that separate words (U+200B, U+200C).
_POINTS = re.compile(
    r"[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0670\u00ad\u061c\u180b-\u180f\u200d-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)
_QUOTE = '"\u201c\u201d'
_TERM = re.compile(rf"(-?)(?:([A-Za-z]{{2,8}}):)?(?:[{_QUOTE}]([^{_QUOTE}]*)[{_QUOTE}]?|([^\s{_QUOTE}]+))")


def search_words(text: str) -> str:
    """Return the text as it is indexed and looked up: without accents, scripts without
    spaces split into clusters.

    Letters keep their case; the index folds it. Migration 0010 does the same in SQL.
    """
    if text.isascii():
        return text
    text = normalized("NFKC", _POINTS.sub("", normalized("NFKD", text)))
    return text if _MAY_BE_UNSPACED.search(text) is None else str(_UNSPACED.sub(r" \1 ", text))


def _is_word_character(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, without accents and folded: letters, digits and vowel signs only."""
    spaced = search_words(text).lower()
    if not spaced.isascii():
        spaced = "".join(c if _is_word_character(c) else " " for c in spaced)
    else:
        spaced = "".join(c if c.isalnum() else " " for c in spaced)
    return tuple(word[:MAX_WORD] for word in spaced.split() if any(c.isalnum() for c in word))


def name_words(username: str, display_name: str) -> tuple[str, ...]:
    """Return the words whose prefixes find a person: the username, and the words of the display name.

    In scripts without spaces, also the rest of the name after each character. At most
    MAX_NAME_WORDS of the display name.
    """
    found = {username.lower(): None}
    for part in display_name.split():
        characters = words_of(part)
        joined = "".join(characters)
        if joined:
            found.setdefault(joined[:MAX_WORD])
        for place in range(1, len(characters) if _UNSPACED.search(part) else 0):
            found.setdefault("".join(characters[place:])[:MAX_WORD])
    return tuple(found)[: MAX_NAME_WORDS + 1]


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The conditions of a search for posts.

    Each of `terms` and `not_terms` is a phrase: words separated by one space.

    `tags` are folded hashtags; their words are among the terms too, which narrow the index down. `author`: a
    lower-case username, "me", or "". `scope`: "", "public" or "library". Times are in milliseconds, from
    `from_ms` to below `until_ms`; 0: no bound. `marks`: of link, media, poll, reply, sensitive.
    """

    terms: tuple[str, ...] = ()
    not_terms: tuple[str, ...] = ()
    author: str = ""
    marks: tuple[str, ...] = ()
    not_marks: tuple[str, ...] = ()
    language: str = ""
    scope: str = ""
    from_ms: int = 0
    until_ms: int = 0
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return True if the query has no positive condition; it finds no post then, rather than all."""
        return not (self.terms or self.author or self.marks or self.language)


_MARKS = {
    ("has", "media"): "media",
    ("has", "poll"): "poll",
    ("has", "link"): "link",
    ("is", "reply"): "reply",
    ("is", "sensitive"): "sensitive",
}


def parse(text: str) -> SearchQuery:
    """Return the query of a text; unknown operators are searched as words."""
    terms: dict[str, None] = {}
    not_terms: dict[str, None] = {}
    marks: dict[str, None] = {}
    not_marks: dict[str, None] = {}
    tags: dict[str, None] = {}
    not_tags: dict[str, None] = {}
    said = {"author": "", "language": "", "scope": ""}
    from_ms = until_ms = 0
    for match in _TERM.finditer(text[:MAX_QUERY_CHARACTERS]):
        minus, key, phrase, word = match[1], (match[2] or "").lower(), match[3], match[4]
        value = (word or "").lower()
        if key and word:
            mark = _MARKS.get((key, value))
            if mark is not None:
                (not_marks if minus else marks).setdefault(mark)
                continue
            span = _days(key, value) if key in ("before", "after", "during") else None
            if span is not None and not minus:
                from_ms = max(from_ms, span[0])
                until_ms = min(until_ms or span[1], span[1] or until_ms)
                continue
            name = value.removeprefix("@").partition("@")[0]
            if key == "from" and not minus and re.fullmatch(r"[a-z0-9_]{1,30}", name):
                said["author"] = name
                continue
            if key == "language" and not minus and re.fullmatch(r"[a-z]{2,3}", value):
                said["language"] = value
                continue
            if key == "in" and not minus and value in ("library", "public", "all"):
                said["scope"] = "" if value == "all" else value
                continue
        named = tags_in(word)[:1] if word and word[0] in "#＃" and not key else ()
        for tag, _ in named:
            (not_tags if minus else tags).setdefault(tag)
        if named and minus:
            # A post with the word but without the tag may match, so the word is not excluded.
            continue
        whole = phrase if phrase is not None else word
        if key:
            whole = f"{key} {whole}"
        words = " ".join(words_of(whole or "")[:MAX_TERMS])
        if words:
            (not_terms if minus else terms).setdefault(words)
    return SearchQuery(
        terms=tuple(terms)[:MAX_TERMS],
        not_terms=tuple(not_terms)[:MAX_TERMS],
        author=said["author"],
        marks=tuple(marks),
        not_marks=tuple(not_marks),
        language=said["language"],
        scope=said["scope"],
        from_ms=from_ms,
        until_ms=until_ms,
        tags=tuple(tags)[:MAX_TERMS],
        not_tags=tuple(not_tags)[:MAX_TERMS],
    )


def _days(key: str, value: str) -> tuple[int, int] | None:
    """Return (from, until) in milliseconds of `before:`, `after:` or `during:` a day in UTC; 0: no bound."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        return None
    try:
        day = date.fromisoformat(value)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        start_ms = max(int(start.timestamp() * 1000), 0)
        end_ms = max(int((start + timedelta(days=1)).timestamp() * 1000), 0)
    except (ValueError, OverflowError):
        return None
    if key == "before":
        return 0, start_ms or 1
    return (end_ms, 0) if key == "after" else (start_ms, end_ms or 1)
