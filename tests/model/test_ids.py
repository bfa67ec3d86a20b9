"""Ids: newer ones are larger, on every thread and at any clock; and which numbers are valid ids."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.ids import (
    MAX_ID,
    SEQUENCE_BITS,
    SLOTS,
    IdMaker,
    first_id_at,
    parse_id,
    time_ms,
)

NOW_MS = 1_790_000_000_000


@given(st.lists(st.integers(min_value=0, max_value=2**46), min_size=1, max_size=300))
def test_each_id_is_larger_than_the_one_before_also_when_the_clock_goes_back(times_ms: list[int]) -> None:
    maker = IdMaker(7)
    made = [maker.next(NOW_MS + time) for time in times_ms]
    assert made == sorted(set(made))
    assert all(0 < one <= MAX_ID for one in made)


def test_a_millisecond_with_more_ids_than_it_holds_borrows_from_the_next() -> None:
    maker = IdMaker(0)
    count = 3 * (1 << SEQUENCE_BITS)
    made = [maker.next(NOW_MS) for _ in range(count)]
    assert made == sorted(set(made))
    assert (time_ms(made[0]), time_ms(made[-1])) == (NOW_MS, NOW_MS + 2)
    assert maker.next(NOW_MS + 1) > made[-1]


def test_threads_never_get_the_same_id_and_each_sees_them_grow() -> None:
    maker = IdMaker(3)

    def make(_: int) -> list[int]:
        return [maker.next(NOW_MS + step // 500) for step in range(5000)]

    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(make, range(8)))
    assert all(made == sorted(made) for made in lists)
    assert len({one for made in lists for one in made}) == 8 * 5000


def test_makers_of_all_64_slots_never_make_the_same_id() -> None:
    makers = [IdMaker(slot) for slot in range(SLOTS)]
    made = [maker.next(NOW_MS) for maker in makers for _ in range(1 << SEQUENCE_BITS)]
    assert SLOTS == 64
    assert len(set(made)) == len(made)
    assert {time_ms(one) for one in made} == {NOW_MS}


@pytest.mark.parametrize("slot", [-1, 64, 1000])
def test_a_slot_that_is_none_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="slot"):
        IdMaker(slot)


def test_an_id_tells_its_time_and_the_first_of_a_moment_is_below_all_others() -> None:
    made = IdMaker(0).next(NOW_MS)
    assert time_ms(made) == NOW_MS
    assert first_id_at(NOW_MS) <= made < first_id_at(NOW_MS + 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("007", 7),
        (str(MAX_ID), MAX_ID),
        (str(MAX_ID + 1), None),
        ("9" * 19, None),
        ("0" * 19 + "1", None),
        ("9" * 5000, None),
        *(
            (text, None)
            for text in ("", "0", "-1", "+1", "1.0", "1e3", " 1", "1\n", "0x1", "abc", "١٢٣", "²", "1_0")
        ),
    ],
)
def test_what_can_be_an_id(text: str, value: int | None) -> None:
    assert parse_id(text) == value


@given(st.text())
def test_no_text_can_break_it(text: str) -> None:
    value = parse_id(text)
    assert value is None or 0 < value <= MAX_ID
