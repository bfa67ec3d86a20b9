"""The posts in a feed: public ones only, for every reader."""

from __future__ import annotations

import pytest

from stormpetrel.errors import NotFound
from stormpetrel.model.post import Visibility
from stormpetrel.rules import accounts, reactions
from stormpetrel.rules.feeds import FEED_POSTS, feed_of_account, feed_of_tag


def ids_of(feed):
    return [post.id for post in feed.posts]


def of_account(store, account_id):
    return store.do(feed_of_account, username=store.name(account_id), now_ms=store.now_ms)


def of_tag(store, name):
    return store.do(feed_of_tag, name=name, now_ms=store.now_ms)


@pytest.mark.parametrize("visibility", [Visibility.UNLISTED, Visibility.FOLLOWERS, Visibility.DIRECT])
def test_only_public_posts_are_in_a_feed(store, visibility):
    ann = store.person("ann")
    said = store.post(ann, "for everyone #birds")
    store.post(ann, "for some #birds", visibility=visibility)
    assert ids_of(of_account(store, ann)) == [said]
    assert ids_of(of_tag(store, "birds")) == [said]


def test_a_feed_has_no_boosts_and_no_replies_to_others_but_threads_of_ones_own(store):
    ann, bob = store.person("ann"), store.person("bob")
    first = store.post(ann, "one")
    second = store.post(ann, "two", in_reply_to_id=first)
    of_bob = store.post(bob, "said by another")
    store.post(ann, "an answer", in_reply_to_id=of_bob)
    store.do(reactions.boost, account_id=ann, post_id=of_bob, visibility=None, now_ms=store.now_ms)
    assert ids_of(of_account(store, ann)) == [second, first]


def test_a_feed_holds_the_newest_posts_newest_first(store):
    ann = store.person("ann")
    made = [store.post(ann, f"#birds {number}") for number in range(FEED_POSTS + 3)]
    assert ids_of(of_account(store, ann)) == made[: -FEED_POSTS - 1 : -1]
    assert ids_of(of_tag(store, "BIRDS")) == made[: -FEED_POSTS - 1 : -1]


def test_a_suspended_account_has_no_feed_and_is_in_none(store):
    ann, bob = store.person("ann"), store.person("bob")
    store.post(ann, "#birds")
    kept = store.post(bob, "#birds")
    name = store.name(ann)
    store.do(accounts.suspend, account_id=ann)
    with pytest.raises(NotFound):
        store.do(feed_of_account, username=name, now_ms=store.now_ms)
    assert ids_of(of_tag(store, "birds")) == [kept]


def test_what_nobody_has_is_not_found_and_what_nobody_used_is_empty(store):
    with pytest.raises(NotFound):
        store.do(feed_of_account, username="nobody", now_ms=store.now_ms)
    assert ids_of(of_tag(store, "neverused")) == []
