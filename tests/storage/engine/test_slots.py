"""Each process has its own slot of ids, until it dies."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import pytest

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.model.ids import SLOTS
from stormpetrel.storage.engine.slots import Slot, take_slot
from tests.storage.writing import line, writer


def test_no_two_processes_have_the_same_slot_and_a_dead_ones_are_free_again(database_url: str) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(writer(database_url, "slots", "21")) for _ in range(3)]
        taken = [set(map(int, line(process).split())) for process in processes]
        last = take_slot(database_url)
        assert len(set().union(*taken, {last.number})) == SLOTS
        with pytest.raises(EnvironmentFailure, match="slots are taken"):
            take_slot(database_url)
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        mine = [again(database_url) for _ in range(21)]
        assert {slot.number for slot in mine} == taken[0]
        for slot in (*mine, last):
            slot.release()
            slot.release()  # a second release does no harm


def again(url: str) -> Slot:
    """Return a slot, as soon as the server has noticed the death of its holder."""
    while True:
        try:
            return take_slot(url)
        except EnvironmentFailure:
            continue
