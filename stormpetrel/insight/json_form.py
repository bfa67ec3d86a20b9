"""A report as JSON: the summary, the phases, and every number with its query. docs/insight.md has the schema."""

from __future__ import annotations

import json
from typing import Any

from stormpetrel.insight.document import Bullets, InsightReport, plain
from stormpetrel.model.insight import Number, NumberTable, ReportData

VERSION = 4
"""Rises when a key changes its meaning or goes."""
_FIRST = ("summary", "advice", "limits")


def as_json(report: InsightReport, data: ReportData) -> dict[str, Any]:
    """Return the report as JSON values."""
    window = data.window
    lists = {
        section.name: [
            plain(line) for block in section.blocks if isinstance(block, Bullets) for line in block.lines
        ]
        for section in report.sections
        if section.name in _FIRST
    }
    return {
        "version": VERSION,
        "edition": report.edition,
        "domain": data.domain,
        "from_ms": window.from_ms,
        "until_ms": window.until_ms,
        "made_ms": window.made_ms,
        "is_over": window.is_over,
        "summary": [plain(line) for line in report.summary],
        "phases": [
            {"number": phase.number, "verdict": phase.verdict, "vectors": [one.name for one in phase.vectors]}
            for phase in data.phases
        ],
        "timeline": [
            {"at_ms": entry.at_ms, "kind": entry.kind, "text": entry.text, "channel": entry.channel}
            for entry in data.timeline
        ],
        "numbers": {name: _number(number) for name, number in data.numbers.items()},
        "tables": {name: _table(table) for name, table in data.tables.items()},
        "series": {name: _series(table) for name, table in data.series.items()},
        "countries": {name: _number(number) for name, number in data.countries},
        **lists,
    }


def json_text(report: InsightReport, data: ReportData) -> str:
    """Return the report as a JSON document."""
    return json.dumps(as_json(report, data), ensure_ascii=False, indent=1) + "\n"


def _number(number: Number) -> dict[str, Any]:
    shown: dict[str, Any] = {"value": number.value, "query": number.query, "file": number.file}
    return shown | {"below": number.below} if number.below else shown


def _table(table: NumberTable) -> list[dict[str, Any]]:
    return [
        {
            "key": dict(zip(table.keys, row.key, strict=True)),
            "numbers": {column: _number(number) for column, number in row.numbers.items()},
        }
        for row in table.rows
    ]


def _series(table: NumberTable) -> dict[str, Any]:
    """Return a series with one query for all of its numbers."""
    return {
        "query": table.query,
        "file": table.file,
        "columns": [*table.keys, *table.columns],
        "rows": [[*row.key, *(row.numbers[column].value for column in table.columns)] for row in table.rows],
    }
