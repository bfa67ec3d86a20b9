"""The report with its sections, from its data. Every number shown is one of the data's, with its query."""

from __future__ import annotations

from stormpetrel.insight import attack_sections, defence_sections, vocabulary
from stormpetrel.insight.blocks import (
    MAX_EVENTS,
    NOTHING,
    has_rows,
    is_usual_overload,
    known_grid,
    outcome_grid,
    phase_in_words,
    sentence,
)
from stormpetrel.insight.charts import outcome_strips
from stormpetrel.insight.document import (
    Block,
    Grid,
    InsightReport,
    Line,
    Paragraph,
    Section,
    at,
    clock,
    count,
    day,
    lasted,
)
from stormpetrel.insight.summary import summary_of
from stormpetrel.insight.vocabulary import named
from stormpetrel.model.insight import ReportData

_TEXTS = {
    "texts_in": "Received",
    "texts_out": "Sent",
    "texts_new": "Received from numbers without an account",
}


def report_of(data: ReportData, *, edition: str) -> InsightReport:
    """Return the report. For the public edition pass data without private parts (edition.public_data)."""
    window = data.window
    # Advice names commands and weak places.
    for_operators = () if edition == "public" else (defence_sections.advice(data),)
    ended = f"{clock(window.until_ms)} UTC" if window.is_over else "now; it is not over"
    return InsightReport(
        title=f"Insight report: {data.domain}, {day(window.from_ms)}",
        subtitle=f"{clock(window.from_ms)} {'' if window.is_over else 'UTC '}to {ended}. "
        f"{'Public edition' if edition == 'public' else 'Internal edition, for operators'}, made "
        f"{day(window.made_ms)} {clock(window.made_ms)} UTC from the server's own measurements.",
        edition=edition,
        summary=summary_of(data),
        sections=(
            _impact(data),
            _timeline(data),
            _noticed(data),
            attack_sections.target(data, edition=edition),
            attack_sections.means(data),
            attack_sections.crowd_or_attack(data),
            attack_sections.sources(data),
            defence_sections.defence(data),
            defence_sections.collateral(data),
            defence_sections.losses(data),
            defence_sections.rules_on(data, edition=edition),
            *for_operators,
            defence_sections.limits(),
        ),
    )


def _impact(data: ReportData) -> Section:
    blocks: list[Block] = [
        outcome_grid(data, "clients", "Kind of client", vocabulary.CLIENTS),
        Paragraph(
            (
                "Visitors include the clients of the attack: a low share there does not mean that people were "
                "turned away. The tables of clients known before leave out requests beyond a client's own limits.",
            ),
            is_note=True,
        ),
        *outcome_strips(data),
        known_grid(data, "known", "Known before, by channel", vocabulary.CHANNELS),
    ]
    if has_rows(data, "known_applications"):
        blocks.append(known_grid(data, "known_applications", "Known before, by application", {}))
    texts = [(title, data.numbers[name]) for name, title in _TEXTS.items() if name in data.numbers]
    if any(number.value for _, number in texts):
        blocks.append(
            Grid(
                ("Texts (SMS)", "Number"),
                tuple(((title,), (count(number),)) for title, number in texts),
            )
        )
    elif has_rows(data, "clients") and data.tables["clients"].row("SMS") is None:
        blocks.append(
            Paragraph(("Texts (SMS) are not in these counts. Their canaries are below.",), is_note=True)
        )
    return Section("impact", "Impact", tuple(blocks))


def _timeline(data: ReportData) -> Section:
    rows: list[tuple[int, Line]] = []
    if data.spans and not is_usual_overload(data):
        rows += [(span.onset_ms, ("Unusual traffic began.",)) for span in data.spans]
    rows += [
        (phase.began_ms, (f"Phase {number}: {phase_in_words(phase)}.",))
        for number, phase in enumerate(data.phases, start=1)
    ]
    rows += [
        (entry.at_ms, (sentence(vocabulary.TIMELINE.get(entry.kind, "") + entry.text),))
        for entry in data.timeline
        if entry.kind in vocabulary.TIMELINE
    ]
    rows.sort(key=lambda row: row[0])
    grid = Grid(
        ("Time (UTC)", "Event"),
        tuple(((clock(at_ms),), line) for at_ms, line in rows[:MAX_EVENTS]),
        is_text=True,
    )
    return Section("timeline", "Time line", (grid if rows else NOTHING,))


def _noticed(data: ReportData) -> Section:
    rows = [
        ((named(vocabulary.NOTICED_BY, row.name),), (at(row.numbers["at_ms"]),))
        for row in data.tables["noticed"].rows
    ]
    blocks: list[Block] = [
        Grid(("Noticed by, first to last", "Time (UTC)"), tuple(rows)) if rows else NOTHING
    ]
    after = data.numbers["noticed_after_s"]
    if after.value is not None:
        blocks.append(Paragraph(("The watch noticed it ", lasted(after), " after it began.")))
    if has_rows(data, "canaries"):
        blocks.append(
            Grid(
                ("Canary of the channel", "Alarms", "First alarm (UTC)"),
                tuple(
                    (
                        (named(vocabulary.CHANNELS, row.name),),
                        (count(row.numbers["alarms"]),),
                        (at(row.numbers["first_ms"]),),
                    )
                    for row in data.tables["canaries"].rows
                ),
            )
        )
    else:
        blocks.append(Paragraph(("No canary raised an alarm.",)))
    blocks.append(
        Paragraph(("Reports by people, in posts or mails, are not recorded here.",), is_note=True),
    )
    return Section("noticed", "First to notice", tuple(blocks))
