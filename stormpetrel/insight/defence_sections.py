"""The sections about the defence: its actions, the harm it did, losses, rules, advice, and limits."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.insight import vocabulary
from stormpetrel.insight.blocks import has_rows, outcome_grid, until
from stormpetrel.insight.document import (
    NOT_PUBLIC,
    Block,
    Bullets,
    Grid,
    Line,
    Paragraph,
    Section,
    at,
    count,
    decimal,
    lasted,
    units,
)
from stormpetrel.insight.vectors import words_of
from stormpetrel.insight.vocabulary import named
from stormpetrel.model.insight import ReportData


def defence(data: ReportData) -> Section:
    """Return the section: the work and the refusals of the server."""
    numbers = data.numbers
    blocks: list[Block] = [
        Grid(
            ("Load", "Value"),
            (
                (("Requests",), (count(numbers["requests"]),)),
                (("Answered",), (count(numbers["answered"]),)),
                (("Refused",), (count(numbers["refused"]),)),
                (("Left while they waited",), (count(numbers["gone"]),)),
                (("Most requests in a second",), (count(numbers["peak_per_s"]),)),
                (("Time with more work than capacity",), (lasted(numbers["overloaded_s"]),)),
                (("Longest wait for a place",), (decimal(numbers["worst_wait_ms"], " ms"),)),
                (("Processes restarted",), (count(numbers["restarts"]),)),
            ),
        )
    ]
    if has_rows(data, "because"):
        blocks.append(
            Grid(
                ("Refused by rule", "Requests"),
                tuple(((row.name,), (count(row.numbers["refused"]),)) for row in data.tables["because"].rows),
            )
        )
    blocks.append(outcome_grid(data, "classes", "Class", vocabulary.CLASSES))
    if has_rows(data, "orders"):
        blocks.append(
            Grid(
                ("Orders of operators", "Number"),
                tuple(
                    ((named(vocabulary.ORDERS, row.name),), (count(row.numbers["count"]),))
                    for row in data.tables["orders"].rows
                ),
            )
        )
    else:
        blocks.append(Paragraph(("Operators gave no orders.",)))
    return Section("defence", "Defence", tuple(blocks))


def collateral(data: ReportData) -> Section:
    """Return the section: the clients with a credential that were refused."""
    table = "collateral" if has_rows(data, "collateral") else "collateral_channels"
    if not has_rows(data, table):
        return Section(
            "collateral", "Wrongly refused", (Paragraph(("No request with a credential was refused.",)),)
        )
    has_application = table == "collateral"
    heads = (
        "Channel",
        *(("Application",) if has_application else ()),
        "Rule",
        "Refused",
        "People",
        "First",
        "Last",
    )
    rows = []
    for row in data.tables[table].rows:
        texts: list[Line] = [(named(vocabulary.CHANNELS, row.name),)]
        if has_application:
            texts.append((str(row.key[1]) or "none (a browser)",))
        texts.append((str(row.key[-1]),))
        numbers = row.numbers
        rows.append(
            (
                *texts,
                (count(numbers["refused"]),),
                (count(numbers["people"]),),
                (at(numbers["first_ms"]) if "first_ms" in numbers else NOT_PUBLIC,),
                (at(numbers["last_ms"]) if "last_ms" in numbers else NOT_PUBLIC,),
            )
        )
    return Section(
        "collateral",
        "Wrongly refused",
        (
            Paragraph(
                (
                    "Requests with a credential that were refused: ",
                    count(data.numbers["refused_known"]),
                    ", of ",
                    count(data.numbers["people_refused"]),
                    units(
                        data.numbers["people_refused"],
                        " known client that the journal names.",
                        " known clients that the journal names.",
                    ),
                )
            ),
            Grid(heads, tuple(rows)),
            Paragraph(
                ("Refusals of clients that used far more than their share are among them.",), is_note=True
            ),
        ),
    )


def losses(data: ReportData) -> Section:
    """Return the section: the checks, and what they found missing."""
    checked, missing = data.numbers["posts_checked"], data.numbers["posts_missing"]
    blocks: list[Block] = []
    if checked.value is None:
        blocks.append(Paragraph(("It was not checked whether acknowledged posts were lost.",)))
    else:
        blocks.append(
            Paragraph(
                (
                    "The watch looked for ",
                    count(checked),
                    units(checked, " post", " posts"),
                    " that the server had acknowledged; ",
                    count(missing),
                    units(missing, " was missing.", " were missing."),
                )
            )
        )
    if data.numbers["entries_lost"].known:
        blocks.append(
            Paragraph((count(data.numbers["entries_lost"]), " entries of the journal could not be written."))
        )
    blocks.append(
        Paragraph(
            (
                "Not checked: texts (SMS), uploads, and writes other than posts. A request that was refused or got "
                "no answer is not a loss by this measure.",
            ),
            is_note=True,
        )
    )
    return Section("losses", "Losses", tuple(blocks))


def rules_on(data: ReportData, *, edition: str) -> Section:
    """Return the section: the operators' rules that are in force."""
    if not has_rows(data, "rules_on"):
        line = Paragraph(("No rule of an operator was in force when this report was made.",))
        return Section("rules_on", "Rules still on", (line,))
    rows = tuple(
        (
            (f"{named(vocabulary.ORDERS, row.name)}, by {row.key[1]}",),
            (count(row.numbers["count"]),),
            (until(row.numbers["last_end_ms"]),),
        )
        for row in data.tables["rules_on"].rows
    )
    blocks: list[Block] = [Grid(("Rule", "Number", "The last one ends (UTC)"), rows)]
    if edition == "internal":
        blocks.append(
            Paragraph(("`stormpetrel shield status` lists them; `--undo` removes one.",), is_note=True)
        )
    return Section("rules_on", "Rules still on", tuple(blocks))


def advice(data: ReportData) -> Section:
    """Return the section: what an operator can do."""
    names = dict.fromkeys(vector.name for phase in data.phases for vector in phase.vectors)
    lines: list[Line] = []
    for name in names:
        words = words_of(name)
        lines.append((f"{words.title[0].upper()}{words.title[1:]}: {words.advice} `{words.command}`",))
    if has_rows(data, "rules_on"):
        lines.append(("Remove rules that are no longer needed. `stormpetrel shield status`",))
    if data.numbers["restarts"].known:
        lines.append(("Processes were restarted: find the reason in the log. `stormpetrel check`",))
    if not lines:
        lines.append(("Nothing needs to be done.",))
    return Section("advice", "Advice", (Bullets(tuple(lines)),))


def limits() -> Section:
    """Return the section: what the report cannot know."""
    lines: Sequence[str] = (
        "There is no public labelled data of a crowd and a flood on one site. The verdict rests on a generator of "
        "attacks and on evidence, and is an estimate.",
        "SYN and UDP floods are not seen here: the share of what filled the link above this server is unknown.",
        "Numbers of addresses and networks are estimates. Kinds of requests and of senders are samples.",
        "Programs and referrers are what clients say of themselves. They can lie.",
    )
    return Section("limits", "Limits of this report", (Bullets(tuple((line,) for line in lines)),))
