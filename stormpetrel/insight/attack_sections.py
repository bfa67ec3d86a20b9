"""The sections about the attack: its target, its means, crowd or attack, and its sources."""

from __future__ import annotations

from stormpetrel.insight import vocabulary
from stormpetrel.insight.blocks import (
    LISTED,
    MAX_EVIDENCE,
    MAX_PHASES,
    NOTHING,
    has_rows,
    measure_line,
    measure_name,
    measured,
    share_bars,
    unusual_phases,
)
from stormpetrel.insight.charts import source_strips
from stormpetrel.insight.document import (
    Block,
    Bullets,
    Grid,
    Line,
    Paragraph,
    Section,
    at,
    count,
    lasted,
    percent,
    units,
)
from stormpetrel.insight.vectors import words_of
from stormpetrel.insight.vocabulary import named
from stormpetrel.model.attack import AttackPhase
from stormpetrel.model.insight import ReportData


def target(data: ReportData, *, edition: str) -> Section:
    """Return the section: the requested pages by kind, and the cost."""
    blocks: list[Block] = []
    if has_rows(data, "page_kinds"):
        blocks.append(
            Grid(
                ("Kind of page, of those requested most", "Sampled requests", "Different pages"),
                tuple(
                    ((row.name,), (count(row.numbers["sampled"]),), (count(row.numbers["pages"]),))
                    for row in data.tables["page_kinds"].rows
                ),
            )
        )
    if has_rows(data, "pages"):
        blocks.append(
            Grid(
                ("Page", "Sampled requests"),
                tuple(
                    ((row.name,), (count(row.numbers["sampled"]),))
                    for row in data.tables["pages"].rows[:LISTED]
                ),
            )
        )
    if has_rows(data, "cost"):
        blocks.append(share_bars(data, "cost", "cpu_ms", "CPU time by kind of request", vocabulary.KINDS))
    if has_rows(data, "kinds"):
        blocks.append(share_bars(data, "kinds", "sampled", "Sampled requests by kind", vocabulary.KINDS))
    if edition == "public":
        blocks.append(Paragraph(("Pages are not named: they belong to people.",), is_note=True))
    return Section("target", "Target", tuple(blocks or [NOTHING]))


def means(data: ReportData) -> Section:
    """Return the section: the phases with the means of attack and their evidence."""
    blocks: list[Block] = []
    for number, phase in unusual_phases(data)[:MAX_PHASES]:
        row = data.tables["phases"].row(phase.number)
        if row is None:
            continue
        numbers = row.numbers
        blocks.append(
            Paragraph(
                (
                    f"Phase {number}, from ",
                    at(numbers["began_ms"]),
                    " for ",
                    lasted(numbers["lasted_s"]),
                    f": {vocabulary.VERDICTS.get(phase.verdict, phase.verdict)}. About ",
                    percent(numbers["attack_share"]),
                    " of the additional requests are attributed to the attack. All came from about ",
                    count(numbers["addresses"]),
                    units(numbers["addresses"], " address in ", " addresses in "),
                    count(numbers["networks"]),
                    units(numbers["networks"], " network.", " networks."),
                )
            )
        )
        named_vectors = [_vector_line(data, phase, vector.name) for vector in phase.vectors]
        if named_vectors:
            blocks.append(Bullets(tuple(named_vectors)))
        elif phase.verdict in ("attack", "mixed"):
            blocks.append(
                Paragraph(("The means is unknown: the evidence fits none that the server can name.",))
            )
    if data.phases:
        left_out = max(0, len(unusual_phases(data)) - MAX_PHASES)
        text = "Phases of usual traffic are left out."
        if left_out:
            text = f"Phases of usual traffic, and {left_out} later ones, are left out: JSON has all."
        blocks.append(Paragraph((text,), is_note=True))
    return Section("means", "Phases and means", tuple(blocks or [NOTHING]))


def _vector_line(data: ReportData, phase: AttackPhase, vector: str) -> Line:
    words = words_of(vector)
    share = data.tables["vectors"].number(phase.number, vector, column="share")
    pieces: Line = (f"{words.title[0].upper()}{words.title[1:]} (", percent(share), f"): {words.about}.")
    evidence = [row for row in data.tables["vector_evidence"].rows if row.key[:2] == (phase.number, vector)]
    for position, row in enumerate(evidence):
        pieces += (" Evidence: " if not position else "; ", *measure_line(str(row.key[2]), row.numbers))
    return (*pieces, ".") if evidence else pieces


def crowd_or_attack(data: ReportData) -> Section:
    """Return the section: the verdict of each phase, beside a volume rule, with its evidence."""
    blocks: list[Block] = []
    if data.numbers["attack_share"].value is not None:
        blocks.append(
            Paragraph(
                (
                    "Over the whole time, the evidence attributes ",
                    percent(data.numbers["attack_share"]),
                    " of the requests above the usual to an attack, and the rest to people. This is an estimate.",
                )
            )
        )
    rows = []
    for number, phase in unusual_phases(data)[:MAX_PHASES]:
        row = data.tables["phases"].row(phase.number)
        if row is not None:
            rule = "an attack" if phase.volume_rule_says_attack else "no attack"
            rows.append(
                (
                    (f"Phase {number}",),
                    (vocabulary.VERDICTS.get(phase.verdict, phase.verdict),),
                    (percent(row.numbers["attack_share"]),),
                    (rule,),
                )
            )
    if rows:
        blocks.append(
            Grid(
                ("Phase", "Verdict by evidence", "Attack's share", "A plain volume rule says"),
                tuple(rows),
                is_text=True,
            )
        )
        blocks.append(
            Paragraph(
                (
                    "The volume rule is the kind that is sold as protection: so many requests in ten seconds, and "
                    "twice as many as before. It takes every crowd for an attack.",
                ),
                is_note=True,
            )
        )
    for table, title in (("evidence_for", "For an attack"), ("evidence_against", "Against an attack")):
        if has_rows(data, table):
            numbers = {phase.number: number for number, phase in enumerate(data.phases, start=1)}
            blocks.append(
                Grid(
                    (title, "Phase", "Measured", "Usual here"),
                    tuple(
                        (
                            (measure_name(str(row.key[1])),),
                            (str(numbers.get(int(row.key[0]), row.key[0])),),
                            (measured(str(row.key[1]), row.numbers["value"]),),
                            (measured(str(row.key[1]), row.numbers["usual"]),),
                        )
                        for row in data.tables[table].rows[:MAX_EVIDENCE]
                    ),
                )
            )
    return Section("crowd_or_attack", "Crowd or attack", tuple(blocks or [NOTHING]))


def sources(data: ReportData) -> Section:
    """Return the section: the senders by kind."""
    blocks: list[Block] = []
    for table, title, names in (
        ("sources", "Senders, of sampled requests", vocabulary.SOURCES),
        ("agents", "Programs, as they name themselves", vocabulary.AGENTS),
        ("referrers", "Where the link was", vocabulary.REFERRERS),
    ):
        if has_rows(data, table):
            blocks.append(share_bars(data, table, "sampled", title, names))
    blocks += source_strips(data)
    if has_rows(data, "connections"):
        blocks.append(
            Grid(
                ("Connections", "Most at a time, or in a second"),
                tuple(
                    ((named(vocabulary.CONNECTIONS, row.name),), (count(row.numbers["most"]),))
                    for row in data.tables["connections"].rows
                ),
            )
        )
    if data.countries:
        blocks.append(
            Grid(
                ("Country of noted addresses, by the operator's table", "Entries"),
                tuple(((name,), (count(number),)) for name, number in data.countries),
            )
        )
    blocks.append(
        Paragraph(
            ("An address says where a computer is connected, not who sends. This report names no culprit.",),
            is_note=True,
        )
    )
    return Section("sources", "Sources", tuple(blocks))
