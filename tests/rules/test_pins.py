"""Pins and muted threads: who may set them, and the effects."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.event import Reacted
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.rules import pins, posts, reactions, timelines
from tests.community import block, boost, follow
from tests.rules.test_polls import told
from tests.store import Store


def pin(store: Store, who: int, post_id: int) -> None:
    store.do(pins.pin, account_id=who, post_id=post_id, now_ms=store.now_ms)


def pinned(store: Store, reader: int | None, account: int, page: Page | None = None) -> list[int]:
    return timelines.of_account(
        store.connection,
        reader_id=reader,
        account_id=account,
        page=page or Page(limit=20),
        now_ms=store.now_ms,
        pinned=True,
    )


def mute(store: Store, who: int, post_id: int) -> None:
    store.do(pins.mute_thread, account_id=who, post_id=post_id, now_ms=store.now_ms)


def is_muted(store: Store, who: int, post_id: int) -> bool:
    found = posts.flags(store.connection, reader_id=who, post_ids=[post_id]).get(post_id)
    return found is not None and found.muted


def test_ones_own_posts_are_pinned_last_first_and_seen_by_those_who_may(store: Store) -> None:
    author, fan = store.person(), store.person()
    follow(store, fan, author)
    public = store.post(author, "for all")
    few = store.post(author, "for few", visibility=Visibility.FOLLOWERS)
    for post_id in (few, public, few):
        pin(store, author, post_id)
        store.now_ms += 1
    assert pinned(store, author, author) == [public, few]
    assert pinned(store, fan, author) == [public, few]
    assert pinned(store, None, author) == [public]
    assert pinned(store, None, author, Page(limit=20, max_id=public)) == []
    assert posts.flags(store.connection, reader_id=author, post_ids=[few])[few].pinned
    store.do(pins.unpin, account_id=author, post_id=public, now_ms=store.now_ms)
    assert Reacted(author, public) in store.events
    store.do(pins.unpin, account_id=author, post_id=public, now_ms=store.now_ms)
    assert store.events == []
    assert pinned(store, fan, author) == [few]


def test_what_cannot_be_pinned(store: Store) -> None:
    author, stranger, blocked = store.person(), store.person(), store.person()
    block(store, author, blocked)
    post_id = store.post(author)
    direct = store.post(author, "secret", visibility=Visibility.DIRECT)
    for who, which, error in (
        (stranger, post_id, Invalid),
        (blocked, post_id, NotFound),
        (stranger, direct, NotFound),
        (author, direct, Invalid),
        (author, boost(store, author, post_id), Invalid),
        (author, 5, NotFound),
    ):
        with pytest.raises(error):
            pin(store, who, which)
    for _ in range(pins.MAX_PINNED):
        pin(store, author, store.post(author))
    with pytest.raises(Invalid, match="maximum"):
        pin(store, author, post_id)
    assert len(pinned(store, None, author)) == pins.MAX_PINNED


def test_a_muted_thread_notifies_of_nothing(store: Store) -> None:
    ann, bob, cat = store.person(), store.person(), store.person()
    root = store.post(ann, "root")
    reply = store.post(bob, f"@{store.name(ann)} one", in_reply_to_id=root)
    mute(store, ann, reply)
    assert Reacted(ann, 0) in store.events
    deeper = store.post(cat, f"@{store.name(ann)} two", in_reply_to_id=reply)
    store.do(reactions.favourite, account_id=cat, post_id=root, now_ms=store.now_ms)
    elsewhere = store.post(cat, f"@{store.name(ann)} elsewhere")
    assert told(store, ann, Kind.MENTION) == 2
    assert told(store, ann, Kind.FAVOURITE) == 0
    assert [is_muted(store, ann, one) for one in (root, reply, deeper, elsewhere)] == [
        True,
        True,
        True,
        False,
    ]
    assert not is_muted(store, bob, root)
    # The thread keeps its identity after its first post is deleted.
    store.do(posts.delete_post, author_id=ann, post_id=root, now_ms=store.now_ms)
    store.post(cat, f"@{store.name(ann)} three", in_reply_to_id=deeper)
    assert told(store, ann, Kind.MENTION) == 2
    store.do(pins.unmute_thread, account_id=ann, post_id=deeper, now_ms=store.now_ms)
    store.post(cat, f"@{store.name(ann)} four", in_reply_to_id=deeper)
    assert told(store, ann, Kind.MENTION) == 3


def test_a_thread_that_one_may_not_see_cannot_be_muted(store: Store) -> None:
    author, stranger, blocked = store.person(), store.person(), store.person()
    block(store, author, blocked)
    post_id = store.post(author)
    few = store.post(author, visibility=Visibility.FOLLOWERS)
    for who, which in ((stranger, few), (blocked, post_id), (stranger, 5)):
        with pytest.raises(NotFound):
            mute(store, who, which)
    mute(store, stranger, post_id)
    assert is_muted(store, stranger, post_id)
