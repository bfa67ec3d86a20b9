"""Plain posts at once: the same effects as one by one, and all others apart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from stormpetrel.model.account import AccountState
from stormpetrel.model.event import AccountChanged, OutboxFilled, PostCreated
from stormpetrel.model.page import Page
from stormpetrel.model.poll import PollDraft
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.model.quota import YOUNG_MS
from stormpetrel.rules import accounts, posts, relationships, timelines
from stormpetrel.rules.drafts import Created
from stormpetrel.rules.plain_posts import create_plain_posts
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.together import APART, Apart
from tests.store import Store


def asked(store: Store, author_id: int, draft: Draft, *, key: str | None = None) -> dict[str, Any]:
    return {
        "author_id": author_id,
        "draft": draft,
        "max_characters": 500,
        "domain": "here.example",
        "now_ms": store.now_ms,
        "idempotency_key": key,
    }


def old_people(store: Store, count: int) -> list[int]:
    people = [store.person() for _ in range(count)]
    store.now_ms += YOUNG_MS
    return people


def tag(store: Store, name: str) -> None:
    """Have the hashtag used once."""
    store.post(store.person(), f"#{name}")


@pytest.mark.parametrize(
    "draft",
    [
        Draft("hello"),
        Draft("hello", visibility=Visibility.UNLISTED),
        Draft("hello", spoiler_text="cw", visibility=Visibility.FOLLOWERS, language="de"),
        Draft("of #Storms and #sea, not #storms", sensitive=True),
        Draft("see https://example.org/a", allowed_mentions=()),
    ],
)
def test_a_post_together_with_others_is_the_same_as_alone(store: Store, draft: Draft) -> None:
    alone, one, other, reader = old_people(store, 4)
    for author in (alone, one):
        store.do(
            relationships.follow,
            follower_id=reader,
            followed_id=author,
            show_boosts=None,
            notify=True,
            now_ms=store.now_ms,
        )
    tag(store, "storms")
    tag(store, "sea")
    single = store.do(posts.create_post, **asked(store, alone, draft, key="k"))
    single_events = store.events
    calls = [asked(store, author, draft, key="k") for author in (one, other)]
    made = store.do(create_plain_posts, calls)
    # Only the first has a follower who wants notices: a job for the courier.
    assert [type(event) for event in store.events] == [
        *[type(event) for event in single_events],
        PostCreated,
        AccountChanged,
    ]
    assert store.events.count(OutboxFilled()) == 1

    def facts(created: Created | Apart) -> list[Any]:
        """Return all but what names the post or its author, as it was returned and as it is stored."""
        assert isinstance(created, Created)
        post, author = created.post, created.author
        assert post is not None
        assert author is not None
        assert posts.posts(store.connection, post_ids=[post.id]) == [post]
        assert accounts.account(store.connection, account_id=author.id) == author
        again = store.do(posts.create_post, **asked(store, author.id, draft, key="k"))
        assert again == Created(post.id)
        return [replace(post, id=0, author_id=0), author.posts_count, author.last_post_at_ms]

    assert [facts(created) for created in made] == [facts(single)] * 2
    newest = timelines.public(store.connection, reader_id=None, page=Page(limit=2), now_ms=store.now_ms)
    ids = [created.post_id for created in made if isinstance(created, Created)]
    assert (newest == ids[::-1]) == (draft.visibility is None)
    tagged = timelines.tag(
        store.connection, name="storms", reader_id=None, page=Page(limit=2), now_ms=store.now_ms
    )
    assert (tagged == ids[::-1]) == ("#Storms" in draft.text)


def test_a_post_that_is_not_plain_is_left_apart_and_the_others_are_created(store: Store) -> None:
    people = old_people(store, 16)
    answered_id = store.post(people[15], "answer me", visibility=Visibility.PUBLIC)
    repeated = store.do(posts.create_post, **asked(store, people[0], Draft("x"), key="same"))
    store.do(stored_accounts.set_state, account_id=people[1], state=AccountState.SUSPENDED)
    young = store.person()
    poll = PollDraft(options=("a", "b"), duration_s=600)
    name = store.name(people[2])
    apart = [
        asked(store, people[0], Draft("x"), key="same"),
        asked(store, people[1], Draft("suspended")),
        asked(store, people[3], Draft("a reply", in_reply_to_id=answered_id)),
        asked(store, people[4], Draft(f"hello @{name}")),
        asked(store, people[5], Draft("a poll", poll=poll)),
        asked(store, people[6], Draft("", media_ids=(1,))),
        asked(store, people[7], Draft("for me", visibility=Visibility.DIRECT)),
        asked(store, people[8], Draft("a new #hashtag")),
        asked(store, people[9], Draft("  ")),
        asked(store, people[10], Draft("x" * 501)),
        asked(store, people[11], Draft("x", language="not a language at all")),
        asked(store, young, Draft("young")),
        asked(store, 1, Draft("an account that does not exist"), key="k"),
    ]
    plain = [asked(store, author, Draft("plain")) for author in people[12:15]]
    calls = [
        plain[0],
        *apart[:6],
        plain[1],
        *apart[6:],
        plain[2],
        asked(store, people[12], Draft("a second")),
    ]
    answers = store.do(create_plain_posts, calls)
    made = [isinstance(answer, Created) for answer in answers]
    assert made == [call in plain for call in calls]
    assert all(isinstance(answer, Created) or answer is APART for answer in answers)
    assert {
        author: accounts.account(store.connection, account_id=author).posts_count for author in people[2:15]
    } == dict.fromkeys(people[2:12], 0) | dict.fromkeys(people[12:15], 1)
    assert store.do(posts.create_post, **apart[0]) == Created(repeated.post_id)


def test_a_post_behind_one_that_is_left_apart_waits_for_it(store: Store) -> None:
    (author,) = old_people(store, 1)
    calls = [
        asked(store, author, Draft("for me", visibility=Visibility.DIRECT)),
        asked(store, author, Draft("b")),
    ]
    assert store.do(create_plain_posts, calls) == [APART, APART]


def test_counts_are_exact_while_two_processes_post_for_the_same_authors(store: Store) -> None:
    authors = old_people(store, 20)
    answers: list[Created] = []

    async def write(database: Database, number: int) -> None:
        """Have each author post three times, each time with one key twice."""
        calls = [
            asked(store, author, Draft(f"{number} {turn}"), key=f"{number} {turn}")
            for turn in (0, 0, 1, 2)
            for author in authors
        ]
        answers.extend(await asyncio.gather(*(database.write(posts.create_post, **call) for call in calls)))

    async def main() -> None:
        databases = [Database(store.url), Database(store.url)]
        for database in databases:
            await database.open()
        await asyncio.gather(*(write(database, number) for number, database in enumerate(databases)))
        for database in databases:
            await database.close()

    asyncio.run(main())
    made = {created.post_id for created in answers}
    assert len(answers) == 160
    assert len(made) == 120
    assert len(posts.posts(store.connection, post_ids=sorted(made))) == 120
    counts = [accounts.account(store.connection, account_id=author).posts_count for author in authors]
    assert counts == [6] * 20
