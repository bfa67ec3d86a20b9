"""The summary of a report: three to five plain sentences with numbers, to quote."""

from __future__ import annotations

from stormpetrel.insight import vocabulary
from stormpetrel.insight.blocks import is_usual_overload
from stormpetrel.insight.document import Line, clock, count, day, decimal, lasted, percent, units
from stormpetrel.insight.vectors import words_of
from stormpetrel.model.attack import UNKNOWN_VECTOR
from stormpetrel.model.insight import ReportData

NAMED = 3
"""Means of attack that the summary names."""


def summary_of(data: ReportData) -> tuple[Line, ...]:
    """Return the sentences."""
    sentences = [_load(data)]
    for sentence in (_verdict(data), _members(data), _defence(data), _losses(data)):
        if sentence:
            sentences.append(sentence)
    return tuple(sentences)


def main_vectors(data: ReportData) -> list[str]:
    """Return the names of the means of attack, without the unknown, those with the most share and time first."""
    weights: dict[str, float] = {}
    for phase in data.phases:
        ended_ms = min(phase.ended_ms or data.window.until_ms, data.window.until_ms)
        lasted_ms = ended_ms - max(phase.began_ms, data.window.from_ms)
        for vector in phase.vectors:
            if vector.name != UNKNOWN_VECTOR:
                weights[vector.name] = weights.get(vector.name, 0) + vector.share * lasted_ms
    return sorted(weights, key=lambda name: -weights[name])


def _load(data: ReportData) -> Line:
    window, numbers = data.window, data.numbers
    if is_usual_overload(data):
        event = f"{'was' if window.is_over else 'has been'} overloaded for "
    else:
        event = f"came under unusual traffic that {'lasted' if window.is_over else 'has lasted'} "
    line: Line = (
        f"On {day(window.from_ms)} at {clock(window.from_ms)} UTC, {data.domain} {event}",
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
    if is_usual_overload(data):
        return (
            "The traffic was usual, and does not explain the overload: the cause may be another program on the "
            "machine, a disk or the database.",
        )
    names = main_vectors(data)
    listed = [words_of(name).title for name in names[:NAMED]]
    if len(names) > NAMED:
        listed.append(f"{len(names) - NAMED} other means")
    means = " and ".join(listed) if len(listed) < 3 else f"{', '.join(listed[:-1])} and {listed[-1]}"
    kinds = dict.fromkeys(phase.verdict for phase in data.phases)
    if len(kinds) > 1:
        kinds.pop("calm", None)
    line: Line = (
        "By the evidence, it was ",
        ", then ".join(vocabulary.IN_SHORT.get(kind, "of an undecided kind") for kind in kinds),
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
    missed, share = data.numbers["known_missed"], data.numbers.get("known_share")
    line: Line = ("Of the requests of members and of visitors known from before, ",)
    if missed.below:
        return (*line, "all but ", count(missed), " succeeded.")
    if share is None or share.value is None:
        return ()
    return (*line, percent(share), " succeeded.")


def _defence(data: ReportData) -> Line:
    numbers = data.numbers
    if numbers["refused"].value is None and not numbers["refused"].below:
        return ()
    line: Line = (
        "The server refused ",
        count(numbers["refused"]),
        units(numbers["refused"], " request", " requests"),
    )
    if not (numbers["refused_known"].known or numbers["refused_known"].below):
        return (*line, "; none of them had the credential of a member.")
    return (
        *line,
        "; ",
        count(numbers["refused_known"]),
        " of them came from ",
        count(numbers["people_refused"]),
        units(numbers["people_refused"], " client", " clients"),
        " with a credential, and were refused wrongly or for their own excess.",
    )


def _losses(data: ReportData) -> Line:
    checked, missing = data.numbers["posts_checked"], data.numbers["posts_missing"]
    if checked.value is None:
        return ("It was not checked whether posts were lost.",)
    if not checked.value:
        return ("The watch knew of no acknowledged post of this time, so it looked for none.",)
    posts = units(checked, " acknowledged post that was checked, ", " acknowledged posts that were checked, ")
    return ("Of ", count(checked), posts, count(missing), units(missing, " was lost.", " were lost."))
