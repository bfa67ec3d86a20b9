"""The canaries: use each channel every three seconds as a person would. They report and change nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

from stormpetrel.control.messages import CanaryState
from stormpetrel.shield.identify import UNKNOWN_S
from stormpetrel.storage.journal import Note
from stormpetrel.watch.metrics import CanaryFigures
from stormpetrel.watch.probe_client import NoAnswer
from stormpetrel.watch.probes import ANSWER_S, Canary, Probe, ProbeFailed, TokenUnknown

EVERY_S = 3.0
AGAIN_S = 1.0
"""Interval after a result that differs from the one before: the status page waits for the second."""
APART_S = 0.1
"""Offset between the canaries, so that they do not wait for each other."""
PATIENCE_S = 4.0
"""Longer than the deadlines of the classes K1 (2 s) and K3 (3 s). People give up a page after about this long."""
PATIENCE_OF = {"sms_out": ANSWER_S}
"""The channels with another deadline."""
RECENT = 6
"""Results in which changes are counted: a service that fails now and then never fails twice in a row."""
OUTCOMES = ("ok", "refused", "failed", "timeout")
ALARM_AFTER = 2
"""Failures in a row before a note is written: a single one may be a worker that just restarted."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class CanaryRecord:
    """Results of one canary."""

    probe: Probe
    state: CanaryState
    counts: dict[str, int] = field(default_factory=dict)
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Whether the last results are a success, the newest last."""

    def figures(self) -> CanaryFigures:
        """Return the figures for the metrics."""
        state = self.state
        is_well = state.outcome == "ok" if state.outcome else None
        return CanaryFigures(is_well, state.ms / 1000, dict(self.counts))


class Canaries:
    """The canaries of all channels. `note` receives entries for the journal.

    `seen`: their results by the name of the probe, in the order of the channels. `probes`: what they do, by default
    all that this instance has.
    """

    def __init__(
        self,
        canary: Canary,
        *,
        register: Callable[[], Awaitable[None]],
        note: Callable[[Note], None],
        now_epoch_s: Callable[[], float],
        probes: tuple[Probe, ...] = (),
    ) -> None:
        self._canary = canary
        self._register = register
        self._note = note
        self._now_epoch_s = now_epoch_s
        self._registered_at_s = -UNKNOWN_S
        self.seen = {
            probe.name: CanaryRecord(probe, CanaryState(probe.channel, probe.person, "", 0.0, 0.0, ""))
            for probe in probes or canary.probes
        }

    def states(self, channel: str) -> tuple[CanaryState, ...]:
        """Return the newest results of a channel's canaries, the member's first."""
        return tuple(seen.state for seen in self.seen.values() if seen.probe.channel == channel)

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channels that are measured here."""
        return tuple(dict.fromkeys(seen.probe.channel for seen in self.seen.values()))

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; requests in progress are then cancelled."""
        try:
            await self._enrol()
        except Exception as error:  # the errand that needs the token reports this and retries
            log.warning("the canaries have no credentials yet: %s", error)
        loops = [
            asyncio.ensure_future(self._keep_going(name, number * APART_S, stop))
            for number, name in enumerate(self.seen)
        ]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in (stopping, *loops):
                one.cancel()

    async def _keep_going(self, name: str, after_s: float, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + after_s
        while not await _paused(stop, due_s - loop.time()):
            began_s = loop.time()
            await self.go(name)
            state = self.seen[name].state
            every_s = AGAIN_S if state.in_row == 1 and not state.is_first else EVERY_S
            # Do not catch up after a slow errand.
            due_s = max(began_s + every_s, loop.time())

    async def go(self, name: str) -> None:
        """Run one errand and store its result in `seen`."""
        probe = self.seen[name].probe
        patience_s = PATIENCE_OF.get(probe.channel, PATIENCE_S)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        outcome, detail = "ok", ""
        try:
            async with asyncio.timeout(patience_s):
                try:
                    await probe.errand(self._canary, probe.person)
                except TokenUnknown:
                    if began_s - self._registered_at_s < UNKNOWN_S:
                        # Registered a moment ago; a worker may still cache that the token does not exist.
                        return
                    await self._enrol()
                    await probe.errand(self._canary, probe.person)
        except TimeoutError:
            outcome, detail = "timeout", f"no answer within {patience_s:.0f} s"
        except ProbeFailed as error:
            outcome, detail = ("refused" if error.refused else "failed"), str(error)
        except NoAnswer as error:
            outcome, detail = "failed", str(error)
        except Exception:  # at the task's edge: a bug in an errand must not end the watch
            log.exception("canary %s failed", name)
            outcome, detail = "failed", "the canary itself failed; see the log"
        self._take(name, outcome, detail, ms=(loop.time() - began_s) * 1000)

    async def _enrol(self) -> None:
        """Create the canaries' credentials. Raise NotWell."""
        await self._register()
        self._registered_at_s = asyncio.get_running_loop().time()

    def _take(self, name: str, outcome: str, detail: str, *, ms: float) -> None:
        seen = self.seen[name]
        last = seen.state
        before = last.failures
        is_same = not last.outcome or (last.outcome == "ok") == (outcome == "ok")
        in_row = last.in_row + 1 if is_same else 1
        failures = 0 if outcome == "ok" else in_row
        now_s = self._now_epoch_s()
        seen.recent.append(outcome == "ok")
        seen.state = CanaryState(
            last.channel,
            last.person,
            outcome,
            now_s,
            ms,
            detail,
            failures,
            in_row,
            is_same and last.is_first,
            sum(one is not other for one, other in pairwise(seen.recent)),
        )
        seen.counts[outcome] = seen.counts.get(outcome, 0) + 1
        if failures == ALARM_AFTER:
            text = f"canary {name} fails: {detail}"
        elif not failures and before >= ALARM_AFTER:
            text = f"canary {name} succeeds again after {before} failures"
        else:
            return
        self._note(
            Note(at_ms=int(now_s * 1000), kind="canary", text=text, channel=last.channel, because=outcome)
        )


async def _paused(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max(seconds, 0.001))
    return stop.is_set()
