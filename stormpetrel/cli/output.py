"""Output of commands: tables and JSON on standard output, progress and errors on standard error."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from collections.abc import Sequence
from typing import Any

PROGRESS_EVERY_S = 0.1
LINE_EVERY_S = 5.0
"""Interval of progress lines without a terminal: a log needs few lines."""
_CONTROLS = frozenset({"Cc", "Cf", "Cs"})
"""Categories of characters that control a terminal, change the direction of text, or cannot be written."""


_NO_ASCII = re.compile(r"[^\n -~]")


def print_json(value: Any) -> None:
    """Print `value` as indented JSON. Ids are strings in it: JavaScript's numbers end at 53 bits."""
    print(json_text(value, indent=2))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON that a terminal can show: JSON itself escapes only the first 32 control characters."""
    import json

    return printable_json(json.dumps(value, indent=indent, ensure_ascii=False))


def printable_json(document: str) -> str:
    """Return a JSON document with escapes for the characters that control a terminal; its value is the same."""
    return _NO_ASCII.sub(_escaped, document)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if unicodedata.category(character) not in _CONTROLS:
        return character
    code = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[place : place + 4]}" for place in range(0, len(code), 4))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in columns, without rules, so that it can be cut and sorted."""
    for line in table_lines(heads, rows):
        print(line)


def table_lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in columns; control characters become spaces."""
    printable = [[_printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(width(row[column]) for row in printable) for column in range(len(heads))]
    return [
        "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in printable
    ]


def printable(text: str) -> str:
    """Return lines without other control characters: user content must not control the operator's terminal."""
    return "\n".join(_printable(line) for line in text.split("\n"))


def _printable(text: str) -> str:
    """Remove control characters: user content must not control the operator's terminal."""
    return "".join(" " if unicodedata.category(character) in _CONTROLS else character for character in text)


def width(text: str) -> int:
    """Return the width in terminal columns."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def fitted(text: str, columns: int, *, end: str = "") -> str:
    """Return the text, or its beginning and `end` if it is wider than `columns` of a terminal."""
    if width(text) <= columns:
        return text
    left = columns - len(end)
    for place, character in enumerate(text):
        left -= width(character)
        if left < 0:
            return text[:place] + end
    return text


class Progress:
    """Progress of long work: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._percent = 0
        self._terminal = sys.stderr.isatty()
        self._told_at_s = time.monotonic()

    def at(self, done: int, total: int, doing: str) -> None:
        """Show that `done` of `total` is done, and that `doing` is the current step. `total` 0: unknown.

        The percentage never decreases and never exceeds 100, even if an estimate was too low.
        """
        if total:
            self._percent = max(self._percent, min(100, done * 100 // total))
        now_s = time.monotonic()
        if now_s - self._told_at_s < (PROGRESS_EVERY_S if self._terminal else LINE_EVERY_S):
            return
        self._told_at_s = now_s
        shown = f"{self._percent} % ({doing})" if total else f"{done:,} {doing}" if done else doing
        if self._terminal:
            print(f"\r\x1b[K{self._what}: {shown}", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self._what}: {shown}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line on a terminal."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
