"""Home timelines in memory always equal those that the rule reads from the store, after any events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from stormpetrel.model.event import AllChanged, Event, PostCreated, RelationshipChanged
from stormpetrel.model.page import Page
from stormpetrel.readers.home import LOADED_IDS, MAX_FLAGS, MAX_IDS, HomeLists, ReaderFlags
from stormpetrel.rules import posts, reactions, timelines
from stormpetrel.storage.engine.database import Database
from tests.community import Community, actions_of, boost, follow, mute
from tests.store import Store

NEWEST = Page(limit=20)


class Counting(Database):
    """A database that counts its reads, and can delay an answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads = 0
        self.gates: list[asyncio.Event] = []

    async def read(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        result = await super().read(fn, *args, **kwargs)
        if self.gates:
            await self.gates.pop(0).wait()
        return result


@dataclass
class Watched:
    """A store whose events reach the lists in memory, in order, as over the bus."""

    store: Store
    database: Counting
    homes: HomeLists
    flags: ReaderFlags
    events: list[Event] = field(default_factory=list)

    async def page(self, reader: int, page: Page = NEWEST) -> list[int]:
        return await self.homes.page(reader, page)

    def stored(self, reader: int, page: Page = NEWEST) -> list[int]:
        return timelines.home(self.store.connection, reader_id=reader, page=page, now_ms=self.store.now_ms)


def watched(store: Store, body: Callable[[Watched], Awaitable[None]], *, max_weight: int = 1_000_000) -> None:
    """Run `body` in a loop. Each `store.do` in it notifies the lists at once."""

    async def run() -> None:
        database = Counting(store.url)
        await database.open()
        homes = HomeLists(database, max_weight=max_weight, clock_ms=lambda: store.now_ms)
        flags = ReaderFlags(database, max_flags=2 * MAX_FLAGS)
        try:
            with telling(store, homes, flags):
                await body(Watched(store, database, homes, flags))
        finally:
            await database.close()

    asyncio.run(run())


@contextmanager
def telling(store: Store, homes: HomeLists, flags: ReaderFlags) -> Iterator[None]:
    plain = store.do

    def do(rule: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = plain(rule, *args, **kwargs)
        for event in store.events:
            homes.apply(event)
            flags.apply(event)
        return result

    store.do = do  # type: ignore[method-assign]  # like the worker: events are applied before the next action
    try:
        yield
    finally:
        store.do = plain  # type: ignore[method-assign]


@pytest.mark.parametrize("seed", range(4))
def test_memory_says_what_the_store_says_after_each_thing_that_happens(store: Store, seed: int) -> None:
    async def body(watched: Watched) -> None:
        community = Community(store).settle()
        pick = random.Random(seed)
        for action in [*actions_of(seed), *actions_of(seed + 1000)]:
            community.act(action)
            for reader in pick.sample(community.people, 2):
                page = pick.choice(community.pages())
                assert await watched.page(reader, page) == watched.stored(reader, page), (action, page)
        for reader in community.people:
            for page in community.pages():
                assert await watched.page(reader, page) == watched.stored(reader, page), page

    watched(store, body)


def test_a_reader_who_comes_back_costs_no_query(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        await watched.page(reader)
        reads = watched.database.reads
        for _ in range(3):
            post_id = store.post(friend)
            assert (await watched.page(reader))[0] == post_id
        store.do(posts.delete_post, author_id=friend, post_id=post_id, now_ms=store.now_ms)
        assert await watched.page(reader) == watched.stored(reader)
        assert watched.database.reads == reads

    watched(store, body)


def test_what_happens_while_a_list_is_read_is_in_it_afterwards(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        deleted = store.post(friend)
        gate = asyncio.Event()
        watched.database.gates = [gate]
        first = asyncio.create_task(watched.page(reader))
        while watched.database.gates:
            await asyncio.sleep(0)
        # The query has been answered, but the answer has not arrived.
        new = store.post(friend)
        store.do(posts.delete_post, author_id=friend, post_id=deleted, now_ms=store.now_ms)
        gate.set()
        assert await first == [new] == watched.stored(reader)
        reads = watched.database.reads
        assert await watched.page(reader) == [new]
        assert watched.database.reads == reads

    watched(store, body)


def test_who_asks_at_once_waits_for_one_query_also_when_the_first_of_them_leaves(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        gate = asyncio.Event()
        watched.database.gates = [gate]
        tasks = [asyncio.create_task(watched.page(reader)) for _ in range(3)]
        while watched.database.gates:
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        new = store.post(friend)
        gate.set()
        assert await asyncio.gather(*tasks[1:]) == [[new], [new]]
        assert watched.database.reads == 1

    watched(store, body)


def test_who_asks_after_a_change_does_not_get_what_was_read_before_it(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        post_id = store.post(friend)
        gate = asyncio.Event()
        watched.database.gates = [gate]
        before = asyncio.create_task(watched.page(reader))
        while watched.database.gates:
            await asyncio.sleep(0)
        follow(store, reader, friend)
        assert await watched.page(reader) == [post_id]
        gate.set()
        assert await before == []
        assert await watched.page(reader) == [post_id]

    watched(store, body)


def test_a_store_that_fails_is_told_to_everybody_who_waits_and_asked_again_by_the_next(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader = store.person()
        failing = Database(store.url)
        await failing.open()
        await failing.close()
        watched.homes._database = failing
        found = await asyncio.gather(*(watched.page(reader) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(one, Exception) for one in found)
        watched.homes._database = watched.database
        assert await watched.page(reader) == []

    watched(store, body)


@pytest.mark.parametrize("spoil", ["follow", "everything"])
def test_a_list_read_before_a_change_that_it_cannot_follow_is_not_kept(store: Store, spoil: str) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        post_id = store.post(friend)
        gate = asyncio.Event()
        watched.database.gates = [gate]
        first = asyncio.create_task(watched.page(reader))
        while watched.database.gates:
            await asyncio.sleep(0)
        if spoil == "follow":
            follow(store, reader, friend)
        else:
            watched.homes.apply(AllChanged())
        gate.set()
        await first
        assert len(watched.homes) == 0
        assert await watched.page(reader) == watched.stored(reader)
        assert (post_id in await watched.page(reader)) is (spoil == "follow")

    watched(store, body)


def test_a_mute_that_ends_is_seen_without_any_event(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend, other = store.person(), store.person(), store.person()
        follow(store, reader, friend)
        post_id = store.post(friend)
        mute(store, reader, other, duration_s=30)
        mute(store, reader, friend, duration_s=60)
        assert await watched.page(reader) == []
        for passed_ms, seen in ((30_000, []), (29_999, []), (1, [post_id])):
            store.now_ms += passed_ms
            assert await watched.page(reader) == watched.stored(reader) == seen

    watched(store, body)


def test_who_came_longest_ago_is_dropped_first_and_costs_one_query(store: Store) -> None:
    async def body(watched: Watched) -> None:
        first, second, third = store.person(), store.person(), store.person()
        for reader in (first, second):
            await watched.page(reader)
        await watched.page(first)
        await watched.page(third)
        assert len(watched.homes) == 2
        reads = watched.database.reads
        await watched.page(first)
        await watched.page(third)
        assert watched.database.reads == reads
        await watched.page(second)
        assert watched.database.reads == reads + 1
        assert len(watched.homes) == 2

    watched(store, body, max_weight=2 * MAX_IDS + 10)


def test_one_list_is_kept_however_heavy_it_is(store: Store) -> None:
    async def body(watched: Watched) -> None:
        await watched.page(store.person())
        await watched.page(store.person())
        assert len(watched.homes) == 1

    watched(store, body, max_weight=1)


def test_nothing_is_left_of_lists_that_were_dropped(store: Store) -> None:
    async def body(watched: Watched) -> None:
        readers = [store.person() for _ in range(3)]
        follow(store, readers[0], readers[1])
        for reader in readers:
            await watched.page(reader)
        for reader in readers:
            watched.homes.apply(RelationshipChanged(reader, 12345))
        assert (len(watched.homes), watched.homes._weight, watched.homes._readers_of) == (0, 0, {})
        assert not watched.homes._loads
        for reader in readers:
            await watched.page(reader)
        watched.homes.apply(AllChanged())
        assert (len(watched.homes), watched.homes._weight, watched.homes._readers_of) == (0, 0, {})

    watched(store, body)


def test_who_reads_further_back_than_is_held_gets_it_from_the_store(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader = store.person()
        ids = [store.post(reader) for _ in range(LOADED_IDS + 30)][::-1]
        assert await watched.page(reader) == ids[:20]
        read: list[int] = []
        page = NEWEST
        while found := await watched.page(reader, page):
            read += found
            page = Page(limit=20, max_id=found[-1])
        assert read == ids
        assert await watched.page(reader, Page(limit=5, min_id=ids[-1])) == ids[-6:-1]
        assert await watched.page(reader, Page(limit=5, since_id=ids[-1])) == ids[:5]

    watched(store, body)


def test_a_list_stays_bounded_however_much_is_posted(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader = store.person()
        first = store.post(reader)
        await watched.page(reader)
        for step in range(3 * MAX_IDS):
            watched.homes.apply(PostCreated(post_id=first + 1 + step, author_id=reader, visibility=0))
        (home,) = watched.homes._homes.values()
        assert len(home.ids) <= MAX_IDS + 100
        assert not home.complete
        # An old post that arrives late is left to the store. A duplicate counts once.
        watched.homes.apply(PostCreated(post_id=first, author_id=reader, visibility=0))
        watched.homes.apply(PostCreated(post_id=home.ids[-1], author_id=reader, visibility=0))
        assert home.ids == sorted(set(home.ids))
        assert first not in home.ids
        assert await watched.page(reader, Page(limit=1, max_id=home.ids[0])) == [first]

    watched(store, body)


def test_behind_hundreds_of_posts_that_do_not_belong_there_older_ones_are_still_found(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend, stranger = store.person(), store.person(), store.person()
        follow(store, reader, friend)
        old = store.post(friend, "old")
        question = store.post(stranger, "why?")
        for _ in range(150):
            store.post(friend, "because", in_reply_to_id=question)
        boosted = boost(store, friend, question)
        assert await watched.page(reader) == [boosted, old] == watched.stored(reader)
        assert await watched.page(reader, Page(limit=20, max_id=boosted)) == [old]

    watched(store, body)


# Readers' flags --------------------------------------------------------------------------------------------

DEEDS: tuple[Callable[..., Any], ...] = (
    *(
        reactions.favourite,
        reactions.unfavourite,
        reactions.bookmark,
        reactions.unbookmark,
        posts.unboost,
    ),
    lambda connection, **named: reactions.boost(connection, visibility=None, **named),
)


@pytest.mark.parametrize("seed", range(2))
def test_what_readers_did_is_known_after_each_deed(store: Store, seed: int) -> None:
    async def body(watched: Watched) -> None:
        pick = random.Random(seed)
        author, *readers = (store.person() for _ in range(3))
        post_ids = [store.post(author) for _ in range(4)]
        for _ in range(60):
            store.now_ms += 1
            who = pick.choice(readers)
            store.do(pick.choice(DEEDS), account_id=who, post_id=pick.choice(post_ids), now_ms=store.now_ms)
            for reader in readers:
                stored = posts.flags(store.connection, reader_id=reader, post_ids=post_ids)
                assert await watched.flags.of(reader, post_ids) == stored
        reads = watched.database.reads
        await watched.flags.of(readers[0], post_ids[::-1])
        assert watched.database.reads == reads
        watched.homes.apply(AllChanged())
        watched.flags.apply(AllChanged())
        assert len(watched.flags) == 0

    watched(store, body)


def test_a_deed_done_while_flags_are_read_is_not_forgotten(store: Store) -> None:
    async def body(watched: Watched) -> None:
        author, reader = store.person(), store.person()
        post_ids = [store.post(author) for _ in range(2)]
        gate = asyncio.Event()
        watched.database.gates = [gate]
        early = asyncio.create_task(watched.flags.of(reader, post_ids))
        while watched.database.gates:
            await asyncio.sleep(0)
        store.do(reactions.favourite, account_id=reader, post_id=post_ids[0], now_ms=store.now_ms)
        gate.set()
        await early
        assert (await watched.flags.of(reader, post_ids))[post_ids[0]].favourited

    watched(store, body)


def test_flags_stay_bounded(store: Store) -> None:
    async def body(watched: Watched) -> None:
        readers = [store.person() for _ in range(3)]
        for start in range(0, 20 * MAX_FLAGS, MAX_FLAGS // 2):
            for reader in readers:
                await watched.flags.of(reader, list(range(start + 1, start + 1 + MAX_FLAGS // 2)))
                assert len(watched.flags) <= 2 * MAX_FLAGS
        assert len(watched.flags) == sum(len(known) for known in watched.flags._known.values())

    watched(store, body)


# Boosts ----------------------------------------------------------------------------------------------------


def test_a_boost_is_left_out_while_its_post_is_among_the_40_entries_before_it(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, author, first, second = (store.person() for _ in range(4))
        for followed in (author, first, second):
            follow(store, reader, followed)
        pages = [Page(limit=40), Page(limit=3), Page(limit=200)]
        near, far = store.post(author), store.post(author)
        for _ in range(38):
            store.post(author)
        left_out = boost(store, first, near)
        await watched.page(reader)
        for _ in range(2):
            store.post(author)
        shown = boost(store, first, far)
        again = boost(store, second, far)
        for page in pages:
            assert await watched.page(reader, page) == watched.stored(reader, page)
        ids = await watched.page(reader, Page(limit=200))
        assert left_out not in ids
        assert shown in ids
        assert again not in ids
        # Without the first boost, the second one is shown.
        store.do(posts.unboost, account_id=first, post_id=far, now_ms=store.now_ms)
        for page in pages:
            assert await watched.page(reader, page) == watched.stored(reader, page)
        assert again in await watched.page(reader)

    watched(store, body)


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_a_home_full_of_boosts_fit_together_in_memory_and_in_the_store(
    store: Store, seed: int
) -> None:
    async def body(watched: Watched) -> None:
        pick = random.Random(seed)
        reader, author = store.person(), store.person()
        boosters = [store.person() for _ in range(6)]
        for followed in (author, *boosters):
            follow(store, reader, followed)
        written: list[int] = []
        for _ in range(260):
            if written and pick.random() < 0.6:
                boost(store, pick.choice(boosters), pick.choice(written[-60:]))
            else:
                written.append(store.post(author))
            if pick.random() < 0.1:
                await watched.page(reader, Page(limit=pick.choice((3, 20, 40))))
        everything = watched.stored(reader, Page(limit=1000))
        assert len(everything) < 260
        for limit in (3, 20, 40):
            for read in (watched.page, None):
                down: list[int] = []
                up: list[int] = []
                while True:
                    page = Page(limit=limit, max_id=down[-1] if down else 1 << 62)
                    more = await read(reader, page) if read else watched.stored(reader, page)
                    if not more:
                        break
                    down += more
                while True:
                    page = Page(limit=limit, min_id=up[0] if up else 0)
                    more = await read(reader, page) if read else watched.stored(reader, page)
                    if not more:
                        break
                    up = more + up
                assert down == everything
                assert up == everything

    watched(store, body)
