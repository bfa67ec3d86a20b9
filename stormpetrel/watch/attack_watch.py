"""Observes the traffic: one moment a second, its phase, and the record of an attack. Time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from stormpetrel.control.messages import PhaseState
from stormpetrel.model.attack import AttackPhase, Moment
from stormpetrel.storage.journal import Note
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.attack_book import AttackBook, FoundAttack
from stormpetrel.watch.moments import MomentBuilder, summed
from stormpetrel.watch.phases.measures import Measurer, figures
from stormpetrel.watch.phases.tracker import PhaseTracker
from stormpetrel.watch.phases.usual import LEARNT_S, Usual
from stormpetrel.watch.phases.words import sentence

RING_S = 120
BEFORE_S = 60
"""Moments before an attack that are written with it. After it, those until its span ends."""
FINE_S = 1_800.0
"""For this long after its onset, each second of an attack is written; then sums of COARSE_S."""
COARSE_S = 10
LATE_S = 1.6
"""A moment ends when every worker has reported, at the latest after this long."""
TURN_S = 0.1
"""How often `turn` is to be called."""


class AttackWatch:
    """The moments, and the present phase. `builder` takes the workers' reports."""

    def __init__(self, builder: MomentBuilder, book: AttackBook, found: FoundAttack, *, at_s: float) -> None:
        self.builder = builder
        self.book = book
        self.ring: deque[Moment] = deque(maxlen=RING_S)
        self.tracker = PhaseTracker(
            usual=_usual(found),
            span=found.span,
            phase=found.phase,
            next_span=found.last_span + 1,
            next_phase=found.last_phase + 1,
            at_s=at_s,
        )
        self._measurer = Measurer()
        self._closed_s = at_s
        self._last_at_s = 0
        self._coarse: list[Moment] = []

    @property
    def verdict(self) -> str:
        """Return the verdict of the present phase; "" while nothing is unusual."""
        phase = self.tracker.phase
        return "" if phase is None else phase.verdict

    @property
    def vectors(self) -> tuple[str, ...]:
        """Return the names of the means of attack in the present phase."""
        phase = self.tracker.phase
        return () if phase is None else tuple(vector.name for vector in phase.vectors)

    def phase(self) -> PhaseState | None:
        """Return the present phase; None while nothing is unusual."""
        phase = self.tracker.phase
        if phase is None:
            return None
        return PhaseState(
            began_epoch_s=phase.began_ms / 1000,
            verdict=phase.verdict,
            attack_share=phase.attack_share,
            vectors=self.vectors,
            text=sentence(phase),
        )

    def turn(self, workers: Iterable[str], attack: Attack, *, now_epoch_s: float) -> list[Note]:
        """End the moment if it is time; return notes for the journal. `workers`: those that are alive."""
        age_s = now_epoch_s - self._closed_s
        names = set(workers)
        if not names or (age_s < LATE_S and not (age_s > 0.5 and self.builder.has_all(names))):
            return []
        self._closed_s = now_epoch_s
        self._last_at_s = max(round(now_epoch_s), self._last_at_s + 1)
        moment, samples = self.builder.close(
            at_s=self._last_at_s, is_overloaded=attack.overload_since_epoch_s > 0
        )
        seen = self._measurer.measure(moment, samples, at_s=now_epoch_s)
        moment = replace(moment, features=moment.features | figures(seen))
        usual = self.tracker.usual
        was_open, phase_before = self.tracker.span is not None, self.tracker.phase
        tracked = self.tracker.step(
            seen,
            pages=moment.pages,
            onset_epoch_s=attack.onset_epoch_s,
            overload_epoch_s=attack.overload_since_epoch_s,
        )
        span = self.tracker.span
        if span is not None and not was_open:
            self.book.put_usual(msgspec.json.encode(usual).decode())
            for before in list(self.ring)[-BEFORE_S:]:
                self.book.put_moment(span.number, before)
        self.ring.append(moment)
        phase_now = self.tracker.phase
        if phase_now is not None and (phase_before is None or phase_now.number != phase_before.number):
            self._measurer.forget(phase_now.began_ms / 1000)
        if span is not None:
            self._keep(span.number, moment, is_fine=now_epoch_s - span.onset_ms / 1000 <= FINE_S)
        if tracked.span is not None:
            self.book.put_span(tracked.span)
        for phase in tracked.phases:
            self.book.put_phase(phase)
        return _notes(tracked.began, was_open=was_open, is_over=tracked.is_over, now_epoch_s=now_epoch_s)

    def _keep(self, attack: int, moment: Moment, *, is_fine: bool) -> None:
        if is_fine:
            self.book.put_moment(attack, moment)
            return
        self._coarse.append(moment)
        if len(self._coarse) >= COARSE_S:
            coarse, self._coarse = self._coarse, []
            self.book.put_moment(attack, summed(coarse))


def _usual(found: FoundAttack) -> Usual | None:
    """Return the usual traffic as the last watch knew it; None if it had no attack."""
    if not found.usual:
        return None
    usual = msgspec.json.decode(found.usual, type=Usual)
    # Without an attack it may be of last year: a few seconds of calm count for more. It is needed if the attack is
    # there already when the server starts.
    return usual if found.span is not None else replace(usual, seconds=LEARNT_S)


def _notes(began: AttackPhase | None, *, was_open: bool, is_over: bool, now_epoch_s: float) -> list[Note]:
    if is_over:
        return [Note(at_ms=int(now_epoch_s * 1000), kind="phase", text="usual traffic again for a minute")]
    if began is None or (began.verdict == "calm" and not was_open):
        return []
    return [Note(at_ms=int(now_epoch_s * 1000), kind="phase", text=sentence(began), count=began.number)]
