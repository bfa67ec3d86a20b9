"""Home timelines in memory always equal those that the rule reads from the store, after any events."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from stormpetrel.model.event import AllChanged, PostCreated, PostEdited, RelationshipChanged
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.page import Page
from stormpetrel.readers import home as module
from stormpetrel.readers import recent as recent_module
from stormpetrel.readers.home import ENTRY_BYTES, ID_BYTES, LOADED_IDS, MAX_IDS, SLACK_IDS
from stormpetrel.readers.recent import RecentPosts
from stormpetrel.rules import followed_tags, posts
from stormpetrel.storage.engine.database import Database
from tests.community import Community, actions_of, boost, follow, mute
from tests.readers.watched import NEWEST, Watched, watched
from tests.store import Store

PLAIN_BYTES = ENTRY_BYTES + ID_BYTES * (MAX_IDS + SLACK_IDS)
"""The weight of a home whose reader follows no account."""


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


@pytest.mark.parametrize("capacity", [8, 1_000])
@pytest.mark.parametrize("seed", range(4))
def test_homes_merged_from_recent_posts_are_those_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int, capacity: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    monkeypatch.setattr(recent_module, "DROPPED_AT_ONCE", 2)

    async def body(watched: Watched) -> None:
        community = Community(store).settle()
        pick = random.Random(seed)
        for action in [*actions_of(seed), *actions_of(seed + 2000)]:
            community.act(action)
            if pick.random() < 0.2:
                watched.homes._homes.clear()
            if pick.random() < 0.3 and watched.recent.floor_id == MAX_ID:
                await watched.homes.load_recent(rest=0)
            for reader in pick.sample(community.people, 2):
                page = pick.choice(community.pages())
                assert await watched.page(reader, page) == watched.stored(reader, page), (action, page)
        await watched.homes.load_recent(rest=0)
        watched.homes._homes.clear()
        for reader in community.people:
            for page in community.pages():
                assert await watched.page(reader, page) == watched.stored(reader, page), page
        assert len(watched.recent) <= capacity

    watched(store, body, recent=RecentPosts(capacity=capacity))


def test_a_first_home_reads_no_post_from_the_store(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        ids = [store.post(friend) for _ in range(3)]
        await watched.homes.load_recent(rest=0)
        seen: list[str] = []
        plain = watched.database.read

        async def read(fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            seen.append(fn.__name__)
            return await plain(fn, *args, **kwargs)

        watched.database.read = read  # type: ignore[method-assign]
        assert await watched.page(reader) == ids[::-1] == watched.stored(reader)
        assert seen == ["home_filter"]

    watched(store, body)


def test_a_home_is_merged_as_soon_as_recent_posts_fill_its_longest_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST_IDS", 5)
    monkeypatch.setattr(module, "CHUNK", 5)

    async def body(watched: Watched) -> None:
        reader = store.person()
        ids = [store.post(reader) for _ in range(12)]
        watched.homes.clear()
        await watched.homes._load_recent(5, rest=0)
        for page in (Page(limit=5), Page(limit=5, max_id=ids[-5]), Page(limit=40)):
            assert await watched.page(reader, page) == watched.stored(reader, page)
            assert watched.homes._homes[reader].ids.tolist() == ids[-5:]

    watched(store, body)


def test_a_first_home_waits_for_the_newest_posts_that_are_being_loaded(store: Store) -> None:
    async def body(watched: Watched) -> None:
        post = store.post(reader := store.person())
        loading = asyncio.create_task(watched.homes.run(stop := asyncio.Event()))
        await asyncio.sleep(0)
        assert (await watched.page(reader), watched.recent.floor_id) == ([post], 0)
        stop.set()
        await loading

    watched(store, body)


def test_an_edit_looks_only_at_homes_that_depend_on_hashtags_or_languages(store: Store) -> None:
    async def body(watched: Watched) -> None:
        plain, fan = store.person(), store.person()
        store.do(followed_tags.follow_tag, account_id=fan, name="gale", now_ms=store.now_ms)
        for reader in (plain, fan):
            await watched.page(reader)
        assert watched.homes._edit_affects == {fan}
        watched.homes.apply(PostEdited(post_id=1, author_id=plain, visibility=0, tags=("gale",)))
        assert [watched.homes.holds(reader) for reader in (plain, fan)] == [True, False]
        assert watched.homes._edit_affects == set()

    watched(store, body)


def test_a_reader_of_many_accounts_gets_the_newest_posts_of_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOADED_IDS", 3)

    async def body(watched: Watched) -> None:
        reader = store.person()
        friends = [store.person() for _ in range(8)]
        for friend in friends:
            follow(store, reader, friend)
        pick = random.Random(1)
        for _ in range(30):
            store.post(pick.choice(friends))
        await watched.homes.load_recent(rest=0)
        assert await watched.page(reader) == watched.stored(reader)

    watched(store, body)


def test_a_worker_loads_recent_posts_when_it_starts_and_again_when_they_were_dropped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RELOAD_S", 0.01)

    async def body(watched: Watched) -> None:
        store.post(store.person())
        stop = asyncio.Event()
        task = asyncio.create_task(watched.homes.run(stop))
        for _ in range(2):
            while watched.recent.floor_id:
                await asyncio.sleep(0.01)
            assert len(watched.recent) == 1
            watched.homes.apply(AllChanged())
            assert len(watched.recent) == 0
        stop.set()
        await task

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

    watched(store, body, max_weight=2 * PLAIN_BYTES + 10)


def test_a_list_too_heavy_for_memory_is_answered_and_drives_out_no_other(store: Store) -> None:
    async def body(watched: Watched) -> None:
        plain, heavy, friend = store.person(), store.person(), store.person()
        follow(store, heavy, friend)
        post_id = store.post(friend)
        await watched.page(plain)
        for _ in range(2):
            assert await watched.page(heavy) == [post_id]
        assert (watched.homes.holds(plain), watched.homes.holds(heavy)) == (True, False)

    watched(store, body, max_weight=PLAIN_BYTES)


def test_a_load_that_takes_too_long_for_its_events_is_answered_and_not_cached(store: Store) -> None:
    async def body(watched: Watched) -> None:
        reader = store.person()
        gate = asyncio.Event()
        watched.database.gates = [gate]
        first = asyncio.create_task(watched.page(reader))
        while watched.database.gates:
            await asyncio.sleep(0)
        for _ in range(5):
            store.post(reader)
        gate.set()
        assert await first == []
        assert len(watched.homes) == 0
        assert await watched.page(reader) == watched.stored(reader)

    watched(store, body, recent=RecentPosts(capacity=3))


def test_nothing_is_left_of_lists_that_were_dropped(store: Store) -> None:
    async def body(watched: Watched) -> None:
        readers = [store.person() for _ in range(3)]
        follow(store, readers[0], readers[1])
        for reader in readers:
            await watched.page(reader)
        for reader in readers:
            watched.homes.apply(RelationshipChanged(reader, 12345))
        assert (len(watched.homes), watched.homes._homes.weight, watched.homes._loading) == (0, 0, {})
        for reader in readers:
            await watched.page(reader)
        watched.homes.apply(AllChanged())
        assert (len(watched.homes), watched.homes._homes.weight, len(watched.recent)) == (0, 0, 0)

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
            await watched.page(reader)
        (home,) = watched.homes._homes.values()
        assert len(home.ids) <= MAX_IDS + SLACK_IDS
        assert not home.complete
        # An old post that arrives late is left to the store. A duplicate counts once.
        watched.homes.apply(PostCreated(post_id=first, author_id=reader, visibility=0))
        watched.homes.apply(PostCreated(post_id=home.ids[-1], author_id=reader, visibility=0))
        await watched.page(reader)
        assert list(home.ids) == sorted(set(home.ids))
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
