"""Which notifications form a group, on which page, and what dismissing a group removes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.errors import NotFound
from stormpetrel.model.ids import MAX_ID, first_id_at
from stormpetrel.model.notification import (
    GROUP_MS,
    GROUPED,
    GroupKey,
    Kind,
    Notification,
    group_key,
    key_text,
    parse_group_key,
)
from stormpetrel.model.page import Page
from stormpetrel.rules import notification_groups as groups
from stormpetrel.rules import notifications, reactions
from tests.community import block, follow


@pytest.fixture
def ann(store):
    # Start at the beginning of a span, so that the following events fall into one.
    store.now_ms = (store.now_ms // GROUP_MS + 1) * GROUP_MS
    return store.person("ann")


def favour(store, who, post):
    store.now_ms += 1
    store.do(reactions.favourite, account_id=who, post_id=post, now_ms=store.now_ms)


def read(store, account, limit=20, **more):
    page = {name: more.pop(name) for name in ("max_id", "since_id", "min_id") if name in more}
    return groups.groups(
        store.connection,
        account_id=account,
        page=Page(limit=limit, **page),
        now_ms=store.now_ms,
        **more,
    )


def shapes(page):
    return [(one.newest.kind, one.newest.post_id, one.count) for one in page.groups]


def test_what_many_do_with_one_post_is_told_as_one(store, ann):
    first, second = store.post(ann), store.post(ann)
    people = [store.person() for _ in range(10)]
    for one in people:
        favour(store, one, first)
    favour(store, people[0], second)
    reply = store.post(people[1], f"@{store.name(ann)} a")
    other = store.post(people[1], f"@{store.name(ann)} b")
    favour(store, ann, first)  # an account's own favourite notifies no one
    found = read(store, ann)
    assert shapes(found) == [
        (Kind.MENTION, other, 1),
        (Kind.MENTION, reply, 1),
        (Kind.FAVOURITE, second, 1),
        (Kind.FAVOURITE, first, 10),
    ]
    assert found.groups[3].account_ids == tuple(people[:1:-1])
    assert [one.key for one in found.groups[:2]] == [f"ungrouped-{one.newest.id}" for one in found.groups[:2]]


def test_followers_are_told_as_one_and_apart_where_an_app_wants_that(store, ann):
    people = [store.person() for _ in range(3)]
    for one in people:
        store.now_ms += 1
        follow(store, one, ann)
    assert shapes(read(store, ann)) == [(Kind.FOLLOW, None, 3)]
    apart = read(store, ann, grouped=(Kind.FAVOURITE,))
    assert shapes(apart) == [(Kind.FOLLOW, None, 1)] * 3
    assert [one.account_ids for one in apart.groups] == [(one,) for one in reversed(people)]


def test_half_a_day_later_it_is_another_group(store, ann):
    post = store.post(ann)
    favour(store, store.person(), post)
    store.now_ms += GROUP_MS
    favour(store, store.person(), post)
    assert shapes(read(store, ann)) == [(Kind.FAVOURITE, post, 1)] * 2


def test_pages_hold_everything_between_their_ends(store, ann):
    people = [store.person() for _ in range(4)]
    mine = [store.post(ann) for _ in range(5)]
    for post in mine:
        for one in people:
            favour(store, one, post)
    top = read(store, ann, limit=2)
    assert shapes(top) == [(Kind.FAVOURITE, mine[4], 4), (Kind.FAVOURITE, mine[3], 4)]
    below = read(store, ann, limit=2, max_id=top.oldest_id)
    assert shapes(below) == [(Kind.FAVOURITE, mine[2], 4), (Kind.FAVOURITE, mine[1], 4)]
    last = read(store, ann, limit=2, max_id=below.oldest_id)
    assert shapes(last) == [(Kind.FAVOURITE, mine[0], 4)]
    assert read(store, ann, limit=2, max_id=last.oldest_id) == groups.GroupPage(())
    up = read(store, ann, limit=2, min_id=last.newest_id)
    assert (shapes(up), up.newest_id) == (shapes(below), below.newest_id)
    assert shapes(read(store, ann, since_id=below.newest_id)) == shapes(top)
    # A group that continues further back appears on both pages.
    cut = read(store, ann, limit=1, max_id=top.groups[1].newest.id)
    assert shapes(cut) == [(Kind.FAVOURITE, mine[3], 3)]


def test_a_page_of_one_huge_group_is_short_and_goes_on(store, ann, monkeypatch):
    monkeypatch.setattr(groups, "READ_AT_ONCE", 4)
    monkeypatch.setattr(groups, "READ_MOST", 8)
    post = store.post(ann)
    older = store.post(ann)
    people = [store.person() for _ in range(10)]
    favour(store, people[0], older)
    for one in people:
        favour(store, one, post)
    top = read(store, ann)
    assert shapes(top) == [(Kind.FAVOURITE, post, 8)]
    assert shapes(read(store, ann, max_id=top.oldest_id)) == [
        (Kind.FAVOURITE, post, 2),
        (Kind.FAVOURITE, older, 1),
    ]


def test_kinds_and_people_are_chosen_and_who_is_blocked_is_not_counted(store, ann):
    post = store.post(ann)
    first, second = store.person(), store.person()
    for one in (first, second):
        favour(store, one, post)
        follow(store, one, ann)
    assert shapes(read(store, ann, kinds=[Kind.FAVOURITE])) == [(Kind.FAVOURITE, post, 2)]
    assert shapes(read(store, ann, exclude=[Kind.FAVOURITE])) == [(Kind.FOLLOW, None, 2)]
    assert [one.count for one in read(store, ann, from_account_id=first).groups] == [1, 1]
    assert shapes(read(store, ann, kinds=[])) == []
    block(store, ann, second)
    assert [one.count for one in read(store, ann).groups] == [1, 1]


def test_one_group_is_read_and_dismissed_by_whose_it_is(store, ann):
    post, other = store.post(ann), store.post(ann)
    people = [store.person() for _ in range(3)]
    for one in people:
        favour(store, one, post)
    favour(store, people[0], other)
    store.post(people[0], f"@{store.name(ann)} hello")
    mention, apart, group = read(store, ann).groups
    for one in (mention, apart, group):
        whose = {"key": one.key, "now_ms": store.now_ms}
        assert groups.group(store.connection, account_id=ann, **whose) == one
        with pytest.raises(NotFound):
            groups.group(store.connection, account_id=people[0], **whose)
        store.do(groups.dismiss_group, account_id=people[0], key=one.key)
    of_group = {"account_id": ann, "key": group.key, "now_ms": store.now_ms}
    first = groups.members(store.connection, page=Page(limit=2), **of_group)
    assert [one.from_account_id for one in first] == people[:0:-1]
    rest = groups.members(store.connection, page=Page(limit=2, max_id=first[-1].id), **of_group)
    assert [one.from_account_id for one in rest] == people[:1]
    up = groups.members(store.connection, page=Page(limit=2, min_id=rest[0].id), **of_group)
    assert up == first
    store.do(groups.dismiss_group, account_id=ann, key=group.key)
    assert read(store, ann).groups == (mention, apart)
    store.do(groups.dismiss_group, account_id=ann, key=mention.key)
    assert read(store, ann).groups == (apart,)


def test_groups_with_something_new_are_counted(store, ann):
    post, other = store.post(ann), store.post(ann)
    for one in (store.person(), store.person()):
        favour(store, one, post)
        favour(store, one, other)

    def count(limit=100, **more):
        return groups.unread_count(store.connection, account_id=ann, limit=limit, now_ms=store.now_ms, **more)

    assert (count(), count(limit=1), count(grouped=())) == (2, 1, 4)
    assert count(kinds=[Kind.FOLLOW]) == 0
    newest = read(store, ann).newest_id
    for read_to, left in ((newest - 1, 1), (newest, 0)):
        store.do(
            notifications.set_marker,
            account_id=ann,
            timeline="notifications",
            last_read_id=read_to,
            now_ms=store.now_ms,
        )
        assert count() == left


@given(
    st.sampled_from(Kind),
    st.one_of(st.none(), st.integers(min_value=1, max_value=MAX_ID)),
    st.integers(min_value=0, max_value=GROUP_MS * 900_000),
)
def test_a_key_leads_back_to_its_group(kind, post_id, at_ms):
    notification = Notification(first_id_at(at_ms) + 1, 1, kind, 2, post_id, at_ms)
    key = parse_group_key(key_text(notification))
    assert key == (group_key(notification) or notification.id)
    if kind in GROUPED:
        assert isinstance(key, GroupKey)
        assert key.first_id <= notification.id < key.end_id


@pytest.mark.parametrize(
    "key",
    [
        *("", "-", "ungrouped-", "ungrouped-x", "favourite", "favourite-1", "favourite-1-", "favourite-x-1"),
        *("mention-1-1", "favourite-1-1234567", "favourite-01x-1", "favourite--1-1", "follow-0-٣"),
    ],
)
def test_what_is_no_key_names_nothing(store, ann, key):
    assert parse_group_key(key) is None
    with pytest.raises(NotFound):
        groups.group(store.connection, account_id=ann, key=key, now_ms=store.now_ms)
    store.do(groups.dismiss_group, account_id=ann, key=key)
