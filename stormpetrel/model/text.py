"""Text of posts and profiles: its links, its counted length, and its HTML.

The HTML is built from plain text with everything escaped, so that a text cannot contain markup. Classes and
attributes are those that Mastodon's apps look for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from stormpetrel.model import characters
from stormpetrel.model.addresses import ADDRESS_START, address_end
from stormpetrel.model.characters import WITHIN_WORD, WORD, pattern
from stormpetrel.model.post import Mention

LINK_CHARACTERS = 23
"""The counted length of a link, however long it is (Mastodon's rule; apps count the same way)."""
LINK_SHOWN_CHARACTERS = 30

# Usernames are ASCII: a letter of another script ends one, as in scripts without spaces between words.
_LABEL = r"[\p{L}\p{M}\p{N}-]++"
_DOMAIN = (
    rf"@(?:{_LABEL}\.(?=[\p{{L}}\p{{N}}]))*+"
    rf"(?:[A-Za-z0-9](?:-*+[A-Za-z0-9])*+(?![\p{{Latin}}\p{{M}}])|{_LABEL})(?::[0-9]++)?"
)
_MENTION = (
    rf"(?P<mention>(?<![{WORD}/.@])@(?P<name>[A-Za-z0-9_]{{1,30}}+)(?P<domain>{_DOMAIN})?+"
    r"(?![A-Za-z0-9_@]|\p{M}))"
)
_TAG = (
    rf"(?P<tag>(?<![{WORD}/&#＃])[#＃](?P<word>[\p{{L}}\p{{N}}_]{WORD}*+(?:{WITHIN_WORD}{{1,2}}+{WORD}++)*+))"
)
_BEGINNINGS = pattern(f"{ADDRESS_START}|{_MENTION}|{_TAG}")
_LETTER = pattern(r"\p{L}")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
# Joiners have no meaning after letters of these scripts: a tag is the same with and without them.
_IDLE_JOINERS = pattern(
    r"(?<=^|[\p{Latin}\p{Greek}\p{Cyrillic}\p{Armenian}\p{Georgian}\p{Hebrew}\p{Han}\p{Hiragana}\p{Katakana}"
    r"\p{Hangul}\p{N}\p{P}])[\u200c\u200d]++"
)
_OTHER_INVISIBLE = pattern(r"[\p{DI}--[\u200c\u200d]]")

MAX_TAG_CHARACTERS = 100
MAX_RECENT = 256
MAX_RECENT_CHARACTERS = 500
"""The parts of a longer text are found anew each time: such a text may have hundreds."""


class Part(NamedTuple):
    """A link, mention or tag in a text, by `kind`.

    Of a mention `word` is the name, `domain` that of @name@domain.
    """

    kind: str
    start: int
    end: int
    word: str
    domain: str


def clean(text: str) -> str:
    """Return the text as it is stored.

    Line ends are \\n; control characters, spaces at either end, and marks beyond MOST_MARKS in a row are
    dropped. Changes of direction end with their line. A text that displays nothing becomes "".
    """
    text = characters.printable(text.replace("\r\n", "\n").replace("\r", "\n"))
    if characters.is_blank(text):
        return ""
    return characters.balanced(characters.with_few_marks(text)).strip()


def one_line(text: str) -> str:
    """Return the `clean` text without line ends, for names and content warnings."""
    return " ".join(clean(text).split())


def parts(text: str) -> Sequence[Part]:
    """Return the links, mentions and hashtags of a text in order."""
    if "@" not in text and "#" not in text and "://" not in text and "＃" not in text:
        return ()
    # A new post asks for them five times: for its length, mentions, hashtags and HTML.
    return _recent_parts(text) if len(text) <= MAX_RECENT_CHARACTERS else tuple(_find_parts(text))


@lru_cache(maxsize=MAX_RECENT)
def _recent_parts(text: str) -> tuple[Part, ...]:
    return tuple(_find_parts(text))


def _find_parts(text: str) -> Iterator[Part]:
    place = 0
    while (match := _BEGINNINGS.search(text, place)) is not None:
        place = match.end()
        if match["scheme"]:
            place = address_end(text, match.start(), match.end())
            if place > match.end():
                yield Part("link", match.start(), place, text[match.start() : place], "")
        elif match["mention"]:
            yield Part("mention", match.start(), place, match["name"], (match["domain"] or "")[1:])
        elif _LETTER.search(match["word"]):
            yield Part("tag", match.start(), place, match["word"], "")


def count_characters(text: str) -> int:
    """Return the length that limits apply to: grapheme clusters; a link counts 23, a mention its local part."""
    place = 0
    rest: list[str] = []
    for part in parts(text):
        if part.kind == "link":
            rest.append(text[place : part.start])
            rest.append("x" * LINK_CHARACTERS)
            place = part.end
        elif part.domain:
            rest.append(text[place : part.end - len(part.domain) - 1])
            place = part.end
    rest.append(text[place:])
    return characters.length("".join(rest))


def is_too_long(text: str, most: int) -> bool:
    """Return True if a text counts more than `most` characters, or has more bytes than they may take."""
    return characters.is_too_large(text, most) or count_characters(text) > most


def tag_key(word: str) -> str:
    """Return the folded form by which a tag is looked up: #Café and #café are one.
    The key of a key is itself.

    Joiners stay where they are part of a word's spelling (Persian, Sinhala).
    """
    if word.isascii():
        return word.lower()[:MAX_TAG_CHARACTERS]
    folded = _IDLE_JOINERS.sub("", characters.fold_visible(_OTHER_INVISIBLE.sub("", word)))
    return characters.fold_visible(folded)[:MAX_TAG_CHARACTERS]


def tags_in(text: str) -> tuple[tuple[str, str], ...]:
    """Return (key, as written) of each hashtag in order, without duplicates."""
    found: dict[str, str] = {}
    for part in parts(text):
        if part.kind == "tag":
            found.setdefault(tag_key(part.word), part.word[:MAX_TAG_CHARACTERS])
    return tuple(found.items())


def mentions_in(text: str, *, domain: str = "") -> tuple[str, ...]:
    """Return the mentioned usernames, lower-case, in order, without duplicates; @name and @name@`domain`."""
    found: dict[str, None] = {}
    for part in parts(text):
        if part.kind == "mention" and part.domain.lower() in ("", domain):
            found[part.word.lower()] = None
    return tuple(found)


def render_html(text: str, *, mentions: Sequence[Mention], base_url: str) -> str:
    """Return the HTML of a post: paragraphs, line breaks, links, hashtags, and
    mentions that are in `mentions`.
    """
    if not text:
        return ""
    by_name = {mention.username.lower(): mention.username for mention in mentions}
    domain = base_url.partition("://")[2].lower()
    pieces: list[str] = []
    end = 0
    for part in parts(text):
        if part.kind == "link":
            piece = _link(part.word)
        elif part.kind == "tag":
            piece = _tag(text[part.start], part.word, base_url)
        else:
            username = by_name.get(part.word.lower())
            if username is None or part.domain.lower() not in ("", domain):
                continue
            piece = (
                f'<span class="h-card" translate="no"><a href="{base_url}/@{username}" class="u-url mention">'
                f"@<span>{username}</span></a></span>"
            )
        pieces.append(escape(text[end : part.start]))
        pieces.append(piece)
        end = part.end
    pieces.append(escape(text[end:]))
    return _paragraphs("".join(pieces))


def render_note(text: str, *, base_url: str, named: Sequence[str] = ()) -> str:
    """Return the HTML of a profile's text, like a post's; mentions of the usernames `named` become links."""
    return render_html(text, mentions=[Mention(0, username) for username in named], base_url=base_url)


def render_field(value: str, *, base_url: str, named: Sequence[str] = ()) -> str:
    """Return the HTML of a profile field's value: a link, or text in one line; `named` as for `render_note`."""
    if next(((part.kind, part.start, part.end) for part in parts(value)), None) == ("link", 0, len(value)):
        return _link(value).replace('rel="nofollow noopener"', 'rel="me nofollow noopener"')
    return (
        render_note(one_line(value), base_url=base_url, named=named).removeprefix("<p>").removesuffix("</p>")
    )


def excerpt(text: str, characters_most: int) -> str:
    """Return at most `characters_most` characters in one line, cut at a word, with … if the text was cut."""
    line = " ".join(characters.undirected(text).split())
    if len(line) <= characters_most:
        return line
    cut = line[: characters.whole_clusters(line, characters_most - 1)]
    return (cut[: cut.rfind(" ")] if " " in cut[characters_most // 2 :] else cut).rstrip(" .,;:-") + "…"


def _link(link: str) -> str:
    shown = link.partition("://")[2].removeprefix("www.")
    hidden = link[: len(link) - len(shown)]
    cut = shown[:LINK_SHOWN_CHARACTERS]
    rest = shown[LINK_SHOWN_CHARACTERS:]
    kind = "ellipsis" if rest else ""
    return (
        f'<a href="{escape(link)}" target="_blank" rel="nofollow noopener" translate="no">'
        f'<span class="invisible">{escape(hidden)}</span><span class="{kind}">{escape(cut)}</span>'
        f'<span class="invisible">{escape(rest)}</span></a>'
    )


def _tag(sign: str, word: str, base_url: str) -> str:
    return (
        f'<a href="{base_url}/tags/{quote(tag_key(word), safe="")}" class="mention hashtag" rel="tag">'
        f"{sign}<span>{escape(word)}</span></a>"
    )


def _paragraphs(html: str) -> str:
    parts = _BLANK_LINES.split(html)
    return "".join(f"<p>{part.replace(chr(10), '<br />')}</p>" for part in parts if part)
