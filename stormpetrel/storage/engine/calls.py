"""Calls between the event loop and the threads of a database: waiting writes, and the outcomes of all calls."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from stormpetrel.errors import Busy
from stormpetrel.model.event import Event

log = logging.getLogger(__name__)

MAX_WAITING_WRITES = 4096
"""Calls that may wait for a writer; more are refused with Busy."""
ANSWERS_AT_ONCE = 4
"""Writers of one commit that continue in the same turn of the loop."""

Outcome = tuple[asyncio.Future[Any], Any, BaseException | None, list[Event]]
"""What a call's caller waits for, its result or its error, and the events to publish."""


class Pending(Protocol):
    """Keeps events from before their COMMIT until they are published, for the case that this process is killed."""

    def note(self, events: Sequence[Event]) -> int:
        """Keep the events; return a number for `published`."""
        ...

    def published(self, number: int) -> None:
        """Forget the events with this number."""
        ...


class NothingPending:
    """Keeps no events, in a process without a bus."""

    def note(self, events: Sequence[Event]) -> int:
        return 0

    def published(self, number: int) -> None:
        return None


class Completions:
    """Pass answers from threads to the loop, many per wake-up."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, publish: Callable[[list[Event]], None], pending: Pending
    ) -> None:
        self._loop = loop
        self._publish = publish
        self._pending = pending
        self._noted: list[int] = []
        self._done: deque[Outcome] = deque()
        self._answers: deque[Outcome] = deque()
        self._awake = False
        self._lock = threading.Lock()

    def add(self, answers: list[Outcome], *, noted: Iterable[int] = ()) -> None:
        """Answer these calls soon, and forget the noted events once they are published. Called in any thread."""
        with self._lock:
            self._done.extend(answers)
            self._noted.extend(noted)
            if self._awake:
                return
            self._awake = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            # The loop has ended, so no caller waits. Committed changes stay committed.
            log.debug("a result arrived after the event loop had ended")

    def _drain(self) -> None:
        with self._lock:
            answers = list(self._done)
            self._done.clear()
            noted, self._noted = self._noted, []
            self._awake = False
        events = [event for *_, told in answers for event in told]
        try:
            if events:
                self._publish(events)
        finally:
            for number in noted:
                self._pending.published(number)
            # The changes are committed: answer the callers even if publishing the events failed.
            waited_for = bool(self._answers)
            self._answers.extend(answers)
            if not waited_for:
                self._answer_some()

    def _answer_some(self) -> None:
        """Answer a few callers per turn of the loop.

        A commit answers many at once, and each then renders a page or an entity. Between batches the loop
        handles its sockets, so that no other client waits for all of them.
        """
        for _ in range(min(ANSWERS_AT_ONCE, len(self._answers))):
            future, result, error, _told = self._answers.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if self._answers:
            self._loop.call_soon(self._answer_some)


class WriteCall:
    """A waiting write, ordered by urgency (0 first), then by arrival. `is_apart`: not to be done with others."""

    __slots__ = ("args", "deadline_at_s", "entered_at_s", "fn", "future", "is_apart", "kwargs", "order")

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        future: asyncio.Future[Any],
        order: tuple[int, int],
        deadline_at_s: float,
    ) -> None:
        self.entered_at_s = time.monotonic()
        self.fn = fn
        self.is_apart = False
        self.args = args
        self.kwargs = kwargs
        self.future = future
        self.order = order
        self.deadline_at_s = deadline_at_s

    def __lt__(self, other: WriteCall) -> bool:
        return self.order < other.order


class WriteQueue:
    """Calls by urgency; blocks the writer thread while it is empty."""

    def __init__(self) -> None:
        self._heap: list[WriteCall] = []
        self._ready = threading.Condition()
        self._closed = False
        self._count = itertools.count()

    def put(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        future: asyncio.Future[Any],
        *,
        urgency: int,
        deadline_at_s: float,
    ) -> None:
        """Add a call. Raise Busy if too many wait, or the queue is closed."""
        with self._ready:
            if self._closed:
                raise Busy("The server is stopping; nothing was stored. Please try again")
            if len(self._heap) >= MAX_WAITING_WRITES:
                raise Busy
            call = WriteCall(fn, args, kwargs, future, (urgency, next(self._count)), deadline_at_s)
            heapq.heappush(self._heap, call)
            self._ready.notify()

    def put_back(self, calls: Iterable[WriteCall]) -> None:
        """Add calls that were taken and not run to their old places, also if the queue is full or closed."""
        with self._ready:
            for call in calls:
                heapq.heappush(self._heap, call)

    def get(self, *, wait: bool) -> WriteCall | None:
        """Return the most urgent call; None if there is none and `wait` is off, or if the queue is closed."""
        with self._ready:
            while wait and not self._heap and not self._closed:
                self._ready.wait()
            return heapq.heappop(self._heap) if self._heap else None

    def close(self) -> None:
        """Take no more calls; those that wait are still returned by `get`."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def __len__(self) -> int:
        return len(self._heap)

    def wait_s(self) -> float:
        """Return how long the next call has waited; 0 if there is none."""
        with self._ready:
            return time.monotonic() - self._heap[0].entered_at_s if self._heap else 0.0
