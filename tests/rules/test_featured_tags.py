"""Hashtags on a profile: whose they are, how many there may be, and their counts; on both stores."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.post import Visibility
from stormpetrel.rules import featured_tags
from stormpetrel.rules.featured_tags import FeaturedTag
from tests.community import block, boost
from tests.store import Store


def feature(store: Store, who: int, name: str) -> FeaturedTag:
    store.now_ms += 1
    return store.do(featured_tags.feature, account_id=who, name=name, now_ms=store.now_ms)


def shown(store: Store, reader: int | None, who: int) -> list[tuple[str, int]]:
    found = featured_tags.featured_tags(store.connection, reader_id=reader, account_id=who)
    return [(tag.name, tag.posts_count) for tag in found]


def test_what_everybody_may_see_is_counted_the_most_used_first(store: Store) -> None:
    ann, bob = store.person(), store.person()
    store.post(ann, "#Gulls")
    store.post(ann, "#gulls and #terns", visibility=Visibility.UNLISTED)
    last_ms = store.now_ms
    store.post(ann, "#gulls for few", visibility=Visibility.FOLLOWERS)
    theirs = store.post(bob, "#gulls of somebody else")
    boost(store, ann, theirs)
    assert feature(store, ann, "unused").posts_count == 0
    feature(store, ann, "terns")
    gulls = feature(store, ann, "#GULLS")
    assert (gulls.name, gulls.posts_count, gulls.last_post_at_ms) == ("gulls", 2, last_ms)
    assert feature(store, ann, "gulls") == gulls
    for reader in (None, ann, bob):
        assert shown(store, reader, ann) == [("gulls", 2), ("terns", 1), ("unused", 0)]
    assert shown(store, None, bob) == []


def test_who_is_blocked_sees_nothing_and_nobody_takes_away_another_s(store: Store) -> None:
    ann, bob, blocked = store.person(), store.person(), store.person()
    block(store, ann, blocked)
    tag = feature(store, ann, "gulls")
    with pytest.raises(NotFound):
        shown(store, blocked, ann)
    with pytest.raises(NotFound):
        store.do(featured_tags.unfeature, account_id=bob, featured_id=tag.id)
    store.do(featured_tags.unfeature_named, account_id=bob, name="gulls")
    assert shown(store, None, ann) == [("gulls", 0)]
    store.do(featured_tags.unfeature, account_id=ann, featured_id=tag.id)
    assert shown(store, None, ann) == []
    with pytest.raises(NotFound):
        store.do(featured_tags.unfeature, account_id=ann, featured_id=tag.id)
    feature(store, ann, "terns")
    assert store.do(featured_tags.unfeature_named, account_id=ann, name="#Terns") == "terns"
    assert shown(store, None, ann) == []


def test_ten_are_the_most_and_each_is_a_hashtag(store: Store) -> None:
    ann = store.person()
    for number in range(featured_tags.MAX_FEATURED_TAGS):
        feature(store, ann, f"tag{number}")
    with pytest.raises(Invalid, match="at most 10"):
        feature(store, ann, "eleventh")
    feature(store, ann, "tag3")
    for name in ("", "two words", "#", "1234", "a" * 5000):
        with pytest.raises(NotFound):
            feature(store, ann, name)
    assert len(shown(store, None, ann)) == 10


def test_what_one_uses_most_is_suggested_until_it_is_shown(store: Store) -> None:
    ann = store.person()
    for text in ("#gulls", "#gulls #terns", "#secret"):
        store.post(ann, text, visibility=Visibility.FOLLOWERS if "secret" in text else Visibility.PUBLIC)
    assert featured_tags.suggested(store.connection, account_id=ann) == ["gulls", "terns"]
    feature(store, ann, "gulls")
    assert featured_tags.suggested(store.connection, account_id=ann) == ["terns"]


def test_only_the_newest_posts_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormpetrel.storage.featured_tags.POSTS_MOST", 2)
    ann = store.person()
    for _ in range(3):
        store.post(ann, "#gulls")
    assert feature(store, ann, "gulls").posts_count == 2
