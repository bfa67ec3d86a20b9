"""The newest posts in memory: order, late ones, removed ones, the bound, and events while they are loaded."""

from __future__ import annotations

import asyncio
import random

import pytest

from stormpetrel.model.event import FollowedTagsChanged, PostCreated, PostDeleted, PostEdited
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.model.page import Page
from stormpetrel.model.timeline import REPEAT_ENTRIES, FollowedAccounts, HomeFilter, RecentPost
from stormpetrel.readers import home
from stormpetrel.readers import recent as module
from stormpetrel.readers.recent import RecentPosts
from stormpetrel.rules import moderation, posts
from tests.community import boost, follow
from tests.readers.watched import Watched, watched
from tests.store import Store

READER, FRIEND, OTHER = 1, 2, 3
HOME = HomeFilter(READER, FollowedAccounts({FRIEND: True}), frozenset())


def post(post_id, author_id=FRIEND, **facts):
    return PostCreated(post_id=post_id, author_id=author_id, visibility=0, **facts)


def stored(post_id, author_id=FRIEND, **facts):
    defaults = {"visibility": 0, "in_reply_to_account_id": 0, "boost_author_id": 0, "boost_of_id": 0}
    return RecentPost(post_id, author_id, **(defaults | {"language": "", "hidden": False} | facts))


def ids(items):
    return [item.post_id for item in items]


def newest(recent, home=HOME):
    return [post_id for post_id, _ in recent.newest(home, count=100)]


def test_posts_are_told_newest_first_also_those_that_came_late_or_twice():
    recent = RecentPosts()
    for post_id in (10, 30, 20, 20, 10):
        recent.add(post(post_id))
    recent.add(post(25, READER))
    recent.add(post(26, OTHER))
    assert newest(recent) == []
    recent.load([], is_all=True, removals=0)
    assert newest(recent) == [30, 25, 20, 10]
    assert recent.newest(HOME, count=2) == [(30, 30), (25, 25)]


@pytest.mark.parametrize("count", [module.FEW, module.FEW + 5])
def test_new_posts_are_found_whether_they_are_few_or_many_also_late_ones(count):
    recent = RecentPosts()
    for post_id in (10, 100):
        recent.add(post(post_id))
    seen = recent.end
    recent.add(post(50))
    for number in range(count - 2):
        recent.add(post(200 + number, OTHER))
    recent.add(post(300))
    assert sorted(ids(recent.since(seen, HOME))) == [50, 300]
    assert recent.since(recent.end, HOME) == []


def test_every_way_finds_the_same_new_posts(monkeypatch):
    pick = random.Random(7)
    home = HomeFilter(READER, FollowedAccounts(dict.fromkeys(range(2, 9), True)), frozenset())
    for _ in range(50):
        recent = RecentPosts()
        for _ in range(20):
            recent.add(post(pick.randrange(1, 1_000), pick.randrange(1, 15)))
        seen = recent.end
        for _ in range(pick.randrange(40)):
            recent.add(post(pick.randrange(1, 1_000), pick.randrange(1, 15)))
        found = []
        for few in (0, 1_000):
            monkeypatch.setattr(module, "FEW", few)
            found.append(sorted(ids(recent.since(seen, home))))
        assert found[0] == found[1]


def test_a_removed_post_is_told_as_removed_and_not_as_new():
    recent = RecentPosts()
    seen, removals = recent.end, recent.removals_end
    recent.add(post(10))
    recent.add(post(11, OTHER, boost_of_id=10, boost_author_id=FRIEND))
    recent.delete(PostDeleted(post_id=10, author_id=FRIEND, boosts=((11, OTHER),)))
    assert recent.since(seen, HOME) == []
    recent.load([], is_all=True, removals=recent.removals_end)
    assert newest(recent) == []
    assert sorted(recent.removed_since(removals)) == [10, 11]
    assert recent.removed_since(recent.removals_end) == []


def test_the_oldest_go_when_there_are_too_many_and_a_reader_of_them_learns_it(monkeypatch):
    monkeypatch.setattr(module, "DROPPED_AT_ONCE", 3)
    recent = RecentPosts(capacity=5)
    recent.load([stored(2), stored(1)], is_all=True, removals=0)
    assert recent.floor_id == 0
    seen = recent.end
    for post_id in range(10, 14):
        recent.add(post(post_id))
    assert (newest(recent), recent.floor_id) == ([13, 12, 11], 10)
    assert recent.since(seen, HOME) is None
    assert ids(recent.since(recent.end - 1, HOME)) == [13]


def test_removals_that_were_forgotten_are_unknown(monkeypatch):
    recent = RecentPosts()
    for post_id in range(1, module.MAX_REMOVALS + 2):
        recent.delete(PostDeleted(post_id=post_id, author_id=FRIEND))
    assert recent.removed_since(0) is None
    assert len(recent.removed_since(1)) == module.MAX_REMOVALS


def test_older_posts_are_loaded_below_the_newest_without_those_that_were_deleted_meanwhile():
    recent = RecentPosts()
    assert recent.floor_id == MAX_ID
    recent.add(post(40))
    removals = recent.removals_end
    recent.delete(PostDeleted(post_id=30, author_id=FRIEND))
    assert recent.load([stored(40), stored(30), stored(20)], is_all=False, removals=removals)
    assert (newest(recent), recent.floor_id) == ([40, 20], 19)
    assert not recent.load([stored(10)], is_all=True, removals=recent.removals_end)
    assert (newest(recent), recent.floor_id) == ([40, 20, 10], 0)
    # Posts that were loaded later are not new to a home that is in memory.
    assert ids(recent.since(0, HOME)) == [40]


def test_a_post_that_the_store_told_before_its_event_is_new_to_homes_read_earlier_and_once_to_others():
    recent = RecentPosts()
    seen = recent.end
    recent.load([stored(30, hidden=True), stored(20), stored(10)], is_all=True, removals=0)
    later = recent.end
    recent.add(post(20))
    recent.add(post(20))
    recent.add(post(30))
    assert ids(recent.since(seen, HOME)) == [20, 30]
    assert ids(recent.since(later, HOME)) == [20, 30]
    # A hidden post is for its author alone.
    assert newest(recent) == [20, 10]
    recent.delete(PostDeleted(post_id=20, author_id=FRIEND))
    assert newest(recent) == [10]


def test_the_facts_of_a_post_are_those_of_its_event_and_of_the_store():
    recent = RecentPosts()
    recent.add(
        PostCreated(
            post_id=5,
            author_id=FRIEND,
            visibility=3,
            in_reply_to_account_id=9,
            mentioned_ids=(READER,),
            language="de",
        )
    )
    recent.load(
        [
            stored(4, visibility=3, mentioned_ids=(8,), boost_of_id=2, boost_author_id=7),
            stored(3, hidden=True),
        ],
        is_all=True,
        removals=0,
    )
    hidden, old, new = recent.since(recent._base, HOME)
    assert (new.visibility, new.in_reply_to_account_id, new.mentions_reader, new.language) == (
        3,
        9,
        True,
        "de",
    )
    assert (old.mentions_reader, old.boost_of_id, old.boost_author_id) == (False, 2, 7)
    assert not HOME.includes(hidden)
    own = HomeFilter(FRIEND, FollowedAccounts({}), frozenset())
    assert newest(recent, own)[-1] == hidden.post_id
    recent.edit(PostEdited(post_id=5, author_id=FRIEND, visibility=3, languages=("en", "de")))
    assert recent.since(recent.end - 1, HOME)[0].language == "en"


def test_posts_with_a_followed_hashtag_are_new_whoever_wrote_them_unless_moderators_silenced_them():
    recent = RecentPosts()
    seen = recent.end
    recent.add(post(1, OTHER, tags=("gale",)))
    recent.add(post(2, OTHER, tags=("gale",), author_silenced=True))
    recent.add(post(3, OTHER, tags=("swell",)))
    home = HomeFilter(READER, FollowedAccounts({}), frozenset(), tags={"gale": 1})
    items = recent.since(seen, home)
    assert [(item.post_id, home.includes(item)) for item in items] == [(1, True), (2, False)]
    recent.delete(PostDeleted(post_id=1, author_id=OTHER))
    assert ids(recent.since(seen, home)) == [2]


def test_after_clearing_nothing_is_held_and_old_serials_are_unknown():
    recent = RecentPosts()
    recent.add(post(1))
    recent.clear()
    assert (len(recent), recent.floor_id, newest(recent)) == (0, MAX_ID, [])
    assert recent.since(0, HOME) is None
    assert recent.since(recent.end, HOME) == []


@pytest.mark.parametrize("change", ["delete", "hide", "suspend"])
def test_what_disappears_while_recent_posts_are_read_is_in_no_home(store, change):
    async def body(watched):
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


def test_a_post_whose_event_comes_after_recent_posts_were_read_is_in_a_home_read_before_it(store):
    async def body(watched):
        reader, friend = store.person(), store.person()
        follow(store, reader, friend)
        first = store.post(friend)
        watched.homes.clear()
        assert await watched.page(reader) == [first]
        # Another worker's transaction is over, and its events are on their way.
        telling = vars(store).pop("do")
        second, late = store.post(friend), store.events
        store.do = telling
        await watched.homes.load_recent(rest=0)
        for event in late:
            watched.homes.apply(event)
        assert await watched.page(reader) == [second, first] == watched.stored(reader)

    watched(store, body)


def test_a_home_is_merged_for_a_short_page_and_read_again_for_a_longer_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "CHUNK", 5)

    async def body(watched: Watched) -> None:
        reader = store.person()
        ids = [store.post(reader) for _ in range(12)]
        watched.homes.clear()
        await watched.homes._load_recent(5, rest=0)
        short, long = Page(limit=5), Page(limit=40)
        assert await watched.page(reader, short) == ids[:-6:-1]
        assert await watched.page(reader, Page(limit=5, min_id=ids[-3])) == ids[:-3:-1]
        assert watched.database.reads == 2  # of the recent posts, and of the filter
        assert await watched.page(reader, long) == ids[::-1]
        reads = watched.database.reads
        assert await watched.page(reader, long) == ids[::-1]
        assert await watched.page(reader, short) == ids[:-6:-1]
        assert watched.database.reads == reads

    watched(store, body)


@pytest.mark.parametrize("has_boosts", [False, True])
def test_a_poll_and_a_short_page_take_few_entries_and_a_longer_page_is_merged_again(
    store: Store, has_boosts: bool
) -> None:
    async def body(watched: Watched) -> None:
        reader = store.person()
        ids = [store.post(reader) for _ in range(70)]
        if has_boosts:
            ids += [boost(store, reader, ids[at]) for at in (68, 3)]
        await watched.homes.load_recent(rest=0)
        for first in (Page(limit=5), Page(limit=20, since_id=ids[-4])):
            watched.homes.apply(FollowedTagsChanged(reader))
            assert await watched.page(reader, first) == watched.stored(reader, first)
            short = watched.homes._homes[reader]
            assert (len(short.ids), short.is_shallow) == (first.limit + REPEAT_ENTRIES, True)
            later = [store.post(reader)]
            for page in (Page(limit=20, since_id=ids[-2]), Page(limit=20, since_id=later[0]), first):
                assert await watched.page(reader, page) == watched.stored(reader, page)
            assert watched.homes._homes[reader] is short
            for page in (Page(limit=5, max_id=ids[20]), Page(limit=40), first):
                assert await watched.page(reader, page) == watched.stored(reader, page)
            assert len(watched.homes._homes[reader].ids) > home.LEAST_IDS - REPEAT_ENTRIES

    watched(store, body)


def test_a_worker_loads_the_newest_posts_before_its_first_request_and_the_others_after_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "CHUNK", 5)
    monkeypatch.setattr(home, "URGENT", 5)

    async def body(watched: Watched) -> None:
        reader = store.person()
        ids = [store.post(reader) for _ in range(12)]
        watched.homes.clear()
        await watched.homes.load_newest()
        assert (len(watched.recent), watched.recent.floor_id > 0) == (5, True)
        assert await watched.page(reader, Page(limit=5)) == ids[:-6:-1]
        stop = asyncio.Event()
        task = asyncio.create_task(watched.homes.run(stop))
        while watched.recent.floor_id:
            await asyncio.sleep(0.01)
        assert len(watched.recent) == 12
        stop.set()
        await task

    watched(store, body)
