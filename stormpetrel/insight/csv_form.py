"""A report's numbers as CSV: one row for each number, with its query."""

from __future__ import annotations

import csv
import io

from stormpetrel.model.insight import Number, ReportData

HEADS = ("table", "key", "number", "value", "file", "query")


def csv_text(data: ReportData) -> str:
    """Return the numbers; in `key` the columns of the key are joined by "/"."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADS)
    for name, number in data.numbers.items():
        writer.writerow(("", "", name, _shown(number), number.file, number.query))
    for table in data.tables.values():
        for row in table.rows:
            key = "/".join(str(part) for part in row.key)
            for column, number in row.numbers.items():
                writer.writerow((table.name, _safe(key), column, _shown(number), number.file, number.query))
    return out.getvalue()


def _shown(number: Number) -> str:
    if number.below:
        return f"fewer than {number.below}"
    return "" if number.value is None else str(number.value)


def _safe(text: str) -> str:
    """Keep a spreadsheet from running a name of an application or a path as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text
