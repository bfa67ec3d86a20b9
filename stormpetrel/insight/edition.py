"""The public edition: a report's data without pages, people, actors, and what could be one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stormpetrel.insight.words import is_plain_name
from stormpetrel.model.insight import Number, NumberTable, ReportData

PUBLIC_KINDS = ("overload", "calm")
"""Entries of the journal whose text is public; the text of others may hold the words of operators or errors."""
MIN_SHARE = 0.005
"""An application with fewer of the requests may have one user: it is not public."""
MIN_TEXTS = 10
"""Fewer texts may be those of one person. No texts are not public either: else a missing count would tell of some."""
_PRIVATE_TABLES = ("pages", "collateral")
_EVIDENCE = ("vector_evidence", "evidence_for", "evidence_against")


def public_data(data: ReportData) -> ReportData:
    """Return the data of the public edition."""
    tables = {name: table for name, table in data.tables.items() if name not in _PRIVATE_TABLES}
    for name in ("applications", "known_applications"):
        tables[name] = _common(tables[name])
    hidden = _few_texts(data.numbers)
    if "texts_new" in hidden:
        for name in _EVIDENCE:
            tables[name] = _without_texts(tables[name])
    return replace(
        data,
        numbers={name: number for name, number in data.numbers.items() if name not in hidden},
        tables=tables,
        phases=tuple(replace(phase, pages=()) for phase in data.phases),
        timeline=tuple(entry for entry in data.timeline if entry.kind in PUBLIC_KINDS),
        countries=(),
    )


def _few_texts(numbers: Mapping[str, Number]) -> set[str]:
    """Return the counts of texts that are not public."""
    few = {name for name in ("texts_in", "texts_out", "texts_new") if numbers[name].known < MIN_TEXTS}
    # The rest of the texts is from numbers with an account.
    if numbers["texts_in"].known - numbers["texts_new"].known < MIN_TEXTS:
        few.add("texts_new")
    return few


def _without_texts(table: NumberTable) -> NumberTable:
    """Return evidence without the rates of texts, which with the time of the phase give their count."""
    return replace(
        table, rows=tuple(row for row in table.rows if not str(row.key[-1]).startswith("texts_new"))
    )


def _common(table: NumberTable) -> NumberTable:
    all_ = sum(row.numbers["requests"].known for row in table.rows)
    return replace(
        table,
        rows=tuple(
            row
            for row in table.rows
            if row.numbers["requests"].known >= MIN_SHARE * all_ and is_plain_name(row.name)
        ),
    )
