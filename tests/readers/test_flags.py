"""Readers' flags in memory always equal those in the store, and their number is bounded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from stormpetrel.model.event import AllChanged, PostCreated, Reacted
from stormpetrel.readers.flags import EVERYTHING, MAX_FLAGS, ReaderFlags
from stormpetrel.rules import pins, posts, reactions
from tests.readers.watched import Watched, watched
from tests.store import Store

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
    author, reader = store.person(), store.person()
    post_ids = [store.post(author) for _ in range(2)]

    async def body(watched: Watched) -> None:
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


def test_new_posts_need_no_query_until_a_reader_reacts(store: Store) -> None:
    async def body(watched: Watched) -> None:
        author, reader = store.person(), store.person()
        first = store.post(author)
        store.do(reactions.favourite, account_id=reader, post_id=first, now_ms=store.now_ms)
        second, third = store.post(author), store.post(author)
        assert watched.database.reads == 0
        assert await watched.flags.of(reader, [second, third]) == {}
        assert watched.database.reads == 0
        assert list(await watched.flags.of(reader, [first, second])) == [first]
        store.do(reactions.bookmark, account_id=reader, post_id=third, now_ms=store.now_ms)
        assert (await watched.flags.of(reader, [second, third]))[third].bookmarked

    watched(store, body)


def test_a_reply_in_a_muted_thread_is_muted(store: Store) -> None:
    async def body(watched: Watched) -> None:
        author, reader = store.person(), store.person()
        first = store.post(author)
        assert await watched.flags.of(reader, [first]) == {}
        store.do(pins.mute_thread, account_id=reader, post_id=first, now_ms=store.now_ms)
        reply = store.post(author, in_reply_to_id=first)
        found = await watched.flags.of(reader, [first, reply])
        assert found[first].muted
        assert found[reply].muted

    watched(store, body)


@pytest.mark.parametrize("deed", [reactions.favourite, pins.mute_thread])
def test_a_reaction_that_is_told_before_its_post_is_not_forgotten(store: Store, deed: Any) -> None:
    async def body(watched: Watched) -> None:
        author, reader = store.person(), store.person()
        post_id = store.post(author)
        created = next(event for event in store.events if isinstance(event, PostCreated))
        store.do(deed, account_id=reader, post_id=post_id, now_ms=store.now_ms)
        other = ReaderFlags(watched.database, clock_ms=lambda: store.now_ms)
        other.apply(next(event for event in store.events if isinstance(event, Reacted)))
        other.apply(created)
        assert list(await other.of(reader, [post_id])) == [post_id]

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


@pytest.mark.parametrize("everything", ["of the reader", "at all"])
def test_flags_read_while_everything_changed_are_not_kept(store: Store, everything: str) -> None:
    author, reader = store.person(), store.person()
    post_ids = [store.post(author)]

    async def body(watched: Watched) -> None:
        gate = asyncio.Event()
        watched.database.gates = [gate]
        early = asyncio.create_task(watched.flags.of(reader, post_ids))
        while watched.database.gates:
            await asyncio.sleep(0)
        watched.flags.apply(Reacted(reader, EVERYTHING) if everything == "of the reader" else AllChanged())
        gate.set()
        await early
        assert len(watched.flags) == 0

    watched(store, body)


def test_readers_without_any_known_flag_are_bounded_too(store: Store) -> None:
    async def body(watched: Watched) -> None:
        for reader in range(1, 3 * MAX_FLAGS):
            await watched.flags.of(reader, [1])
            watched.flags.apply(Reacted(reader, 1))
        assert len(watched.flags) == 0
        assert len(watched.flags._known) <= 2 * MAX_FLAGS

    watched(store, body)
