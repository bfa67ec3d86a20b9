"""Small counts in the public edition: "fewer than 10" instead of 1 to 9, and nothing from which these follow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from stormpetrel.model.insight import Number, NumberRow, NumberTable

FEW = 10
"""Fewer clients with a credential, or fewer requests of them, may be one person: their count is not exact."""

Key = tuple[str | int, ...]
Counts = Mapping[str, int]
Change = tuple[tuple[int, int], ...]
"""Pairs of a count and another that it could be."""


def few(number: Number) -> Number:
    """Return a count that says "fewer than 10" instead of 1 to 9."""
    return at_most(number, FEW) if is_small(number) else number


def is_small(number: Number) -> bool:
    """Return True for 1 to 9."""
    return 0 < number.known < FEW


def at_most(number: Number, below: int) -> Number:
    """Return a number without its value. `below`: a number that the value is below."""
    return replace(number, value=None, below=below)


def limited(number: Number) -> Number:
    """Return a count of which only the number of digits is known, by its limit; 0 stays."""
    return at_most(number, digits_limit(number.known)) if number.known else number


def digits_limit(count: float) -> int:
    """Return 10 for 1 to 9, 100 for 10 to 99: a true limit that says no more than the number of digits."""
    limit: int = 10 ** len(str(int(count)))
    return limit


def may_be_any(counts: Sequence[int]) -> bool:
    """Return True if each count below FEW can be any of 1 to 9, by their public sum and the limits of each."""
    sum_ = sum(counts)
    limits = [digits_limit(one) for one in counts]
    least, most = sum(limit // 10 for limit in limits), sum(limit - 1 for limit in limits)
    return least + FEW - 2 <= sum_ <= most - FEW + 2


def hidden_rows(table: NumberTable, column: str, total: Number) -> tuple[set[Key], Number]:
    """Return the keys of the rows whose count in a column is not public, and `total`, the sum of the column.

    A small count can follow from the total and the other rows, so the next greater counts are hidden too ("fewer
    than 100"), until each small one can be any of 1 to 9. If all rows are not enough, the total is hidden.
    """
    rows = sorted(table.rows, key=lambda row: row.numbers[column].known)
    rows = [row for row in rows if row.numbers[column].known]
    counts = [int(row.numbers[column].known) for row in rows]
    small = count = sum(one < FEW for one in counts)
    if small and total.known >= FEW:
        while count < len(rows) and not may_be_any(counts[:count]):
            count += 1
        if not may_be_any(counts[:count]):
            count, total = small, at_most(total, digits_limit(total.known))
    return {row.key for row in rows[:count]}, few(total)


def without_small(table: NumberTable, *, share: str, unknown: Collection[str] = ()) -> NumberTable:
    """Return a table of requests by outcome without small counts. `share`: the column that follows from the others.

    The counts of a row add up to its requests, and readers may know the sum of a column, except of those in
    `unknown`. So the counts of a row with a small one are all hidden, and those of further rows, the least first
    that have a count in the same column, until each small one can be any of 1 to 9 with the same sums. If all rows
    are not enough, the table is private.
    """
    parts = tuple(column for column in table.columns if column not in ("requests", share))
    small = [column for column in parts if any(is_small(row.numbers[column]) for row in table.rows)]
    rows = sorted(
        table.rows,
        key=lambda row: (
            not _has_small(row, parts),
            not any(row.numbers[column].known for column in small),
            row.numbers["requests"].known,
        ),
    )
    count = sum(_has_small(row, parts) for row in rows)
    if not count:
        return table
    hides_requests = any(is_small(row.numbers["requests"]) for row in rows)
    while not _is_hidden_well(rows[:count], parts, unknown, hides_requests=hides_requests):
        count += 1
        if count > len(rows):
            return replace(table, rows=(), is_private=True)
    hidden = {row.key for row in rows[:count]}
    columns = (*parts, "requests") if hides_requests else parts
    return replace(
        table,
        rows=tuple(_without(row, columns, share=share) if row.key in hidden else row for row in table.rows),
    )


def _has_small(row: NumberRow, parts: Sequence[str]) -> bool:
    return any(is_small(row.numbers[column]) for column in (*parts, "requests"))


def _without(row: NumberRow, columns: Sequence[str], *, share: str) -> NumberRow:
    """Return a row with limits in these columns, and without the share."""
    hidden = {column: limited(number) for column, number in row.numbers.items() if column in columns}
    return replace(row, numbers={name: one for name, one in (row.numbers | hidden).items() if name != share})


def _is_hidden_well(
    rows: Sequence[NumberRow], parts: Sequence[str], unknown: Collection[str], *, hides_requests: bool
) -> bool:
    """Return True if each small count of the rows can be any of 1 to 9, by the sums of rows and columns."""
    counts = [{column: int(row.numbers[column].known) for column in (*parts, "requests")} for row in rows]
    return all(
        any(
            map(
                _fits,
                _changes(row, others, column, wanted - row[column], unknown, hides_requests=hides_requests),
            )
        )
        for row in counts
        for others in [[other for other in counts if other is not row]]
        for column in parts
        if 0 < row[column] < FEW
        for wanted in _possible(row, column)
        if wanted != row[column]
    )


def _possible(row: Counts, column: str) -> range:
    """Return 1 to 9, or to less if the requests of the row are few, and the rest of them has another outcome."""
    rest = max(row["requests"] - row[column], 0) if row["requests"] < FEW else 0
    return range(1, FEW - rest)


def _changes(
    row: Counts,
    others: Sequence[Counts],
    column: str,
    more: int,
    unknown: Collection[str],
    *,
    hides_requests: bool,
) -> Iterator[Change]:
    """Yield changes of hidden counts that give the row so many `more` in a column, with the same public sums.

    These are of the row, unless the requests are hidden, and of the columns, except those in `unknown`.
    """
    partners = row.keys() - {column, "requests"}
    for partner in partners & set(unknown) if column in unknown else ():
        yield ((row[column], row[column] + more), (row[partner], row[partner] - more))
    for other in others:
        moved = (row[column], row[column] + more), (other[column], other[column] - more)
        if hides_requests:
            requests = row["requests"], other["requests"]
            yield (*moved, (requests[0], requests[0] + more), (requests[1], requests[1] - more))
        for partner in partners:
            yield (*moved, (row[partner], row[partner] - more), (other[partner], other[partner] + more))


def _fits(change: Change) -> bool:
    """Return True if each new count has as many digits as the true one. A count of 0 is public and cannot change."""
    return all(old > 0 and new > 0 and digits_limit(old) == digits_limit(new) for old, new in change)
