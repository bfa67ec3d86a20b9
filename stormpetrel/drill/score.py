"""Scores of a run: pure functions of its lines, independent of how the lines were produced.

Kept: of all requests that people wanted (first attempts; retries never count), the share served while they
still wanted it. Members: people whose credential is older than the attack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from stormpetrel.drill.percentile import percentile
from stormpetrel.drill.phases import PhaseNotice, notices
from stormpetrel.drill.record import (
    CHANNELS,
    OK,
    REFUSED,
    TIMEOUT,
    AttackSecond,
    CarrierBill,
    CpuUsage,
    FoundPost,
    Line,
    PageLook,
)
from stormpetrel.drill.scenario import Phase, Scenario
from stormpetrel.drill.status_page import PageScore, page_score

MEMBER_CHANNELS = frozenset({"apps", "web", "posting"})
TEXT_CHANNELS = frozenset({"sms_answers", "sms_deliveries"})
"""Channels of texts to members' phones."""
WINDOW_S = 10.0
WINDOW_FLOOR = 0.97
ADJACENT_FLOOR = 0.99
RECOVERED_FACTOR = 1.5
RECOVERED_SLACK_MS = 20.0
"""A smaller difference is not noticeable: on an idle server p95 is a few milliseconds, and half as much again
is noise."""
MIN_LINES = 20
"""Fewer lines than this give no meaningful 95th percentile."""
MAX_GENERATORS_SHARE = 0.5
MAX_LATE_P99_MS = 10.0
MAX_OTHERS_SHARE = 0.2
"""Highest share of the machine for processes outside the drill; above it, they starve the server."""


@dataclass(frozen=True, slots=True)
class KeptShare:
    """`ok` of `asked`."""

    ok: int
    asked: int

    @property
    def share(self) -> float:
        """Return 0 to 1; 1 without requests."""
        return self.ok / self.asked if self.asked else 1.0

    @property
    def percent(self) -> float:
        """Return 0 to 100."""
        return self.share * 100


@dataclass(frozen=True, slots=True)
class CollateralScore:
    """G2. Known identities: their number, and the names of those refused at least once. Counts by channel, by
    application, of members on shared addresses and of members on their own. `requests`: of known identities,
    retries included, that were not refused."""

    known: int
    refused: tuple[str, ...]
    by_channel: dict[str, KeptShare]
    by_app: dict[str, KeptShare]
    shared: KeptShare
    own: KeptShare
    requests: KeptShare

    @property
    def share(self) -> float:
        """Return 0 to 1."""
        return len(self.refused) / self.known if self.known else 0.0

    @property
    def shared_to_own(self) -> float:
        """Return how much more often members on shared addresses are refused; 1 if none is refused at all."""
        shared, own = 1 - self.shared.share, 1 - self.own.share
        if shared == 0:
            return 1.0 if own == 0 else 0.0
        return shared / own if own else float("inf")


@dataclass(frozen=True, slots=True)
class FrontUse:
    """A proxy in front of the instance. `cpu_s`, `server_s`: its CPU time, and that of it and the instance together.

    `sent`, `skipped`: attackers' requests that were sent, and that were not, mostly for want of a TLS handshake.
    """

    cpu_s: float
    server_s: float
    sent: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Scores:
    """All scores of one run. None: this run cannot tell.

    `restored_s`: from the beginning of a restart until members are served again. Requests and looks at the status
    page during a restart count in no other score but the posts.
    """

    kept: dict[str, KeptShare]
    kept_by_phase: dict[str, dict[str, KeptShare]]
    crowd: KeptShare | None
    collateral: CollateralScore
    mitigated_s: float | None
    windows_below: int
    adjacent_below: int
    recovered_s: float | None
    members_p99_ms: float | None
    hot_p99_ms: float | None
    calm_p95_ms: float | None
    posts: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    contract: KeptShare
    false_alarms: int
    latency: dict[str, tuple[float, float]]
    invalid: tuple[str, ...] = field(default=())
    bill: CarrierBill | None = None
    page: PageScore | None = None
    lost_texts: int = 0
    front: FrontUse | None = None
    phases: tuple[PhaseNotice, ...] | None = None
    restored_s: float | None = None


def score(
    scenario: Scenario,
    lines: Sequence[Line],
    attacks: Sequence[AttackSecond],
    found: Sequence[FoundPost],
    usage: CpuUsage | None,
    bill: CarrierBill | None = None,
    looks: Sequence[PageLook] = (),
) -> Scores:
    """Return the scores of one run."""
    lost, doubled = posts_lost(lines, found)
    restored = restored_s(scenario, lines)
    posts = len({one.text for one in lines if one.text})
    lines = [one for one in lines if not scenario.at(one.t).restarts]
    looks = [one for one in looks if not scenario.at(one.t).restarts]
    attacked = _attacked(scenario)
    under_attack = [one for one in lines if attacked(one.t)]
    judged = under_attack if any(phase.vectors for phase in scenario.phases) else list(lines)
    calm_p95 = percentile(95, (one.ms for one in _served(_members(lines)) if _before(scenario, one.t)))
    below, adjacent = windows(scenario, lines)
    return Scores(
        kept=kept_by(judged, lambda one: one.channel),
        kept_by_phase={
            phase.name: kept_by([one for one in lines if one.phase == phase.name], lambda one: one.channel)
            for phase in scenario.phases
        },
        crowd=crowd(attacks),
        collateral=collateral(judged),
        mitigated_s=mitigated_s(scenario, lines),
        windows_below=below,
        adjacent_below=adjacent,
        recovered_s=recovered_s(scenario, lines, calm_p95),
        members_p99_ms=percentile(99, (one.ms for one in _served(_members(judged)))),
        hot_p99_ms=percentile(99, (one.ms for one in _served(judged) if one.is_hot)),
        calm_p95_ms=calm_p95,
        posts=posts,
        lost=lost,
        doubled=doubled,
        contract=contract(lines),
        false_alarms=sum(one.outcome == REFUSED for one in lines if _before(scenario, one.t)),
        latency=latency(judged),
        invalid=problems(lines, usage),
        bill=bill,
        page=page_score(lines, looks),
        lost_texts=sum(one.outcome == TIMEOUT and one.channel in TEXT_CHANNELS for one in lines),
        front=front_use(attacks, usage),
        phases=notices(scenario, looks),
        restored_s=restored,
    )


def front_use(attacks: Sequence[AttackSecond], usage: CpuUsage | None) -> FrontUse | None:
    """Return the work of the front; None if the run had none."""
    if usage is None or not usage.front_s:
        return None
    return FrontUse(
        usage.front_s,
        usage.server_s,
        sum(one.sent for one in attacks),
        sum(one.skipped for one in attacks),
    )


# G1


def kept_by(lines: Iterable[Line], key: Callable[[Line], str]) -> dict[str, KeptShare]:
    """Return the kept share by `key`, counting only first attempts."""
    ok: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for one in lines:
        if not one.is_retry:
            asked[key(one)] += 1
            ok[key(one)] += one.outcome == OK
    return {name: KeptShare(ok[name], asked[name]) for name in _in_order(asked)}


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (CHANNELS.index(name) if name in CHANNELS else 99, name))


def crowd(attacks: Sequence[AttackSecond]) -> KeptShare | None:
    """Return how many of A1's crowd were served, as they are people too. None without a crowd."""
    mine = [one for one in attacks if one.vector == "A1"]
    if not mine:
        return None
    return KeptShare(sum(one.ok for one in mine), sum(one.ok + one.refused + one.failed for one in mine))


# G2


def collateral(lines: Sequence[Line]) -> CollateralScore:
    """Return how the defence treated people who were known before the attack."""
    known = [one for one in lines if one.known]
    refused = sorted({one.who for one in known if one.outcome == REFUSED})
    members = [one for one in known if one.app or one.kind == "web"]
    return CollateralScore(
        known=len({one.who for one in known}),
        refused=tuple(refused),
        by_channel=_people_kept(known, lambda one: one.channel),
        by_app=_people_kept([one for one in known if one.app], lambda one: one.app),
        shared=_people_kept(members, lambda one: str(one.address_kind != "own")).get("True", KeptShare(0, 0)),
        own=_people_kept(members, lambda one: str(one.address_kind != "own")).get("False", KeptShare(0, 0)),
        requests=KeptShare(sum(one.outcome != REFUSED for one in known), len(known)),
    )


def _people_kept(lines: Iterable[Line], key: Callable[[Line], str]) -> dict[str, KeptShare]:
    """Return by `key`: people who were never refused, of all people."""
    everybody: defaultdict[str, set[str]] = defaultdict(set)
    refused: defaultdict[str, set[str]] = defaultdict(set)
    for one in lines:
        everybody[key(one)].add(one.who)
        if one.outcome == REFUSED:
            refused[key(one)].add(one.who)
    return {
        name: KeptShare(len(everybody[name]) - len(refused[name]), len(everybody[name]))
        for name in _in_order(everybody)
    }


# G3, G4


def windows(scenario: Scenario, lines: Sequence[Line]) -> tuple[int, int]:
    """Count 10 s windows since the first attack with members below 97 %, and adjacent pairs below 99 %."""
    first = next((phase.start_s for phase in scenario.phases if phase.vectors), None)
    if first is None:
        return 0, 0
    mine = [one for one in _members(lines) if not one.is_retry]
    shares: list[float] = []
    start_s = first
    while start_s < scenario.seconds:
        inside = [one for one in mine if start_s <= one.t < start_s + WINDOW_S]
        shares.append(sum(one.outcome == OK for one in inside) / len(inside) if inside else 1.0)
        start_s += WINDOW_S
    below = sum(share < WINDOW_FLOOR for share in shares)
    adjacent = sum(a < ADJACENT_FLOOR and b < ADJACENT_FLOOR for a, b in pairwise(shares))
    return below, adjacent


def mitigated_s(scenario: Scenario, lines: Sequence[Line]) -> float | None:
    """Return the worst time, over all attack phases, until new visitors and members are served again.

    For each phase: the end of the last second with less than 97 % of the members' or 90 % of the strangers'
    requests kept, and more than one miss. 0 without such a second; the phase's whole length if it never
    ended.
    """
    attacks = [phase for phase in scenario.phases if phase.vectors and not phase.restarts]
    if not attacks:
        return None
    return max(_mitigated_s(phase, lines) for phase in attacks)


def _mitigated_s(phase: Phase, lines: Sequence[Line]) -> float:
    worst = max(_last_bad_s(phase, _members(lines), WINDOW_FLOOR), _last_bad_s(phase, _strangers(lines), 0.9))
    return min(worst, float(phase.end_s - phase.start_s))


def _last_bad_s(phase: Phase, lines: Sequence[Line], floor: float) -> float:
    """Return the end of the last second of the phase with less kept than `floor`, from its beginning; 0 without."""
    mine = [one for one in lines if not one.is_retry and phase.start_s <= one.t < phase.end_s]
    asked = Counter(int(one.t - phase.start_s) for one in mine)
    ok = Counter(int(one.t - phase.start_s) for one in mine if one.outcome == OK)
    # One miss in a second with few requests is chance, not a successful attack.
    bad = [
        second
        for second in range(int(phase.end_s - phase.start_s))
        if asked[second] - ok[second] > max(1, (1 - floor) * asked[second])
    ]
    return bad[-1] + 1.0 if bad else 0.0


def recovered_s(scenario: Scenario, lines: Sequence[Line], calm_p95_ms: float | None) -> float | None:
    """Return seconds from the last attack until the members' p95 is near the calm one; None if unknown."""
    last = max((phase.end_s for phase in scenario.phases if phase.vectors), default=None)
    if last is None or calm_p95_ms is None or last >= scenario.seconds:
        return None
    limit_ms = max(calm_p95_ms * RECOVERED_FACTOR, calm_p95_ms + RECOVERED_SLACK_MS)
    mine = [one for one in _members(lines) if not one.is_retry and one.t >= last]
    end_s = int(scenario.seconds - last)
    for second in range(end_s):
        after = [one.ms for one in mine if one.t >= last + second]
        if len(after) < MIN_LINES:
            break
        at = percentile(95, after)
        if at is not None and at <= limit_ms:
            return float(second)
    return float(end_s) if len(mine) >= MIN_LINES else None


def restored_s(scenario: Scenario, lines: Sequence[Line]) -> float | None:
    """Return the worst time from the beginning of a restart until members are served again; None without a restart.

    It is the end of the last second, in the restart and the phase after it, with less than 99 % of the members'
    requests kept and more than one miss.
    """
    times = []
    for phase in scenario.phases:
        if phase.restarts:
            end_s = scenario.at(phase.end_s).end_s
            both = Phase(phase.name, phase.start_s, end_s)
            times.append(_last_bad_s(both, _members(lines), ADJACENT_FLOOR))
    return max(times, default=None)


# G5


def latency(lines: Sequence[Line]) -> dict[str, tuple[float, float]]:
    """Return by channel: median and p99 (ms) of the requests served at the first attempt."""
    by: defaultdict[str, list[float]] = defaultdict(list)
    for one in _served(lines):
        by[one.channel].append(one.ms)
    return {name: (median(by[name]), percentile(99, by[name]) or 0.0) for name in _in_order(by)}


# G7, G8


def posts_lost(lines: Sequence[Line], found: Sequence[FoundPost]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return acknowledged texts that are missing, and texts that exist several times, acknowledged or not."""
    times = {one.text: one.times for one in found}
    acknowledged = {one.text for one in lines if one.text}
    lost = sorted(text for text in acknowledged if times.get(text, 0) < 1)
    return tuple(lost), tuple(sorted(text for text, count in times.items() if count > 1))


def contract(lines: Sequence[Line]) -> KeptShare:
    """Return how many refusals to apps and feed readers kept the contract; retries count too."""
    judged = [one.contract for one in lines if one.contract is not None]
    return KeptShare(sum(judged), len(judged))


# Validity


def problems(lines: Sequence[Line], usage: CpuUsage | None) -> tuple[str, ...]:
    """Return why the run is not valid and what to do; empty for a valid run."""
    found = list(machine_problems(usage) if usage is not None else ())
    late = percentile(99, (one.late_ms for one in lines if not one.is_retry))
    if late is not None and late > MAX_LATE_P99_MS:
        found.append(
            f"simulated users were {late:.0f} ms late themselves at p99 (at most 10 ms): stop other programs, or use "
            "a faster machine"
        )
    if not lines:
        found.append("simulated users made no requests: check the errors above, and run the drill again")
    return tuple(found)


def machine_problems(usage: CpuUsage) -> tuple[str, ...]:
    """Return those problems that take CPU from the server and could look like a successful attack."""
    found = []
    if (usage.people_s + usage.attackers_s) > usage.available_s * MAX_GENERATORS_SHARE:
        share = (usage.people_s + usage.attackers_s) / usage.available_s
        found.append(
            f"the load generators used {share * 100:.0f} % of the machine (at most 50 %): use a lower --scale, or a "
            "machine with more cores"
        )
    if usage.others_s > usage.available_s * MAX_OTHERS_SHARE:
        share = usage.others_s / usage.available_s
        found.append(
            f"other programs used {share * 100:.0f} % of the machine (at most 20 %): stop them, and run the drill "
            "again"
        )
    return tuple(found)


# Selections


def _members(lines: Iterable[Line]) -> list[Line]:
    return [one for one in lines if one.known and one.channel in MEMBER_CHANNELS]


def _strangers(lines: Iterable[Line]) -> list[Line]:
    return [one for one in lines if one.channel == "new"]


def _served(lines: Iterable[Line]) -> list[Line]:
    return [one for one in lines if one.outcome == OK and not one.is_retry]


def _attacked(scenario: Scenario) -> Callable[[float], bool]:
    spans = [(phase.start_s, phase.end_s) for phase in scenario.phases if phase.vectors]
    return lambda t: any(start_s <= t < end_s for start_s, end_s in spans)


def _before(scenario: Scenario, t: float) -> bool:
    """Return True in the calm before the first attack."""
    first = next((phase.start_s for phase in scenario.phases if phase.vectors), scenario.seconds)
    return t < first
