"""Readers' filters in memory: the cache is correct, and bounded in bytes for any filters."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from stormpetrel.model.event import AllChanged, FiltersChanged
from stormpetrel.model.filter import (
    MAX_FILTER_TITLE,
    MAX_FILTERED_POSTS,
    MAX_FILTERS,
    MAX_KEPT_MATCHES,
    MAX_KEYWORD,
    MAX_KEYWORD_CHARACTERS,
    MAX_KEYWORDS,
    Action,
    Filter,
    FilterContext,
    FilteredPost,
    Keyword,
    active_filters,
)
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.rules import filters as rules
from stormpetrel.rules.filters import FilterChange, KeywordChange
from tests.readers.watched import Counting

CHANGE = FilterChange(title="x", contexts=("home",), keywords=(KeywordChange(keyword="rain"),))


def watched(store, body, **bounds):
    """Run `body(filters, database)` in a loop, at the store's time."""

    async def main():
        database = Counting(store.url)
        await database.open()
        try:
            await body(ReaderFilters(database, clock_ms=lambda: store.now_ms, **bounds), database)
        finally:
            await database.close()

    asyncio.run(main())


def make(store, owner, **change):
    return store.do(
        rules.create_filter,
        account_id=owner,
        change=FilterChange(**{"title": "x", "contexts": ("home",), "keywords": CHANGE.keywords} | change),
        now_ms=store.now_ms,
    )


def test_filters_are_read_once_and_again_after_a_change(store):
    reader, other = store.person(), store.person()

    async def body(filters, database):
        assert await filters.of(reader) is await filters.of(reader) is None
        assert database.reads == 1
        made = make(store, reader)
        (event,) = store.events
        filters.apply(event)
        active = await filters.of(reader)
        assert active.filters == (made,)
        assert await filters.of(reader) is active
        assert await filters.of(other) is None
        assert (
            database.reads == 4
        )  # for filters that exist, one finds that there are some, and one reads them
        filters.apply(FiltersChanged(other))
        assert await filters.of(reader) is active
        filters.apply(AllChanged())
        assert len(filters) == 0
        assert (await filters.of(reader)).filters == (made,)

    watched(store, body)


def test_what_was_read_before_a_change_is_not_kept_after_it(store):
    reader = store.person()

    async def body(filters, database):
        for event in (FiltersChanged(reader), AllChanged(), None):
            gate = asyncio.Event()
            database.gates.append(gate)
            reading = asyncio.create_task(filters.of(reader))
            while database.gates:
                await asyncio.sleep(0)
            if event is not None:
                filters.apply(event)
            gate.set()
            assert await reading is None
            assert len(filters) == (1 if event is None else 0)

    watched(store, body)


def test_a_filter_ends_when_its_time_is_over(store):
    reader = store.person()
    make(store, reader, expires_in_s=60)
    lasting = make(store, reader)

    async def body(filters, database):
        assert len((await filters.of(reader)).filters) == 2
        store.now_ms += 59_999
        assert len((await filters.of(reader)).filters) == 2
        assert database.reads == 2
        store.now_ms += 1
        assert (await filters.of(reader)).filters == (lasting,)
        assert database.reads == 4

    watched(store, body)


def test_who_has_not_come_for_longest_is_forgotten_first(store):
    people = [store.person() for _ in range(4)]
    for person in people:
        make(store, person)
    one = rules.active(store.connection, account_id=people[0], now_ms=store.now_ms).held_bytes

    async def body(filters, database):
        first, second, third, fourth = people
        for person in (first, second, third, first, fourth):
            await filters.of(person)
        assert (len(filters), database.reads) == (3, 8)
        for person in (first, third, fourth):
            await filters.of(person)
        assert database.reads == 8
        await filters.of(second)
        assert database.reads == 10

    watched(store, body, max_bytes=3 * one)


def test_one_reader_does_not_drive_out_what_many_need(store):
    hostile = store.person()
    long = tuple(KeywordChange(keyword=f"{n} ".ljust(MAX_KEYWORD, "x")) for n in range(19))
    make(store, hostile, keywords=long)
    plain = [store.person() for _ in range(20)]

    async def body(filters, database):
        for person in [*plain, hostile, *plain]:
            await filters.of(person)
        assert database.reads == 22
        assert len(filters) == 21

    watched(store, body, max_bytes=1024 * 1024)


def keywords(words, filter_id=1):
    return tuple(Keyword(n, filter_id, word, n % 2 == 0) for n, word in enumerate(words))


def one(number=1, words=(), posts=0, title="x", action=Action.WARN):
    return Filter(
        10**17 + number,
        10**17,
        title,
        tuple(FilterContext),
        action,
        0,
        keywords(words),
        tuple(FilteredPost(10**17 + n, 10**17 + number, 10**16 + n) for n in range(posts)),
    )


SHAPES = {
    "none": list,
    "a few": lambda: [one(words=("rain", "snow"))],
    "many words": lambda: [one(words=[f"word number {n}" for n in range(MAX_KEYWORDS)])],
    "long words": lambda: [
        one(words=[chr(0x1F400 + n) * MAX_KEYWORD for n in range(MAX_KEYWORD_CHARACTERS // MAX_KEYWORD)])
    ],
    "signs": lambda: [one(words=["+" * 500 + chr(0x4E00 + n) for n in range(19)])],
    "many filters": lambda: [
        one(n, words=(f"w{n}",), title=chr(0x1F400 + n) * MAX_FILTER_TITLE) for n in range(MAX_FILTERS)
    ],
    "many posts": lambda: [one(n, posts=MAX_FILTERED_POSTS // 100) for n in range(100)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_held_is_not_more_than_what_is_counted(shape):
    def build():
        active = active_filters(SHAPES[shape](), now_ms=0)
        words = [word.keyword for one in active.filters for word in one.keywords] or ["nothing"]
        for post_id in range(10**17, 10**17 + 3 * MAX_KEPT_MATCHES):
            active.matches(post_id=post_id, text=f"{post_id} {words[post_id % len(words)]} in some text")
        return active

    build()  # fill the library's own caches first
    gc.collect()
    tracemalloc.start()
    try:
        active = build()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held <= active.held_bytes
    # Nor is the estimate so high that most of the room is never used.
    assert held >= active.held_bytes / 12
