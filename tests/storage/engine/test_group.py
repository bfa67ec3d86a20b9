"""The calls of a group: in their order, those of one kind together, and none past the limits."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from stormpetrel.storage.engine import group as engine_group
from stormpetrel.storage.engine.calls import WriteCall
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.group import CallGroup
from stormpetrel.storage.engine.together import APART, Apart, together


def several(connection: Connection, calls: Sequence[dict[str, Any]]) -> list[int | Apart]:
    return [APART for _ in calls]


@together(several)
def plain(connection: Connection, *, number: int) -> int:
    return number


def other(connection: Connection, *, number: int) -> int:
    return number


def group_of(*fns: Any) -> tuple[CallGroup, deque[WriteCall]]:
    """Return a group whose calls are numbered, and the queue with all but the first."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        calls = deque(
            WriteCall(fn, (), {"number": number}, loop.create_future(), (1, number), math.inf)
            for number, fn in enumerate(fns)
        )
    first = calls.popleft()

    def next_call(*, wait: bool) -> WriteCall | None:
        assert not wait
        return calls.popleft() if calls else None

    def put_back(again: Sequence[WriteCall]) -> None:
        calls.extendleft(reversed(again))

    return CallGroup(first, next_call=next_call, is_waiting=calls.__len__, put_back=put_back), calls


def numbers(calls: list[WriteCall]) -> list[int]:
    return [call.kwargs["number"] for call in calls]


def test_calls_of_one_kind_behind_each_other_come_together_and_others_alone() -> None:
    group, _ = group_of(plain, plain, other, other, plain, other, plain)
    taken = []
    more = []
    while calls := group.take():
        taken.append(numbers(calls))
        more.append(group.has_more)
    assert taken == [[0, 1], [2], [3], [4], [5], [6]]
    assert more == [True, True, True, True, True, False]


def test_calls_that_were_put_apart_come_next_each_alone() -> None:
    group, _ = group_of(plain, plain, plain, other)
    calls = group.take()
    assert numbers(calls) == [0, 1, 2]
    group.put_apart(calls[1:])
    assert group.has_more
    assert [numbers(group.take()) for _ in range(4)] == [[1], [2], [3], []]
    assert not group.has_more


def test_calls_that_were_put_apart_are_left_to_the_next_group_at_the_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_group, "GROUP_CALLS", 4)
    group, waiting = group_of(plain, plain, plain, other, plain)
    calls = group.take()
    assert numbers(calls) == [0, 1, 2]
    group.put_apart(calls[1:])
    assert not group.has_more
    assert group.take() == []
    # The call behind them did not overtake them.
    assert numbers(list(waiting)) == [1, 2, 3, 4]


@pytest.mark.parametrize(("limit", "value"), [("GROUP_CALLS", 3), ("GROUP_S", 0.0)])
def test_a_group_ends_at_its_limits(monkeypatch: pytest.MonkeyPatch, limit: str, value: float) -> None:
    monkeypatch.setattr(engine_group, limit, value)
    group, waiting = group_of(plain, plain, plain, plain, other)
    assert numbers(group.take()) == ([0, 1, 2] if limit == "GROUP_CALLS" else [0])
    assert not group.has_more
    assert group.take() == []
    assert len(waiting) == (2 if limit == "GROUP_CALLS" else 4)
