"""Operators' texts about incidents in HTML: Markdown (CommonMark) without raw HTML, images, headings; with links."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
MAX_NESTING = 20
MAX_STORED = 512


@lru_cache(MAX_STORED)
def body_html(text: str) -> str:
    """Return the text in HTML."""
    return str(_markdown().render(text)).strip()


@cache
def _markdown() -> MarkdownIt:
    # Imported only if there is a text: most instances have no incident most of the time.
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING})
    # The page loads nothing from elsewhere, and has its own outline of headings.
    markdown.disable(["image", "heading", "lheading", "html_block", "html_inline"])
    markdown.core.ruler.push("addresses", _link_addresses)
    return markdown


def _link_addresses(state: StateCore) -> None:
    """Turn addresses in texts into links, outside of links, and give every link its relation."""
    for block in state.tokens:
        if block.type != "inline":
            continue
        children: list[Token] = []
        depth = 0
        for token in block.children or ():
            depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
            children += [token] if depth or token.type != "text" else _split(token)
        for token in children:
            if token.type == "link_open":
                token.attrSet("rel", "nofollow noopener")
        block.children = children


def _split(token: Token) -> list[Token]:
    from markdown_it.token import Token

    parts, at, text = [], 0, token.content
    for found in _URL.finditer(text):
        parts.append(Token("text", "", 0, content=text[at : found.start()]))
        parts.append(Token("link_open", "a", 1, attrs={"href": found[0]}))
        parts.append(Token("text", "", 0, content=found[0]))
        parts.append(Token("link_close", "a", -1))
        at = found.end()
    return [*parts, Token("text", "", 0, content=text[at:])]
