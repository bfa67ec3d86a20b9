"""Crowd or attack: the part of an attack in the traffic above the usual, and the evidence for and against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stormpetrel.model.attack import UNKNOWN_VECTOR, EvidenceItem, NamedVector
from stormpetrel.watch.phases.measures import CONNECTIONS, SLOW_WEIGHT, Measures, figure_name
from stormpetrel.watch.phases.usual import Usual
from stormpetrel.watch.phases.vectors import RULES, explaining, named_vectors

ATTACK_FROM = 0.7
CROWD_UNTIL = 0.3
"""Between these shares, a phase is mixed, if there is a crowd."""
CROWD_NETWORKS = 20.0
"""Fewer different networks are no crowd: a program in five networks has no more than twelve by the estimate, beside
the usual requests of its cohort, which are a third of it at most."""
LEAST_UNDECIDED = 100.0
"""Requests a second above the usual, below which people of few networks are calm: one visitor's page loads twenty
files, so a few visitors of an instance without load would open an attack."""
MAX_ITEMS = 8
_BUSY = ("requests", "opened", "open_streams", "pages", "members", "files")
_OF_PEOPLE = ("files", "members", "pages", "others", "streams", "feeds", "search", "writes")
# A volume rule as commercial mitigation publishes it (Gcore, 2024).
VOLUME_LONG_S, VOLUME_LONG_REQUESTS, VOLUME_LONG_TIMES = 10, 5_000, 2
VOLUME_SHORT_S, VOLUME_SHORT_REQUESTS, VOLUME_SHORT_TIMES = 2, 1_000, 5


@dataclass(frozen=True, slots=True)
class TrafficFinding:
    """The result. `verdict`: one of VERDICTS; `attack_share`: 0 to 1, of the traffic above the usual."""

    verdict: str
    attack_share: float
    vectors: tuple[NamedVector, ...] = ()
    evidence_for: tuple[EvidenceItem, ...] = ()
    evidence_against: tuple[EvidenceItem, ...] = ()

    @property
    def label(self) -> tuple[str, tuple[str, ...]]:
        """Return the parts in which two phases agree if they are alike."""
        return self.verdict, tuple(sorted(vector.name for vector in self.vectors))


CALM = TrafficFinding("calm", 0.0)


def find(seen: Measures, usual: Usual) -> TrafficFinding:
    """Return the finding of a second, or of the mean of several."""
    if not usual.is_learnt:
        return CALM
    vectors = named_vectors(seen, usual)
    is_busy = any(usual.excess(seen, name) for name in _BUSY)
    if not vectors and not is_busy:
        return CALM
    hostile, people = _amounts(seen, usual, vectors)
    from_people = sum(people.values())
    share = hostile / (hostile + from_people) if hostile + from_people else 0.0
    speaking_for, against = _evidence(seen, usual)
    is_unknown = bool(vectors) and vectors[0].name == UNKNOWN_VECTOR
    if not vectors:
        verdict = "crowd" if share <= CROWD_UNTIL else "unknown"
    elif share >= ATTACK_FROM:
        verdict = "attack"
    elif share <= CROWD_UNTIL:
        verdict = "crowd" if is_unknown else "mixed"
    else:
        verdict = "mixed"
    if verdict in ("crowd", "mixed") and not _is_of_many_networks(seen, people):
        # There is no crowd, also beside an attack. What a small or unnamed attack does not explain is not decided.
        verdict = "attack" if verdict == "mixed" and share > CROWD_UNTIL and not is_unknown else "unknown"
    if verdict == "unknown" and not vectors and usual.surplus(seen, "requests") < LEAST_UNDECIDED:
        return CALM
    if verdict == "crowd":
        vectors = ()
    for_vectors = tuple(item for vector in vectors for item in vector.evidence)
    return TrafficFinding(
        verdict, round(share, 3), vectors, (*for_vectors, *speaking_for)[:MAX_ITEMS], against
    )


def volume_rule(requests: Sequence[float]) -> bool:
    """Return whether a rule on volume alone calls it an attack. `requests`: of the last 20 seconds, oldest first.

    At least 5,000 requests in 10 s and twice those of the 10 s before; or 1,000 in 2 s and 5 times.
    """
    return _rises(requests, VOLUME_LONG_S, VOLUME_LONG_REQUESTS, VOLUME_LONG_TIMES) or _rises(
        requests, VOLUME_SHORT_S, VOLUME_SHORT_REQUESTS, VOLUME_SHORT_TIMES
    )


def _rises(requests: Sequence[float], seconds: int, least: int, times: int) -> bool:
    if len(requests) < 2 * seconds:
        return False
    now, before = sum(requests[-seconds:]), sum(requests[-2 * seconds : -seconds])
    return now >= least and now >= times * before


def _is_of_many_networks(seen: Measures, people: dict[str, float]) -> bool:
    """Return whether most of what came from people, by cohort, came from CROWD_NETWORKS or more.

    If no cohort is unusual by itself, the networks of all strangers count.
    """
    if not people:
        return seen.features.get("networks", 0.0) >= CROWD_NETWORKS
    many = sum(rest for name, rest in people.items() if seen.networks.get(name, 0.0) >= CROWD_NETWORKS)
    return many >= sum(people.values()) / 2


def _amounts(
    seen: Measures, usual: Usual, vectors: tuple[NamedVector, ...]
) -> tuple[float, dict[str, float]]:
    """Return how much per second above the usual is an attack's, and how much is people's, by cohort."""
    names = {vector.name for vector in vectors}
    hostile_of: dict[str, float] = {}
    for rule in explaining(names):
        part = seen.features.get(rule.times, 0.0) if rule.times else 1.0
        for name in rule.of:
            weight = SLOW_WEIGHT if name == "slow" else 1.0
            hostile_of[name] = usual.surplus(seen, name) * part * weight
    churned_pages = usual.surplus(seen, "churned_pages") if "churn" in hostile_of else 0.0
    if "pages" in hostile_of:
        # A request on a connection that is reset counts once.
        hostile_of["pages"] = max(0.0, hostile_of["pages"] - churned_pages)
    people: dict[str, float] = {}
    for name in _OF_PEOPLE:
        # Only cohorts that are unusual by themselves: small differences of many cohorts are no crowd.
        rest = max(0.0, usual.excess(seen, name) - hostile_of.get(name, 0.0))
        if name == "pages":
            rest = max(0.0, rest - churned_pages)
        if name in ("others", "files"):
            part = seen.features.get(f"{name.removesuffix('s')}_programs", 0.0)
            hostile_of[name] = rest * part
            rest *= 1.0 - part
        if rest:
            people[name] = rest
    if UNKNOWN_VECTOR in names:
        for name in ("pipelined", "malformed", "few"):
            hostile_of[name] = usual.surplus(seen, name)
    return sum(hostile_of.values()), people


SIGNS = (
    ("programs", 1),
    ("page_programs", 1),
    ("new_networks", 1),
    ("ignored_retry", 1),
    ("requests_per_address", 1),
    ("page_links", -1),
    ("page_cookies", -1),
    ("files_per_page", -1),
)
"""Features, and whether a high value speaks for an attack (1) or against it."""


def _evidence(seen: Measures, usual: Usual) -> tuple[tuple[EvidenceItem, ...], tuple[EvidenceItem, ...]]:
    """Return the evidence for an attack and against it: features that differ from the usual ones."""
    sides: dict[bool, list[tuple[float, EvidenceItem]]] = {True: [], False: []}
    for name, sign in SIGNS:
        if name not in seen.features:
            continue
        value, before = seen.features[name], usual.features.get(name, 0.0)
        moved = (value - before) * sign
        item = EvidenceItem(name, round(value, 3), round(before, 3))
        if abs(moved) > 0.1 * max(abs(before), 0.1):
            sides[moved > 0].append((abs(moved) / max(value, before, 0.1), item))
    busiest = max(
        (name for name in (*_OF_PEOPLE, *CONNECTIONS)), key=lambda name: usual.surplus(seen, name), default=""
    )
    if busiest and usual.surplus(seen, busiest) and not any(busiest in rule.of for rule in RULES):
        sides[False].append(
            (
                0.0,
                EvidenceItem(
                    figure_name(busiest),
                    round(seen.rates.get(busiest, 0.0), 1),
                    round(usual.rates.get(busiest, 0.0), 1),
                ),
            )
        )
    ordered = {
        side: tuple(item for _, item in sorted(items, key=lambda one: -one[0]))
        for side, items in sides.items()
    }
    return ordered[True][:MAX_ITEMS], ordered[False][:MAX_ITEMS]
