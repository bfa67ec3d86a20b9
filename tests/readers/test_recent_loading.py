"""What happens while a worker reads the newest posts from the store, and events are on their way."""

from __future__ import annotations

import asyncio

import pytest

from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.rules import moderation, posts
from tests.community import follow
from tests.readers.watched import Watched, watched
from tests.store import Store


@pytest.mark.parametrize("change", ["delete", "hide", "suspend"])
def test_what_disappears_while_recent_posts_are_read_is_in_no_home(store: Store, change: str) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        kept, gone = store.post(friend), store.post(friend)
        gate = asyncio.Event()
        watched.database.gates = [gate]
        load = asyncio.create_task(watched.homes.load_recent(rest=0))
        while watched.database.gates:
            await asyncio.sleep(0)
        match change:
            case "delete":
                store.do(posts.delete_post, author_id=friend, post_id=gone, now_ms=store.now_ms)
            case "hide":
                store.do(moderation.hide, COMMAND_LINE, post_id=gone, reason="x", now_ms=store.now_ms)
            case "suspend":
                store.do(moderation.suspend, COMMAND_LINE, account_id=friend, reason="x", now_ms=store.now_ms)
        gate.set()
        await load
        expected = [] if change == "suspend" else [kept]
        assert await watched.page(reader) == expected == watched.stored(reader)
        if change == "hide":
            assert await watched.page(friend) == [gone, kept] == watched.stored(friend)

    watched(store, body)


def test_a_post_whose_event_comes_after_recent_posts_were_read_is_in_a_home_read_before_it(
    store: Store,
) -> None:
    async def body(watched: Watched) -> None:
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        first = store.post(friend)
        watched.homes.clear()
        assert await watched.page(reader) == [first]
        # Another worker's transaction is over, and its events are on their way.
        telling = vars(store).pop("do")
        second, late = store.post(friend), store.events
        store.do = telling  # type: ignore[method-assign]
        await watched.homes.load_recent(rest=0)
        for event in late:
            watched.homes.apply(event)
        assert await watched.page(reader) == [second, first] == watched.stored(reader)

    watched(store, body)
