"""A bounded table never exceeds its bound, evicts by its policy, and reports each entry that leaves once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.bounded import BoundedTable, Eviction


class Model:
    """The same table as a plain list of (key, value, counted weight), the next to be evicted first."""

    def __init__(self, capacity, evicts, weigh):
        self.capacity, self.evicts, self.weigh = capacity, evicts, weigh
        self.entries = []
        self.left = []

    def find(self, key):
        return next((entry for entry in self.entries if entry[0] == key), None)

    def drop(self, entry):
        self.entries.remove(entry)
        self.left.append((entry[0], entry[1]))

    def make_room(self, most):
        while sum(weight for _, _, weight in self.entries) > most:
            self.drop(self.entries[0])

    def put(self, key, value):
        self.pop(key)
        weight = self.weigh(value)
        if weight > self.capacity:
            return False
        self.make_room(self.capacity - weight)
        self.entries.append((key, value, weight))
        return True

    def pop(self, key):
        entry = self.find(key)
        if entry is None:
            return None
        self.drop(entry)
        return entry[1]

    def get(self, key):
        entry = self.find(key)
        if entry is not None and self.evicts is Eviction.LRU:
            self.touch(key)
        return None if entry is None else entry[1]

    def touch(self, key):
        entry = self.find(key)
        if entry is not None:
            self.entries.remove(entry)
            self.entries.append(entry)

    def reweigh(self, key):
        entry = self.find(key)
        if entry is None:
            return
        weight = self.weigh(entry[1])
        if weight > self.capacity:
            self.drop(entry)
            return
        self.entries[self.entries.index(entry)] = (key, entry[1], weight)
        self.make_room(self.capacity)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "get", "touch", "pop", "grow", "clear"]),
        st.integers(0, 5),
        st.integers(0, 12),
    ),
    max_size=60,
)


@pytest.mark.parametrize("evicts", Eviction)
@pytest.mark.parametrize("weighed", [False, True])
@given(steps=STEPS, capacity=st.integers(0, 10))
def test_a_table_keeps_its_bound_evicts_in_order_and_reports_each_entry_that_leaves_once(
    evicts, weighed, steps, capacity
):
    left = []
    weigh = len if weighed else None
    table = BoundedTable(capacity, evicts=evicts, weigh=weigh, on_drop=lambda *entry: left.append(entry))
    model = Model(capacity, evicts, len if weighed else lambda value: 1)
    for what, key, size in steps:
        if what == "put":
            value = [None] * size
            assert table.put(key, value) == model.put(key, value)
        elif what == "grow":
            entry = model.find(key)
            if entry is not None:
                entry[1].append(None)
            if weighed:
                model.reweigh(key)
            table.reweigh(key)
        elif what == "clear":
            table.clear()
            model.entries.clear()
        else:
            assert getattr(table, what)(key) is getattr(model, what)(key)
        assert table.weight <= capacity
        assert table.weight == sum(weight for _, _, weight in model.entries)
        assert list(table.items()) == [(kept, value) for kept, value, _ in model.entries]
        assert [id(value) for _, value in left] == [id(value) for _, value in model.left]
        assert list(table) == [entry[0] for entry in model.entries]
        assert [table[kept] for kept in table] == list(table.values())
        assert (len(table), key in table) == (len(model.entries), model.find(key) is not None)


def test_a_value_heavier_than_the_table_drives_out_no_other():
    table = BoundedTable(10, evicts=Eviction.LRU, weigh=len)
    table.put(1, b"small")
    assert not table.put(2, b"x" * 11)
    assert list(table) == [1]


def test_an_entry_that_is_dropped_is_already_out_of_the_table_when_it_is_reported():
    seen = []
    table = BoundedTable(1, evicts=Eviction.OLDEST, on_drop=lambda key, _: seen.append((key, key in table)))
    table.put(1, "a")
    table.put(1, "b")
    table.put(2, "c")
    table.pop(2)
    assert seen == [(1, False), (1, False), (2, False)]
