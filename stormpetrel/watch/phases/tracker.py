"""Follows the traffic second by second: notices unusual traffic, divides it into phases, and ends the span.

A span begins when an overload begins, or by itself when a phase is not calm: an attack that the shield absorbs does
not overload the server. It ends after CALM_S without either.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from stormpetrel.model.attack import AttackPhase, AttackSpan
from stormpetrel.watch.phases.change import Cusum, added, jensen_shannon, noise, split
from stormpetrel.watch.phases.measures import Measures, mean
from stormpetrel.watch.phases.usual import WATCHED, Usual
from stormpetrel.watch.phases.vectors import is_strong
from stormpetrel.watch.phases.verdict import CALM, TrafficFinding, find, volume_rule

CALM_S = 60.0
RECENT_S = 2
"""Seconds that are compared with the phase before."""
LOOK_BACK_S = 6
"""A boundary is at most this long ago when it is noticed."""
LEAST_PHASE_S = 2.0
MEAN_S = 15
"""A phase is named by the mean of at most its last seconds, this many."""
CHANGED_BITS = 0.03
"""The divergence of two mixes, beyond chance, from which they are two phases if they have two names."""
STRONG_BITS = 0.45
"""From here they are two phases, even if both have the same name."""
LEVEL_SLACK = 0.35
LEVEL_SUM = 1.2
"""Of the CUSUM of the logarithm of all rates: twice as much for four seconds, five times as much for one."""
LEAST_LOAD_PER_S = 20.0
"""Requests, in the last LOOK_BACK_S. With fewer, and nothing unusual, an overload has another cause: a slow disk, or
another program on the machine."""
VOLUME_S = 20
LASTING_MEMORY_S = 1_800.0
"""Lasting traffic becomes usual: the memory of means during a crowd, or during traffic without a name."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """The result of a second. `span`, `phases`: to be written, as they are new or changed.

    `began`: a phase that is new or has another name now. `is_over`: the span has ended.
    """

    span: AttackSpan | None = None
    phases: tuple[AttackPhase, ...] = ()
    began: AttackPhase | None = None
    is_over: bool = False


class PhaseTracker:
    """The tracker's state. `usual`: the traffic that it has learnt; `span`, `phase`: the present ones, None in calm.

    `next_span`, `next_phase`: the numbers of the next ones.
    """

    def __init__(
        self,
        *,
        usual: Usual | None = None,
        span: AttackSpan | None = None,
        phase: AttackPhase | None = None,
        next_span: int = 1,
        next_phase: int = 1,
        at_s: float = 0.0,
    ) -> None:
        self.usual = usual or Usual()
        self.span = span
        self.phase = phase
        self.next_span = next_span
        self.next_phase = next_phase
        self._recent: deque[Measures] = deque(maxlen=max(MEAN_S, LOOK_BACK_S) + RECENT_S)
        self._requests: deque[float] = deque(maxlen=VOLUME_S)
        self._in_phase: deque[Measures] = deque(maxlen=MEAN_S)
        self._finding = CALM
        self._unusual_at_s = at_s
        self._level = Cusum()
        self._suspected = 0

    def step(
        self, seen: Measures, *, pages: dict[str, int], onset_epoch_s: float, overload_epoch_s: float
    ) -> Tracked:
        """Take the measures of one second. `onset_epoch_s`, `overload_epoch_s`: of watch.attack.Attack; 0 for none.

        `pages`: the paths requested most in that second.
        """
        self._recent.append(seen)
        self._requests.append(seen.rates.get("requests", 0.0))
        now = find(seen, self.usual)
        if self.span is None:
            return self._calm(seen, now, pages, onset_epoch_s, overload_epoch_s)
        return self._attacked(seen, now, pages, overload_epoch_s)

    def _calm(
        self,
        seen: Measures,
        now: TrafficFinding,
        pages: dict[str, int],
        onset_epoch_s: float,
        overload_epoch_s: float,
    ) -> Tracked:
        if now.verdict == "calm":
            self._suspected = 0
            if not overload_epoch_s or self._is_idle:
                self.usual = self.usual.learn(seen)
                return Tracked()
        else:
            self._suspected += 1
            if self._suspected < RECENT_S and not overload_epoch_s and not is_strong(seen, self.usual):
                return Tracked()
        began_s = self._change_s(seen)
        onset_s = min(began_s, overload_epoch_s or began_s)
        if onset_epoch_s:
            onset_s = min(onset_s, max(onset_epoch_s, seen.at_s - VOLUME_S))
        self.span = AttackSpan(self.next_span, int(onset_s * 1000), int(seen.at_s * 1000), 0)
        self.next_span += 1
        self._unusual_at_s = seen.at_s
        return self._begin(onset_s, pages)

    @property
    def _is_idle(self) -> bool:
        recent = list(self._requests)[-LOOK_BACK_S:]
        return sum(recent) < LEAST_LOAD_PER_S * len(recent)

    def _attacked(
        self, seen: Measures, now: TrafficFinding, pages: dict[str, int], overload_epoch_s: float
    ) -> Tracked:
        assert self.span is not None
        if now.verdict != "calm" or overload_epoch_s:
            self._unusual_at_s = seen.at_s
        elif seen.at_s - self._unusual_at_s >= CALM_S:
            return self._end()
        if self.phase is None:
            return self._begin(seen.at_s - 1.0, pages)
        if self._has_changed(seen):
            began_s = self.phase.began_ms / 1000
            is_calm = self._finding.verdict == "calm"
            boundary_s = self._change_s(seen) if is_calm else self._boundary_s(began_s)
            if boundary_s - began_s >= LEAST_PHASE_S:
                ended = self._ended(boundary_s)
                begun = self._begin(boundary_s, pages)
                return replace(begun, phases=(*ended, *begun.phases))
            # The beginning of this phase was mixed with the one before.
            while self._in_phase and self._in_phase[0].at_s <= boundary_s:
                self._in_phase.popleft()
        self._in_phase.append(seen)
        if now.verdict == self._finding.verdict:
            self._learn_what_lasts(seen)
        before = self.phase.verdict, {vector.name for vector in self.phase.vectors}
        self.phase = self._told(self.phase, pages)
        is_new = before != (self.phase.verdict, {vector.name for vector in self.phase.vectors})
        return Tracked(None, (self.phase,), self.phase if is_new else None)

    def _has_changed(self, seen: Measures) -> bool:
        """Return whether the last RECENT_S seconds are another phase than those before them."""
        assert self.phase is not None
        past = list(self._in_phase)
        recent = list(self._recent)[-RECENT_S:]
        if seen.at_s - self.phase.began_ms / 1000 < LEAST_PHASE_S + RECENT_S or len(past) < RECENT_S:
            self._level = Cusum()
            return False
        # The first second may be half of the phase before, and the last of the past the first of the new one.
        before, after = mean(past[1:-1] or past), mean(recent)
        level = sum(seen.mix.values())
        self._level = self._level.step(level, sum(before.mix.values()), slack=LEVEL_SLACK)
        distance = max(
            _distance(before, after, before.mix, after.mix),
            _distance(before, after, before.sources, after.sources),
            _distance(before, after, before.agents, after.agents),
        )
        is_other_level = max(self._level.above, self._level.below) > LEVEL_SUM
        if distance > STRONG_BITS:
            return True
        # A small attack hardly changes the mix of calm. Without a boundary, the calm before it would get its name.
        if distance > CHANGED_BITS or is_other_level or self._finding.verdict == "calm":
            label = find(after, self.usual).label
            return label == find(seen, self.usual).label != find(before, self.usual).label
        return False

    def _boundary_s(self, began_s: float) -> float:
        """Return when the phase changed, in the last LOOK_BACK_S seconds, and after its first second."""
        recent = [one for one in list(self._recent)[-LOOK_BACK_S:] if one.at_s > began_s + 1.5]
        at = split([one.mix for one in recent])
        return recent[max(0, at - 1)].at_s

    def _change_s(self, seen: Measures) -> float:
        """Return when the traffic became unusual: the beginning of the first second of the last run that was."""
        began_s = seen.at_s - 1.0
        for one in reversed(list(self._recent)[-LOOK_BACK_S:]):
            if not any(
                one.rates.get(name, 0.0) - self.usual.rates.get(name, 0.0)
                > (self.usual.limit(name) - self.usual.rates.get(name, 0.0)) / 2
                for name in WATCHED
            ):
                break
            began_s = one.at_s - 1.0
        return began_s

    def _begin(self, began_s: float, pages: dict[str, int]) -> Tracked:
        assert self.span is not None
        self._in_phase.clear()
        self._in_phase.extend(one for one in self._recent if one.at_s > began_s + 0.5)
        if not self._in_phase:
            self._in_phase.append(self._recent[-1])
        self._level = Cusum()
        noticed_ms = int(self._recent[-1].at_s * 1000)
        phase = AttackPhase(
            self.next_phase,
            self.span.number,
            int(began_s * 1000),
            0,
            "unknown",
            0.0,
            noticed_ms=noticed_ms,
        )
        self.next_phase += 1
        self.phase = self._told(phase, pages)
        return Tracked(self.span, (self.phase,), self.phase)

    def _told(self, phase: AttackPhase, pages: dict[str, int]) -> AttackPhase:
        """Return the phase as its seconds so far show it."""
        past = list(self._in_phase)
        # The first second may be half of the phase before.
        seen = mean(past[1:] if len(past) > RECENT_S else past)
        finding = self._finding = find(seen, self.usual)
        addresses = seen.features.get("addresses", 0.0)
        most = dict(phase.pages)
        for path, count in pages.items():
            most[path] = most.get(path, 0) + count
        ranked = sorted(most.items(), key=lambda item: (-item[1], item[0]))[:20]
        return replace(
            phase,
            verdict=finding.verdict,
            attack_share=finding.attack_share,
            vectors=finding.vectors,
            evidence_for=finding.evidence_for,
            evidence_against=finding.evidence_against,
            volume_rule_says_attack=phase.volume_rule_says_attack or volume_rule(list(self._requests)),
            addresses=max(phase.addresses, round(addresses)),
            networks=max(phase.networks, round(seen.features.get("networks", 0.0))),
            pages=tuple(ranked),
        )

    def _ended(self, at_s: float) -> tuple[AttackPhase, ...]:
        if self.phase is None:
            return ()
        ended = replace(self.phase, ended_ms=max(int(at_s * 1000), self.phase.began_ms + 1))
        self.phase = None
        return (ended,)

    def _end(self) -> Tracked:
        assert self.span is not None
        ended = self._ended(self._recent[-1].at_s)
        span = replace(self.span, ended_ms=int(self._unusual_at_s * 1000))
        self.span = None
        self._suspected = 0
        self._finding = CALM
        return Tracked(span, ended, None, is_over=True)

    def _learn_what_lasts(self, seen: Measures) -> None:
        if self._finding.verdict == "calm":
            self.usual = self.usual.learn(seen)
        elif self._finding.verdict in ("crowd", "unknown"):
            self.usual = self.usual.learn(seen, memory_s=LASTING_MEMORY_S)


def _distance(before: Measures, after: Measures, one: dict[str, float], other: dict[str, float]) -> float:
    """Return the divergence of two mixes in bits, without the part that chance gives."""
    # Connections are counted and not sampled: at least these many give the mix.
    count_one = max(before.sampled, sum(one.values()))
    count_other = max(after.sampled, sum(other.values()))
    return jensen_shannon(one, other) - 3 * noise(count_one, count_other, len(added([one, other])))
