"""A loop that looks for new messages in a directory or a database, and survives their failures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from stormpetrel.errors import Busy
from stormpetrel.gateway.provider import LinkState, NotStored

FAILED_PAUSE_S = 1.0
STOP_S = 5.0

_log = logging.getLogger("stormpetrel.sms")


async def work_until(stop: asyncio.Event, once: Callable[[], Awaitable[int]], *, every_s: float) -> None:
    """Call `once` until `stop` is set; pause for `every_s` when it did nothing, or raised Busy or NotStored."""
    while not stop.is_set():
        try:
            done = await once()
        except (Busy, NotStored):
            done = 0
        if not done:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_s)


class Poller:
    """Calls `step` every `interval_s`, or at once again while it returns True.

    A step raises OSError if its source cannot be read: the state is then DOWN, and the next step comes after
    FAILED_PAUSE_S. It is the same after NotStored, which leaves the state as it is.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], *, interval_s: float) -> None:
        self._name = name
        self._step = step
        self._interval_s = interval_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.state = LinkState.CONNECTING

    def start(self) -> None:
        """Begin to poll, in a task of the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Finish the step in progress, for STOP_S at most."""
        self._stopping.set()
        task, self._task = self._task, None
        if task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, STOP_S)
        self.state = LinkState.DOWN

    async def _run(self) -> None:
        while not self._stopping.is_set():
            pause_s = await self._one_step()
            if pause_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _one_step(self) -> float:
        """Return the seconds until the next step."""
        try:
            has_more = await self._step()
        except NotStored:
            return FAILED_PAUSE_S
        except OSError as error:
            if self.state is not LinkState.DOWN:
                _log.warning("SMS route %s cannot be polled: %s", self._name, error)
            self.state = LinkState.DOWN
            return FAILED_PAUSE_S
        except Exception:
            # A defect must not end the route: the messages wait, and each attempt is logged.
            _log.exception("SMS route %s failed", self._name)
            self.state = LinkState.DOWN
            return FAILED_PAUSE_S
        if self.state is LinkState.DOWN:
            _log.warning("SMS route %s can be polled again", self._name)
        self.state = LinkState.UP
        return 0.0 if has_more else self._interval_s
