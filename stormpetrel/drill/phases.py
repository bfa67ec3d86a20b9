"""How soon the watch noticed each attack of a run, and whether it named the means: its metrics beside the timetable.

The metrics are read once a second, so times are up to a second late. A name that was not sent is wrong; one that is
missing, or the word "unknown", is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stormpetrel.drill.record import PageLook
from stormpetrel.drill.scenario import Phase, Scenario
from stormpetrel.drill.vectors.sockets import PULSE_OFF_S, PULSE_ON_S

MEANS = {
    "A1": "crowd",
    "A2": "page_flood",
    "A3": "few_sources",
    "A4": "expensive_reads",
    "A5": "sign_in_flood",
    "A6": "shared_addresses",
    "A7": "stolen_credentials",
    "A8": "forged_credentials",
    "A9": "sms_pumping",
    "A10": "slow_connections",
    "A11": "streams",
    "A12": "write_flood",
    "A15": "connection_churn",
    "A16": "provocation",
    "A18": "expensive_bodies",
    "A19": "account_guessing",
    "A20": "store_filling",
    "A21": "feeds_and_search",
    "A22": "streams",
    "A23": "connection_churn",
}
"""The watch's names of the vectors. A17 kills processes, which is no traffic; A24 ends at the front."""
UNKNOWN = "unknown"
CALM = ("", "calm")
LATEST_S = 10.0
"""A notice that comes later than this after the end of a phase is of another one."""
PULSING = "A15"
PULSE_LAG_S = 2.0
"""In the pauses of a vector that comes in pulses, its name would be wrong. So it is judged from this long after the
beginning of a pulse until the pulse's end."""
RIGHT, WRONG = "right", "wrong"


def result_of(names: Sequence[str], truth: Sequence[str]) -> str:
    """Return RIGHT, WRONG or UNKNOWN for the names that the watch gave a phase, beside those of the vectors sent."""
    if set(names) == set(truth):
        return RIGHT
    return UNKNOWN if set(names) - {UNKNOWN} <= set(truth) else WRONG


@dataclass(frozen=True, slots=True)
class PhaseNotice:
    """A phase of the timetable. `noticed_s`: from its begin until the watch said something new; None: it did not.

    `over_s`: from its end until the watch said that all is as usual; None if another attack followed, or it did not.
    `result`: RIGHT, WRONG or UNKNOWN.
    """

    phase: str
    noticed_s: float | None
    over_s: float | None
    names: tuple[str, ...]
    truth: tuple[str, ...]
    result: str


def notices(scenario: Scenario, looks: Sequence[PageLook]) -> tuple[PhaseNotice, ...] | None:
    """Return a notice for each phase with attacks; None if the watch's verdict was not read."""
    read = [look for look in looks if look.verdict]
    if not read:
        return None
    found = []
    for before, phase in pairwise((None, *scenario.phases)):
        assert phase is not None
        truth = tuple(sorted({MEANS[name] for name, _ in phase.vectors if name in MEANS}))
        # The same again is no new phase.
        if truth and (before is None or before.vectors != phase.vectors):
            names = _names(phase, read)
            found.append(
                PhaseNotice(
                    phase.name,
                    _noticed_s(phase, read),
                    _over_s(scenario, phase, read),
                    names,
                    truth,
                    result_of(names, truth),
                )
            )
    return tuple(found)


def _label(look: PageLook) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if look.verdict in CALM else (look.verdict, look.vectors)


def _noticed_s(phase: Phase, read: Sequence[PageLook]) -> float | None:
    before = next((_label(look) for look in reversed(read) if look.t < phase.start_s), ("", ()))
    for look in read:
        if phase.start_s <= look.t < phase.end_s + LATEST_S and _label(look) not in (before, ("", ())):
            return look.t - phase.start_s
    return None


def _over_s(scenario: Scenario, phase: Phase, read: Sequence[PageLook]) -> float | None:
    following = scenario.at(phase.end_s)
    if not following.is_calm:
        return None
    calm = (look.t for look in read if phase.end_s <= look.t < following.end_s and look.verdict in CALM)
    end_s = next(calm, None)
    return None if end_s is None else end_s - phase.end_s


def _names(phase: Phase, read: Sequence[PageLook]) -> tuple[str, ...]:
    """Return the names in the second half of a phase, the most frequent ones.

    Only looks at which all vectors were sent count; of the whole phase, if its second half has none.
    """
    middle_s = (phase.start_s + phase.end_s) / 2
    whole = [look for look in read if phase.start_s <= look.t < phase.end_s and _are_all_sent(phase, look.t)]
    half = [look for look in whole if look.t >= middle_s]
    labels = Counter(_label(look) for look in half or whole)
    if not labels:
        return ()
    (verdict, vectors), _ = labels.most_common(1)[0]
    crowd = ("crowd",) if verdict in ("crowd", "mixed") else ()
    return tuple(sorted({*vectors, *crowd}))


def _are_all_sent(phase: Phase, t: float) -> bool:
    if all(name != PULSING for name, _ in phase.vectors):
        return True
    return PULSE_LAG_S <= (t - phase.start_s) % (PULSE_ON_S + PULSE_OFF_S) <= PULSE_ON_S
