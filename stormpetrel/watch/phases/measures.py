"""The measures of a second: rates per second by cohort and of connections, and shares of the sample."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stormpetrel.model.attack import Moment
from stormpetrel.shield.evidence import AGENTS, HAS_COOKIE, MEMBER, SOURCES, SampledRequest
from stormpetrel.watch.phases.cohorts import (
    COHORTS,
    WINDOW_S,
    Sampled,
    came_by_a_link,
    cohort_of,
    distinct,
    heavy_senders,
    is_like_a_program,
    is_young_write,
)

SENDERS_S = 10.0
"""The time in which different senders are counted."""
STEADY_AFTER_S = 2.5
"""A sender that is still there after this time stays. The senders of the same attack then, and now, are compared …"""
STEADY_RATE = 0.25
"""… if then this part of the present requests came from heavy senders already."""
SLOW_STATES = ("slow_head", "slow_body", "unread", "silent")
CONNECTIONS = ("churn", "slow", "texts_new", "malformed")
"""Besides cohorts: connections that were reset or not used, those that wait for a slow client (open at the end),
texts from numbers that are new, and requests that could not be read."""
SLOW_WEIGHT = 0.5
"""Of an open slow connection in the mix, beside rates per second."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one second, or the means of several.

    `rates`: per second, by cohort, by CONNECTIONS, and requests, opened, failed, most_failed, cost_ms,
    churned_pages (asked on connections that were reset). `features`: shares and estimates. `mix`, `sources`,
    `agents`: weights. `sampled`: requests that were looked at. `networks`: an estimate of the different
    networks of each cohort in the last SENDERS_S.
    """

    at_s: float
    rates: dict[str, float] = field(default_factory=dict)
    features: dict[str, float] = field(default_factory=dict)
    mix: dict[str, float] = field(default_factory=dict)
    sources: dict[str, float] = field(default_factory=dict)
    agents: dict[str, float] = field(default_factory=dict)
    sampled: int = 0
    networks: dict[str, float] = field(default_factory=dict)


STOCKS = frozenset({"slow", "slow_bodies", "open_streams"})
"""Rates that are numbers of open connections, not per second."""


def figure_name(rate: str) -> str:
    """Return the name of a rate among the features of a moment: with its unit."""
    return rate if rate in STOCKS or rate.endswith("_ms") else f"{rate}_per_s"


def figures(seen: Measures) -> dict[str, float]:
    """Return all measures as the features of a moment."""
    rates = {figure_name(name): rate for name, rate in seen.rates.items() if rate}
    return {name: round(value, 3) for name, value in (rates | seen.features).items()}


class Measurer:
    """Measures one second after the other; it remembers the samples of the last SENDERS_S."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, tuple[Sampled, ...]]] = deque()
        self._networks: deque[tuple[float, dict[str, list[int]]]] = deque()
        self._few: deque[tuple[float, float]] = deque()

    def forget(self, until_s: float) -> None:
        """Drop the samples of seconds that ended until then: a new phase has other senders."""
        while self._samples and self._samples[0][0] <= until_s:
            self._samples.popleft()
        while self._networks and self._networks[0][0] <= until_s:
            self._networks.popleft()
        while self._few and self._few[0][0] <= until_s:
            self._few.popleft()

    def measure(self, moment: Moment, samples: tuple[Sampled, ...], *, at_s: float) -> Measures:
        """Return the measures of the second up to `at_s`. `samples`: of each worker."""
        self.forget(at_s - SENDERS_S)
        kept = self._samples
        kept.append((at_s, moment.period_s, samples))
        window = [(period_s, parts) for came_s, period_s, parts in kept if came_s > at_s - WINDOW_S]
        heavy = heavy_senders(
            [part for _, parts in window for part in parts],
            seconds=max(WINDOW_S, sum(p for p, _ in window)),
            last=samples,
        )
        weights: dict[str, float] = dict.fromkeys(COHORTS, 0.0)
        count_of: Counter[str] = Counter()
        found: Counter[str] = Counter()
        sources: Counter[int] = Counter()
        agents: Counter[int] = Counter()
        networks: dict[str, list[int]] = {}
        few: list[int] = []
        gone = 0.0
        for part in samples:
            for row in part.rows:
                cohort = cohort_of(row, heavy)
                if cohort == "few":
                    few.append(row.address)
                weights[cohort] += part.weight
                count_of[cohort] += 1
                sources[row.source] += 1
                agents[row.agent] += 1
                if row.address:
                    networks.setdefault(cohort, []).append(row.network)
                elif cohort == "pages":
                    gone += part.weight
                if row.source != MEMBER:
                    _note(found, row, cohort)
                elif cohort == "writes":
                    found["young"] += is_young_write(row)
        self._networks.append((at_s, networks))
        period_s = moment.period_s or 1.0
        rates = {name: weight / period_s for name, weight in weights.items()} | _rates(moment, period_s)
        rates["churned_pages"] = _churned_pages(rates, gone / period_s)
        features = _features(rates, count_of, found) | _senders(
            part for _, _, parts in kept for part in parts
        )
        features |= self._steady(few, rates["few"], at_s)
        mix = {name: rates[name] for name in (*COHORTS, *CONNECTIONS) if rates[name]}
        mix["slow"] = rates["slow"] * SLOW_WEIGHT
        return Measures(
            at_s,
            rates,
            features,
            mix,
            {SOURCES[number]: float(count) for number, count in sources.items()},
            {AGENTS[number]: float(count) for number, count in agents.items()},
            sum(sources.values()),
            self._networks_of(networks),
        )

    def _steady(self, few: Sequence[int], rate: float, at_s: float) -> dict[str, float]:
        """Return the share of the heavy senders' requests that come from senders who were there before.

        Empty while their traffic is too young to say so.
        """
        before_s = at_s - STEADY_AFTER_S
        was_there = any(then >= STEADY_RATE * rate for came_s, then in self._few if came_s <= before_s)
        self._few.append((at_s, rate))
        if not few or not was_there:
            return {}
        senders: set[int] = set()
        for came_s, _, parts in self._samples:
            if came_s <= before_s:
                senders.update(*(part.asked for part in parts))
        return {"steady": sum(address in senders for address in few) / len(few)}

    def _networks_of(self, cohorts: Iterable[str]) -> dict[str, float]:
        """Return estimates of how many networks the requests of each cohort came from in the last SENDERS_S."""
        return {
            name: distinct([one for _, second in self._networks for one in second.get(name, ())])
            for name in cohorts
        }


def _note(found: Counter[str], row: SampledRequest, cohort: str) -> None:
    """Count the marks of a stranger's request."""
    found["strangers"] += 1
    is_program = is_like_a_program(row)
    found["programs"] += is_program
    found["new"] += SOURCES[row.source] == "new_network"
    if cohort == "pages":
        found["page_programs"] += is_program
        found["page_links"] += came_by_a_link(row)
        found["page_cookies"] += bool(row.flags & HAS_COOKIE)
    elif cohort == "files":
        found["file_programs"] += is_program
    elif cohort in ("others", "pipelined"):
        found["other_programs"] += is_program


def _churned_pages(rates: Mapping[str, float], gone: float) -> float:
    """Return how many pages were asked on connections that were reset. `gone`: before the request was read.

    Soon after the beginning of a flood most are reset later than that. Then all that asked something readable count.
    """
    asked = max(0.0, rates["churn"] - rates["malformed"])
    return min(rates["pages"], gone if gone >= asked / 2 else asked)


def _rates(moment: Moment, period_s: float) -> dict[str, float]:
    connections, features = moment.connections, moment.features
    return {
        "requests": moment.requests / period_s,
        "opened": connections.get("opened", 0) / period_s,
        "churn": (connections.get("reset", 0) + connections.get("unused", 0)) / period_s,
        "slow": float(sum(connections.get(name, 0) for name in SLOW_STATES)),
        "slow_bodies": float(connections.get("slow_body", 0) + connections.get("new", 0)),
        # Too large, and refused before it was read: it costs nothing.
        "refused_bodies": moment.because.get("edge/body-too-large", 0) / period_s,
        "open_streams": float(connections.get("streams", 0)),
        "malformed": sum(count for name, count in moment.because.items() if name.startswith("edge/"))
        / period_s,
        "texts_new": features.get("texts_new", 0.0) / period_s,
        "failed": features.get("failed_sign_ins", 0.0) / period_s,
        "most_failed": features.get("most_failed", 0.0) / period_s,
        "cost_ms": sum(moment.cost_ms.values()) / period_s,
    }


def _features(
    rates: Mapping[str, float], count_of: Mapping[str, int], found: Mapping[str, int]
) -> dict[str, float]:
    strangers, pages = found["strangers"], count_of["pages"]
    others = count_of["others"] + count_of["pipelined"]
    features: dict[str, float] = {}
    if strangers:
        features["programs"] = found["programs"] / strangers
        features["new_networks"] = found["new"] / strangers
    if pages:
        features["page_programs"] = found["page_programs"] / pages
        features["page_links"] = found["page_links"] / pages
        features["page_cookies"] = found["page_cookies"] / pages
        features["files_per_page"] = rates["files"] / rates["pages"]
    if count_of["files"]:
        features["file_programs"] = found["file_programs"] / count_of["files"]
    if others:
        features["other_programs"] = found["other_programs"] / others
    if count_of["writes"]:
        features["young_writes"] = found["young"] / count_of["writes"]
    if rates["failed"]:
        features["one_account"] = rates["most_failed"] / rates["failed"]
    if rates["opened"]:
        features["churn_share"] = min(1.0, rates["churn"] / rates["opened"])
    return features


def _senders(samples: Iterable[Sampled]) -> dict[str, float]:
    """Return estimates of how many strangers sent the requests of the samples, and how many each."""
    rows: list[SampledRequest] = []
    came = 0.0
    for part in samples:
        strangers = [row for row in part.rows if row.source != MEMBER and row.address]
        rows += strangers
        came += part.weight * len(strangers)
    if not rows:
        return {}
    addresses = min(distinct([row.address for row in rows]), came)
    return {
        "addresses": addresses,
        "networks": min(distinct([row.network for row in rows]), addresses),
        "requests_per_address": came / max(1.0, addresses),
    }


def mean(several: Sequence[Measures]) -> Measures:
    """Return the means of the measures of several seconds. Raise ValueError for none."""
    if not several:
        raise ValueError("no measures")
    if len(several) == 1:
        return several[0]

    def of(parts: Sequence[Mapping[str, float]], *, is_share: bool = False) -> dict[str, float]:
        total: dict[str, float] = {}
        times: Counter[str] = Counter()
        for part in parts:
            for name, value in part.items():
                total[name] = total.get(name, 0.0) + value
                times[name] += 1
        return {name: value / (times[name] if is_share else len(parts)) for name, value in total.items()}

    rates = of([one.rates for one in several])
    features = of([one.features for one in several], is_share=True)
    if rates.get("failed"):
        features["one_account"] = rates["most_failed"] / rates["failed"]
    return Measures(
        several[-1].at_s,
        rates,
        features,
        of([one.mix for one in several]),
        of([one.sources for one in several]),
        of([one.agents for one in several]),
        sum(one.sampled for one in several),
        of([one.networks for one in several], is_share=True),
    )
