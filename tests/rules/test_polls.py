"""Polls: who may ask and vote, one ballot per account, and a single notification of the end."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stormpetrel.courier.deliveries import DELIVERIES
from stormpetrel.errors import Invalid, NotFound, Refusal
from stormpetrel.model.event import PostChanged, Reacted
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.poll import MAX_DURATION_S, Poll, PollDraft, bits_of, positions_in
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.rules import edits, notifications, polls, posts
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import connect, transaction
from tests.community import block, follow
from tests.store import Store, store_at

WHICH = PollDraft(("red", "green", "blue"), 300)
SEVERAL = replace(WHICH, multiple=True)


def vote(store: Store, who: int, poll_id: int, *choices: int) -> Poll:
    poll, _ = store.do(polls.vote, account_id=who, poll_id=poll_id, choices=choices, now_ms=store.now_ms)
    return poll


def votes(poll: Poll) -> list[int]:
    return [option.votes_count for option in poll.options]


def seen(store: Store, who: int | None, poll_id: int) -> tuple[Poll, int]:
    return polls.poll(store.connection, reader_id=who, poll_id=poll_id, now_ms=store.now_ms)


def do_what_is_due(store: Store) -> int:
    """Do the courier's due jobs, as the courier does them. Return their number."""

    def work(connection: Any) -> int:
        jobs = outbox.lease(connection, now_ms=store.now_ms, lease_ms=1000, count=100)
        for job in jobs:
            assert outbox.finish(connection, job)
            DELIVERIES[job.kind](connection, job.payload, store.now_ms)
        return len(jobs)

    return store.do(work)


def told(store: Store, account: int, kind: Kind) -> int:
    found = notifications.notifications(
        store.connection, account_id=account, page=Page(limit=40), now_ms=store.now_ms, kinds=[kind]
    )
    return len(found)


def test_a_vote_is_counted_once_and_is_for_good(store: Store) -> None:
    author, voter = store.person(), store.person()
    poll_id = store.post(author, "Which?", poll=WHICH)
    assert votes(vote(store, voter, poll_id, 1)) == [0, 1, 0]
    assert {PostChanged(poll_id, author), Reacted(voter, poll_id)} <= set(store.events)
    for again in (0, 1):
        with pytest.raises(Invalid, match="already voted"):
            vote(store, voter, poll_id, again)
    poll, own = seen(store, voter, poll_id)
    assert (votes(poll), poll.voters_count, positions_in(own)) == ([0, 1, 0], 1, [1])
    assert seen(store, None, poll_id) == (poll, 0)


def test_several_choices_are_one_vote_where_the_poll_allows_them(store: Store) -> None:
    author, voter = store.person(), store.person()
    poll_id = store.post(author, "Which?", poll=SEVERAL)
    poll = vote(store, voter, poll_id, 2, 0, 2)
    assert (votes(poll), poll.voters_count, poll.votes_count) == ([1, 0, 1], 1, 2)
    single = store.post(author, "Which one?", poll=WHICH)
    with pytest.raises(Invalid, match="Only one"):
        vote(store, voter, single, 0, 1)


@pytest.mark.parametrize("choices", [(), (3,), (-1,), (10**6,), (0, 99)])
def test_a_choice_that_is_not_there_is_no_vote(store: Store, choices: tuple[int, ...]) -> None:
    author, voter = store.person(), store.person()
    poll_id = store.post(author, "Which?", poll=SEVERAL)
    with pytest.raises(Invalid):
        vote(store, voter, poll_id, *choices)
    assert votes(vote(store, voter, poll_id, 0)) == [1, 0, 0]


def test_the_author_cannot_vote_and_nobody_after_the_end(store: Store) -> None:
    author, voter = store.person(), store.person()
    poll_id = store.post(author, "Which?", poll=WHICH)
    with pytest.raises(Invalid, match="own polls"):
        vote(store, author, poll_id, 0)
    store.now_ms += 300_000 - 1
    vote(store, voter, poll_id, 0)
    store.now_ms += 1
    with pytest.raises(Invalid, match="already ended"):
        vote(store, store.person(), poll_id, 0)
    assert votes(seen(store, None, poll_id)[0]) == [1, 0, 0]


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_poll_is_for_those_who_may_see_its_post(store: Store, visibility: Visibility) -> None:
    author, fan, named, stranger, blocked = (store.person() for _ in range(5))
    follow(store, fan, author)
    block(store, author, blocked)
    poll_id = store.post(author, f"@{store.name(named)} which?", visibility=visibility, poll=WHICH)
    everybody = visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
    allowed = {
        named: True,
        fan: visibility is not Visibility.DIRECT,
        stranger: everybody,
        blocked: False,
    }
    for who, may in allowed.items():
        if may:
            vote(store, who, poll_id, 0)
            continue
        with pytest.raises(NotFound):
            vote(store, who, poll_id, 0)
        with pytest.raises(NotFound):
            seen(store, who, poll_id)
    if not everybody:
        with pytest.raises(NotFound):
            seen(store, None, poll_id)
    assert votes(seen(store, author, poll_id)[0]) == [sum(allowed.values()), 0, 0]
    with pytest.raises(NotFound):
        vote(store, stranger, store.post(author, "no poll"), 0)


@pytest.mark.parametrize(
    "draft",
    [
        PollDraft(("one",), 300),
        PollDraft(tuple("abcde"), 300),
        PollDraft(("a", " "), 300),
        PollDraft(("a", "a"), 300),
        PollDraft(("a", "b" * 51), 300),
        PollDraft(("a", "b"), 299),
        PollDraft(("a", "b"), MAX_DURATION_S + 1),
    ],
)
def test_a_poll_outside_the_limits_is_refused_and_nothing_is_posted(store: Store, draft: PollDraft) -> None:
    author = store.person()
    with pytest.raises(Invalid):
        store.post(author, "Which?", poll=draft)
    assert do_what_is_due(store) == 0
    assert store.post(author, "Which?", poll=PollDraft(("a", "b" * 50), MAX_DURATION_S))


def test_all_who_asked_or_voted_are_told_of_the_end_once(store: Store) -> None:
    author, voter, other = store.person(), store.person(), store.person()
    poll_id = store.post(author, "Which?", poll=WHICH)
    vote(store, voter, poll_id, 0)
    store.now_ms += 299_999
    assert do_what_is_due(store) == 0
    store.now_ms += 1
    assert do_what_is_due(store) == 1
    assert PostChanged(poll_id, author) in store.events
    ends = seen(store, None, poll_id)[0].expires_at_ms
    store.do(polls.end_poll, post_id=poll_id, expires_at_ms=ends, now_ms=store.now_ms)
    assert [told(store, who, Kind.POLL) for who in (author, voter, other)] == [1, 1, 0]


def test_more_voters_than_one_job_tells_are_told_by_the_next(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(polls, "TOLD_AT_ONCE", 2)
    author = store.person()
    poll_id = store.post(author, "Which?", poll=WHICH)
    voters = [store.person() for _ in range(5)]
    for voter in voters:
        vote(store, voter, poll_id, 0)
    store.now_ms += 300_000
    assert [do_what_is_due(store) for _ in range(4)] == [1, 1, 1, 0]
    assert [told(store, who, Kind.POLL) for who in (author, *voters)] == [1] * 6


def test_votes_of_one_account_at_once_are_one_vote(store: Store) -> None:
    author, voter = store.person(), store.person()
    poll_id = store.post(author, "Which?", poll=WHICH)
    others = [store.person() for _ in range(3)]
    outcomes: list[bool] = []
    start = threading.Barrier(6)

    def cast(number: int, who: int) -> None:
        connection = connect(store.url, ids=IdMaker(10 + number))
        try:
            start.wait()
            with suppress(Invalid), transaction(connection):
                polls.vote(
                    connection, account_id=who, poll_id=poll_id, choices=[number % 3], now_ms=store.now_ms
                )
                outcomes.append(who == voter)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=cast, args=(number, who))
        for number, who in enumerate([voter, voter, voter, *others])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    poll, _ = seen(store, voter, poll_id)
    assert sorted(outcomes) == [False, False, False, True]
    assert (poll.voters_count, poll.votes_count) == (4, 4)


VOTERS = 4
ACTIONS = st.one_of(
    st.tuples(st.just("vote"), st.integers(0, VOTERS), st.lists(st.integers(0, 3), max_size=3)),
    st.tuples(st.just("edit"), st.sampled_from([None, WHICH, SEVERAL, PollDraft(("a", "b"), 600)])),
    st.tuples(st.just("pass"), st.sampled_from([1_000, 200_000])),
    st.tuples(st.just("delete")),
)


@given(actions=st.lists(ACTIONS, max_size=25))
def test_counts_are_the_votes_after_whatever_happened(shared: Store, actions: list[tuple[Any, ...]]) -> None:
    """Compare with an independent count: who voted for which option since the question last changed."""
    store = shared
    people = [store.person() for _ in range(VOTERS + 1)]  # the first one asks
    post_id = store.post(people[0], "Which?", poll=SEVERAL)
    asked: PollDraft | None = SEVERAL
    ends_ms = store.now_ms + SEVERAL.duration_s * 1000
    ballots: dict[int, set[int]] = {}
    there = True
    for action, *values in actions:
        if action == "vote":
            who, choices = people[values[0]], values[1]
            ok = (
                *(there, asked is not None, who != people[0], who not in ballots, bool(choices)),
                store.now_ms < ends_ms,
            )
            ok_choices = asked is not None and all(choice < len(asked.options) for choice in choices)
            ok_number = asked is not None and (asked.multiple or len(set(choices)) == 1)
            voted = True
            try:
                vote(store, who, post_id, *choices)
            except Refusal:
                voted = False
            assert voted == (all(ok) and ok_choices and ok_number)
            if voted:
                ballots[who] = set(choices)
        elif action == "edit" and there:
            draft = values[0]
            store.do(
                edits.edit_post,
                author_id=people[0],
                post_id=post_id,
                draft=Draft("Which?", poll=draft),
                max_characters=500,
                domain="here.example",
                now_ms=store.now_ms,
            )
            same = (
                asked is not None
                and draft is not None
                and (asked.options, asked.multiple) == (draft.options, draft.multiple)
            )
            if not same:
                ballots = {}
            if draft is not None and not (same and store.now_ms >= ends_ms):
                ends_ms = store.now_ms + draft.duration_s * 1000
            asked = draft
        elif action == "pass":
            store.now_ms += values[0]
        elif action == "delete" and there:
            store.do(posts.delete_post, author_id=people[0], post_id=post_id, now_ms=store.now_ms)
            there = False
    if not there or asked is None:
        with pytest.raises(NotFound):
            seen(store, people[0], post_id)
        return
    poll, _ = seen(store, people[0], post_id)
    assert poll.voters_count == len(ballots)
    assert votes(poll) == [
        sum(position in chosen for chosen in ballots.values()) for position in range(len(asked.options))
    ]
    assert {who: seen(store, who, post_id)[1] for who in ballots} == {
        who: bits_of(chosen) for who, chosen in ballots.items()
    }


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield one store for all examples of a property."""
    import shutil

    from tests.conftest import _postgresql_database

    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("polls") / "stormpetrel.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        databases = iter([f"sqlite:///{path}"])
    else:
        databases = _postgresql_database(
            request.getfixturevalue("postgresql_admin"), request.getfixturevalue("postgresql_template")
        )
    with store_at(next(databases)) as store:
        yield store
    next(databases, None)
