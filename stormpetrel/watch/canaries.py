"""The canaries: every five seconds, on every channel, what a person would meet. They report, and change nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from stormpetrel.control.messages import CanaryState
from stormpetrel.shield.identify import UNKNOWN_S
from stormpetrel.storage.journal import Note
from stormpetrel.watch.errands import ERRANDS, Canary, NotWell, TokenUnknown
from stormpetrel.watch.front_door import NoAnswer
from stormpetrel.watch.metrics import CanaryFigures

EVERY_S = 5.0
APART_S = 0.1
"""The channels go one after the other, so that they do not wait for each other."""
PATIENCE_S = 10.0
"""The deadline of what matters most (K0): after it nobody waits for an answer any more."""
OUTCOMES = ("ok", "refused", "failed", "timeout")
ALARM_AFTER = 2
"""Failures in a row that are written down as one: a single one may be a worker that was just started again."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seen:
    """What the canary of one channel has seen."""

    state: CanaryState
    counts: dict[str, int] = field(default_factory=dict)

    def figures(self) -> CanaryFigures:
        """For the metrics."""
        state = self.state
        is_well = state.outcome == "ok" if state.outcome else None
        return CanaryFigures(is_well, state.ms / 1000, dict(self.counts))


class Canaries:
    """The canaries of all channels. `note` gets what is to be written down."""

    def __init__(
        self,
        canary: Canary,
        *,
        register: Callable[[], Awaitable[None]],
        note: Callable[[Note], None],
        now_epoch_s: Callable[[], float],
    ) -> None:
        self._canary = canary
        self._register = register
        self._note = note
        self._now_epoch_s = now_epoch_s
        self._registered_at_s = -UNKNOWN_S
        self.seen = {channel: Seen(CanaryState(channel, "", 0.0, 0.0, "", 0)) for channel in ERRANDS}

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set; what is under way then is given up."""
        try:
            await self._enrol()
        except Exception as error:  # as below: the errand that needs it says so, and asks again
            log.warning("the canaries have no credentials yet: %s", error)
        loops = [
            asyncio.ensure_future(self._keep_going(channel, number * APART_S, stop))
            for number, channel in enumerate(ERRANDS)
        ]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in (stopping, *loops):
                one.cancel()

    async def _keep_going(self, channel: str, after_s: float, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + after_s
        while not await _paused(stop, due_s - loop.time()):
            await self.go(channel)
            # Never in a hurry to make up for what took long.
            due_s = max(due_s + EVERY_S, loop.time())

    async def go(self, channel: str) -> None:
        """One errand; what came of it is in `seen`."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        outcome, detail = "ok", ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                try:
                    await ERRANDS[channel](self._canary)
                except TokenUnknown:
                    if began_s - self._registered_at_s < UNKNOWN_S:
                        # Registered a moment ago; a worker may still remember that there was no such token.
                        return
                    await self._enrol()
                    await ERRANDS[channel](self._canary)
        except TimeoutError:
            outcome, detail = "timeout", f"no answer within {PATIENCE_S:.0f} s"
        except NotWell as error:
            outcome, detail = ("refused" if error.refused else "failed"), str(error)
        except NoAnswer as error:
            outcome, detail = "failed", str(error)
        except Exception:  # a task's edge: an errand that is wrong itself must not end the watch
            log.exception("canary %s failed", channel)
            outcome, detail = "failed", "the canary itself failed; see the log"
        self._take(channel, outcome, detail, ms=(loop.time() - began_s) * 1000)

    async def _enrol(self) -> None:
        """Makes the canaries' credentials. Raises NotWell."""
        await self._register()
        self._registered_at_s = asyncio.get_running_loop().time()

    def _take(self, channel: str, outcome: str, detail: str, *, ms: float) -> None:
        seen = self.seen[channel]
        before = seen.state.failures
        failures = 0 if outcome == "ok" else before + 1
        now_s = self._now_epoch_s()
        seen.state = CanaryState(channel, outcome, now_s, ms, detail, failures)
        seen.counts[outcome] = seen.counts.get(outcome, 0) + 1
        if failures == ALARM_AFTER:
            text = f"canary {channel} fails: {detail}"
        elif not failures and before >= ALARM_AFTER:
            text = f"canary {channel} succeeds again after {before} failures"
        else:
            return
        self._note(Note(at_ms=int(now_s * 1000), kind="canary", text=text, channel=channel, because=outcome))


async def _paused(stop: asyncio.Event, seconds: float) -> bool:
    """Waits; True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max(seconds, 0.001))
    return stop.is_set()
