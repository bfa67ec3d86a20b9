"""Acknowledged posts after an attack: looked for in the store, except those that were deleted."""

from __future__ import annotations

import asyncio

from stormpetrel.model.attack import AttackSpan
from stormpetrel.model.event import PostCreated
from stormpetrel.model.ids import first_id_at
from stormpetrel.rules import posts
from stormpetrel.storage import acknowledged_posts
from stormpetrel.watch import acknowledged
from stormpetrel.watch.acknowledged import AcknowledgedPosts
from tests.store import START_MS, Store

SPAN = AttackSpan(1, START_MS, START_MS, START_MS + 60_000)


def checked(heard, span=SPAN):
    """Return the counts of the check by their name."""
    return {note.because: note.count for note in asyncio.run(heard.check(span))}


def test_posts_in_the_store_are_found_and_one_that_is_not_is_counted(store: Store, monkeypatch):
    monkeypatch.setattr(acknowledged_posts, "AT_ONCE", 2)
    heard = AcknowledgedPosts(store.url)
    author = store.person()
    for _ in range(5):
        store.post(author)
        heard.hear(store.events)
    assert checked(heard) == {"posts": 5, "posts_missing": 0}
    lost = first_id_at(START_MS + 900)
    heard.hear([PostCreated(post_id=lost, author_id=author, visibility=0)])
    assert checked(heard) == {"posts": 6, "posts_missing": 1}


def test_a_deleted_post_and_those_of_a_deleted_account_are_no_loss(store: Store):
    heard = AcknowledgedPosts(store.url)
    author = store.person()
    post_id = store.post(author)
    heard.hear(store.events)
    store.do(posts.delete_post, author_id=author, post_id=post_id, now_ms=store.now_ms)
    heard.hear(store.events)
    heard.hear([PostCreated(post_id=first_id_at(START_MS + 900), author_id=author + 1, visibility=0)])
    assert checked(heard) == {"posts": 1, "posts_missing": 0}


def test_posts_from_before_the_attack_are_not_looked_for(store: Store):
    heard = AcknowledgedPosts(store.url)
    store.post(store.person())
    heard.hear(store.events)
    later = AttackSpan(1, store.now_ms + 1, store.now_ms + 1, store.now_ms + 2)
    assert checked(heard, later) == {"posts": 0, "posts_missing": 0}


def test_only_the_newest_posts_are_remembered(monkeypatch, tmp_path):
    monkeypatch.setattr(acknowledged, "MAX_POSTS", 10)
    heard = AcknowledgedPosts(f"sqlite:///{tmp_path / 'none.db'}")
    for number in range(50):
        heard.hear([PostCreated(post_id=first_id_at(START_MS + number), author_id=1, visibility=0)])
    assert len(heard._authors) == 10


def test_a_store_that_does_not_answer_is_said_and_nothing_is_counted(tmp_path):
    heard = AcknowledgedPosts(f"sqlite:///{tmp_path / 'missing' / 'none.db'}")
    heard.hear([PostCreated(post_id=first_id_at(START_MS), author_id=1, visibility=0)])
    assert checked(heard) == {"unchecked": 1}
