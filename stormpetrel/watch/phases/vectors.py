"""From evidence to the name of a means of attack: one table of rules.

A rule looks at the traffic above the usual, never at an absolute rate of an attack. Several rules may apply at once.
Traffic that no rule explains is called unknown.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from stormpetrel.model.attack import UNKNOWN_VECTOR, EvidenceItem, NamedVector
from stormpetrel.watch.phases.change import jensen_shannon, noise
from stormpetrel.watch.phases.cohorts import COHORTS
from stormpetrel.watch.phases.measures import Measures, figure_name
from stormpetrel.watch.phases.usual import Usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A condition of a rule: a feature between two values. A feature that was not measured is `otherwise`."""

    feature: str
    least: float = 0.0
    most: float = float("inf")
    otherwise: float = 0.0

    def is_met(self, seen: Measures) -> bool:
        """Return whether the condition holds."""
        return self.least <= seen.features.get(self.feature, self.otherwise) <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorRule:
    """`name` applies if the rates `of` are unusual, and hold at least `share` of all that came above the usual.

    `times`: the feature with the part of the rate that counts. `less`: rates that explain as much of it. `needs`:
    further conditions. `within`: names that explain it too, unless it holds at least `alone` of the surplus.
    `unless`: rates that may belong to such a name, if they are unusual, but are too few beside a crowd to show it.
    `beside`: names of attacks by few senders, which explain it too, unless it comes from MANY_NETWORKS or more.
    `most_networks`: from more networks it is something else.
    """

    name: str
    of: tuple[str, ...]
    share: float
    times: str = ""
    less: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    within: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    alone: float = 0.4
    beside: tuple[str, ...] = ()
    most_networks: float = float("inf")

    @property
    def measures(self) -> tuple[str, ...]:
        """Return the measures that the rule reads."""
        times = (self.times,) if self.times else ()
        return (*self.of, *times, *self.less, *self.unless, *(need.feature for need in self.needs))


FEW_NETWORKS = 80.0
"""Slow connections behind a proxy reach the server as bursts of requests: of 22 networks in the first second, of 120
in ten. 50 steady senders are 50 to 54 by the estimate."""
STEADY = 0.8
"""Few senders stay the same. Those of slow connections behind a proxy become more with each second: in the first ten
seconds 41 to 73 % of their requests were of senders who were there 2.5 s before, and 88 to 100 % of few senders'."""
RULES = (
    VectorRule(name="provocation", of=("claims",), share=0.02),
    VectorRule(name="expensive_bodies", of=("bodies",), share=0.05, less=("slow_bodies", "refused_bodies")),
    VectorRule(name="store_filling", of=("sign_ups",), share=0.05),
    VectorRule(name="write_flood", of=("writes",), share=0.05, within=("store_filling",), alone=0.55),
    VectorRule(
        name="account_guessing",
        of=("sign_ins",),
        share=0.02,
        needs=(Need(feature="one_account", least=0.5),),
        within=("provocation",),
        unless=("claims",),
    ),
    VectorRule(
        name="sign_in_flood",
        of=("sign_ins",),
        share=0.02,
        needs=(Need(feature="one_account", most=0.5),),
        within=("provocation",),
        unless=("claims",),
    ),
    VectorRule(name="streams", of=("streams",), share=0.1),
    VectorRule(name="stolen_credentials", of=("abused",), share=0.1),
    VectorRule(name="feeds_and_search", of=("feeds",), share=0.15),
    VectorRule(
        name="forged_credentials",
        of=("forged",),
        share=0.1,
        within=("provocation", "feeds_and_search"),
        unless=("feeds", "claims"),
    ),
    VectorRule(name="shared_addresses", of=("shared",), share=0.1, within=("provocation",)),
    VectorRule(
        name="few_sources",
        of=("few",),
        share=0.1,
        needs=(Need(feature="steady", least=STEADY, otherwise=1.0),),
        within=("provocation",),
        most_networks=FEW_NETWORKS,
    ),
    VectorRule(
        name="expensive_reads",
        of=("expensive",),
        share=0.05,
        within=("provocation",),
        beside=("few_sources", "shared_addresses"),
    ),
    VectorRule(
        name="expensive_reads",
        of=("search",),
        share=0.1,
        within=("feeds_and_search",),
        unless=("feeds",),
        alone=1.1,
        beside=("few_sources", "shared_addresses"),
    ),
    VectorRule(
        name="page_flood",
        of=("pages",),
        share=0.2,
        times="page_programs",
        less=("churned_pages",),
        needs=(Need(feature="page_programs", least=0.5),),
    ),
    VectorRule(
        name="connection_churn", of=("churn",), share=0.0, needs=(Need(feature="churn_share", least=0.3),)
    ),
    VectorRule(name="slow_connections", of=("slow",), share=0.0),
    VectorRule(name="sms_pumping", of=("texts_new",), share=0.0),
)
"""The table. A rule may be within and beside those above it only."""
MANY_NETWORKS = 120.0
"""A sender is only called heavy after some requests, and in an overload few of its requests are read. So a part of an
attack by few senders looks like light ones: of 6 to 49 networks by the estimate, where reads of an attack from
everywhere are of 106 in its first second and 500 in ten."""
ALIKE_BITS = 0.02
"""Mixes with a smaller divergence are the same, apart from chance."""
STRONG = 2.0
"""A rate this many times above its limit needs no second look."""


def explaining(names: Collection[str]) -> tuple[VectorRule, ...]:
    """Return the rules whose rates belong to an attack by these means: their own, and those within them."""
    return tuple(
        rule for rule in RULES if rule.name in names or any(one in names for one in rule.within + rule.beside)
    )


def surplus(seen: Measures, usual: Usual) -> float:
    """Return the requests per second above the usual, of all cohorts, without those of churn and slow connections.

    These are counted as connections. If their requests counted too, other attacks at the same time would have too
    small a share of all to be named.
    """
    of_connections = min(usual.surplus(seen, "pages"), usual.surplus(seen, "churned_pages"))
    of_connections += min(usual.surplus(seen, "bodies"), seen.rates.get("refused_bodies", 0.0))
    if usual.excess(seen, "slow"):
        # Slow clients send many requests on one connection and read no answer.
        of_connections += usual.surplus(seen, "pipelined")
    return max(0.0, sum(usual.surplus(seen, name) for name in COHORTS) - of_connections)


def named_vectors(seen: Measures, usual: Usual) -> tuple[NamedVector, ...]:
    """Return the means of attack that the evidence shows, the strongest first; none in calm and in a crowd."""
    if is_alike(seen, usual):
        return ()
    total = surplus(seen, usual)
    found: dict[str, NamedVector] = {}
    for rule in RULES:
        amount = _amount(rule, seen, usual)
        if not amount:
            continue
        share = min(1.0, amount / total) if total else 1.0
        if share < rule.share or not all(need.is_met(seen) for need in rule.needs):
            continue
        if share < rule.alone and (
            any(name in found for name in rule.within) or any(usual.excess(seen, of) for of in rule.unless)
        ):
            continue
        networks = max(seen.networks.get(name, 0.0) for name in rule.of)
        if networks > rule.most_networks or (
            networks < MANY_NETWORKS and any(name in found for name in rule.beside)
        ):
            continue
        before = found.get(rule.name)
        more = () if before is None else before.evidence
        share = share if before is None else min(1.0, share + before.share)
        found[rule.name] = NamedVector(rule.name, round(share, 3), (*more, *_evidence(rule, seen, usual)))
    if not found and (rest := _unexplained(seen, usual)):
        share = min(1.0, rest / total) if total else 1.0
        found[UNKNOWN_VECTOR] = NamedVector(UNKNOWN_VECTOR, round(share, 3), ())
    return tuple(sorted(found.values(), key=lambda one: -one.share))


def is_alike(seen: Measures, usual: Usual) -> bool:
    """Return whether the mix is the usual one, however much of it comes: more of everything is no attack."""
    weight = max(float(seen.sampled), sum(seen.mix.values()))
    known = usual.seconds * sum(usual.mix.values())
    if known < 1.0:
        # An instance without visitors has no usual mix that more could come of.
        return False
    chance = noise(weight, known, len(seen.mix.keys() | usual.mix.keys()))
    return jensen_shannon(seen.mix, usual.mix) - chance < ALIKE_BITS


def is_strong(seen: Measures, usual: Usual) -> bool:
    """Return whether one second alone shows an attack."""
    names = {one.name for one in named_vectors(seen, usual)}
    return any(
        rule.name in names
        and any(
            usual.excess(seen, of) > STRONG * (usual.limit(of) - usual.rates.get(of, 0.0)) for of in rule.of
        )
        for rule in RULES
    )


def _amount(rule: VectorRule, seen: Measures, usual: Usual) -> float:
    amount = sum(usual.excess(seen, name) for name in rule.of)
    if rule.times:
        amount *= seen.features.get(rule.times, 0.0)
    if rule.less and amount:
        amount -= sum(usual.surplus(seen, name) for name in rule.less)
        # The rest must be unusual by itself.
        if amount < usual.limit(rule.of[0]) - usual.rates.get(rule.of[0], 0.0):
            return 0.0
    return amount


def _unexplained(seen: Measures, usual: Usual) -> float:
    """Return the requests per second above the usual that look like a program's, and that no rule knows."""
    rest = sum(usual.excess(seen, name) for name in ("others", "pipelined", "malformed"))
    rest *= max(seen.features.get("other_programs", 0.0), 1.0 if usual.excess(seen, "malformed") else 0.0)
    # Senders of very many requests are programs too, also if they are not few.
    rest += usual.excess(seen, "few")
    return rest + usual.excess(seen, "files") * seen.features.get("file_programs", 0.0)


def _evidence(rule: VectorRule, seen: Measures, usual: Usual) -> tuple[EvidenceItem, ...]:
    rates = [
        EvidenceItem(
            figure_name(name), round(seen.rates.get(name, 0.0), 1), round(usual.rates.get(name, 0.0), 1)
        )
        for name in rule.of
    ]
    features = [
        EvidenceItem(
            need.feature,
            round(seen.features.get(need.feature, need.otherwise), 3),
            round(usual.features.get(need.feature, need.otherwise), 3),
        )
        for need in rule.needs
        if need.feature in seen.features
    ]
    return (*rates, *features)
