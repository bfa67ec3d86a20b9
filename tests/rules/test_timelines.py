"""Timelines: which posts a reader sees where. tests/storage/test_timelines.py tests home against an independent
statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stormpetrel.errors import NotFound
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.model.quota import YOUNG_MS
from stormpetrel.rules import accounts, posts, reactions, relationships, timelines
from tests.community import block, boost, follow, mute
from tests.store import Store

TEN = Page(limit=10)


def home(store: Store, reader: int, page: Page = TEN) -> list[int]:
    return timelines.home(store.connection, reader_id=reader, page=page, now_ms=store.now_ms)


def of_account(store: Store, reader: int | None, account: int, **options: Any) -> list[int]:
    return timelines.of_account(
        store.connection, reader_id=reader, account_id=account, page=TEN, now_ms=store.now_ms, **options
    )


def test_home_holds_ones_own_posts_and_those_of_whom_one_follows(store: Store) -> None:
    reader, friend, stranger = store.person(), store.person(), store.person()
    follow(store, reader, friend)
    own = store.post(reader)
    store.post(stranger)
    theirs = store.post(friend)
    assert home(store, reader) == [theirs, own]
    assert home(store, stranger) != home(store, friend)


def test_home_leaves_out_what_is_not_meant_for_the_reader(store: Store) -> None:
    reader, friend, quiet, stranger = (store.person() for _ in range(4))
    follow(store, reader, friend)
    follow(store, reader, quiet, show_boosts=False)
    question = store.post(stranger, "why?")
    store.post(friend, "because", in_reply_to_id=question)
    store.post(friend, f"@{store.name(stranger)} psst", visibility=Visibility.DIRECT)
    boost(store, quiet, question)
    to_me = store.post(friend, f"@{store.name(reader)} psst", visibility=Visibility.DIRECT)
    circle = store.post(friend, "for you", visibility=Visibility.FOLLOWERS)
    thread = store.post(friend, "and", in_reply_to_id=circle)
    boosted = boost(store, friend, question)
    assert home(store, reader) == [boosted, thread, circle, to_me]


def test_a_reply_to_a_stranger_stays_out_of_home_when_what_it_answers_is_deleted(store: Store) -> None:
    reader, friend, stranger = store.person(), store.person(), store.person()
    follow(store, reader, friend)
    question = store.post(stranger, "why?")
    reply = store.post(friend, "because", in_reply_to_id=question)
    assert home(store, reader) == []
    store.do(posts.delete_post, author_id=stranger, post_id=question, now_ms=store.now_ms)
    assert home(store, reader) == []
    assert of_account(store, None, friend, exclude_replies=True) == []
    assert of_account(store, None, friend) == [reply]


def test_who_is_hidden_is_in_no_list_and_comes_back_when_a_mute_ends(store: Store) -> None:
    reader, friend, other = store.person(), store.person(), store.person()
    follow(store, reader, friend)
    follow(store, reader, other)
    muted = store.post(friend, "#muted")
    boost(store, other, muted)
    mute(store, reader, friend, duration_s=60)
    assert home(store, reader) == []
    assert timelines.public(store.connection, reader_id=reader, page=TEN, now_ms=store.now_ms) == []
    store.now_ms += 60_000
    assert home(store, reader) == [muted]
    block(store, friend, reader)
    assert home(store, reader) == []
    for rule, more in ((timelines.public, {}), (timelines.tag, {"name": "muted"})):
        args = {"reader_id": reader, "page": TEN, "now_ms": store.now_ms, **more}
        assert rule(store.connection, **args) == []  # type: ignore[operator]


def test_nothing_of_a_suspended_account_is_shown_and_all_of_it_is_back_afterwards(store: Store) -> None:
    reader, friend, suspect = store.person(), store.person(), store.person()
    follow(store, reader, friend)
    theirs = store.post(suspect, "#gone")
    unlisted = store.post(suspect, "also gone", visibility=Visibility.UNLISTED)
    boosted = boost(store, friend, theirs)
    own_boost = boost(store, reader, unlisted)
    before = home(store, reader)
    assert before == [own_boost, boosted]
    store.do(accounts.suspend, account_id=suspect)
    assert home(store, reader) == []
    assert of_account(store, reader, friend) == []
    assert timelines.tag(store.connection, reader_id=None, page=TEN, name="gone", now_ms=store.now_ms) == []
    with pytest.raises(NotFound):
        of_account(store, None, suspect)
    store.do(accounts.unsuspend, account_id=suspect)
    assert home(store, reader) == before


def test_home_goes_on_behind_hundreds_of_posts_that_do_not_belong_there(store: Store) -> None:
    reader, friend, stranger = store.person(), store.person(), store.person()
    store.now_ms += YOUNG_MS
    follow(store, reader, friend)
    first = store.post(friend, "first")
    question = store.post(stranger, "why?")
    for _ in range(400):
        store.post(friend, "because", in_reply_to_id=question)
    assert home(store, reader, Page(limit=2)) == [first]
    last = store.post(friend, "last")
    assert home(store, reader, Page(limit=2)) == [last, first]
    assert home(store, reader, Page(limit=2, min_id=first)) == [last]


def test_the_public_timeline_has_what_is_for_everybody_and_starts_a_conversation(store: Store) -> None:
    author, other = store.person(), store.person()
    first = store.post(author)
    store.post(other, "answer", in_reply_to_id=first)
    thread = store.post(author, "thread", in_reply_to_id=first)
    for visibility in (Visibility.UNLISTED, Visibility.FOLLOWERS, Visibility.DIRECT):
        store.post(author, visibility=visibility)
    boost(store, other, first)

    def public(**options: Any) -> list[int]:
        return timelines.public(store.connection, reader_id=None, page=TEN, now_ms=store.now_ms, **options)

    assert public() == public(local=True) == public(local=True, remote=True) == [thread, first]
    assert public(remote=True) == public(only_media=True) == []


def test_tag_timelines_combine_tags(store: Store) -> None:
    author = store.person()
    one, two, both = (store.post(author, text) for text in ("#One", "#two", "#ONE #two"))
    three = store.post(author, "#one #three")
    store.post(author, "#one", visibility=Visibility.UNLISTED)

    def tagged(name: str, **more: tuple[str, ...]) -> list[int]:
        return timelines.tag(
            store.connection, reader_id=None, page=TEN, name=name, now_ms=store.now_ms, **more
        )

    assert tagged("one") == tagged("#oNE") == [three, both, one]
    assert tagged("one", any_of=("two",)) == [three, both, two, one]
    assert tagged("one", all_of=("#TWO",)) == [both]
    assert tagged("one", all_of=("two", "two")) == [both]
    assert tagged("one", none_of=("two", "three")) == [one]
    assert tagged("one", none_of=("unheard",)) == [three, both, one]
    assert tagged("one", all_of=("unheard",)) == tagged("unheard") == []


def test_an_accounts_posts_are_for_whom_they_are_for(store: Store) -> None:
    author, fan, stranger, blocked = (store.person() for _ in range(4))
    follow(store, fan, author)
    public, unlisted = store.post(author, "#tag"), store.post(author, visibility=Visibility.UNLISTED)
    circle = store.post(author, "#tag", visibility=Visibility.FOLLOWERS)
    direct = store.post(author, f"@{store.name(stranger)} #tag", visibility=Visibility.DIRECT)
    assert of_account(store, None, author) == [unlisted, public]
    assert of_account(store, fan, author) == [circle, unlisted, public]
    assert of_account(store, stranger, author) == [direct, unlisted, public]
    assert of_account(store, author, author) == [direct, circle, unlisted, public]
    assert of_account(store, None, author, tagged="TAG") == [public]
    assert of_account(store, fan, author, tagged="#tag") == [circle, public]
    assert of_account(store, fan, author, tagged="unheard") == []
    assert (
        of_account(store, fan, author, pinned=True) == of_account(store, fan, author, only_media=True) == []
    )
    block(store, author, blocked)
    with pytest.raises(NotFound):
        of_account(store, blocked, author)
    with pytest.raises(NotFound):
        of_account(store, None, 12345)


def test_an_accounts_replies_and_boosts_can_be_left_out(store: Store) -> None:
    author, other = store.person(), store.person()
    theirs = store.post(other)
    reply = store.post(author, in_reply_to_id=theirs)
    own = store.post(author)
    thread = store.post(author, in_reply_to_id=own)
    boosted = boost(store, author, theirs)
    assert of_account(store, None, author) == [boosted, thread, own, reply]
    assert of_account(store, None, author, exclude_replies=True) == [boosted, thread, own]
    assert of_account(store, None, author, exclude_boosts=True) == [thread, own, reply]
    assert of_account(store, None, author, exclude_replies=True, exclude_boosts=True) == [thread, own]


@pytest.mark.parametrize(
    ("put", "rule"), [(reactions.favourite, timelines.favourites), (reactions.bookmark, timelines.bookmarks)]
)
def test_what_one_kept_is_listed_by_when_one_did_and_only_while_one_may_see_it(
    store: Store, put: Callable[..., None], rule: Callable[..., list[tuple[int, int]]]
) -> None:
    author, fan = store.person(), store.person()
    follow(store, fan, author)
    old, new = store.post(author), store.post(author, visibility=Visibility.FOLLOWERS)
    for post_id in (new, old):
        store.now_ms += 1
        store.do(put, account_id=fan, post_id=post_id, now_ms=store.now_ms)

    def kept(page: Page = TEN) -> list[tuple[int, int]]:
        return rule(store.connection, account_id=fan, page=page, now_ms=store.now_ms)

    rows = kept()
    assert [post_id for _, post_id in rows] == [old, new]
    assert kept(Page(limit=10, max_id=rows[0][0])) == rows[1:]
    assert kept(Page(limit=1, min_id=rows[1][0])) == rows[:1]
    store.do(relationships.unfollow, follower_id=fan, followed_id=author, now_ms=store.now_ms)
    assert [post_id for _, post_id in kept()] == [old]
