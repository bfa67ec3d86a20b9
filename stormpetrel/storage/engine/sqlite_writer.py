"""The writer of one process on SQLite: calls in groups, each group one transaction (group commit).

A group takes the calls that wait and does not wait for more. Each call has a savepoint: if it fails, only its
changes are undone. Calls that can be done together (together.py: plain posts) have one savepoint; if they fail, they
wait again at their old places, and each gets its own.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence

from stormpetrel.errors import Busy
from stormpetrel.storage.engine.calls import Completions, Outcome, Pending, WriteCall
from stormpetrel.storage.engine.connection import SqliteConnection
from stormpetrel.storage.engine.failures import for_caller
from stormpetrel.storage.engine.group import CallGroup, NextCall, answers_of
from stormpetrel.storage.engine.together import several_of

log = logging.getLogger(__name__)


class SqliteWriter:
    """Runs the writes of a process until the store closes. `run` is the writer thread.

    `is_waiting` returns how many calls wait; `put_back` lets calls wait again at their old places.
    """

    def __init__(
        self,
        connection: SqliteConnection,
        *,
        next_call: NextCall,
        is_waiting: Callable[[], int],
        put_back: Callable[[Sequence[WriteCall]], None],
        completions: Completions,
        pending: Pending,
    ) -> None:
        self._connection = connection
        self._next_call = next_call
        self._is_waiting = is_waiting
        self._put_back = put_back
        self._completions = completions
        self._pending = pending

    def run(self) -> None:
        """Run groups of calls until the store closes."""
        while (call := self._next_call(wait=True)) is not None:
            noted: list[int] = []
            self._completions.add(self._group(call, noted), noted=noted)
        self._connection.close()

    def _group(self, first: WriteCall, noted: list[int]) -> list[Outcome]:
        """Run `first` and other waiting calls in one transaction; return the answers after its COMMIT.

        The number of its pending events is added to `noted`.
        """
        connection = self._connection
        group = CallGroup(
            first, next_call=self._next_call, is_waiting=self._is_waiting, put_back=self._put_back
        )
        answers: list[Outcome] = []
        running = [first]
        try:
            connection.begin()
            while running := group.take():
                answers += self._run(running[0]) if len(running) == 1 else self._run_together(running, group)
                running = []
                if not connection.raw.in_transaction:
                    # If the disk is full, SQLite undoes the whole transaction: no call's change remains.
                    raise sqlite3.OperationalError("the transaction was rolled back")
            if told := [event for *_, events in answers for event in events]:
                noted.append(self._pending.note(told))
            connection.commit()
        except (sqlite3.Error, OSError) as error:
            log.error(
                "a group of %d writes failed and was rolled back: %s", len(answers) + len(running), error
            )
            try:
                connection.rollback()
            except sqlite3.Error as second:
                log.error("cannot roll back the transaction: %s", second)
            undone: list[Outcome] = [(future, None, own or Busy(), []) for future, _, own, _ in answers]
            return undone + [(call.future, None, Busy(), []) for call in running]
        return answers

    def _run(self, call: WriteCall) -> list[Outcome]:
        """Run a call; return its answer. An error belongs to its caller alone; the group goes on."""
        connection = self._connection
        connection.events = []
        try:
            with connection.savepoint():
                result = call.fn(connection, *call.args, **call.kwargs)
        except Exception as raised:
            return [(call.future, None, for_caller(raised, None), [])]
        return [(call.future, result, None, connection.events)]

    def _run_together(self, calls: list[WriteCall], group: CallGroup) -> list[Outcome]:
        """Run calls at once; return their answers. Those that are not done, and all if they fail, wait again."""
        several = several_of(calls[0].fn)
        assert several is not None
        connection = self._connection
        connection.events = []
        try:
            with connection.savepoint():
                results = several(connection, [call.kwargs for call in calls])
        except Exception as error:
            log.info("%d writes failed together, and run one by one: %s", len(calls), error)
            group.put_apart(calls)
            return []
        answers, apart = answers_of(calls, results, connection.events)
        if apart:
            group.put_apart(apart)
        return answers
