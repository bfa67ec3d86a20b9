"""Trends: hashtags and posts with much use, counted in steps, in public only, and fading; on both stores."""

from __future__ import annotations

from stormpetrel.model.post import Visibility
from stormpetrel.rules import reactions, search, trends
from tests.community import block, boost
from tests.store import Store


def count(store: Store) -> None:
    store.now_ms += trends.LATE_MS + 1
    for step in (trends.count_tags, trends.count_favourites, trends.count_boosts):
        while store.do(step, now_ms=store.now_ms) == trends.STEP:
            pass
    store.do(trends.fade, now_ms=store.now_ms)


def tags(store: Store) -> list[str]:
    return trends.tags(store.connection, limit=10, now_ms=store.now_ms)


def shown(store: Store, reader: int | None = None) -> list[int]:
    return trends.posts(store.connection, reader_id=reader, limit=10, now_ms=store.now_ms)


def test_a_tag_is_a_trend_when_several_people_use_it_in_public(store: Store) -> None:
    ann, bob, eve = store.person("ann"), store.person("bob"), store.person("eve")
    shy = store.person("shy", discoverable=False)
    for author in (ann, bob, eve):
        store.post(author, "#rain")
        store.post(author, "#hidden", visibility=Visibility.FOLLOWERS)
    store.post(ann, "#snow")
    store.post(bob, "#snow")
    for _ in range(5):
        store.post(ann, "#alone")
    store.post(shy, "#snow #alone")
    count(store)
    assert tags(store) == ["rain", "snow"]
    today, *before = trends.history(store.connection, names=["snow"], now_ms=store.now_ms)["snow"]
    assert (today.uses, today.accounts) == (2, 2)
    assert today.start_s == store.now_ms // 1000 // 86_400 * 86_400
    assert [(day.uses, day.accounts) for day in before] == [(0, 0)] * 6
    alone = trends.history(store.connection, names=["alone"], now_ms=store.now_ms)["alone"][0]
    assert (alone.uses, alone.accounts) == (5, 1)
    assert search.find_tags(store.connection, text="a", limit=5) == ["alone"]
    count(store)
    assert trends.history(store.connection, names=["snow"], now_ms=store.now_ms)["snow"][0].uses == 2
    store.now_ms += 9 * trends.DAY_MS
    count(store)
    assert tags(store) == []


def test_a_post_is_a_trend_by_favourites_and_boosts_and_fades(store: Store) -> None:
    ann, bob, eve = store.person("ann"), store.person("bob"), store.person("eve")
    liked, boosted, private = (
        store.post(ann, "liked"),
        store.post(ann, "boosted"),
        store.post(ann, "private", visibility=Visibility.UNLISTED),
    )
    for post in (liked, private):
        store.do(reactions.favourite, account_id=bob, post_id=post, now_ms=store.now_ms)
    boost(store, bob, boosted)
    count(store)
    assert shown(store) == shown(store, eve) == [boosted, liked]
    block(store, eve, ann)
    assert shown(store, eve) == []
    store.now_ms += trends.HALF_LIFE_MS
    count(store)
    assert shown(store) == [boosted]
    store.now_ms += 9 * trends.DAY_MS
    count(store)
    assert shown(store) == []


def test_a_backlog_is_counted_in_steps_and_nothing_twice(store: Store) -> None:
    ann = store.person("ann")
    for number in range(7):
        store.post(ann, f"#one #two number {number}")
    store.now_ms += trends.LATE_MS + 1
    trends_step = trends.STEP
    try:
        trends.STEP = 3
        while store.do(trends.count_tags, now_ms=store.now_ms):
            pass
    finally:
        trends.STEP = trends_step
    days = trends.history(store.connection, names=["one", "two"], now_ms=store.now_ms)
    assert [days[name][0].uses for name in ("one", "two")] == [7, 7]
