"""The writer of one process on PostgreSQL: a transaction for each call, and one flush to the disk for several.

While more calls wait, a transaction commits without waiting for the disk; its caller is answered when the last one of
the group is flushed, which flushes all before it. A transaction of its own for each call keeps its row locks short,
and its failure changes no other call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from stormpetrel.errors import Busy, OutcomeUnknown
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.calls import Completions, Outcome, WriteCall
from stormpetrel.storage.engine.connection import PostgresqlConnection, TransactionId
from stormpetrel.storage.engine.failures import for_caller, server_gone, to_be_repeated
from stormpetrel.storage.engine.outcome import outcomes

log = logging.getLogger(__name__)

GROUP_CALLS = 128
"""Maximum of calls in one group: on SQLite it bounds how long another process's writer waits for the lock."""
GROUP_S = 0.05
"""Maximum time that a group spends on calls before it commits."""
RETRIES = 3
"""Retries of a transaction that met a concurrent one (a deadlock, the same row made twice)."""


class NextCall(Protocol):
    """Returns the next write; None if there is none and `wait` is off, or if the store closes."""

    def __call__(self, *, wait: bool) -> WriteCall | None: ...


class _Held(NamedTuple):
    """The answer to a call whose transaction was committed and not flushed yet."""

    answer: Outcome
    transaction_id: TransactionId


class PostgresqlWriter:
    """Runs the writes of a process until the store closes. `run` is the writer thread.

    `is_waiting` returns how many calls wait; `keep_slot` renews the slot of ids after the server was away.
    """

    def __init__(
        self,
        connection: PostgresqlConnection,
        *,
        url: str,
        ids: IdMaker,
        next_call: NextCall,
        is_waiting: Callable[[], int],
        completions: Completions,
        keep_slot: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._url = url
        self._ids = ids
        self._next_call = next_call
        self._is_waiting = is_waiting
        self._completions = completions
        self._keep_slot = keep_slot
        # Of the present group: answers that may be given, and those that wait for a flush.
        self._answers: list[Outcome] = []
        self._held: list[_Held] = []

    def run(self) -> None:
        """Run groups of calls until the store closes."""
        while (call := self._next_call(wait=True)) is not None:
            self._completions.add(self._group(call))
        self._connection.close()

    def _group(self, first: WriteCall) -> list[Outcome]:
        """Run `first` and other waiting calls; return all answers once the changes are durable."""
        self._answers = []
        end_at_s = time.monotonic() + GROUP_S
        call: WriteCall | None = first
        count = 0
        while call is not None:
            count += 1
            goes_on = count < GROUP_CALLS and time.monotonic() < end_at_s
            self._answer(call, goes_on=goes_on)
            call = self._next_call(wait=False) if goes_on else None
        if self._held:
            # The last call failed, or was no longer wanted.
            try:
                self._connection.flush()
                self._release()
            except Exception as error:
                log.error("the database failed: %s", error)
                self._settle()
        return self._answers

    def _answer(self, call: WriteCall, *, goes_on: bool) -> None:
        """Run a call, again after a conflict, or on a new connection if nothing was done on the old one."""
        for attempt in range(RETRIES + 1):
            try:
                self._run(call, goes_on=goes_on)
                return
            except Exception as raised:  # every error goes to the caller, who waits in the loop
                error = raised
            if to_be_repeated(error):
                log.info("a write conflicted with another one; retrying (%d of %d)", attempt + 1, RETRIES)
                continue
            connection = self._connection
            away = server_gone(error) and connection.raw.closed
            if attempt or not away or connection.is_begun:
                break
        self._answers.append((call.future, None, for_caller(error, None), []))

    def _run(self, call: WriteCall, *, goes_on: bool) -> None:
        """Run a call in a transaction and commit it. Raise its error, with nothing changed."""
        if self._connection.raw.closed:
            self._reconnect()
        connection = self._connection
        connection.events = []
        connection.begin(is_pipelined=True)
        try:
            result = call.fn(connection, *call.args, **call.kwargs)
        except BaseException:
            connection.rollback()
            raise
        is_flushed = not (goes_on and self._is_waiting())
        self._commit(is_flushed=is_flushed)
        answer: Outcome = (call.future, result, None, connection.events)
        if is_flushed:
            self._release()
            self._answers.append(answer)
        else:
            assert connection.transaction_id is not None
            self._held.append(_Held(answer, connection.transaction_id))

    def _commit(self, *, is_flushed: bool) -> None:
        """Commit. If no answer comes, find out the outcome: raise only if it was undone or is unknown."""
        connection = self._connection
        try:
            connection.commit(is_flushed=is_flushed, has_predecessors=bool(self._held))
        except Exception as error:
            begun = connection.transaction_id
            if not (server_gone(error) and connection.raw.closed and begun is not None):
                raise
            committed = outcomes(self._url, [begun])[begun]
            if committed is None:
                raise OutcomeUnknown from error
            if not committed:
                raise

    def _release(self) -> None:
        """Give the answers that waited for a flush: the log up to a later place is on the disk."""
        self._answers += [held.answer for held in self._held]
        self._held = []

    def _reconnect(self) -> None:
        """Replace the connection that ended. Raise EnvironmentFailure if the server cannot be reached."""
        self._settle()
        connection = PostgresqlConnection(self._url, ids=self._ids)
        try:
            # Before any write: without the slot, another process may make the same ids.
            self._keep_slot()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _settle(self) -> None:
        """Answer the held calls by the outcome that the server knows, if it knows one."""
        held, self._held = self._held, []
        found = outcomes(self._url, [one.transaction_id for one in held]) if held else {}
        for one in held:
            future, _, _, _ = one.answer
            committed = found[one.transaction_id]
            if committed:
                self._answers.append(one.answer)
            else:
                self._answers.append((future, None, Busy() if committed is False else OutcomeUnknown(), []))
