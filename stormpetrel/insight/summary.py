"""The summary of a report: three to five plain sentences with numbers, to quote."""

from __future__ import annotations

from stormpetrel.insight import vocabulary
from stormpetrel.insight.document import Line, clock, count, day, decimal, lasted, percent
from stormpetrel.insight.vectors import words_of
from stormpetrel.model.insight import ReportData


def summary_of(data: ReportData) -> tuple[Line, ...]:
    """Return the sentences."""
    sentences = [_load(data)]
    for sentence in (_verdict(data), _members(data), _defence(data), _losses(data)):
        if sentence:
            sentences.append(sentence)
    return tuple(sentences)


def _load(data: ReportData) -> Line:
    window, numbers = data.window, data.numbers
    line: Line = (
        f"On {day(window.from_ms)} at {clock(window.from_ms)} UTC, {data.domain} came under unusual traffic that "
        f"{'lasted' if window.is_over else 'has lasted'} ",
        lasted(numbers["lasted_s"]),
    )
    if numbers["requests"].value is None:
        return (*line, ".")
    line += (": ", count(numbers["requests"]), " requests, up to ", count(numbers["peak_per_s"]), " a second")
    usual = numbers["usual_per_s"]
    if usual.known:
        line += (", where ", decimal(usual), " a second were usual")
    return (*line, ".")


def _verdict(data: ReportData) -> Line:
    verdicts = data.tables["verdicts"].rows
    if not verdicts:
        return ()
    names = dict.fromkeys(
        vector.name for phase in data.phases for vector in phase.vectors if vector.name != "unknown"
    )
    means = " and ".join(words_of(name).title for name in names)
    line: Line = (
        "By the evidence, it was ",
        ", then ".join(
            dict.fromkeys(
                vocabulary.IN_SHORT.get(phase.verdict, "of an undecided kind") for phase in data.phases
            )
        ),
        "; about ",
        percent(data.numbers["attack_share"]),
        " of the additional requests are attributed to an attack",
    )
    if means:
        return (*line, f", by {means}.")
    if any(phase.verdict in ("attack", "mixed") for phase in data.phases):
        return (*line, "; its means is unknown.")
    return (*line, ".")


def _members(data: ReportData) -> Line:
    share = data.numbers["known_share"]
    if share.value is None:
        return ()
    return ("Of the requests of members and of visitors known from before, ", percent(share), " succeeded.")


def _defence(data: ReportData) -> Line:
    numbers = data.numbers
    if numbers["refused"].value is None:
        return ()
    line: Line = ("The server refused ", count(numbers["refused"]), " requests")
    if not numbers["refused_known"].known:
        return (*line, "; none of them had the credential of a member.")
    return (
        *line,
        "; ",
        count(numbers["refused_known"]),
        " of them came from ",
        count(numbers["people_refused"]),
        " clients with a credential, and were refused wrongly or for their own excess.",
    )


def _losses(data: ReportData) -> Line:
    checked, missing = data.numbers["posts_checked"], data.numbers["posts_missing"]
    if checked.value is None:
        return ("It was not checked whether posts were lost.",)
    return ("Of ", count(checked), " acknowledged posts that were checked, ", count(missing), " were lost.")
