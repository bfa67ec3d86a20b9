"""Writes moments, phases and spans to the record of attacks, in the journal's thread.

A full or slow disk costs moments, not service: they wait in a bounded queue that drops the oldest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stormpetrel.model.attack import AttackPhase, AttackSpan, Moment
from stormpetrel.storage.attack_record import (
    FILE_NAME,
    AttackRecord,
    AttackRecordFailed,
    read_attacks,
)

MAX_WAITING = 600
LOG_EVERY_S = 60.0
_OPEN_FOR_MS = 7 * 86_400_000
"""An attack that was open when the watch ended continues, if it began no longer ago."""

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundAttack:
    """The state that the last watch left: its last numbers, an open attack, and the usual traffic, as JSON."""

    last_span: int = 0
    last_phase: int = 0
    span: AttackSpan | None = None
    phase: AttackPhase | None = None
    usual: str = ""


class AttackBook:
    """Owns the record's file. `problem`: why writing fails now, or "". `lost`: moments lost so far."""

    def __init__(self, data_dir: Path, thread: ThreadPoolExecutor) -> None:
        self.problem = ""
        self.lost = 0
        self._path = data_dir / FILE_NAME
        self._thread = thread
        self._record: AttackRecord | None = None
        self._moments: deque[tuple[int, Moment]] = deque()
        self._phases: dict[int, AttackPhase] = {}
        self._spans: dict[int, AttackSpan] = {}
        self._usual = ""
        self._logged_at_s = -LOG_EVERY_S

    def put_moment(self, attack: int, moment: Moment) -> None:
        """Queue a moment of an attack for the next `flush`."""
        if len(self._moments) >= MAX_WAITING:
            self._moments.popleft()
            self.lost += 1
        self._moments.append((attack, moment))

    def put_phase(self, phase: AttackPhase) -> None:
        """Queue a phase, replacing an earlier state of it."""
        self._phases[phase.number] = phase

    def put_span(self, span: AttackSpan) -> None:
        """Queue a span, replacing an earlier state of it."""
        self._spans[span.number] = span

    def put_usual(self, usual: str) -> None:
        """Queue the usual traffic before the attack, as JSON: after a restart, the attack must not be learnt."""
        self._usual = usual

    async def found(self, *, now_ms: int) -> FoundAttack:
        """Return the state that the last watch left; empty if the file cannot be read."""

        def read(record: AttackRecord) -> FoundAttack:
            last_span, last_phase = record.last_numbers()
            left = read_attacks(
                self._path, from_ms=now_ms - _OPEN_FOR_MS, until_ms=now_ms, with_moments=False
            )
            span = next((one for one in reversed(left.spans) if not one.ended_ms), None)
            phase = None
            if span is not None:
                phase = next(
                    (one for one in reversed(left.phases) if one.attack == span.number and not one.ended_ms),
                    None,
                )
            return FoundAttack(last_span, last_phase, span, phase, record.usual())

        if not self._path.exists():
            return FoundAttack()
        return await self._in_thread(read) or FoundAttack()

    async def flush(self) -> None:
        """Write the queue."""
        if not (self._moments or self._phases or self._spans):
            return
        moments, phases, spans = list(self._moments), dict(self._phases), dict(self._spans)
        usual = self._usual

        def write(record: AttackRecord) -> bool:
            by_attack: dict[int, list[Moment]] = {}
            for attack, moment in moments:
                by_attack.setdefault(attack, []).append(moment)
            record.write(attack=0, phases=phases.values(), spans=spans.values(), usual=usual)
            for attack, those in by_attack.items():
                record.write(attack=attack, moments=those)
            return True

        if await self._in_thread(write) is None:
            return
        for _ in range(min(len(moments), len(self._moments))):
            self._moments.popleft()
        self._usual = "" if self._usual == usual else self._usual
        for waiting, written in ((self._phases, phases), (self._spans, spans)):
            for number, one in written.items():
                if waiting.get(number) == one:
                    del waiting[number]

    async def close(self) -> None:
        """Close the file; entries not flushed before are lost. The thread ends with the journal."""

        def close(record: AttackRecord) -> None:
            record.close()

        if self._record is not None:
            await self._in_thread(close)

    async def _in_thread(self, work: Callable[[AttackRecord], T]) -> T | None:
        """Return the result of `work`, or None if the record failed; the next call then reopens it."""
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._thread, self._with_record, work)
        except AttackRecordFailed as error:
            self.problem = str(error)
            if loop.time() - self._logged_at_s >= LOG_EVERY_S:
                self._logged_at_s = loop.time()
                log.warning("the record of attacks %s cannot be used: %s", self._path, error)
            return None
        self.problem = ""
        return result

    def _with_record(self, work: Callable[[AttackRecord], T]) -> T:
        if self._record is None:
            self._record = AttackRecord(self._path)
        try:
            return work(self._record)
        except AttackRecordFailed:
            record, self._record = self._record, None
            with contextlib.suppress(Exception):
                record.close()
            raise
