"""The public edition: a report's data without pages, people, actors, and what could be one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stormpetrel.insight.words import is_plain_name
from stormpetrel.model.insight import Number, NumberRow, NumberTable, ReportData

PUBLIC_KINDS = ("overload", "calm")
"""Entries of the journal whose text is public; the text of others may hold the words of operators or errors."""
MIN_SHARE = 0.005
"""An application with fewer of the requests may have one user: it is not public."""
MIN_TEXTS = 10
"""Fewer texts may be those of one person. No texts are not public either: else a missing count would tell of some."""
FEW = 10
"""Fewer clients with a credential, or fewer refused requests of them, may be one person: their count is not exact."""
_PRIVATE_TABLES = ("pages", "collateral")
_EVIDENCE = ("vector_evidence", "evidence_for", "evidence_against")


def public_data(data: ReportData) -> ReportData:
    """Return the data of the public edition."""
    tables = {name: table for name, table in data.tables.items() if name not in _PRIVATE_TABLES}
    for name in ("applications", "known_applications"):
        tables[name] = _common(tables[name])
    tables["collateral_channels"], refused = _few_refused(
        tables["collateral_channels"], data.numbers["refused_known"]
    )
    hidden = _few_texts(data.numbers)
    if "texts_new" in hidden:
        for name in _EVIDENCE:
            tables[name] = _without_texts(tables[name])
    return replace(
        data,
        numbers={name: number for name, number in data.numbers.items() if name not in hidden}
        | {"refused_known": refused, "people_refused": _few(data.numbers["people_refused"])},
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


def _few(number: Number) -> Number:
    """Return a count that says "fewer than 10" instead of 1 to 9."""
    return _at_most(number, FEW) if 0 < number.known < FEW else number


def _at_most(number: Number, below: int) -> Number:
    return replace(number, value=None, below=below)


def _digits_limit(number: Number) -> int:
    """Return 10 for 1 to 9, 100 for 10 to 99: a true limit that says no more than the number of digits."""
    limit: int = 10 ** len(str(int(number.known)))
    return limit


def _few_refused(table: NumberTable, total: Number) -> tuple[NumberTable, Number]:
    """Return the refusals by channel and rule, without small counts and without the times of few people; and `total`,
    their sum.

    A small row can follow from the total and the other rows, so the next greater rows are hidden too ("fewer than
    100"), until each small one can be any of 1 to 9. If all rows are not enough, the total is hidden.
    """
    rows = sorted(table.rows, key=lambda row: row.numbers["refused"].known)
    counts = [int(row.numbers["refused"].known) for row in rows]
    few = count = sum(one < FEW for one in counts)
    if few and total.known >= FEW:
        while count < len(rows) and not _may_be_any(counts[:count]):
            count += 1
        if not _may_be_any(counts[:count]):
            count, total = few, _at_most(total, _digits_limit(total))
    hidden = {row.key for row in rows[:count]}
    shown = tuple(_few_people(row, hides_refused=row.key in hidden) for row in table.rows)
    return replace(table, rows=shown), _few(total)


def _may_be_any(counts: Sequence[int]) -> bool:
    """Return True if each count below FEW can be any of 1 to 9, by their public sum and the limits of each."""
    sum_ = sum(counts)
    limits: list[int] = [10 ** len(str(one)) for one in counts]
    least, most = sum(limit // 10 for limit in limits), sum(limit - 1 for limit in limits)
    return least + FEW - 2 <= sum_ <= most - FEW + 2


def _few_people(row: NumberRow, *, hides_refused: bool) -> NumberRow:
    numbers = dict(row.numbers)
    if hides_refused:
        numbers["refused"] = _at_most(numbers["refused"], _digits_limit(numbers["refused"]))
    if numbers["people"].known < FEW:
        del numbers["first_ms"], numbers["last_ms"]
    return replace(row, numbers=numbers | {"people": _few(numbers["people"])})


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
