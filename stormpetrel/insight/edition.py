"""The public edition: the data of a report without pages, people, applications that could be people, and actors."""

from __future__ import annotations

from dataclasses import replace

from stormpetrel.insight.words import is_plain_name
from stormpetrel.model.insight import NumberTable, ReportData

PUBLIC_KINDS = ("overload", "calm")
"""Entries of the journal whose text is public; the text of others may hold the words of operators or errors."""
MIN_SHARE = 0.005
"""An application with fewer of the requests may have one user: it is not public."""
_PRIVATE_TABLES = ("pages", "collateral")


def public_data(data: ReportData) -> ReportData:
    """Return the data of the public edition."""
    tables = {name: table for name, table in data.tables.items() if name not in _PRIVATE_TABLES}
    for name in ("applications", "known_applications"):
        tables[name] = _common(tables[name])
    return replace(
        data,
        tables=tables,
        phases=tuple(replace(phase, pages=()) for phase in data.phases),
        timeline=tuple(entry for entry in data.timeline if entry.kind in PUBLIC_KINDS),
        countries=(),
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
