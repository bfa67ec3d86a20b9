"""A report as Markdown, and as text for a terminal."""

from __future__ import annotations

import re
import textwrap

from stormpetrel.insight.document import (
    Bars,
    Bullets,
    Grid,
    InsightReport,
    Line,
    Paragraph,
    Section,
    Strips,
    plain,
)

WIDTH = 100
_SPECIAL = re.compile(r"([\\*_\[\]<>|#`])")
_CODE = re.compile(r"((?<!`)`[^`<>|]+`(?!`))")
"""A command. Names of applications may have backticks too, so it has no sign that could end it or begin HTML."""


def markdown(report: InsightReport) -> str:
    """Return the report as Markdown, without charts: they are in the HTML."""
    parts = [f"# {_escaped(report.title)}", _escaped(report.subtitle), "## Summary"]
    parts += [_text(line) for line in report.summary]
    for section in report.sections:
        parts.append(f"## {section.title}")
        parts += _blocks(section)
    return "\n\n".join(parts) + "\n"


def text(report: InsightReport, *, columns: int = WIDTH) -> str:
    """Return the report as plain text in lines of at most `columns`; tables may be wider."""
    parts = [report.title, textwrap.fill(report.subtitle, columns), ""]
    parts += [textwrap.fill(plain(line), columns) for line in report.summary]
    for section in report.sections:
        parts += ["", section.title.upper()]
        for block in section.blocks:
            parts += _plain_block(block, columns)
    return "\n".join(parts) + "\n"


def _blocks(section: Section) -> list[str]:
    parts = []
    for block in section.blocks:
        match block:
            case Paragraph():
                parts.append(_text(block.line))
            case Bullets():
                parts.append("\n".join(f"- {_text(line)}" for line in block.lines))
            case Grid():
                parts.append(_table(block.heads, block.rows, is_text=block.is_text))
            case Bars():
                rows = tuple(((bar.name,), (bar.figure,)) for bar in block.bars)
                parts.append(_table((block.title, ""), rows))
            case Strips():
                pass
    return parts


def _table(heads: tuple[str, ...], rows: tuple[tuple[Line, ...], ...], *, is_text: bool = False) -> str:
    rest = ":--" if is_text else "--:"
    lines = [
        f"| {' | '.join(_escaped(head) for head in heads)} |",
        f"|{'|'.join([':--', *([rest] * (len(heads) - 1))])}|",
    ]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _text(line: Line) -> str:
    """Escape a line, except the commands in it."""
    parts = _CODE.split(" ".join(plain(line).split()))
    # Every second part is a command.
    return "".join(part if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(found: str) -> str:
    return _SPECIAL.sub(r"\\\1", found)


def _plain_block(block: object, columns: int) -> list[str]:
    match block:
        case Paragraph():
            return [textwrap.fill(plain(block.line), columns)]
        case Bullets():
            return [
                textwrap.fill(plain(line), columns, initial_indent="- ", subsequent_indent="  ")
                for line in block.lines
            ]
        case Grid():
            return _columns(block.heads, block.rows, is_text=block.is_text)
        case Bars():
            return _columns((block.title, ""), tuple(((bar.name,), (bar.figure,)) for bar in block.bars))
    return []


def _columns(
    heads: tuple[str, ...], rows: tuple[tuple[Line, ...], ...], *, is_text: bool = False
) -> list[str]:
    cells = [list(heads), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = []
    for row in cells:
        shown = [row[0].ljust(widths[0])]
        shown += [
            cell.ljust(width) if is_text else cell.rjust(width)
            for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append(f"  {'  '.join(shown)}".rstrip())
    return lines
