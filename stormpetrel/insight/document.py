"""A report as a document: sections of paragraphs, lists, tables and charts. Each number in it knows its query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from stormpetrel.charts import Band, Curve
from stormpetrel.model.insight import Number

UNRECORDED = "not recorded"
NOT_PUBLIC = "not public"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in a text, as people read it."""

    number: Number
    shown: str


Piece = str | Figure
Line = tuple[Piece, ...]
"""A text in pieces."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph. `is_note`: it explains something beside it."""

    line: Line
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The first cell of a row names it. `is_text`: the other cells are texts, not numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """A chart over the time of the report. `most`: the top of its axis, or 0 for 100 percent."""

    title: str
    about: str
    curves: tuple[Curve, ...]
    most: float


@dataclass(frozen=True, slots=True)
class Strips:
    """Charts above each other, with the numbers of the phases. `query`: that gives the values of all.

    `first`, `last`: the times at the edges.
    """

    bands: tuple[Band, ...]
    strips: tuple[Strip, ...]
    query: str
    file: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with its number. `share`: of the width, 0 to 1."""

    name: str
    share: float
    figure: Piece


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart. `title`: of the whole."""

    title: str
    bars: tuple[Bar, ...]


Block = Paragraph | Bullets | Grid | Strips | Bars


@dataclass(frozen=True, slots=True)
class Section:
    """`name`: its key in JSON and its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class InsightReport:
    """A report in one edition. `summary`: sentences to quote."""

    title: str
    subtitle: str
    edition: str
    summary: tuple[Line, ...]
    sections: tuple[Section, ...]


def plain(line: Line) -> str:
    """Return a line as text."""
    return "".join(piece if isinstance(piece, str) else piece.shown for piece in line)


def count(number: Number | None) -> Piece:
    """Return "1,234", or "fewer than 10" if the edition has no exact value."""
    if number is not None and number.below:
        return Figure(number, f"fewer than {number.below:,}")
    if number is None or number.value is None:
        return UNRECORDED
    return Figure(number, f"{number.value:,.0f}")


def units(number: Number | None, one: str, several: str) -> str:
    """Return the word that follows `count(number)`: `one` after "1", otherwise `several`."""
    is_one = number is not None and number.value is not None and f"{number.value:.0f}" == "1"
    return one if is_one else several


def decimal(number: Number | None, unit: str = "") -> Piece:
    """Return "12.5", with fewer digits for large numbers."""
    if number is None or number.value is None:
        return UNRECORDED
    value = number.value
    return Figure(number, f"{value:,.0f}{unit}" if abs(value) >= 100 else f"{value:,.3g}{unit}")


def percent(number: Number | None) -> Piece:
    """Return a share as "99.96 %". Only a whole one is "100 %", and only none is "0 %"."""
    if number is None or number.value is None:
        return UNRECORDED
    hundred = number.value * 100
    digits = 1 if 0.1 <= hundred <= 99.9 else 2
    shown = (
        f"{hundred:.{digits}f}".rstrip("0").rstrip(".") if hundred in (0, 100) else f"{hundred:.{digits}f}"
    )
    if hundred < 100 and shown == "100.00":
        shown = "over 99.99"
    if hundred > 0 and shown == "0.00":
        shown = "under 0.01"
    return Figure(number, f"{shown} %")


def at(number: Number | None) -> Piece:
    """Return a time in ms since 1970 as "12:03:05"."""
    if number is None or not number.value:
        return UNRECORDED
    return Figure(number, clock(number.value))


def lasted(number: Number | None) -> Piece:
    """Return seconds as "9 min 59 s"."""
    if number is None or number.value is None:
        return UNRECORDED
    return Figure(number, duration(number.value))


def duration(seconds: float) -> str:
    """Return seconds as "4.2 s", "59 s", "9 min 59 s" or "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def clock(at_ms: float) -> str:
    """Return a time in ms since 1970 as "12:03:05", in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S}"


def day(at_ms: float) -> str:
    """Return a time in ms since 1970 as "30 November 2026", in UTC."""
    found = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{found.day} {found:%B %Y}"
