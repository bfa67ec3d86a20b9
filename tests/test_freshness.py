"""A cache never keeps a value that it read before a change of it, however reads and changes interleave."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.freshness import Freshness

KEYS = range(4)


@dataclass
class Read:
    """A read in progress: the keys that it concerns, and their versions when the store answered."""

    keys: frozenset[int]
    began: int
    found: dict[int, int]
    changes: int


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.frozensets(st.sampled_from(KEYS), max_size=3)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("changed"), st.frozensets(st.sampled_from(KEYS), max_size=3)),
        st.tuples(st.just("all"), st.none()),
    ),
    max_size=50,
)


@given(STEPS, st.integers(1, 5))
def test_a_value_read_before_a_change_that_concerns_it_is_never_cached(steps, log_keys):
    freshness: Freshness[int] = Freshness(log_keys=log_keys)
    store = dict.fromkeys(KEYS, 0)
    changes = everything = 0
    reads: list[Read] = []
    # By the keys that the cached value concerns: their versions in it.
    cached: dict[frozenset[int], dict[int, int]] = {}
    for what, value in steps:
        if what == "begin":
            # The store answers at once, and the answer arrives later: the oldest one possible.
            reads.append(Read(value, freshness.begin(), {key: store[key] for key in value}, changes))
        elif what == "end" and reads:
            read = reads.pop(value % len(reads))
            if freshness.is_current(read.began, *read.keys):
                cached[read.keys] = read.found
                assert everything <= read.changes
            elif log_keys > len(KEYS):
                # While the log has room for all keys, a value is refused only for a reason.
                assert everything > read.changes or any(store[k] != v for k, v in read.found.items())
        elif what == "changed":
            changes += 1
            for key in value:
                store[key] += 1
            cached = {keys: found for keys, found in cached.items() if not keys & value}
            freshness.changed(*value)
        elif what == "all":
            changes += 1
            everything = changes
            store = {key: version + 1 for key, version in store.items()}
            cached.clear()
            freshness.all_changed()
        for keys, found in cached.items():
            assert found == {key: store[key] for key in keys}


def test_a_read_older_than_the_log_is_outdated_whatever_it_concerns():
    freshness: Freshness[int] = Freshness(log_keys=2)
    before = freshness.begin()
    for key in (1, 2, 3):
        freshness.changed(key)
    assert not freshness.is_current(before, 4)
    assert freshness.is_current(freshness.begin(), 1, 2, 3, 4)
