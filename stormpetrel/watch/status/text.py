"""Operators' texts in HTML: paragraphs, lines and links; everything else is text."""

from __future__ import annotations

import re
from html import escape

_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")


def body_html(text: str) -> str:
    """Return the text in paragraphs, split at empty lines, with its links."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n"))]
    return "".join(f"<p>{_linked(part)}</p>" for part in paragraphs if part)


def _linked(text: str) -> str:
    parts, at = [], 0
    for found in _URL.finditer(text):
        url = escape(found[0])
        parts += [_lines(text[at : found.start()]), f'<a href="{url}" rel="nofollow noopener">{url}</a>']
        at = found.end()
    return "".join([*parts, _lines(text[at:])])


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
