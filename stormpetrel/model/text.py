"""Text as people write it: what it links to, how long it counts, and its HTML.

The HTML is made from plain text with everything escaped, so nothing of what was written can become markup.
Classes and attributes are those that Mastodon's apps look for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from stormpetrel.model.post import Mention

LINK_CHARACTERS = 23
"""What a link counts, however long it is (Mastodon's rule; apps count the same way)."""
LINK_SHOWN_CHARACTERS = 30

_LINK = r"(?P<link>https?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?])"
_MENTION = (
    r"(?P<mention>(?<![\w/.@])@(?P<name>[A-Za-z0-9_]{1,30})(?P<domain>@[A-Za-z0-9.-]+\w(?::\d+)?)?(?![\w@]))"
)
# `\w` knows no vowel signs and accents of their own: without them #हिन्दी would end after its first letter.
# The blocks where alphabets are; not what decorates emoji and digits (U+20D0…, U+FE0F).
_MARKS = "".join(
    chr(code)
    for code in (*range(0x300, 0x1D00), 0x3099, 0x309A, *range(0xA66F, 0xABF0))
    if unicodedata.category(chr(code)) in ("Mn", "Mc")
)
_TAG = rf"(?P<tag>(?<![\w/&#])#(?P<word>(?=\w)[\w{_MARKS}]*[^\W\d_][\w{_MARKS}]*))"
_PARTS = re.compile(f"{_LINK}|{_MENTION}|{_TAG}")
_LINK_ONLY = re.compile(_LINK)
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_CLOSING = {")": "(", "]": "[", "}": "{"}
_ENDS_SENTENCE = ".,;:!?"

MAX_TAG_CHARACTERS = 100


def clean(text: str) -> str:
    """Text as it is stored: line ends as \\n, no control characters, no space at either end.

    NUL and lone surrogates go too: PostgreSQL and UTF-8 cannot hold them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isprintable():
        text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return text.strip()


def one_line(text: str) -> str:
    """`clean` text without line ends: names, content warnings."""
    return " ".join(clean(text).split())


def count_characters(text: str) -> int:
    """The length that the limit is about: a link counts 23, a mention only its local part."""
    count = len(text)
    for match in _PARTS.finditer(text):
        if match["link"]:
            link = _trimmed(match["link"])
            count += LINK_CHARACTERS - len(link) if link else 0
        elif match["mention"] and match["domain"]:
            count -= len(match["domain"])
    return count


def tag_key(word: str) -> str:
    """The folded form under which a tag is found: #Café and #café are one. The key of a key is itself.

    Unicode's toNFKC_Casefold (Unicode Standard 3.13, D146) with its second normalization last, as folding may
    make what can be composed again.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold()).casefold()
    return unicodedata.normalize("NFKC", folded)[:MAX_TAG_CHARACTERS]


def tags_in(text: str) -> tuple[tuple[str, str], ...]:
    """(key, as written) of each hashtag in order, without repetition."""
    found: dict[str, str] = {}
    for match in _PARTS.finditer(text):
        if match["tag"]:
            found.setdefault(tag_key(match["word"]), match["word"][:MAX_TAG_CHARACTERS])
    return tuple(found.items())


def mentions_in(text: str, *, domain: str = "") -> tuple[str, ...]:
    """Usernames that are addressed, lower-case, in order, without repetition; @name and @name@`domain`."""
    found: dict[str, None] = {}
    for match in _PARTS.finditer(text):
        if match["mention"] and (not match["domain"] or match["domain"][1:].lower() == domain):
            found[match["name"].lower()] = None
    return tuple(found)


def render_html(text: str, *, mentions: Sequence[Mention], base_url: str) -> str:
    """The HTML of a post: paragraphs, line breaks, links, hashtags, and those `mentions` that are named."""
    if not text:
        return ""
    by_name = {mention.username.lower(): mention.username for mention in mentions}
    domain = base_url.partition("://")[2].lower()
    pieces: list[str] = []
    end = 0
    for match in _PARTS.finditer(text):
        start = match.start()
        stop = match.end()
        if match["link"]:
            link = _trimmed(match["link"])
            if not link:
                continue
            stop = start + len(link)
            piece = _link(link)
        elif match["tag"]:
            piece = _tag(match["word"], base_url)
        else:
            username = by_name.get(match["name"].lower())
            if username is None or (match["domain"] and match["domain"][1:].lower() != domain):
                continue
            piece = (
                f'<span class="h-card" translate="no"><a href="{base_url}/@{username}" class="u-url mention">'
                f"@<span>{username}</span></a></span>"
            )
        pieces.append(escape(text[end:start]))
        pieces.append(piece)
        end = stop
    pieces.append(escape(text[end:]))
    return _paragraphs("".join(pieces))


def render_note(text: str, *, base_url: str) -> str:
    """The HTML of a profile's text: like a post's, but nobody is addressed."""
    return render_html(text, mentions=(), base_url=base_url)


def render_field(value: str, *, base_url: str) -> str:
    """The HTML of a profile field's value: a link, or text in one line."""
    link = _LINK_ONLY.fullmatch(value)
    if link:
        return _link(value).replace('rel="nofollow noopener"', 'rel="me nofollow noopener"')
    return (
        render_html(one_line(value), mentions=(), base_url=base_url).removeprefix("<p>").removesuffix("</p>")
    )


def excerpt(text: str, characters: int) -> str:
    """At most so many characters in one line, cut at a word, with … where something was cut."""
    line = " ".join(text.split())
    if len(line) <= characters:
        return line
    cut = line[: characters - 1]
    return (cut[: cut.rfind(" ")] if " " in cut[characters // 2 :] else cut).rstrip(" ,;:-") + "…"


def _trimmed(link: str) -> str:
    """A link without the closing bracket of the sentence around it; "" where nothing of a link is left.

    One pass, also over ten thousand brackets: counting anew for each took 0.4 s.
    """
    unopened = {closing: link.count(closing) - link.count(opening) for closing, opening in _CLOSING.items()}
    end = len(link)
    while unopened.get(link[end - 1], 0) > 0:
        unopened[link[end - 1]] -= 1
        end -= 1
        while link[end - 1] in _ENDS_SENTENCE:
            end -= 1
    return link[:end] if end > link.index("//") + 2 else ""


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


def _tag(word: str, base_url: str) -> str:
    return (
        f'<a href="{base_url}/tags/{quote(tag_key(word), safe="")}" class="mention hashtag" rel="tag">'
        f"#<span>{escape(word)}</span></a>"
    )


def _paragraphs(html: str) -> str:
    parts = _BLANK_LINES.split(html)
    return "".join(f"<p>{part.replace(chr(10), '<br />')}</p>" for part in parts if part)
