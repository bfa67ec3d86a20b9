"""Cached fragments: dropped when their content changes, and never stored stale."""

from __future__ import annotations

import pytest
from minijinja import Markup

from stormpetrel.model.event import (
    AccountChanged,
    AllChanged,
    Notified,
    PostChanged,
    PostCreated,
    PostDeleted,
)
from stormpetrel.model.post import Visibility
from stormpetrel.web.fragments import Fragment, Fragments


def fragment(post_id, *account_ids):
    return Fragment(
        id=post_id,
        author_id=account_ids[0],
        username="ann",
        shown_name="Ann",
        html=Markup(""),
        foot=Markup(""),
        visibility=Visibility.PUBLIC,
        in_reply_to_id=None,
        boost_of_id=None,
        replies_count=0,
        boosts_count=0,
        favourites_count=0,
        excerpt="",
        account_ids=account_ids,
    )


@pytest.fixture
def kept():
    kept = Fragments()
    for post_id, author_id in ((1, 100), (2, 100), (3, 200)):
        kept.put(fragment(post_id, author_id), began=kept.freshness.begin())
    return kept


def known(kept):
    return {post_id for post_id in range(1, 10) if kept.get(post_id)}


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (PostChanged(1, 100), {2, 3}),
        (PostDeleted(1, 100, boosts=((3, 200),)), {2}),
        (PostDeleted(9, 100, in_reply_to_id=3), {1, 2}),
        (PostCreated(9, 200, 0, in_reply_to_id=1), {2, 3}),
        (PostCreated(9, 200, 0, boost_of_id=2), {1, 3}),
        (AccountChanged(100), {3}),
        (Notified(100, 5), {1, 2, 3}),
        (AllChanged(), set()),
    ],
)
def test_an_event_drops_what_it_changed_and_nothing_else(kept, event, left):
    kept.apply(event)
    assert known(kept) == left


@pytest.mark.parametrize(
    "event", [PostChanged(4, 100), AccountChanged(100), AccountChanged(300), AllChanged()]
)
def test_what_was_read_before_an_event_is_not_kept_after_it(kept, event):
    before = kept.freshness.begin()
    kept.apply(event)
    kept.put(fragment(4, 100, 300), began=before)
    assert kept.get(4) is None


def test_an_event_about_something_else_does_not_keep_a_fragment_out(kept):
    before = kept.freshness.begin()
    kept.apply(PostChanged(3, 200))
    kept.put(fragment(4, 100), began=before)
    assert kept.get(4) is not None


def test_the_oldest_make_room_and_leave_nothing_behind():
    kept = Fragments(max_fragments=2)
    for post_id in (1, 2, 3):
        kept.put(fragment(post_id, 100 + post_id), began=kept.freshness.begin())
    assert (len(kept), known(kept)) == (2, {2, 3})
    kept.apply(AccountChanged(101))
    kept.apply(AccountChanged(102))
    assert known(kept) == {3}
