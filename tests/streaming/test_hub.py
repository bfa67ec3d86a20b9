"""The order of posts and of changes of who sees them, by the process that made each."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from stormpetrel.api.json.render import Renderer
from stormpetrel.config import StreamingConfig
from stormpetrel.model.access import Access, expand
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.readers.flags import ReaderFlags
from stormpetrel.readers.home import HomeLists
from stormpetrel.rules import relationships
from stormpetrel.storage.engine.database import Database
from stormpetrel.streaming.hub import Hub
from stormpetrel.streaming.streams import stream_of
from tests.community import follow
from tests.store import Store


async def told(store: Store, reader: int, author: int, steps: list[tuple[str, str]]) -> int:
    """Return how many of the author's posts reach the reader's home stream: steps are "post" or "unfollow", and by
    which process. All events come before the first is delivered.
    """
    database = Database(store.url)
    await database.open()
    pushed: list[bytes] = []
    renderer = Renderer(
        database, ReaderFlags(database), ReaderFilters(database), base_url="https://x.example"
    )
    hub = Hub(
        database,
        renderer,
        HomeLists(database),
        caps=StreamingConfig(),
        drain=lambda: None,
        clock_ms=lambda: store.now_ms,
    )
    access = Access(1, reader, None, ("read",), expand(("read",)), 0)
    listener = hub.listeners.add(access=access, token_hash=None, address="192.0.2.1", is_socket=False)
    listener.wire = SimpleNamespace(push=pushed.append)  # type: ignore[assignment]  # the part that the hub uses
    await hub.enter(listener)
    await hub.subscribe(listener, stream_of("user", access=access))
    for step, source in steps:
        if step == "post":
            store.post(author)
        else:
            store.do(relationships.unfollow, follower_id=reader, followed_id=author, now_ms=store.now_ms)
        for event in store.events:
            hub.apply(event, source=source)
    assert hub._task is not None
    await hub._task
    hub.leave(listener)
    await database.close()
    return len(pushed)


@pytest.mark.parametrize(
    ("steps", "count"),
    [
        ([("post", "web-0"), ("unfollow", "web-0")], 1),
        ([("unfollow", "web-0"), ("post", "web-0")], 0),
        # Its event may have come later than it was made.
        ([("post", "web-0"), ("unfollow", "web-1")], 0),
        ([("post", "web-0"), ("unfollow", "web-0"), ("post", "web-0")], 1),
        ([("post", "web-0"), ("post", "web-1"), ("unfollow", "web-0")], 1),
    ],
)
def test_a_change_applies_after_earlier_posts_of_its_process_and_before_those_of_others(
    store: Store, steps: list[tuple[str, str]], count: int
) -> None:
    reader, author = store.person(), store.person()
    follow(store, reader, author)
    assert asyncio.run(told(store, reader, author, steps)) == count
