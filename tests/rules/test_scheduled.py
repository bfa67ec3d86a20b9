"""Scheduled posts: checked when written, posted once, and visible only to their author."""

from __future__ import annotations

from typing import Any

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.page import Page
from stormpetrel.model.poll import PollDraft
from stormpetrel.model.post import Draft, Post, Scheduled, Visibility
from stormpetrel.rules import accounts, drafts, posts, scheduled, timelines
from tests.community import block
from tests.rules.test_polls import do_what_is_due
from tests.store import Store

HOUR_MS = 3_600_000


def later(store: Store, who: int, text: str = "later", *, ahead_ms: int = HOUR_MS, **more: Any) -> Scheduled:
    key = more.pop("key", None)
    return store.do(
        scheduled.schedule_post,
        author_id=who,
        draft=Draft(text, **more),
        due_at_ms=store.now_ms + ahead_ms,
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
        idempotency_key=key,
    )


def move(store: Store, who: int, which: int, *, ahead_ms: int) -> Scheduled:
    return store.do(
        scheduled.reschedule,
        account_id=who,
        scheduled_id=which,
        due_at_ms=store.now_ms + ahead_ms,
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
    )


def waiting(store: Store, who: int) -> list[int]:
    found = scheduled.scheduled_posts(store.connection, account_id=who, page=Page(limit=40))
    return [one.id for one in found]


def posted(store: Store, who: int) -> list[Post]:
    ids = timelines.of_account(
        store.connection, reader_id=who, account_id=who, page=Page(limit=40), now_ms=store.now_ms
    )
    return posts.posts(store.connection, post_ids=ids)


def test_it_is_posted_once_when_it_is_due(store: Store) -> None:
    author, ann = store.person(default_visibility=Visibility.UNLISTED), store.person()
    first = later(store, author, f"@{store.name(ann)} #later", poll=PollDraft(("a", "b"), 300))
    store.do(accounts.update_profile, account_id=author, change=accounts_change(), now_ms=store.now_ms)
    store.now_ms += HOUR_MS - 1
    assert do_what_is_due(store) == 0
    assert (waiting(store, author), posted(store, author)) == ([first.id], [])
    store.now_ms += 1
    assert do_what_is_due(store) == 1
    (post,) = posted(store, author)
    assert (post.visibility, post.tags, post.created_at_ms) == (Visibility.UNLISTED, ("later",), store.now_ms)
    assert [mention.account_id for mention in post.mentions] == [ann]
    assert post.poll is not None
    assert post.poll.expires_at_ms == store.now_ms + 300_000
    assert waiting(store, author) == []
    store.do(
        scheduled.post_scheduled,
        scheduled_id=first.id,
        due_at_ms=first.due_at_ms,
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
    )
    assert len(posted(store, author)) == 1


def accounts_change() -> Any:
    from stormpetrel.model.account import ProfileChange

    return ProfileChange(default_visibility=Visibility.PUBLIC)


def test_moved_it_is_posted_at_its_new_time_only(store: Store) -> None:
    author = store.person()
    one = later(store, author)
    moved = move(store, author, one.id, ahead_ms=2 * HOUR_MS)
    assert (moved.id, moved.due_at_ms) == (one.id, store.now_ms + 2 * HOUR_MS)
    store.now_ms += HOUR_MS
    do_what_is_due(store)
    assert posted(store, author) == []
    store.now_ms += HOUR_MS
    do_what_is_due(store)
    assert len(posted(store, author)) == 1
    with pytest.raises(NotFound):
        move(store, author, one.id, ahead_ms=HOUR_MS)


def test_taken_back_it_is_never_posted(store: Store) -> None:
    author = store.person()
    one = later(store, author)
    store.do(scheduled.cancel, account_id=author, scheduled_id=one.id)
    store.now_ms += HOUR_MS
    assert do_what_is_due(store) == 1
    assert posted(store, author) == []
    with pytest.raises(NotFound):
        store.do(scheduled.cancel, account_id=author, scheduled_id=one.id)


def test_it_is_nobody_elses_business(store: Store) -> None:
    author, stranger = store.person(), store.person()
    one = later(store, author)
    assert waiting(store, stranger) == []
    with pytest.raises(NotFound):
        scheduled.scheduled_post(store.connection, account_id=stranger, scheduled_id=one.id)
    with pytest.raises(NotFound):
        move(store, stranger, one.id, ahead_ms=2 * HOUR_MS)
    with pytest.raises(NotFound):
        store.do(scheduled.cancel, account_id=stranger, scheduled_id=one.id)
    assert waiting(store, author) == [one.id]


@pytest.mark.parametrize(
    "draft",
    [
        {"text": ""},
        {"text": "x" * 501},
        {"ahead_ms": scheduled.MIN_AHEAD_MS - 1},
        {"ahead_ms": scheduled.MAX_AHEAD_MS + 1},
        {"ahead_ms": -1},
        {"poll": PollDraft(("a",), 300)},
    ],
)
def test_what_could_not_be_posted_is_refused_at_once(store: Store, draft: dict[str, Any]) -> None:
    author = store.person()
    with pytest.raises(Invalid):
        later(store, author, **draft)
    assert waiting(store, author) == []


def test_a_reply_to_what_one_may_not_see_is_refused_and_to_what_is_gone_then_is_none(store: Store) -> None:
    author, other = store.person(), store.person()
    hidden = store.post(other, visibility=Visibility.DIRECT)
    with pytest.raises(NotFound):
        later(store, author, in_reply_to_id=hidden)
    seen = store.post(other)
    later(store, author, in_reply_to_id=seen)
    block(store, other, author)
    store.now_ms += HOUR_MS
    do_what_is_due(store)
    (post,) = posted(store, author)
    assert post.in_reply_to_id is None


def test_a_suspended_account_posts_nothing_and_keeps_what_waits(store: Store) -> None:
    author = store.person()
    one = later(store, author)
    store.do(accounts.suspend, account_id=author)
    with pytest.raises(Forbidden):
        later(store, author)
    store.now_ms += HOUR_MS
    do_what_is_due(store)
    store.do(accounts.unsuspend, account_id=author)
    assert (posted(store, author), waiting(store, author)) == ([], [one.id])
    move(store, author, one.id, ahead_ms=HOUR_MS)
    store.now_ms += HOUR_MS
    do_what_is_due(store)
    assert len(posted(store, author)) == 1


def test_there_is_a_limit_for_a_day_and_for_all(store: Store, monkeypatch: Any) -> None:
    author = store.person()
    store.now_ms -= store.now_ms % scheduled.DAY_MS
    for _ in range(scheduled.MAX_PER_DAY):
        later(store, author)
    with pytest.raises(Invalid, match="a day"):
        later(store, author)
    monkeypatch.setattr(scheduled, "MAX_SCHEDULED", scheduled.MAX_PER_DAY + 1)
    one = later(store, author, ahead_ms=scheduled.DAY_MS)
    with pytest.raises(Invalid, match="limit of 26"):
        later(store, author, ahead_ms=2 * scheduled.DAY_MS)
    with pytest.raises(Invalid, match="a day"):
        move(store, author, one.id, ahead_ms=HOUR_MS)
    assert len(waiting(store, author)) == 26


def test_the_same_key_schedules_once(store: Store) -> None:
    author = store.person()
    first = later(store, author, key="k")
    assert later(store, author, key="k").id == first.id
    store.now_ms += drafts.IDEMPOTENCY_MS + 1
    assert later(store, author, key="k").id != first.id
