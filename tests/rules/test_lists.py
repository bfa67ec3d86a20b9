"""Lists: who owns them, who can be in them, and their limits; on both stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.lists import MAX_LISTS, MAX_TITLE, AccountList, RepliesPolicy
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts, relationships, timelines
from stormpetrel.rules import lists as rules
from tests.community import block, follow
from tests.store import Store

TEN = Page(limit=10)
NOBODY = 0


@dataclass
class Scene:
    """An owner with a list that contains a friend, and accounts unrelated to the list."""

    store: Store
    owner: int
    friend: int
    blocked: int
    blocking: int
    stranger: int
    list_id: int

    def members(self) -> list[int]:
        return rules.members(
            self.store.connection, account_id=self.owner, list_id=self.list_id, page=Page(limit=100)
        )

    def add(self, *member_ids: int) -> None:
        self.store.do(rules.add_members, account_id=self.owner, list_id=self.list_id, member_ids=member_ids)


def made(store: Store, owner: int, title: str = "Crew", **settings: Any) -> AccountList:
    store.now_ms += 1
    return store.do(rules.create_list, account_id=owner, title=title, now_ms=store.now_ms, **settings)


@pytest.fixture
def scene(store: Store) -> Scene:
    people = [store.person(name) for name in ("owner", "friend", "blocked", "blocking", "stranger")]
    owner, friend, blocked, blocking, _ = people
    follow(store, owner, friend)
    block(store, owner, blocked)
    block(store, blocking, owner)
    scene = Scene(store, *people, list_id=made(store, owner).id)
    scene.add(friend)
    return scene


def read(rule: Callable[..., Any], **more: Any) -> Callable[[Scene, int], Any]:
    return lambda scene, who: rule(scene.store.connection, account_id=who, list_id=scene.list_id, **more)


def write(rule: Callable[..., Any], **more: Any) -> Callable[[Scene, int], Any]:
    return lambda scene, who: scene.store.do(rule, account_id=who, list_id=scene.list_id, **more)


ONE_LIST: dict[str, Callable[[Scene, int], Any]] = {
    "one_list": read(rules.one_list),
    "members": read(rules.members, page=TEN),
    "audience": read(rules.audience),
    "timeline": lambda scene, who: timelines.list_timeline(
        scene.store.connection, account_id=who, list_id=scene.list_id, page=TEN, now_ms=scene.store.now_ms
    ),
    "change_list": write(rules.change_list, title="Mine now"),
    "add_members": lambda scene, who: scene.store.do(
        rules.add_members, account_id=who, list_id=scene.list_id, member_ids=[who or scene.stranger]
    ),
    "remove_members": lambda scene, who: scene.store.do(
        rules.remove_members, account_id=who, list_id=scene.list_id, member_ids=[scene.friend]
    ),
    "delete_list": write(rules.delete_list),
}


def test_a_list_is_there_for_its_owner_and_for_nobody_else(scene: Scene) -> None:
    before = rules.one_list(scene.store.connection, account_id=scene.owner, list_id=scene.list_id)
    for rule in ONE_LIST.values():
        for who in (scene.stranger, scene.friend, scene.blocked, scene.blocking, NOBODY):
            with pytest.raises(NotFound):
                rule(scene, who)
    assert rules.one_list(scene.store.connection, account_id=scene.owner, list_id=scene.list_id) == before
    assert scene.members() == [scene.friend]
    for rule in ONE_LIST.values():
        rule(scene, scene.owner)


def test_ones_lists_are_ones_own(scene: Scene) -> None:
    store = scene.store
    second = made(store, scene.owner, "Second")
    theirs = made(store, scene.friend, "Theirs")
    titles = {
        who: [one.title for one in rules.lists(store.connection, account_id=who)]
        for who in (scene.owner, scene.friend, scene.stranger, NOBODY)
    }
    assert titles == {
        scene.owner: ["Crew", "Second"],
        scene.friend: ["Theirs"],
        scene.stranger: [],
        NOBODY: [],
    }
    for who, ids in {scene.owner: [scene.list_id], scene.friend: [], scene.stranger: [], NOBODY: []}.items():
        found = rules.lists_with(store.connection, account_id=who, member_id=scene.friend)
        assert [one.id for one in found] == ids
    store.do(rules.delete_list, account_id=scene.owner, list_id=second.id)
    assert rules.lists(store.connection, account_id=scene.friend) == [theirs]


def test_only_who_is_followed_and_oneself_can_be_in_a_list(scene: Scene) -> None:
    store = scene.store
    locked, other = store.person("locked", locked=True), store.person("other")
    follow(store, scene.owner, locked)  # a request, because the account is locked
    follow(store, scene.owner, other)
    for who in (scene.stranger, scene.blocked, scene.blocking, locked, NOBODY):
        with pytest.raises(NotFound):
            scene.add(other, who)
    # The accounts are added together or not at all.
    assert scene.members() == [scene.friend]
    scene.add(other, scene.owner)
    assert set(scene.members()) == {scene.friend, other, scene.owner}
    with pytest.raises(Invalid, match="already been taken"):
        scene.add(other)


GOES = {
    "unfollows": lambda scene: scene.store.do(
        relationships.unfollow,
        follower_id=scene.owner,
        followed_id=scene.friend,
        now_ms=scene.store.now_ms,
    ),
    "blocks": lambda scene: block(scene.store, scene.owner, scene.friend),
    "is blocked": lambda scene: block(scene.store, scene.friend, scene.owner),
    "is removed": lambda scene: scene.store.do(
        relationships.remove_follower,
        account_id=scene.friend,
        follower_id=scene.owner,
        now_ms=scene.store.now_ms,
    ),
    "loses them": lambda scene: scene.store.do(accounts.suspend, account_id=scene.friend),
}


def test_who_is_followed_no_longer_is_in_no_list_any_more(scene: Scene) -> None:
    for how, go in GOES.items():
        scene.friend = scene.store.person("friend")
        follow(scene.store, scene.owner, scene.friend)
        scene.add(scene.friend)
        assert scene.friend in scene.members()
        go(scene)
        assert scene.friend not in scene.members(), how


def test_what_cannot_be_is_refused_with_its_field(scene: Scene) -> None:
    for wrong, field in (
        ({"title": " \n "}, "title"),
        ({"title": "x" * (MAX_TITLE + 1)}, "title"),
        ({"replies_policy": "all"}, "replies_policy"),
        ({"replies_policy": ""}, "replies_policy"),
    ):
        given = {"title": "Good"} | wrong
        with pytest.raises(Invalid) as making:
            made(scene.store, scene.owner, **given)
        with pytest.raises(Invalid) as changing:
            write(rules.change_list, **given)(scene, scene.owner)
        assert list(making.value.fields) == list(changing.value.fields) == [field]
    assert [one.title for one in rules.lists(scene.store.connection, account_id=scene.owner)] == ["Crew"]


def test_a_list_changes_in_what_is_given_only(scene: Scene) -> None:
    changed = write(rules.change_list, exclusive=True)(scene, scene.owner)
    assert changed == AccountList(scene.list_id, scene.owner, "Crew", RepliesPolicy.LIST, exclusive=True)
    changed = write(rules.change_list, title=" New \n name ", replies_policy="none")(scene, scene.owner)
    assert changed == AccountList(scene.list_id, scene.owner, "New name", RepliesPolicy.NONE, exclusive=True)
    assert rules.lists(scene.store.connection, account_id=scene.owner) == [changed]


def test_lists_and_their_members_are_so_many_at_most(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    store = scene.store
    for number in range(MAX_LISTS - 1):
        made(store, scene.owner, str(number))
    with pytest.raises(Invalid, match=f"maximum number of lists \\({MAX_LISTS}\\)"):
        made(store, scene.owner, "one more")
    made(store, scene.friend, "others are not kept from it")
    monkeypatch.setattr(rules, "MAX_MEMBERS", 2)
    others = [store.person() for _ in range(2)]
    for other in others:
        follow(store, scene.owner, other)
    with pytest.raises(Invalid, match="at most 2 accounts"):
        scene.add(*others)
    scene.add(others[0])
    with pytest.raises(Invalid, match="at most 2 accounts"):
        scene.add(others[1])
    assert len(scene.members()) == 2
