"""Parts of the sections: tables, bars and words that several of them use."""

from __future__ import annotations

from stormpetrel.insight import vocabulary
from stormpetrel.insight.document import (
    NOT_PUBLIC,
    Bar,
    Bars,
    Block,
    Grid,
    Line,
    Paragraph,
    Piece,
    clock,
    count,
    day,
    decimal,
    percent,
)
from stormpetrel.insight.vectors import words_of
from stormpetrel.insight.vocabulary import named
from stormpetrel.model.attack import AttackPhase
from stormpetrel.model.insight import Number, ReportData

LISTED = 20
MAX_PHASES = 40
MAX_EVIDENCE = 40
MAX_EVENTS = 100
"""Rows that the texts have, so that a page stays below 200 KB. JSON and CSV have all."""
SMALL = Paragraph(("Not public: counts of fewer than 10 would follow from this table.",), is_note=True)
NOTHING = Paragraph(("Nothing was recorded.",), is_note=True)


def unusual_phases(data: ReportData) -> list[tuple[int, AttackPhase]]:
    """Return the phases that are not calm, with their numbers in this report."""
    return [(number, phase) for number, phase in enumerate(data.phases, start=1) if phase.verdict != "calm"]


def is_usual_overload(data: ReportData) -> bool:
    """Return whether the server was overloaded while the traffic was as usual, so that there was no attack."""
    overloaded_s = data.numbers["overloaded_s"].value or 0
    return bool(data.phases) and not unusual_phases(data) and overloaded_s > 0


def has_rows(data: ReportData, table: str) -> bool:
    """Return whether a table has rows."""
    found = data.tables.get(table)
    return found is not None and bool(found.rows)


def outcome_grid(data: ReportData, table: str, head: str, names: dict[str, str]) -> Block:
    """Return a table of requests by outcome. `head`: of the first column; `names`: words for its names."""
    if not has_rows(data, table):
        return SMALL if data.tables[table].is_private else NOTHING
    return Grid(
        (head, "Answered", "Requests", "Refused", "Left waiting"),
        tuple(
            (
                (named(names, row.name),),
                (percent(row.numbers["answered_share"]) if "answered_share" in row.numbers else NOT_PUBLIC,),
                (count(row.numbers["requests"]),),
                (count(row.numbers["refused"]),),
                (count(row.numbers["gone"]),),
            )
            for row in data.tables[table].rows
        ),
    )


def known_grid(data: ReportData, table: str, head: str, names: dict[str, str]) -> Block:
    """Return a table of the requests of clients from before the attack."""
    if not has_rows(data, table):
        return SMALL if data.tables[table].is_private else NOTHING
    return Grid(
        (head, "Succeeded", "Requests", "Failed", "Refused", "Left waiting"),
        tuple(
            (
                (named(names, row.name),),
                (
                    percent(row.numbers["succeeded_share"])
                    if "succeeded_share" in row.numbers
                    else NOT_PUBLIC,
                ),
                (count(row.numbers["requests"]),),
                (count(row.numbers["failed"]),),
                (count(row.numbers["refused"]),),
                (count(row.numbers["gone"]),),
            )
            for row in data.tables[table].rows[:LISTED]
        ),
    )


def share_bars(data: ReportData, table: str, column: str, title: str, names: dict[str, str]) -> Block:
    """Return a bar chart of the shares of a table, of rows with a number in `column`."""
    return Bars(
        title,
        tuple(
            Bar(named(names, row.name), row.numbers["share"].known, percent(row.numbers["share"]))
            for row in data.tables[table].rows[:LISTED]
            if row.numbers[column].known
        ),
    )


def measure_line(name: str, numbers: dict[str, Number]) -> Line:
    """Return a measure with its usual value."""
    return (
        f"{measure_name(name)}: ",
        measured(name, numbers["value"]),
        ", usually ",
        measured(name, numbers["usual"]),
    )


def measure_name(name: str) -> str:
    """Return the words for a measure."""
    return vocabulary.MEASURES.get(name, (name.replace("_", " "), ""))[0]


def measured(name: str, number: Number) -> Piece:
    """Return a measure with its unit: shares in percent."""
    unit = vocabulary.MEASURES.get(name, ("", ""))[1]
    return percent(number) if unit == vocabulary.SHARE else decimal(number, f" {unit}" if unit else "")


def phase_in_words(phase: AttackPhase) -> str:
    """Return a phase in a few words."""
    vectors = [words_of(vector.name).title for vector in phase.vectors]
    verdict = vocabulary.VERDICTS.get(phase.verdict, phase.verdict)
    return f"{verdict} ({', '.join(vectors)})" if vectors else verdict


def until(number: Number) -> str:
    """Return a time with its day."""
    return f"{day(number.known)} {clock(number.known)}"


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
