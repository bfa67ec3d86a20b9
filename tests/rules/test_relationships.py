"""Following, blocking, muting: who may do it, the effects, and the notifications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.account import ProfileChange
from stormpetrel.model.event import AccountChanged, RelationshipChanged
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.relationship import Relationship
from stormpetrel.rules import accounts, notifications
from stormpetrel.rules import relationships as rules
from tests.community import block, follow, mute
from tests.store import Store

TEN = Page(limit=10)


def how(store: Store, reader: int, other: int) -> Relationship:
    """Return the relationship of `reader` to `other`."""
    return rules.relationships(store.connection, reader_id=reader, account_ids=[other], now_ms=store.now_ms)[
        0
    ]


def counts(store: Store, account: int) -> tuple[int, int]:
    """Return (followers, following)."""
    found = accounts.account(store.connection, account_id=account)
    return found.followers_count, found.following_count


def told(store: Store, account: int) -> list[tuple[Kind, int]]:
    found = notifications.notifications(store.connection, account_id=account, page=TEN, now_ms=store.now_ms)
    return [(one.kind, one.from_account_id) for one in found]


def end(store: Store, rule: Callable[..., Any], account: int, other: int) -> Relationship:
    """Run a rule that takes an account and one other, under the rule's own parameter names."""
    names = {
        rules.unfollow: ("follower_id", "followed_id"),
        rules.accept_follow: ("account_id", "follower_id"),
        rules.reject_follow: ("account_id", "follower_id"),
        rules.remove_follower: ("account_id", "follower_id"),
    }.get(rule, ("account_id", "target_id"))
    result = store.do(rule, **dict(zip(names, (account, other), strict=True)), now_ms=store.now_ms)
    assert isinstance(result, Relationship)
    return result


def test_following_counts_tells_once_and_can_be_ended(store: Store) -> None:
    fan, star = store.person(), store.person()
    follow(store, fan, star)
    assert {RelationshipChanged(fan, star), AccountChanged(fan), AccountChanged(star)} <= set(store.events)
    assert how(store, fan, star) == Relationship(star, following=True, show_boosts=True)
    assert how(store, star, fan) == Relationship(fan, followed_by=True)
    follow(store, fan, star)
    assert (counts(store, fan), counts(store, star)) == ((0, 1), (1, 0))
    assert told(store, star) == [(Kind.FOLLOW, fan)]
    assert end(store, rules.unfollow, fan, star) == Relationship(star)
    assert (counts(store, fan), counts(store, star)) == ((0, 0), (0, 0))
    assert told(store, star) == []
    assert end(store, rules.unfollow, fan, star) == Relationship(star)
    assert store.events == []
    assert counts(store, fan) == (0, 0)


def test_following_again_changes_only_the_options_that_are_given(store: Store) -> None:
    fan, star = store.person(), store.person()
    follow(store, fan, star, show_boosts=False, notify=True)
    follow(store, fan, star)
    assert how(store, fan, star) == Relationship(star, following=True, show_boosts=False, notify=True)
    follow(store, fan, star, show_boosts=True)
    assert RelationshipChanged(fan, star) in store.events
    assert how(store, fan, star) == Relationship(star, following=True, show_boosts=True, notify=True)


@pytest.mark.parametrize("rule", ["follow", "block", "mute"])
def test_nobody_can_do_it_to_themselves_nor_to_who_is_not_there(store: Store, rule: str) -> None:
    act = {"follow": follow, "block": block, "mute": mute}[rule]
    one, gone = store.person(), store.person()
    store.do(accounts.suspend, account_id=gone)
    with pytest.raises(Forbidden, match="yourself"):
        act(store, one, one)
    for absent in (gone, 12345):
        with pytest.raises(NotFound):
            act(store, one, absent)
    assert how(store, one, gone) == Relationship(gone)


def test_whoever_blocks_cannot_be_followed_and_cannot_follow(store: Store) -> None:
    one, other = store.person(), store.person()
    block(store, one, other)
    for follower, followed in ((one, other), (other, one)):
        with pytest.raises(Forbidden):
            follow(store, follower, followed)


def test_a_locked_account_is_asked_and_says_yes_or_no(store: Store) -> None:
    star = store.person(locked=True)
    first, second, third = store.person(), store.person(), store.person()
    for fan in (first, second, third):
        follow(store, fan, star, notify=fan == first, show_boosts=fan != first)
        follow(store, fan, star)
    assert how(store, first, star) == Relationship(star, requested=True)
    assert how(store, star, first) == Relationship(first, requested_by=True)
    assert counts(store, star) == (0, 0)
    assert told(store, star) == [(Kind.FOLLOW_REQUEST, fan) for fan in (third, second, first)]
    rows = rules.follow_requests(store.connection, account_id=star, page=TEN)
    assert [fan for _, fan in rows] == [third, second, first]
    assert rules.follow_requests(
        store.connection, account_id=star, page=Page(limit=1, max_id=rows[0][0])
    ) == [rows[1]]
    assert end(store, rules.accept_follow, star, first).followed_by
    assert how(store, first, star) == Relationship(star, following=True, notify=True, show_boosts=False)
    assert not end(store, rules.reject_follow, star, second).requested_by
    assert not end(store, rules.unfollow, third, star).requested  # withdrawn
    assert rules.follow_requests(store.connection, account_id=star, page=TEN) == []
    assert told(store, star) == []
    assert counts(store, star) == (1, 0)
    for answer in (rules.accept_follow, rules.reject_follow):
        for nobody in (first, second, 12345):
            with pytest.raises(NotFound):
                end(store, answer, star, nobody)


def test_who_unlocks_their_account_lets_everybody_in_who_waits(store: Store) -> None:
    star = store.person(locked=True)
    fans = [store.person() for _ in range(3)]
    for fan in fans:
        follow(store, fan, star)
    store.do(
        accounts.update_profile,
        account_id=star,
        change=ProfileChange(note="still locked"),
        now_ms=store.now_ms,
    )
    assert counts(store, star) == (0, 0)
    store.do(
        accounts.update_profile, account_id=star, change=ProfileChange(locked=False), now_ms=store.now_ms
    )
    assert counts(store, star) == (3, 0)
    assert all(how(store, fan, star).following for fan in fans)
    assert {RelationshipChanged(fan, star) for fan in fans} <= set(store.events)


def test_a_follower_can_be_removed_without_being_blocked(store: Store) -> None:
    star, fan = store.person(), store.person()
    follow(store, fan, star)
    follow(store, star, fan)
    assert not end(store, rules.remove_follower, star, fan).followed_by
    assert how(store, star, fan).following
    assert (counts(store, star), counts(store, fan)) == ((0, 1), (1, 0))
    follow(store, fan, star)


def test_blocking_ends_every_tie_and_hides_what_was_told(store: Store) -> None:
    one, other = store.person(), store.person()
    asked = store.person(locked=True)
    follow(store, one, other)
    follow(store, other, one)
    follow(store, other, asked)
    block(store, asked, other)
    block(store, one, other)
    assert RelationshipChanged(one, other) in store.events
    assert how(store, one, other) == Relationship(other, blocking=True)
    assert how(store, other, one) == Relationship(one, blocked_by=True)
    assert rules.follow_requests(store.connection, account_id=asked, page=TEN) == []
    for account in (one, other):
        assert counts(store, account) == (0, 0)
        assert told(store, account) == []
    block(store, one, other)
    for lists in (rules.followers, rules.following):
        with pytest.raises(NotFound):
            lists(store.connection, reader_id=other, account_id=one, page=TEN)
        assert lists(store.connection, reader_id=one, account_id=other, page=TEN) == []
    assert [row[1] for row in rules.blocked(store.connection, account_id=one, page=TEN)] == [other]
    assert end(store, rules.unblock, one, other) == Relationship(other)
    assert end(store, rules.unblock, one, other) == Relationship(other)
    assert store.events == []
    assert counts(store, one) == (0, 0)


def test_a_mute_is_not_noticed_and_ends_by_itself(store: Store) -> None:
    one, other = store.person(), store.person()
    mute(store, one, other, duration_s=60)
    assert RelationshipChanged(one, other) in store.events
    assert how(store, one, other) == Relationship(
        other, muting=True, muting_notifications=True, muting_until_ms=store.now_ms + 60_000
    )
    assert how(store, other, one) == Relationship(one)
    follow(store, other, one)
    assert told(store, one) == []
    assert [
        row[1] for row in rules.muted(store.connection, account_id=one, page=TEN, now_ms=store.now_ms)
    ] == [other]
    store.now_ms += 60_000
    assert how(store, one, other) == Relationship(other, followed_by=True)
    assert rules.muted(store.connection, account_id=one, page=TEN, now_ms=store.now_ms) == []
    mute(store, one, other)
    store.now_ms += 10**12
    assert how(store, one, other).muting
    assert not end(store, rules.unmute, one, other).muting
    end(store, rules.unmute, one, other)
    assert store.events == []


def test_muting_again_replaces_the_options(store: Store) -> None:
    one, other = store.person(), store.person()
    mute(store, one, other, duration_s=60)
    store.do(
        rules.mute,
        account_id=one,
        target_id=other,
        hide_notifications=False,
        duration_s=0,
        now_ms=store.now_ms,
    )
    store.now_ms += 61_000
    assert how(store, one, other) == Relationship(other, muting=True, muting_notifications=False)


@pytest.mark.parametrize("duration_s", [-1, rules.MAX_MUTE_S + 1, 2**70])
def test_a_mute_of_no_possible_length_is_refused(store: Store, duration_s: int) -> None:
    one, other = store.person(), store.person()
    with pytest.raises(Invalid):
        mute(store, one, other, duration_s=duration_s)


@pytest.mark.parametrize("rule", [rules.unfollow, rules.unblock, rules.unmute, rules.remove_follower])
def test_undoing_what_concerns_nobody_is_not_found(store: Store, rule: Callable[..., Any]) -> None:
    with pytest.raises(NotFound):
        end(store, rule, store.person(), 12345)


def test_lists_of_followers_page_both_ways_and_leave_out_who_is_suspended(store: Store) -> None:
    star = store.person()
    fans = [store.person() for _ in range(5)]
    for fan in fans:
        follow(store, fan, star)
        follow(store, star, fan)
    store.do(accounts.suspend, account_id=fans[2])
    expected = [fans[4], fans[3], fans[1], fans[0]]
    for lists in (rules.followers, rules.following):

        def page(some: Page, lists: Callable[..., list[tuple[int, int]]] = lists) -> list[tuple[int, int]]:
            return lists(store.connection, reader_id=None, account_id=star, page=some)

        rows = page(TEN)
        assert [who for _, who in rows] == expected
        assert page(Page(limit=2)) == rows[:2]
        assert page(Page(limit=2, max_id=rows[1][0])) == rows[2:]
        assert page(Page(limit=2, since_id=rows[3][0])) == rows[:2]
        assert page(Page(limit=2, min_id=rows[3][0])) == rows[1:3]
        with pytest.raises(NotFound):
            lists(store.connection, reader_id=None, account_id=fans[2], page=TEN)


def test_relationships_are_told_in_the_order_asked_for_also_of_who_is_not_there(store: Store) -> None:
    one, other, third = store.person(), store.person(), store.person()
    follow(store, one, third)
    found = rules.relationships(
        store.connection, reader_id=one, account_ids=[third, 12345, other, third], now_ms=store.now_ms
    )
    assert [(item.account_id, item.following) for item in found] == [
        (third, True),
        (12345, False),
        (other, False),
        (third, True),
    ]
    assert rules.relationships(store.connection, reader_id=one, account_ids=[], now_ms=store.now_ms) == []


def test_boosts_are_chosen_only_of_somebody_one_follows(store: Store) -> None:
    fan, star = store.person(), store.person()
    choice = {"follower_id": fan, "followed_id": star, "now_ms": store.now_ms}
    assert store.do(rules.choose_boosts, shown=False, **choice) == Relationship(star)
    follow(store, fan, star)
    assert not store.do(rules.choose_boosts, shown=False, **choice).show_boosts
    hidden = rules.hidden_boosts(store.connection, account_id=fan, page=TEN)
    assert [account_id for _, account_id in hidden] == [star]
    assert store.do(rules.choose_boosts, shown=True, **choice).show_boosts
    assert rules.hidden_boosts(store.connection, account_id=fan, page=TEN) == []
    with pytest.raises(NotFound):
        store.do(rules.choose_boosts, follower_id=fan, followed_id=1, shown=True, now_ms=store.now_ms)
