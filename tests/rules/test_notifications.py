"""Notifications: which accounts get them, each once, and the read marks."""

from __future__ import annotations

from typing import Any

import pytest

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.account import Role
from stormpetrel.model.event import Notified
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.notification import Kind, Notification
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.rules import accounts, posts, reactions
from stormpetrel.rules import notifications as rules
from tests.community import block, boost, follow, mute
from tests.store import Store

TEN = Page(limit=10)


def told(store: Store, account: int, page: Page = TEN, **options: Any) -> list[Notification]:
    return rules.notifications(
        store.connection, account_id=account, page=page, now_ms=store.now_ms, **options
    )


def kinds(store: Store, account: int, **options: Any) -> list[Kind]:
    return [one.kind for one in told(store, account, **options)]


def favourite(store: Store, account: int, post_id: int) -> None:
    store.now_ms += 1
    store.do(reactions.favourite, account_id=account, post_id=post_id, now_ms=store.now_ms)


def test_each_thing_that_concerns_one_is_told_newest_first(store: Store) -> None:
    author, fan = store.person(), store.person()
    follow(store, fan, author)
    post_id = store.post(author)
    favourite(store, fan, post_id)
    (event,) = [event for event in store.events if isinstance(event, Notified)]
    boost(store, fan, post_id)
    mention = store.post(fan, f"@{store.name(author)} well said")
    found = told(store, author)
    assert [(one.kind, one.from_account_id, one.post_id) for one in found] == [
        (Kind.MENTION, fan, mention),
        (Kind.BOOST, fan, post_id),
        (Kind.FAVOURITE, fan, post_id),
        (Kind.FOLLOW, fan, None),
    ]
    assert event == Notified(author, found[2].id)
    assert told(store, fan) == []


def test_ones_own_doing_is_no_news(store: Store) -> None:
    author = store.person()
    post_id = store.post(author, "mine")
    favourite(store, author, post_id)
    boost(store, author, post_id)
    store.post(author, f"@{store.name(author)} me")
    assert told(store, author) == []


def test_what_is_done_undone_and_done_again_is_told_once(store: Store) -> None:
    author, fan = store.person(), store.person()
    post_id = store.post(author)
    favourite(store, fan, post_id)
    store.do(reactions.unfavourite, account_id=fan, post_id=post_id, now_ms=store.now_ms)
    assert told(store, author) == []
    favourite(store, fan, post_id)
    favourite(store, fan, post_id)
    assert kinds(store, author) == [Kind.FAVOURITE]
    for _ in range(2):
        store.do(
            rules.notify,
            account_id=author,
            kind=Kind.FOLLOW,
            from_account_id=fan,
            now_ms=store.now_ms,
        )
    assert kinds(store, author) == [Kind.FOLLOW, Kind.FAVOURITE]


def test_what_was_told_is_gone_with_the_post_and_hidden_with_the_account(store: Store) -> None:
    author, fan, other = store.person(), store.person(), store.person()
    post_id = store.post(author)
    favourite(store, fan, post_id)
    follow(store, other, author)
    store.do(accounts.suspend, account_id=other)
    assert kinds(store, author) == [Kind.FAVOURITE]
    store.do(accounts.unsuspend, account_id=other)
    store.do(posts.delete_post, author_id=author, post_id=post_id, now_ms=store.now_ms)
    assert kinds(store, author) == [Kind.FOLLOW]


def test_a_mute_hides_what_was_told_before_until_it_ends_and_a_block_forgets_it(store: Store) -> None:
    author, fan, other = store.person(), store.person(), store.person()
    for one in (fan, other):
        follow(store, one, author)
    mute(store, author, fan, duration_s=60)
    assert [one.from_account_id for one in told(store, author)] == [other]
    store.now_ms += 60_000
    assert len(told(store, author)) == 2
    block(store, author, other)
    assert [one.from_account_id for one in told(store, author)] == [fan]


def test_lists_can_be_narrowed_and_paged(store: Store) -> None:
    author, fan, other = store.person(), store.person(), store.person()
    post_id = store.post(author)
    follow(store, fan, author)
    for one in (fan, other):
        favourite(store, one, post_id)
    store.post(other, f"@{store.name(author)}")
    everything = told(store, author)
    assert [one.kind for one in everything] == [Kind.MENTION, Kind.FAVOURITE, Kind.FAVOURITE, Kind.FOLLOW]
    assert kinds(store, author, kinds=[Kind.MENTION, Kind.FOLLOW]) == [Kind.MENTION, Kind.FOLLOW]
    assert kinds(store, author, exclude=[Kind.FAVOURITE]) == [Kind.MENTION, Kind.FOLLOW]
    assert kinds(store, author, kinds=[Kind.FAVOURITE], exclude=[Kind.FAVOURITE]) == []
    assert kinds(store, author, kinds=[]) == []
    assert kinds(store, author, from_account_id=fan) == [Kind.FAVOURITE, Kind.FOLLOW]
    assert told(store, author, Page(limit=2)) == everything[:2]
    assert told(store, author, Page(limit=2, max_id=everything[1].id)) == everything[2:]
    assert told(store, author, Page(limit=2, since_id=everything[3].id)) == everything[:2]
    assert told(store, author, Page(limit=2, min_id=everything[3].id)) == everything[1:3]


def test_only_ones_own_can_be_read_dismissed_and_cleared(store: Store) -> None:
    author, fan, stranger = store.person(), store.person(), store.person()
    post_id = store.post(author)
    follow(store, fan, author)
    favourite(store, fan, post_id)
    follow(store, author, stranger)
    newest, oldest = told(store, author)
    for nobody, which in ((stranger, newest.id), (author, 12345)):
        with pytest.raises(NotFound):
            rules.notification(store.connection, account_id=nobody, notification_id=which)
        with pytest.raises(NotFound):
            store.do(rules.dismiss, account_id=nobody, notification_id=which)
    assert rules.notification(store.connection, account_id=author, notification_id=newest.id) == newest
    store.do(rules.dismiss, account_id=author, notification_id=newest.id)
    assert told(store, author) == [oldest]
    store.do(rules.clear, account_id=author)
    assert told(store, author) == []
    assert kinds(store, stranger) == [Kind.FOLLOW]


def test_a_marker_goes_forward_never_back_and_says_what_is_unread(store: Store) -> None:
    author, fan = store.person(), store.person()
    post_id = store.post(author)
    follow(store, fan, author)
    favourite(store, fan, post_id)
    newest, oldest = told(store, author)

    def unread(limit: int = 10) -> int:
        return rules.unread_count(store.connection, account_id=author, limit=limit, now_ms=store.now_ms)

    def mark(last_read_id: int, timeline: str = "notifications") -> tuple[int, int]:
        marker = store.do(
            rules.set_marker,
            account_id=author,
            timeline=timeline,
            last_read_id=last_read_id,
            now_ms=store.now_ms,
        )
        return marker.last_read_id, marker.version

    assert (unread(), unread(limit=1)) == (2, 1)
    assert mark(oldest.id) == (oldest.id, 1)
    assert unread() == 1
    assert mark(newest.id) == (newest.id, 2)
    assert mark(oldest.id) == (newest.id, 3)
    assert unread() == 0
    assert mark(7, "home") == (7, 1)
    found = rules.markers(store.connection, account_id=author, timelines=["home", "notifications", "x"])
    assert sorted((one.timeline, one.last_read_id) for one in found) == [
        ("home", 7),
        ("notifications", newest.id),
    ]
    assert rules.markers(store.connection, account_id=fan, timelines=["home"]) == []
    with pytest.raises(Invalid):
        mark(1, "elsewhere")
    assert mark(MAX_ID)[0] == MAX_ID


def test_subscribers_are_told_of_a_post_that_they_may_see_once(store: Store) -> None:
    author, keen, calm, muter, named = (store.person() for _ in range(5))
    for one in (keen, muter, named):
        follow(store, one, author, notify=True)
    follow(store, calm, author)
    mute(store, muter, author)
    for _ in range(2):
        post_id = store.post(author, f"@{store.name(named)} news", visibility=Visibility.FOLLOWERS)
        for _ in range(2):
            store.do(rules.notify_post_subscribers, post_id=post_id, now_ms=store.now_ms)
    assert kinds(store, keen) == [Kind.POST, Kind.POST]
    assert kinds(store, named) == [Kind.MENTION, Kind.MENTION]
    assert told(store, calm) == told(store, muter) == []
    store.do(rules.notify_post_subscribers, post_id=12345, now_ms=store.now_ms)
    assert store.events == []


def test_admins_are_told_of_a_sign_up_once_also_while_it_waits(store: Store) -> None:
    admin = store.do(
        accounts.sign_up,
        username="chief",
        email="chief@example.org",
        password_hash="-",
        reason="",
        locale="en",
        registration="closed",
        now_ms=store.now_ms,
        role=Role.ADMIN,
        by_operator=True,
    ).id
    newcomer = store.do(
        accounts.sign_up,
        username="newcomer",
        email="new@example.org",
        password_hash="-",
        reason="please",
        locale="en",
        registration="approval",
        now_ms=store.now_ms,
    ).id
    for _ in range(2):
        store.do(rules.notify_admins_of_sign_up, account_id=newcomer, now_ms=store.now_ms)
    assert [(one.kind, one.from_account_id) for one in told(store, admin)] == [(Kind.SIGN_UP, newcomer)]
    store.do(accounts.reject, account_id=newcomer)
    store.do(rules.notify_admins_of_sign_up, account_id=newcomer, now_ms=store.now_ms)
    assert told(store, admin) == []
