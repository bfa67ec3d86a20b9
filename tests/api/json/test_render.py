"""The renderer: one encoding for all readers, never stale, and no more reads than needed."""

from __future__ import annotations

import asyncio
import json

import pytest

from stormpetrel.api.json.render import Renderer
from stormpetrel.errors import NotFound
from stormpetrel.model.event import AccountChanged, AllChanged, PostChanged, PostCreated, PostDeleted
from stormpetrel.model.poll import PollDraft
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.readers.flags import ReaderFlags
from stormpetrel.rules import accounts, posts, reactions
from stormpetrel.storage.engine.database import Database

NOW_MS = 1_800_000_000_000
BASE = "http://127.0.0.1:8000"


class Counting(Database):
    """A database that counts its reads. While `hold` is an unset event, reads do not return."""

    reads = 0
    hold: asyncio.Event | None = None

    async def read(self, fn, /, *args, **kwargs):
        self.reads += 1
        result = await super().read(fn, *args, **kwargs)
        if self.hold is not None:
            await self.hold.wait()
        return result


class World:
    """A store, a renderer that receives its events, and accounts."""

    def __init__(self, url):
        self.database = Counting(url, publish=self.publish)
        self.flags = ReaderFlags(self.database)
        self.renderer = Renderer(self.database, self.flags, ReaderFilters(self.database), base_url=BASE)

    def publish(self, events):
        for event in events:
            self.flags.apply(event)
            self.renderer.apply(event)

    async def person(self, name):
        account = await self.database.write(
            accounts.sign_up,
            username=name,
            email=f"{name}@example.org",
            password_hash="-",
            reason="",
            locale="en",
            registration="open",
            now_ms=NOW_MS,
            by_operator=True,
        )
        return account.id

    async def post(self, author_id, text="Hello", **more):
        created = await self.database.write(
            posts.create_post,
            author_id=author_id,
            draft=Draft(text=text, **more),
            max_characters=500,
            domain="petrel.example",
            now_ms=NOW_MS,
        )
        return created.post_id

    async def do(self, rule, account_id, post_id, **more):
        return await self.database.write(rule, account_id=account_id, post_id=post_id, now_ms=NOW_MS, **more)

    async def statuses(self, ids, reader_id=None):
        return json.loads(await self.renderer.statuses(ids, reader_id=reader_id))


def run(url, story):
    """Run an async test body with a new World."""

    async def told():
        world = World(url)
        await world.database.open()
        try:
            await story(world)
        finally:
            await world.database.close()

    asyncio.run(told())


def test_each_reader_sees_their_own_flags_and_a_visitor_none(database_url):
    async def story(world):
        ann, bob = await world.person("Ann"), await world.person("Bob")
        first, second = await world.post(ann), await world.post(bob)
        await world.do(reactions.favourite, bob, first)
        await world.do(reactions.bookmark, bob, first)
        for _ in range(2):  # the first time it is encoded, then taken from memory
            seen = await world.statuses([first, second], bob)
            assert seen[0]["favourited"] is True
            assert seen[0]["bookmarked"] is True
            assert seen[0]["reblogged"] is False
            assert "pinned" not in seen[0]
            assert seen[1]["favourited"] is False
            assert seen[1]["pinned"] is False
            assert seen[0]["account"]["username"] == "Ann"
            mine = await world.statuses([first], ann)
            assert mine[0]["favourited"] is False
            assert mine[0]["pinned"] is False
            assert "favourited" not in (await world.statuses([first]))[0]

    run(database_url, story)


def test_a_boost_carries_its_original_with_the_flags_on_both(database_url):
    async def story(world):
        ann, bob = await world.person("Ann"), await world.person("Bob")
        first = await world.post(ann, "Original")
        boost = await world.do(reactions.boost, bob, first, visibility=None)
        for _ in range(2):
            (seen,) = await world.statuses([boost], bob)
            assert seen["account"]["username"] == "Bob"
            assert seen["content"] == ""
            assert seen["reblogged"] is True
            assert seen["reblog"]["reblogged"] is True
            assert seen["reblog"]["reblogs_count"] == 1
            assert seen["reblog"]["account"]["username"] == "Ann"
            assert "pinned" not in seen
            visitor = await world.statuses([boost, first])
            assert visitor[0]["reblog"] == visitor[1]

    run(database_url, story)


def test_both_ways_of_joining_give_the_same(database_url):
    async def story(world):
        ann, bob = await world.person("Ann"), await world.person("Bob")
        ids = [await world.post(ann, f"Number {n}") for n in range(3)]
        ids.append(await world.do(reactions.boost, bob, ids[0], visibility=None))
        await world.do(reactions.favourite, bob, ids[1])
        for reader_id in (None, ann, bob):
            cold = await world.renderer.statuses(ids, reader_id=reader_id)
            assert await world.renderer.statuses(ids, reader_id=reader_id) == cold
            one_by_one = [await world.renderer.status(some_id, reader_id=reader_id) for some_id in ids]
            assert b"[" + b",".join(one_by_one) + b"]" == cold
            world.renderer.apply(AllChanged())

    run(database_url, story)


def test_what_is_kept_costs_a_visitor_no_read_and_a_reader_those_of_the_readers_own(sqlite_url):
    async def story(world):
        ann = await world.person("Ann")
        ids = [await world.post(ann) for _ in range(5)]
        # As after a restart: new posts need no look for flags.
        world.flags.apply(AllChanged())
        await world.statuses(ids)
        before = world.database.reads
        await world.statuses(ids)
        assert world.database.reads == before
        await world.statuses(ids, ann)
        assert world.database.reads == before + 2  # the reader's filters and flags
        await world.statuses(ids, ann)
        assert world.database.reads == before + 2
        world.renderer.apply(PostChanged(ids[0], ann))
        world.renderer.apply(AccountChanged(ann))
        await world.statuses(ids, ann)
        assert world.database.reads == before + 3  # posts, accounts and flags in one read

    run(sqlite_url, story)


def test_the_read_of_one_new_post_brings_the_other_new_ones_and_their_authors(database_url):
    async def story(world):
        ann, bob = await world.person("Ann"), await world.person("Bob")
        first = await world.post(ann, "Earlier")
        await world.statuses([first])
        new = [await world.post(author, f"New {number}") for number, author in enumerate([bob, ann, bob])]
        secret = await world.post(bob, "@Ann hush", visibility=Visibility.DIRECT)
        await world.statuses([new[0]])
        reads = world.database.reads
        seen = await world.statuses([*new[1:], first])
        assert world.database.reads == reads
        assert [post["content"] for post in seen] == ["<p>New 1</p>", "<p>New 2</p>", "<p>Earlier</p>"]
        assert [post["account"]["statuses_count"] for post in seen] == [2, 2, 2]
        await world.statuses([secret])
        assert world.database.reads == reads + 1

    run(database_url, story)


def test_a_deleted_new_post_is_not_read_ahead(database_url):
    async def story(world):
        ann = await world.person("Ann")
        one, other = await world.post(ann, "One"), await world.post(ann, "Other")
        await world.database.write(posts.delete_post, author_id=ann, post_id=other, now_ms=NOW_MS)
        await world.statuses([one])
        assert await world.statuses([other]) == []

    run(database_url, story)


def test_what_changed_is_shown_at_once(database_url):
    async def story(world):
        ann, bob = await world.person("Ann"), await world.person("Bob")
        first = await world.post(ann)
        assert (await world.statuses([first]))[0]["favourites_count"] == 0
        await world.do(reactions.favourite, bob, first)
        assert (await world.statuses([first]))[0]["favourites_count"] == 1
        await world.post(bob, "Reply", in_reply_to_id=first)
        seen = (await world.statuses([first]))[0]
        assert seen["replies_count"] == 1
        assert seen["account"]["statuses_count"] == 1
        await world.post(ann)
        assert (await world.statuses([first]))[0]["account"]["statuses_count"] == 2
        await world.database.write(posts.delete_post, author_id=ann, post_id=first, now_ms=NOW_MS)
        assert await world.statuses([first]) == []
        with pytest.raises(NotFound):
            await world.renderer.status(first, reader_id=None)

    run(database_url, story)


def test_a_suspended_author_disappears_with_everything_they_said(database_url):
    async def story(world):
        ann, bob = await world.person("Ann"), await world.person("Bob")
        first = await world.post(ann)
        boost = await world.do(reactions.boost, bob, first, visibility=None)
        assert len(await world.statuses([boost, first])) == 2
        await world.database.write(accounts.suspend, account_id=ann)
        assert await world.statuses([boost, first]) == []
        assert json.loads(await world.renderer.accounts([ann, bob]))[0]["username"] == "Bob"
        with pytest.raises(NotFound):
            await world.renderer.account(ann)

    run(database_url, story)


@pytest.mark.parametrize(
    "event",
    [
        lambda post, author: PostChanged(post, author),
        lambda post, author: AccountChanged(author),
        lambda post, author: PostDeleted(post, author),
        lambda post, author: PostCreated(1, author, 0, in_reply_to_id=post),
        lambda post, author: AllChanged(),
    ],
    ids=["post", "account", "deleted", "replied", "all"],
)
def test_a_read_that_began_before_a_change_is_not_kept(sqlite_url, event):
    async def story(world):
        ann = await world.person("Ann")
        first = await world.post(ann)
        world.database.hold = asyncio.Event()
        reading = asyncio.ensure_future(world.statuses([first]))
        await asyncio.sleep(0)  # it has read, but not yet returned
        assert world.database.reads == 1
        world.renderer.apply(event(first, ann))
        world.database.hold.set()
        assert len(await reading) == 1
        before = world.database.reads
        await world.statuses([first])
        assert world.database.reads == before + 1

    run(sqlite_url, story)


def test_a_deleted_post_comes_back_as_text_once(database_url):
    async def story(world):
        ann = await world.person("Ann")
        first = await world.post(ann, "Words to keep & <more>")
        post = await world.database.write(posts.delete_post, author_id=ann, post_id=first, now_ms=NOW_MS)
        deleted = json.loads(await world.renderer.deleted_status(post, reader_id=ann))
        assert deleted["text"] == "Words to keep & <more>"
        assert deleted["account"]["username"] == "Ann"
        assert deleted["account"]["statuses_count"] == 0

    run(database_url, story)


def test_nothing_is_an_empty_list(database_url):
    async def story(world):
        assert await world.renderer.statuses([], reader_id=None) == b"[]"
        assert await world.renderer.statuses([1, 2], reader_id=3) == b"[]"
        assert await world.renderer.accounts([]) == b"[]"

    run(database_url, story)


def test_many_more_posts_than_fit_are_rendered_all_the_same(sqlite_url):
    async def story(world):
        world.renderer = Renderer(
            world.database,
            world.flags,
            ReaderFilters(world.database),
            base_url=BASE,
            half_cache_bytes=4000,
        )
        ann = await world.person("Ann")
        ids = [await world.post(ann, f"Number {n}") for n in range(60)]
        for _ in range(2):
            seen = await world.statuses(ids, ann)
            assert [status["id"] for status in seen] == [str(some_id) for some_id in ids]

    run(sqlite_url, story)


def test_an_answer_made_while_a_poll_in_it_ended_is_not_stored_beyond_that_end(database_url):
    async def story(world):
        ann = await world.person("Ann")
        post = await world.post(ann, poll=PollDraft(("a", "b"), 300))
        end_ms = NOW_MS + 300_000
        # The poll was open when the request came and was rendered, and is over when the answer is stored.
        clock = [end_ms - 1]
        filters = ReaderFilters(world.database)
        renderer = Renderer(world.database, world.flags, filters, base_url=BASE, clock_ms=lambda: clock[0])
        (seen,) = json.loads(await renderer.statuses([post], reader_id=ann))
        assert seen["poll"]["expired"] is False
        clock[0] = end_ms + 1
        shown = renderer.shown([post], ann, now_ms=end_ms - 1)
        assert shown is not None
        assert shown.until_ms == end_ms

    run(database_url, story)


def test_an_author_who_changes_while_the_post_is_read_is_shown_all_the_same(sqlite_url):
    async def story(world):
        ann = await world.person("Ann")
        first, second = await world.post(ann), await world.post(ann)
        await world.statuses([first])
        world.database.hold = asyncio.Event()
        reading = asyncio.ensure_future(world.statuses([second]))
        await asyncio.sleep(0)  # it has read the post without its author, who is in memory
        world.renderer.apply(AccountChanged(ann))
        world.database.hold.set()
        (found,) = await reading
        assert (found["id"], found["account"]["id"]) == (str(second), str(ann))

    run(sqlite_url, story)
