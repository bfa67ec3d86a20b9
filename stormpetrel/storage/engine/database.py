"""The database of one process: reads that do not block the event loop, and durable writes in groups.

`read(fn)` and `write(fn)` run `fn(connection, …)` with many queries inside; there is no await per query.

SQLite: functions marked `hot` run inline in the loop, under a handler that aborts them after 5 ms and
repeats them in the reader thread; other reads run in the reader thread, searches in a thread of their own.
One writer thread commits all waiting calls as one transaction (sqlite_writer.py). PostgreSQL: the same threads, but a
transaction for each call, or for many plain posts; one flush to the disk makes all waiting ones durable
(postgresql_writer.py). Four writer threads wrote no more and made the loop wait for them (hot page's p99 135 ms
against 10 ms).

A write is answered only after COMMIT. If COMMIT fails, every call of its group fails with Busy. Events are
passed to `publish` in the loop before the answer, so that the writer reads its own writes.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from stormpetrel import clock
from stormpetrel.cpu import CpuMeter, current_meter
from stormpetrel.errors import Busy
from stormpetrel.model.event import Event
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.calls import (
    Completions,
    NothingPending,
    Pending,
    WriteCall,
    WriteQueue,
)
from stormpetrel.storage.engine.connection import (
    Connection,
    PostgresqlConnection,
    SqliteConnection,
    StoreConnection,
    connect,
    sqlite_path,
)
from stormpetrel.storage.engine.failures import (
    for_caller,
    past_its_time,
    server_gone,
    store_failed,
)
from stormpetrel.storage.engine.newest import newest_ms
from stormpetrel.storage.engine.postgresql_writer import PostgresqlWriter
from stormpetrel.storage.engine.slots import take_slot
from stormpetrel.storage.engine.sqlite_writer import SqliteWriter

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

HOT_LIMIT_S = 0.005
"""A hot read that takes longer is repeated in the reader thread, so that the loop can serve others."""
READ_LIMIT_S = 5.0
"""A read that takes longer is refused with Busy."""
SLOW_LIMIT_S = 0.5
"""CPU time of a search (on PostgreSQL, elapsed time); a longer one is refused, and the next one runs."""
SLOW_WAIT_S = 2.0
"""How long a search may wait for a core or the disk in addition, which is not its own cost."""
MAX_WAITING_SLOW = 16
"""Searches that may wait in a worker, with WAITING_PER_ASKER for one asker; more are refused with Busy."""
WAITING_PER_ASKER = 2
TOO_BROAD = "This search took too long and was stopped. Please look for rarer words, or within fewer days"
HANDLER_STEPS = 1000
"""SQLite machine instructions between two checks of the clock; about 20 µs."""
CLOCK_SLACK_S = 60

Read = Callable[Concatenate[Connection, P], T]
_Reads = deque[
    tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], asyncio.Future[Any], CpuMeter | None]
]


class Database:
    """The store at `url` for one process and its loop. Open it after the fork, in the loop.

    `publish` gets the events of committed writes, in order, before their callers are answered. `pending` keeps them
    from before the COMMIT until then.
    """

    def __init__(
        self,
        url: str,
        *,
        publish: Callable[[list[Event]], None] | None = None,
        pending: Pending | None = None,
    ) -> None:
        self.url = url
        self._pending = pending or NothingPending()
        self._publish = publish or (lambda events: None)
        self._inline: SqliteConnection | None = None
        self._inline_until_s = 0.0
        self._reads: _Reads = deque()
        self._reads_ready = threading.Semaphore(0)
        self._slow_reads: _Reads = deque()
        self._slow_ready = threading.Semaphore(0)
        self._slow_askers: dict[int, int] = {}
        self._writes = WriteQueue()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self.aborted_hot_reads = 0

    async def open(self) -> None:
        """Connect. Raise EnvironmentFailure if the store cannot be reached."""
        self._loop = asyncio.get_running_loop()
        self._completions = Completions(self._loop, self._publish, self._pending)
        self._slot = take_slot(self.url)
        self._ids = IdMaker(self._slot.number)
        sqlite = self.url.startswith("sqlite:///")
        opened: list[StoreConnection] = []
        try:
            opened.append(connect(self.url, writes=False))
            opened.append(connect(self.url, writes=False, limit_s=SLOW_LIMIT_S))
            opened.append(connect(self.url, ids=self._ids))
            if sqlite:
                self._inline = SqliteConnection(sqlite_path(self.url), writes=False)
                self._inline.raw.set_progress_handler(self._inline_over, HANDLER_STEPS)
        except BaseException:
            for connection in opened:
                connection.close()
            self._slot.release()
            raise
        reader, searcher, writer = opened
        # Continue after the newest row even if the clock is behind: readers ask for ids
        # larger than the last they saw.
        self._ids.go_on_after(_newest_ms(reader))
        self._start(self._read_loop, "reader", reader)
        self._start(self._slow_loop, "searcher", searcher)
        is_postgresql = isinstance(writer, PostgresqlConnection)
        self._start(self._postgresql_loop if is_postgresql else self._sqlite_loop, "writer", writer)

    def _start(self, target: Callable[[Any], None], name: str, connection: StoreConnection) -> None:
        thread = threading.Thread(target=target, args=(connection,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    async def close(self) -> None:
        """Close after all waiting writes have been committed."""
        self._closing = True
        self._writes.close()
        self._reads_ready.release()
        self._slow_ready.release()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        if self._inline is not None:
            self._inline.close()
        self._slot.release()

    @property
    def waiting_writes(self) -> int:
        """Return how many calls wait for a writer now."""
        return len(self._writes)

    def writer_wait_s(self) -> float:
        """Return how long the next write has waited: waiting for a lock shows in no other measure."""
        return self._writes.wait_s()

    # Reads

    async def read(
        self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return the result of `fn(connection, …)`. Raise Busy if the store fails or it takes too long."""
        if self._inline is not None and hasattr(fn, "hot"):
            done, result = self.read_inline(fn, *args, **kwargs)
            if done:
                return result  # type: ignore[return-value]  # done says that it is a T
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing:
            raise Busy("The server is stopping. Please try again")
        self._reads.append((fn, args, kwargs, future, current_meter.get()))
        self._reads_ready.release()
        return await future

    def read_inline(
        self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> tuple[bool, T | None]:
        """Run a hot read in the loop: return (True, result), or (False, None) if that is not possible."""
        if self._inline is None:
            return False, None
        self._inline_until_s = time.perf_counter() + HOT_LIMIT_S
        try:
            return True, fn(self._inline, *args, **kwargs)
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            if isinstance(error, sqlite3.OperationalError) and "interrupted" in str(error):
                self.aborted_hot_reads += 1
                return False, None
            raise for_caller(error, "The database cannot be read right now") from error

    def _inline_over(self) -> bool:
        return time.perf_counter() > self._inline_until_s

    async def read_slow(
        self, asker: int, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a read that may be expensive in its own thread, so that timelines do not wait for it.

        Raise Busy if it exceeds SLOW_LIMIT_S, or if too many reads wait, in all or
        of this `asker` (0: no limit).
        """
        waiting = self._slow_askers.get(asker, 0)
        if self._closing or len(self._slow_reads) >= MAX_WAITING_SLOW:
            raise Busy("Too many searches are waiting. Please try again")
        if asker and waiting >= WAITING_PER_ASKER:
            raise Busy("Your other searches are still under way. Please try again")
        future: asyncio.Future[T] = self._loop.create_future()
        self._slow_askers[asker] = waiting + 1
        self._slow_reads.append((fn, args, kwargs, future, current_meter.get()))
        self._slow_ready.release()
        try:
            return await future
        finally:
            self._slow_askers[asker] -= 1
            if not self._slow_askers[asker]:
                del self._slow_askers[asker]

    def _read_loop(self, connection: StoreConnection) -> None:
        self._run_reads(connection, self._reads, self._reads_ready, READ_LIMIT_S)

    def _slow_loop(self, connection: StoreConnection) -> None:
        self._run_reads(connection, self._slow_reads, self._slow_ready, SLOW_LIMIT_S)

    def _run_reads(
        self, connection: StoreConnection, reads: _Reads, ready: threading.Semaphore, limit_s: float
    ) -> None:
        # The clock is not checked before `free_until_s`; after it, this thread's CPU time
        # or the wall clock decides.
        free_until_s = cpu_until_s = until_s = 0.0
        slow = limit_s == SLOW_LIMIT_S
        # PostgreSQL works in another process: this thread's elapsed time is the best estimate of its cost.
        clock_s = time.thread_time if isinstance(connection, SqliteConnection) else time.perf_counter
        if isinstance(connection, SqliteConnection):

            def is_over() -> bool:
                now_s = time.perf_counter()
                return now_s > free_until_s and (time.thread_time() > cpu_until_s or now_s > until_s)

            connection.raw.set_progress_handler(is_over, HANDLER_STEPS)
        while True:
            ready.acquire()
            try:
                fn, args, kwargs, future, meter = reads.popleft()
            except IndexError:
                if self._closing:
                    connection.close()
                    return
                continue
            if future.cancelled():
                continue
            began_s = clock_s()
            cpu_until_s = began_s + limit_s
            free_until_s = time.perf_counter() + limit_s
            until_s = free_until_s + SLOW_WAIT_S if slow else free_until_s
            if slow and isinstance(connection, PostgresqlConnection):
                # Its statement limit applies to each statement, not to the whole read.
                connection.until_s = free_until_s
            result: Any = None
            error: Exception | None = None
            try:
                try:
                    result = fn(connection, *args, **kwargs)
                except Exception as raised:
                    # The server went away. A read changes nothing: repeat it once on a new connection.
                    if not (server_gone(raised) and getattr(connection.raw, "closed", False)):
                        raise
                    connection = connect(self.url, writes=False, limit_s=limit_s if slow else None)
                    result = fn(connection, *args, **kwargs)
            except Exception as raised:  # every error goes to the caller, who waits in the loop
                if slow and past_its_time(raised):
                    # The store has not failed; do not log it, because clients decide how often this happens.
                    error = Busy(TOO_BROAD)
                    error.__cause__ = raised
                else:
                    error = for_caller(raised, "The database cannot be read right now")
            if meter is not None:
                meter.add(clock_s() - began_s)
            self._completions.add([(future, result, error, [])])

    # Writes

    async def write(
        self,
        fn: Callable[Concatenate[Connection, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return the result of `fn(connection, …)` once it is durable. Raise Busy if nothing was stored."""
        return await self.write_as(1, 10.0, fn, *args, **kwargs)

    async def write_as(
        self,
        urgency: int,
        deadline_s: float,
        fn: Callable[Concatenate[Connection, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `write` with an urgency (0 first) and a limit on its wait in the queue.

        The deadline is checked when the call is taken from the queue. After that the call is never cancelled,
        even if the client has disconnected: it loses the answer, but not its post.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._writes.put(
            fn, args, kwargs, future, urgency=urgency, deadline_at_s=time.monotonic() + deadline_s
        )
        return await future

    def _next_call(self, *, wait: bool) -> WriteCall | None:
        """Return the next call that is still wanted; answer those past their deadline with Busy."""
        while True:
            call = self._writes.get(wait=wait)
            if call is None:
                return None
            if call.future.cancelled():
                continue
            if time.monotonic() > call.deadline_at_s:
                self._completions.add([(call.future, None, Busy(), [])])
                continue
            return call

    def _sqlite_loop(self, connection: SqliteConnection) -> None:
        SqliteWriter(
            connection,
            next_call=self._next_call,
            is_waiting=self._writes.__len__,
            put_back=self._writes.put_back,
            completions=self._completions,
            pending=self._pending,
        ).run()

    def _postgresql_loop(self, connection: PostgresqlConnection) -> None:
        PostgresqlWriter(
            connection,
            url=self.url,
            ids=self._ids,
            next_call=self._next_call,
            is_waiting=self._writes.__len__,
            put_back=self._writes.put_back,
            completions=self._completions,
            pending=self._pending,
            keep_slot=self._keep_slot,
        ).run()

    def _keep_slot(self) -> None:
        """Renew the slot of ids after the server was away: the lock was lost and may be another process's."""
        if not self._slot.is_held():
            self._slot.release()
            self._slot = take_slot(self.url)
            self._ids.slot = self._slot.number


def _newest_ms(connection: StoreConnection) -> int:
    try:
        found = newest_ms(connection)
    except Exception as error:
        # A store without tables, as in this file's tests.
        if store_failed(error) or "does not exist" in str(error):
            return 0
        raise
    behind_s = (found - clock.now_ms()) // 1000
    if behind_s > CLOCK_SLACK_S:
        log.error(
            "the system clock is %d s behind the newest row of the database: correct it (NTP)", behind_s
        )
    return found
