"""An attack as the watch records it: seconds of what came, phases in which it was alike, and the span of it all."""

from __future__ import annotations

from dataclasses import dataclass, field

VECTORS = (
    "page_flood",
    "few_sources",
    "expensive_reads",
    "sign_in_flood",
    "account_guessing",
    "shared_addresses",
    "stolen_credentials",
    "forged_credentials",
    "sms_pumping",
    "slow_connections",
    "streams",
    "write_flood",
    "connection_churn",
    "provocation",
    "expensive_bodies",
    "store_filling",
    "feeds_and_search",
)
"""The means of attack that the watch can name. docs/insight.md explains each; any other is UNKNOWN_VECTOR."""
UNKNOWN_VECTOR = "unknown"

VERDICTS = ("calm", "crowd", "attack", "mixed", "unknown")
"""The kinds of a phase: usual traffic, many people at once, an attack, both at once, or not decided."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What came and what happened to it in the `period_s` seconds up to `at_s`, on all workers together.

    - `requests`: all that came; `sampled`: those that were looked at closely.
    - `classes`, `channels`, `applications`, `known`, `known_applications`: requests by name and outcome, and
      `because`: refusals by policy line, as in shield.reports.WorkerReport.
    - `kinds`: sampled requests by kind of route; `cost_ms`: CPU time of the application in ms by the same kinds.
    - `sources`: sampled requests by class of sender; `agents`, `referrers`: by class of program and of referrer.
    - `connections`: opened in the period, and those open at its end, by state.
    - `features`: shares (0 to 1), rates per second (`…_per_s`) and other figures that cannot be added up, as listed
      in watch/phases/measures.py; `failed_sign_ins`, `most_failed` and `texts_new` are numbers of the period.
    - `texts`: text messages received ("in"), accepted by the providers ("out"), and of those received the ones from
      numbers without an account ("new"); empty without any.
    - `pages`: the paths that were requested most, with sampled requests.
    - `worst_wait_ms`, `loop_lag_ms`, `writer_wait_ms`: the worst in the period.
    """

    at_s: int
    period_s: float
    is_overloaded: bool
    requests: int = 0
    sampled: int = 0
    worst_wait_ms: float = 0.0
    loop_lag_ms: float = 0.0
    writer_wait_ms: float = 0.0
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    channels: dict[str, dict[str, int]] = field(default_factory=dict)
    applications: dict[str, dict[str, int]] = field(default_factory=dict)
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    known_applications: dict[str, dict[str, int]] = field(default_factory=dict)
    because: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    cost_ms: dict[str, float] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    agents: dict[str, int] = field(default_factory=dict)
    referrers: dict[str, int] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    features: dict[str, float] = field(default_factory=dict)
    pages: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """A measurement that speaks for or against an attack. `usual`: the same in calm. `name`: as in `features`."""

    name: str
    value: float
    usual: float


@dataclass(frozen=True, slots=True)
class NamedVector:
    """A means of attack, one of VECTORS or UNKNOWN_VECTOR. `share`: of the requests, or of the cost, 0 to 1."""

    name: str
    share: float
    evidence: tuple[EvidenceItem, ...] = ()


@dataclass(frozen=True, slots=True)
class AttackPhase:
    """A time in which the traffic was alike. `number`: unique, rising. `ended_ms`: 0 while it lasts.

    `noticed_ms`: when the watch knew of it.

    - `attack`: the number of its attack. `verdict`: one of VERDICTS.
    - `attack_share`: the part of the requests (0 to 1) that the evidence gives to the attack, the rest to people.
    - `evidence_for`, `evidence_against`: an attack, strongest first.
    - `volume_rule_says_attack`: what a rule on volume alone would have said.
    - `addresses`, `networks`: estimated numbers of different senders. `pages`: the paths requested most.
    """

    number: int
    attack: int
    began_ms: int
    ended_ms: int
    verdict: str
    attack_share: float
    vectors: tuple[NamedVector, ...] = ()
    evidence_for: tuple[EvidenceItem, ...] = ()
    evidence_against: tuple[EvidenceItem, ...] = ()
    volume_rule_says_attack: bool = False
    addresses: int = 0
    networks: int = 0
    pages: tuple[tuple[str, int], ...] = ()
    noticed_ms: int = 0


@dataclass(frozen=True, slots=True)
class AttackSpan:
    """An attack or a crowd. `number`: unique, rising.

    It begins with an overload, or by itself with a phase that is not calm: an attack that the shield absorbs without
    overload is an attack too. `onset_ms`: when the traffic became unusual, or the overload began; `noticed_ms`: when
    the watch knew; `ended_ms`: the last moment that was unusual or overloaded, 0 while it lasts.
    """

    number: int
    onset_ms: int
    noticed_ms: int
    ended_ms: int
