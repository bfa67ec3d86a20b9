"""The writer of one process on PostgreSQL: calls in groups, and one flush to the disk for each group.

While more calls wait, a transaction commits without waiting for the disk; its caller is answered when the last one of
the group is flushed, which flushes all before it. A transaction of its own for each call keeps its row locks short,
and its failure changes no other call.

Calls that can be done together (together.py: plain posts) are one transaction, which locks rows only at its end. If
it fails, or waits too long for a lock, it is undone. Each call that it does not do waits again at its old place, and
gets a transaction of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stormpetrel.errors import Busy, OutcomeUnknown
from stormpetrel.model.event import if_committed
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.calls import Completions, Outcome, Pending, WriteCall
from stormpetrel.storage.engine.connection import PostgresqlConnection, TransactionId
from stormpetrel.storage.engine.failures import for_caller, server_gone, to_be_repeated
from stormpetrel.storage.engine.group import CallGroup, NextCall, answers_of
from stormpetrel.storage.engine.outcome import outcomes
from stormpetrel.storage.engine.together import several_of

log = logging.getLogger(__name__)

RETRIES = 3
"""Retries of a transaction that met a concurrent one (a deadlock, the same row made twice)."""
TOGETHER_LOCK_TIMEOUT_MS = 100
"""Calls that are done together wait for another transaction's lock for this time; then only one of them waits."""


class _Held(NamedTuple):
    """The answer to a call whose transaction was committed and not flushed yet."""

    answer: Outcome
    transaction_id: TransactionId


class PostgresqlWriter:
    """Runs the writes of a process until the store closes. `run` is the writer thread.

    `is_waiting` returns how many calls wait; `put_back` lets calls wait again at their old places; `keep_slot` renews
    the slot of ids after the server was away.
    """

    def __init__(
        self,
        connection: PostgresqlConnection,
        *,
        url: str,
        ids: IdMaker,
        next_call: NextCall,
        is_waiting: Callable[[], int],
        put_back: Callable[[Sequence[WriteCall]], None],
        completions: Completions,
        pending: Pending,
        keep_slot: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._url = url
        self._ids = ids
        self._next_call = next_call
        self._is_waiting = is_waiting
        self._put_back = put_back
        self._completions = completions
        self._pending = pending
        self._keep_slot = keep_slot
        # Of the present group: answers that may be given, and those that wait for a flush.
        self._answers: list[Outcome] = []
        self._held: list[_Held] = []
        # The numbers of its pending events.
        self._noted: list[int] = []

    def run(self) -> None:
        """Run groups of calls until the store closes."""
        while (call := self._next_call(wait=True)) is not None:
            answers = self._group(call)
            self._completions.add(answers, noted=self._noted)
        self._connection.close()

    def _group(self, first: WriteCall) -> list[Outcome]:
        """Run `first` and other waiting calls; return all answers once the changes are durable."""
        self._answers, self._noted = [], []
        group = CallGroup(
            first, next_call=self._next_call, is_waiting=self._is_waiting, put_back=self._put_back
        )
        while calls := group.take():
            if len(calls) == 1:
                self._answer(calls[0], group)
            else:
                self._answer_together(calls, group)
        if self._held:
            # The last call failed, or was no longer wanted.
            try:
                self._connection.flush()
                self._release()
            except Exception as error:
                log.error("the database failed: %s", error)
                self._settle()
        return self._answers

    def _answer(self, call: WriteCall, group: CallGroup) -> None:
        """Run a call, again after a conflict, or on a new connection if nothing was done on the old one."""
        for attempt in range(RETRIES + 1):
            try:
                self._run(call, group)
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

    def _answer_together(self, calls: list[WriteCall], group: CallGroup) -> None:
        """Run calls in one transaction. Those that it does not do, and all if it fails, get one of their own."""
        try:
            self._run_together(calls, group)
        except Exception as error:
            connection = self._connection
            failed = [call for call in calls if not call.is_apart]
            if connection.raw.closed and connection.is_begun:
                refused = for_caller(error, None)
                self._answers += [(call.future, None, refused, []) for call in failed]
            else:
                # One of them is the cause, and its own transaction tells which.
                log.info("%d writes failed together, and run one by one: %s", len(failed), error)
                group.put_apart(failed)

    def _run(self, call: WriteCall, group: CallGroup) -> None:
        """Run a call in a transaction and commit it. Raise its error, with nothing changed."""
        connection = self._begin()
        try:
            result = call.fn(connection, *call.args, **call.kwargs)
        except BaseException:
            connection.rollback()
            raise
        self._end([(call.future, result, None, connection.events)], is_flushed=not group.has_more)

    def _run_together(self, calls: list[WriteCall], group: CallGroup) -> None:
        """Run calls in one transaction and commit it. Raise the first error, with nothing changed."""
        several = several_of(calls[0].fn)
        assert several is not None
        connection = self._begin()
        try:
            connection.limit_locks(TOGETHER_LOCK_TIMEOUT_MS)
            results = several(connection, [call.kwargs for call in calls])
        except BaseException:
            connection.rollback()
            raise
        answers, apart = answers_of(calls, results, connection.events)
        if apart:
            group.put_apart(apart)
        if answers:
            self._end(answers, is_flushed=not group.has_more)
        else:
            connection.rollback()

    def _begin(self) -> PostgresqlConnection:
        """Begin a transaction, on a new connection if the old one ended."""
        if self._connection.raw.closed:
            self._reconnect()
        connection = self._connection
        connection.events = []
        connection.begin(is_pipelined=True)
        return connection

    def _end(self, answers: list[Outcome], *, is_flushed: bool) -> None:
        """Commit, and give these answers once the changes are durable. Raise if they were undone."""
        connection = self._connection
        if told := [event for *_, events in answers for event in events]:
            self._noted.append(self._pending.note(told))
        try:
            self._commit(is_flushed=is_flushed)
        except OutcomeUnknown as unknown:
            self._answers += [_unknown(answer, unknown) for answer in answers]
            return
        if is_flushed:
            self._release()
            self._answers += answers
        else:
            assert connection.transaction_id is not None
            self._held += [_Held(answer, connection.transaction_id) for answer in answers]

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
        found = outcomes(self._url, list({one.transaction_id: None for one in held})) if held else {}
        for one in held:
            future, _, _, _ = one.answer
            committed = found[one.transaction_id]
            if committed:
                self._answers.append(one.answer)
            elif committed is None:
                self._answers.append(_unknown(one.answer, OutcomeUnknown()))
            else:
                self._answers.append((future, None, Busy(), []))


def _unknown(answer: Outcome, error: OutcomeUnknown) -> Outcome:
    """Return the answer of a call whose change may be stored: all processes must read it again."""
    future, _, _, events = answer
    return future, None, error, if_committed(events)
