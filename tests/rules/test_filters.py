"""Filters: who owns them, and how many there can be; on both stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.event import FiltersChanged
from stormpetrel.model.filter import (
    MAX_FILTER_TITLE,
    MAX_FILTERS,
    MAX_KEYWORD,
    MAX_KEYWORD_CHARACTERS,
    MAX_KEYWORDS,
    Filter,
)
from stormpetrel.model.post import Visibility
from stormpetrel.rules import filters as rules
from stormpetrel.rules.filters import FilterChange, KeywordChange
from tests.community import block
from tests.store import Store

NOBODY = 0


def made(store: Store, owner: int, *words: str, **change: Any) -> Filter:
    store.now_ms += 1
    change = {"title": "Weather", "contexts": ("home",), "action": "hide"} | change
    keywords = tuple(KeywordChange(keyword=word) for word in words)
    return store.do(
        rules.create_filter,
        account_id=owner,
        change=FilterChange(**change, keywords=keywords),
        now_ms=store.now_ms,
    )


@dataclass
class Scene:
    """An owner, their filter of one word that names one post, and accounts unrelated to it."""

    store: Store
    owner: int
    author: int
    blocked: int
    stranger: int
    filter: Filter
    post_id: int


@pytest.fixture
def scene(store: Store) -> Scene:
    owner, author, blocked, stranger = (store.person(name) for name in ("owner", "author", "blocked", "any"))
    block(store, owner, blocked)
    post_id = store.post(author, "not for me")
    one = made(store, owner, "rain")
    store.do(rules.add_post, account_id=owner, filter_id=one.id, post_id=post_id, now_ms=store.now_ms)
    one = rules.one_filter(store.connection, account_id=owner, filter_id=one.id)
    return Scene(store, owner, author, blocked, stranger, one, post_id)


def of_filter(rule: Callable[..., Any], **more: Any) -> Callable[[Scene, int], Any]:
    """Run the rule with the scene's filter at the scene's time."""
    return lambda scene, who: scene.store.do(
        rule, account_id=who, filter_id=scene.filter.id, now_ms=scene.store.now_ms, **more
    )


RULES: dict[str, Callable[[Scene, int], Any]] = {
    "one_filter": lambda scene, who: rules.one_filter(
        scene.store.connection, account_id=who, filter_id=scene.filter.id
    ),
    "keyword": lambda scene, who: rules.keyword(
        scene.store.connection, account_id=who, keyword_id=scene.filter.keywords[0].id
    ),
    "filtered_post": lambda scene, who: rules.filtered_post(
        scene.store.connection, account_id=who, id=scene.filter.posts[0].id
    ),
    "change_filter": of_filter(rules.change_filter, change=FilterChange(title="Mine now")),
    "add_keyword": of_filter(rules.add_keyword, change=KeywordChange(keyword="snow")),
    "change_keyword": lambda scene, who: scene.store.do(
        rules.change_keyword,
        account_id=who,
        keyword_id=scene.filter.keywords[0].id,
        change=KeywordChange(keyword="snow"),
        now_ms=scene.store.now_ms,
    ),
    "add_post": lambda scene, who: scene.store.do(
        rules.add_post,
        account_id=who,
        filter_id=scene.filter.id,
        post_id=scene.store.post(scene.author),
        now_ms=scene.store.now_ms,
    ),
    "remove_post": lambda scene, who: scene.store.do(
        rules.remove_post, account_id=who, id=scene.filter.posts[0].id
    ),
    "delete_filter": lambda scene, who: scene.store.do(
        rules.delete_filter, account_id=who, filter_id=scene.filter.id
    ),
}


def test_a_filter_is_there_for_its_owner_and_for_nobody_else(scene: Scene) -> None:
    store = scene.store
    for who in (scene.stranger, scene.author, scene.blocked, NOBODY):
        for rule in RULES.values():
            with pytest.raises(NotFound):
                rule(scene, who)
        assert rules.filters(store.connection, account_id=who) == []
        assert rules.active(store.connection, account_id=who, now_ms=0).filters == ()
    assert rules.filters(store.connection, account_id=scene.owner) == [scene.filter]
    for name, rule in RULES.items():
        store.events = []
        rule(scene, scene.owner)
        # Caches of an owner's filters are notified of every change.
        changes = [event for event in store.events if isinstance(event, FiltersChanged)]
        is_reading = name in ("one_filter", "keyword", "filtered_post")
        assert changes == ([] if is_reading else [FiltersChanged(scene.owner)]), name


def test_a_filter_names_only_posts_that_its_owner_may_see(scene: Scene) -> None:
    store = scene.store
    blocking = store.person("blocking")
    block(store, blocking, scene.owner)
    posts = [
        store.post(scene.author, "for others", visibility=Visibility.DIRECT),
        store.post(scene.author, "for followers", visibility=Visibility.FOLLOWERS),
        store.post(blocking, "by somebody who blocks one"),
        1,
    ]
    for post_id in posts:
        with pytest.raises(NotFound):
            store.do(
                rules.add_post,
                account_id=scene.owner,
                filter_id=scene.filter.id,
                post_id=post_id,
                now_ms=store.now_ms,
            )
    with pytest.raises(Invalid, match="already been taken"):
        of_filter(rules.add_post, post_id=scene.post_id)(scene, scene.owner)


def test_a_keyword_of_another_filter_cannot_be_changed_by_way_of_ones_own(scene: Scene) -> None:
    own = made(scene.store, scene.stranger, "x")
    theirs = scene.filter.keywords[0].id
    for change in (KeywordChange(id=theirs, keyword="y"), KeywordChange(id=theirs, remove=True)):
        with pytest.raises(NotFound):
            scene.store.do(
                rules.change_filter,
                account_id=scene.stranger,
                filter_id=own.id,
                change=FilterChange(keywords=(change,)),
                now_ms=scene.store.now_ms,
            )
    assert rules.filters(scene.store.connection, account_id=scene.owner) == [scene.filter]


def test_what_is_wrong_is_said_all_at_once(scene: Scene) -> None:
    change = FilterChange(
        title="x" * (MAX_FILTER_TITLE + 1),
        contexts=("home", "nowhere"),
        action="explode",
        expires_in_s=-1,
        keywords=(KeywordChange(keyword=" "),),
    )
    with pytest.raises(Invalid) as refused:
        of_filter(rules.change_filter, change=change)(scene, scene.owner)
    assert set(refused.value.fields) == {"title", "context", "filter_action", "expires_in", "keyword"}
    assert refused.value.safe_text.startswith(
        "Validation failed: Title is too long (maximum is 256 characters), "
    )
    assert rules.filters(scene.store.connection, account_id=scene.owner) == [scene.filter]


def test_filters_keywords_and_named_posts_are_so_many_at_most(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, owner = scene.store, scene.owner
    full = made(store, owner, *map(str, range(MAX_KEYWORDS - 1)))
    for more in (lambda: made(store, owner, "more"), lambda: RULES["add_keyword"](scene, owner)):
        with pytest.raises(Invalid, match=f"all filters together can have at most {MAX_KEYWORDS}") as refused:
            more()
        assert list(refused.value.fields) == ["keyword"]
    # Removing one makes room for another, and each account has its own limit.
    changes = (KeywordChange(keyword="new"), KeywordChange(id=full.keywords[0].id, remove=True))
    store.do(
        rules.change_filter,
        account_id=owner,
        filter_id=full.id,
        change=FilterChange(keywords=changes),
        now_ms=store.now_ms,
    )
    made(store, scene.stranger, "more")
    for number in range(MAX_FILTERS - 2):
        made(store, owner, title=str(number))
    with pytest.raises(Invalid, match=f"at most {MAX_FILTERS} filters"):
        made(store, owner)
    monkeypatch.setattr(rules, "MAX_FILTERED_POSTS", 2)
    RULES["add_post"](scene, owner)
    with pytest.raises(Invalid, match="can contain at most 2 posts"):
        store.do(
            rules.add_post,
            account_id=owner,
            filter_id=full.id,
            post_id=store.post(scene.author),
            now_ms=store.now_ms,
        )


def test_keywords_have_so_many_characters_at_most(scene: Scene) -> None:
    store, owner = scene.store, scene.owner
    long = [f"{number} ".ljust(MAX_KEYWORD, "x") for number in range(MAX_KEYWORD_CHARACTERS // MAX_KEYWORD)]
    with pytest.raises(Invalid, match=f"must have 1 to {MAX_KEYWORD} characters"):
        made(store, owner, long[0] + "x")
    full = made(store, owner, *long)
    with pytest.raises(
        Invalid, match=f"all keywords together can have at most {MAX_KEYWORD_CHARACTERS} characters"
    ):
        made(store, owner, "x" * MAX_KEYWORD)
    # Shorter ones may still replace long ones.
    kept = rules.keyword_changes(full, [(word, False) for word in long[1:]])
    changed = store.do(
        rules.change_filter,
        account_id=owner,
        filter_id=full.id,
        change=FilterChange(keywords=kept),
        now_ms=store.now_ms,
    )
    assert [(one.id, one.whole_word) for one in changed.keywords] == [
        (one.id, False) for one in full.keywords[1:]
    ]
    assert rules.one_filter(store.connection, account_id=owner, filter_id=full.id) == changed
