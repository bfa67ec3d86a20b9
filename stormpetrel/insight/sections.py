"""The sections of a report, from its data. Every number shown is one of the data's numbers, with its query."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.insight import vocabulary
from stormpetrel.insight.charts import outcome_strips, source_strips
from stormpetrel.insight.document import (
    Bar,
    Bars,
    Block,
    Bullets,
    Grid,
    Line,
    Paragraph,
    Piece,
    Report,
    Section,
    at,
    clock,
    count,
    day,
    decimal,
    lasted,
    percent,
)
from stormpetrel.insight.summary import summary_of
from stormpetrel.insight.vectors import words_of
from stormpetrel.insight.vocabulary import named
from stormpetrel.model.attack import AttackPhase
from stormpetrel.model.insight import Number, ReportData

LISTED = 20
_NOTHING = Paragraph(("Nothing was recorded.",), is_note=True)


def report_of(data: ReportData, *, edition: str) -> Report:
    """Return the report. For the public edition pass data without private parts (edition.public_data)."""
    window = data.window
    ended = clock(window.until_ms) if window.is_over else "now (it is not over)"
    return Report(
        title=f"Insight report: {data.domain}, {day(window.from_ms)}",
        subtitle=f"{clock(window.from_ms)} to {ended} UTC. "
        f"{'Public edition' if edition == 'public' else 'Internal edition, for operators'}, made "
        f"{day(window.made_ms)} {clock(window.made_ms)} UTC from the server's own measurements.",
        edition=edition,
        summary=summary_of(data),
        sections=(
            _impact(data),
            _timeline(data),
            _noticed(data),
            _target(data, edition=edition),
            _means(data),
            _crowd_or_attack(data),
            _sources(data),
            _defence(data),
            _collateral(data),
            _losses(data),
            _rules_on(data, edition=edition),
            _advice(data),
            _limits(),
        ),
    )


def _impact(data: ReportData) -> Section:
    blocks: list[Block] = [
        _outcomes(data, "clients", "Kind of client", vocabulary.CLIENTS),
        Paragraph(
            (
                "Visitors include the clients of the attack: a low share there does not mean that people were "
                "turned away. The next table has the clients that the server knew before; requests beyond their "
                "own limits are left out.",
            ),
            is_note=True,
        ),
        _known(data, "known", "Known before, by channel", vocabulary.CHANNELS),
    ]
    if _has(data, "known_applications"):
        blocks.append(_known(data, "known_applications", "Known before, by application", {}))
    blocks += outcome_strips(data)
    if "SMS" not in [row.name for row in data.tables["clients"].rows]:
        blocks.append(
            Paragraph(("Texts (SMS) are not in these counts. Their canaries are below.",), is_note=True)
        )
    return Section("impact", "Impact", tuple(blocks))


def _timeline(data: ReportData) -> Section:
    rows: list[tuple[int, Line]] = []
    if data.spans:
        rows += [(span.onset_ms, ("Unusual traffic began.",)) for span in data.spans]
    rows += [
        (phase.began_ms, (f"Phase {number}: {_phase_in_words(phase)}.",))
        for number, phase in enumerate(data.phases, start=1)
    ]
    rows += [
        (entry.at_ms, (_sentence(vocabulary.TIMELINE.get(entry.kind, "") + entry.text),))
        for entry in data.timeline
        if entry.kind in vocabulary.TIMELINE
    ]
    rows.sort(key=lambda row: row[0])
    grid = Grid(("Time (UTC)", "Event"), tuple(((clock(at_ms),), line) for at_ms, line in rows), is_text=True)
    return Section("timeline", "Time line", (grid if rows else _NOTHING,))


def _noticed(data: ReportData) -> Section:
    rows = [
        ((named(vocabulary.NOTICED_BY, row.name),), (at(row.numbers["at_ms"]),))
        for row in data.tables["noticed"].rows
    ]
    blocks: list[Block] = [
        Grid(("Noticed by, first to last", "Time (UTC)"), tuple(rows)) if rows else _NOTHING
    ]
    after = data.numbers["noticed_after_s"]
    if after.value is not None:
        blocks.append(Paragraph(("The watch noticed it ", lasted(after), " after it began.")))
    if _has(data, "canaries"):
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


def _target(data: ReportData, *, edition: str) -> Section:
    blocks: list[Block] = []
    if _has(data, "page_kinds"):
        blocks.append(
            Grid(
                ("Kind of page, of those requested most", "Sampled requests", "Different pages"),
                tuple(
                    ((row.name,), (count(row.numbers["sampled"]),), (count(row.numbers["pages"]),))
                    for row in data.tables["page_kinds"].rows
                ),
            )
        )
    if _has(data, "pages"):
        blocks.append(
            Grid(
                ("Page", "Sampled requests"),
                tuple(
                    ((row.name,), (count(row.numbers["sampled"]),))
                    for row in data.tables["pages"].rows[:LISTED]
                ),
            )
        )
    if _has(data, "cost"):
        blocks.append(_bars(data, "cost", "cpu_ms", "CPU time by kind of request", vocabulary.KINDS))
    if _has(data, "kinds"):
        blocks.append(_bars(data, "kinds", "sampled", "Sampled requests by kind", vocabulary.KINDS))
    if edition == "public":
        blocks.append(Paragraph(("Pages are not named: they belong to people.",), is_note=True))
    return Section("target", "Target", tuple(blocks or [_NOTHING]))


def _means(data: ReportData) -> Section:
    blocks: list[Block] = []
    for number, phase in enumerate(data.phases, start=1):
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
                    " addresses in ",
                    count(numbers["networks"]),
                    " networks.",
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
    return Section("means", "Phases and means", tuple(blocks or [_NOTHING]))


def _vector_line(data: ReportData, phase: AttackPhase, vector: str) -> Line:
    words = words_of(vector)
    share = data.tables["vectors"].number(phase.number, vector, column="share")
    pieces: Line = (f"{words.title[0].upper()}{words.title[1:]} (", percent(share), f"): {words.about}.")
    evidence = [row for row in data.tables["vector_evidence"].rows if row.key[:2] == (phase.number, vector)]
    for position, row in enumerate(evidence):
        pieces += (" Evidence: " if not position else "; ", *_measure(str(row.key[2]), row.numbers))
    return (*pieces, ".") if evidence else pieces


def _crowd_or_attack(data: ReportData) -> Section:
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
    for number, phase in enumerate(data.phases, start=1):
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
                ("", "Verdict by evidence", "Attack's share", "A plain volume rule says"),
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
        if _has(data, table):
            numbers = {phase.number: number for number, phase in enumerate(data.phases, start=1)}
            blocks.append(
                Grid(
                    (title, "Phase", "Measured", "Usual here"),
                    tuple(
                        (
                            (_measure_name(str(row.key[1])),),
                            (str(numbers.get(int(row.key[0]), row.key[0])),),
                            (_measured(str(row.key[1]), row.numbers["value"]),),
                            (_measured(str(row.key[1]), row.numbers["usual"]),),
                        )
                        for row in data.tables[table].rows
                    ),
                )
            )
    return Section("crowd_or_attack", "Crowd or attack", tuple(blocks or [_NOTHING]))


def _sources(data: ReportData) -> Section:
    blocks: list[Block] = []
    for table, title, names in (
        ("sources", "Senders, of sampled requests", vocabulary.SOURCES),
        ("agents", "Programs, as they name themselves", vocabulary.AGENTS),
        ("referrers", "Where the link was", vocabulary.REFERRERS),
    ):
        if _has(data, table):
            blocks.append(_bars(data, table, "sampled", title, names))
    blocks += source_strips(data)
    if _has(data, "connections"):
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


def _defence(data: ReportData) -> Section:
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
    if _has(data, "because"):
        blocks.append(
            Grid(
                ("Refused by rule", "Requests"),
                tuple(((row.name,), (count(row.numbers["refused"]),)) for row in data.tables["because"].rows),
            )
        )
    blocks.append(_outcomes(data, "classes", "Class", vocabulary.CLASSES))
    if _has(data, "orders"):
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


def _collateral(data: ReportData) -> Section:
    table = "collateral" if _has(data, "collateral") else "collateral_channels"
    if not _has(data, table):
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
                (at(numbers["first_ms"]),),
                (at(numbers["last_ms"]),),
            )
        )
    return Section(
        "collateral",
        "Wrongly refused",
        (
            Paragraph(
                (
                    count(data.numbers["refused_known"]),
                    " requests with a credential were refused, of ",
                    count(data.numbers["people_refused"]),
                    " known clients that the journal names.",
                )
            ),
            Grid(heads, tuple(rows)),
            Paragraph(
                ("Refusals of clients that used far more than their share are among them.",), is_note=True
            ),
        ),
    )


def _losses(data: ReportData) -> Section:
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
                    " posts that the server had acknowledged; ",
                    count(missing),
                    " were missing.",
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


def _rules_on(data: ReportData, *, edition: str) -> Section:
    if not _has(data, "rules_on"):
        line = Paragraph(("No rule of an operator was in force when this report was made.",))
        return Section("rules_on", "Rules still on", (line,))
    rows = tuple(
        (
            (f"{named(vocabulary.ORDERS, row.name)}, by {row.key[1]}",),
            (count(row.numbers["count"]),),
            (_until(row.numbers["last_end_ms"]),),
        )
        for row in data.tables["rules_on"].rows
    )
    blocks: list[Block] = [Grid(("Rule", "Number", "The last one ends (UTC)"), rows)]
    if edition == "internal":
        blocks.append(
            Paragraph(("`stormpetrel shield status` lists them; `--undo` removes one.",), is_note=True)
        )
    return Section("rules_on", "Rules still on", tuple(blocks))


def _advice(data: ReportData) -> Section:
    names = dict.fromkeys(vector.name for phase in data.phases for vector in phase.vectors)
    lines: list[Line] = []
    for name in names:
        words = words_of(name)
        lines.append((f"{words.title[0].upper()}{words.title[1:]}: {words.advice} `{words.command}`",))
    if _has(data, "rules_on"):
        lines.append(("Remove rules that are no longer needed. `stormpetrel shield status`",))
    if data.numbers["restarts"].known:
        lines.append(("Processes were restarted: find the reason in the log. `stormpetrel check`",))
    if not lines:
        lines.append(("Nothing needs to be done.",))
    return Section("advice", "Advice", (Bullets(tuple(lines)),))


def _limits() -> Section:
    lines: Sequence[str] = (
        "There is no public labelled data of a crowd and a flood on one site. The verdict rests on a generator of "
        "attacks and on evidence, and is an estimate.",
        "SYN and UDP floods are not seen here: the share of what filled the link above this server is unknown.",
        "Numbers of addresses and networks are estimates. Kinds of requests and of senders are samples.",
        "Programs and referrers are what clients say of themselves. They can lie.",
    )
    return Section("limits", "Limits of this report", (Bullets(tuple((line,) for line in lines)),))


# Parts


def _has(data: ReportData, table: str) -> bool:
    found = data.tables.get(table)
    return found is not None and bool(found.rows)


def _outcomes(data: ReportData, table: str, head: str, names: dict[str, str]) -> Block:
    if not _has(data, table):
        return _NOTHING
    return Grid(
        (head, "Answered", "Requests", "Refused", "Left waiting"),
        tuple(
            (
                (named(names, row.name),),
                (percent(row.numbers["answered_share"]),),
                (count(row.numbers["requests"]),),
                (count(row.numbers["refused"]),),
                (count(row.numbers["gone"]),),
            )
            for row in data.tables[table].rows
        ),
    )


def _known(data: ReportData, table: str, head: str, names: dict[str, str]) -> Block:
    if not _has(data, table):
        return _NOTHING
    return Grid(
        (head, "Succeeded", "Requests", "Failed", "Refused", "Left waiting"),
        tuple(
            (
                (named(names, row.name),),
                (percent(row.numbers["succeeded_share"]),),
                (count(row.numbers["requests"]),),
                (count(row.numbers["failed"]),),
                (count(row.numbers["refused"]),),
                (count(row.numbers["gone"]),),
            )
            for row in data.tables[table].rows[:LISTED]
        ),
    )


def _bars(data: ReportData, table: str, column: str, title: str, names: dict[str, str]) -> Block:
    return Bars(
        title,
        tuple(
            Bar(named(names, row.name), row.numbers["share"].known, percent(row.numbers["share"]))
            for row in data.tables[table].rows[:LISTED]
            if row.numbers[column].known
        ),
    )


def _measure(name: str, numbers: dict[str, Number]) -> Line:
    return (
        f"{_measure_name(name)}: ",
        _measured(name, numbers["value"]),
        ", usually ",
        _measured(name, numbers["usual"]),
    )


def _measure_name(name: str) -> str:
    return vocabulary.MEASURES.get(name, (name.replace("_", " "), ""))[0]


def _measured(name: str, number: Number) -> Piece:
    """Return a measure with its unit: shares in percent."""
    unit = vocabulary.MEASURES.get(name, ("", ""))[1]
    return percent(number) if unit == vocabulary.SHARE else decimal(number, f" {unit}" if unit else "")


def _phase_in_words(phase: AttackPhase) -> str:
    vectors = [words_of(vector.name).title for vector in phase.vectors]
    verdict = vocabulary.VERDICTS.get(phase.verdict, phase.verdict)
    return f"{verdict} ({', '.join(vectors)})" if vectors else verdict


def _until(number: Number) -> str:
    return f"{day(number.known)} {clock(number.known)}"


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
