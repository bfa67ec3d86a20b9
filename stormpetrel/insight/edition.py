"""The public edition: a report's data without pages, people, actors, and what could be one person."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from stormpetrel.insight.small_counts import FEW, few, hidden_rows, is_small, limited, without_small
from stormpetrel.insight.words import is_plain_name
from stormpetrel.model.insight import Number, NumberRow, NumberTable, ReportData

PUBLIC_KINDS = ("overload", "calm")
"""Entries of the journal whose text is public; the text of others may hold the words of operators or errors."""
MIN_SHARE = 0.005
"""An application with fewer of the requests may have one user: it is not public."""
MIN_TEXTS = 10
"""Fewer texts may be those of one person. No texts are not public either: else a missing count would tell of some."""
_PRIVATE_TABLES = ("pages", "collateral", "channels")
"""`channels` would tell the small counts of `clients`, which has several of them in a row."""
_TOTALS = ("answered", "refused", "gone")
_WITH_CREDENTIAL = ("members", "apps", "SMS")
"""Kinds of clients whose requests over time are public only where none of their counts is small."""
_SAMPLED_MEMBERS = {"sources": "member", "agents": "app"}
"""The rows of clients with a credential among sampled requests: in a quiet second all requests are sampled."""
_MEMBERS_CLASSES = ("K0", "K1", "K2")
_SHARES = {
    "known": "succeeded_share",
    "known_applications": "succeeded_share",
    "clients": "answered_share",
    "classes": "answered_share",
    "applications": "answered_share",
}
"""The tables of requests by outcome, with the column that follows from the others."""
_EVIDENCE = ("vector_evidence", "evidence_for", "evidence_against")


def public_data(data: ReportData) -> ReportData:
    """Return the data of the public edition."""
    tables = {name: table for name, table in data.tables.items() if name not in _PRIVATE_TABLES}
    for name in ("applications", "known_applications"):
        tables[name] = _common(tables[name])
    tables["collateral_channels"], refused = _few_refused(
        tables["collateral_channels"], data.numbers["refused_known"]
    )
    totals = _few_totals(data.numbers)
    tables["known"], missed = _few_known(tables["known"], data.numbers["known_missed"])
    tables |= _few_outcomes(tables, totals)
    tables["because"] = _few_by_rule(tables["because"], totals["refused"], tables["collateral_channels"])
    if small := _small_columns(data.tables):
        tables |= {name: _limited_by_outcome(tables[name], small) for name in _SHARES}
        missed = limited(missed) if missed.value else missed
    tables |= {
        name: _without_few_members(tables[name], sampled=row) for name, row in _SAMPLED_MEMBERS.items()
    }
    hidden = _few_texts(data.numbers) | ({"known_share"} if missed.below else set())
    if "texts_new" in hidden:
        for name in _EVIDENCE:
            tables[name] = _without_texts(tables[name])
    return replace(
        data,
        numbers={name: number for name, number in data.numbers.items() if name not in hidden}
        | {
            "refused_known": refused,
            "people_refused": few(data.numbers["people_refused"]),
            "known_missed": missed,
        }
        | totals,
        tables=tables,
        series=_few_over_time(data.series, totals),
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


def _few_refused(table: NumberTable, total: Number) -> tuple[NumberTable, Number]:
    """Return the refusals by channel and rule, without small counts and without the times of few people; and `total`,
    their sum.
    """
    hidden, total = hidden_rows(table, "refused", total)
    rows = tuple(_few_people(row, hides_refused=row.key in hidden) for row in table.rows)
    return replace(table, rows=rows), total


def _few_by_rule(table: NumberTable, total: Number, members: NumberTable) -> NumberTable:
    """Return the refusals by rule, of all clients, without small counts. `total`, `members`: of the edition.

    A rule may have refused only members. So its count is hidden if one of theirs is, and that of one more rule.
    """
    hidden, needed = hidden_rows(table, "refused", total)
    if needed.below and not total.below:
        return replace(table, rows=(), is_private=True)
    rules = {row.key[1] for row in members.rows if row.numbers["refused"].below}
    hidden |= {row.key for row in table.rows if row.key[0] in rules}
    if len(hidden) == 1:
        hidden |= {row.key for row in [row for row in table.rows if row.key not in hidden][:1]}
    return replace(
        table,
        rows=tuple(
            replace(row, numbers={"refused": limited(row.numbers["refused"])}) if row.key in hidden else row
            for row in table.rows
        ),
    )


def _few_totals(numbers: Mapping[str, Number]) -> dict[str, Number]:
    """Return the sums of requests by outcome. If one is small, the answered ones would tell it."""
    totals = {name: few(numbers[name]) for name in _TOTALS}
    if any(number.below for number in totals.values()):
        totals["answered"] = limited(numbers["answered"])
    return totals


def _few_known(table: NumberTable, missed: Number) -> tuple[NumberTable, Number]:
    """Return the requests of clients from before the attack without small counts; and `missed`, the sum of those
    that did not succeed.

    If small counts would follow from that sum, it is hidden.
    """
    parts = {"failed", "refused", "gone"}
    missed = few(missed)
    found = without_small(table, share="succeeded_share", unknown=parts)
    if found.is_private or missed.below:
        missed = limited(missed) if missed.value else missed
        found = without_small(table, share="succeeded_share", unknown={*parts, "succeeded"})
    return found, missed


def _few_outcomes(tables: Mapping[str, NumberTable], totals: Mapping[str, Number]) -> dict[str, NumberTable]:
    """Return the other tables of requests by outcome without small counts. `tables["known"]`: of the edition."""
    unknown = {name for name, number in totals.items() if number.below}
    found = {
        name: without_small(tables[name], share="answered_share", unknown=unknown)
        for name in ("clients", "classes")
    }
    for name, whole, share in (
        ("applications", found["clients"], "answered_share"),
        ("known_applications", tables["known"], "succeeded_share"),
    ):
        row = whole.row("apps")
        # The sums of the columns are those of all apps, with their share.
        of_apps = () if row is not None and share in row.numbers else tables[name].columns
        found[name] = without_small(tables[name], share=share, unknown=of_apps)
    return found


def _small_columns(tables: Mapping[str, NumberTable]) -> set[str]:
    """Return the columns in which clients with a credential have a small count, in any table.

    The tables count the same requests, by kind of client, class, channel and application. So what one of them hides
    would follow from the others, and from the sums of known clients.
    """
    names = {
        column
        for name in _SHARES
        for row in tables[name].rows
        if _has_credential(name, row.name)
        for column, number in row.numbers.items()
        if is_small(number) and column not in _SHARES.values()
    }
    if any(is_small(row.numbers["refused"]) for row in tables["collateral_channels"].rows):
        names.add("refused")
    return names


def _has_credential(table: str, row: str) -> bool:
    if table == "clients":
        return row in _WITH_CREDENTIAL
    return table != "classes" or row in _MEMBERS_CLASSES


def _limited_by_outcome(table: NumberTable, small: Set[str]) -> NumberTable:
    """Return a table of requests by outcome with limits in the columns `small`, and in what follows from them."""
    share = _SHARES[table.name]
    parts = set(table.columns) - {"requests", share}
    # With few requests of a row, each of its counts is small.
    columns = (
        parts if small & {"requests", "answered", "succeeded"} else parts & {"answered", "succeeded", *small}
    )
    rows = []
    for row in table.rows:
        numbers = {
            name: limited(one) if name in columns and one.value else one for name, one in row.numbers.items()
        }
        numbers.pop(share, None)
        rows.append(replace(row, numbers=numbers))
    return replace(table, rows=tuple(rows))


def _without_few_members(table: NumberTable, *, sampled: str) -> NumberTable:
    """Return sampled requests by sender; without rows if those of members are few: the shares tell each count."""
    row = table.row(sampled)
    is_few = row is not None and is_small(row.numbers["sampled"])
    return replace(table, rows=(), is_private=True) if is_few else table


def _few_over_time(series: Mapping[str, NumberTable], totals: Mapping[str, Number]) -> dict[str, NumberTable]:
    """Return the series without those that tell a small count.

    A single kind of client that is left out would follow from the others and the requests of all.
    """
    found = dict(series)
    if any(row.key[1] in _WITH_CREDENTIAL and _is_slice_small(row) for row in series["clients"].rows):
        found["clients"] = replace(series["clients"], rows=(), is_private=True)
    member = _SAMPLED_MEMBERS["sources"]
    if any(row.key[1] == member and is_small(row.numbers["sampled"]) for row in series["sources"].rows):
        found["sources"] = replace(series["sources"], rows=(), is_private=True)
    if any(number.below for number in totals.values()):
        found["outcomes"] = replace(series["outcomes"], rows=(), is_private=True)
    return found


def _is_slice_small(row: NumberRow) -> bool:
    requests, answered = row.numbers["requests"].known, row.numbers["answered"].known
    return 0 < requests < FEW or 0 < requests - answered < FEW


def _few_people(row: NumberRow, *, hides_refused: bool) -> NumberRow:
    numbers = dict(row.numbers)
    if hides_refused:
        numbers["refused"] = limited(numbers["refused"])
    if numbers["people"].known < FEW:
        del numbers["first_ms"], numbers["last_ms"]
    return replace(row, numbers=numbers | {"people": few(numbers["people"])})


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
