"""Policies for notifications: the filtered, the dropped, the accepted and the dismissed ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from stormpetrel.errors import NotFound
from stormpetrel.model.event import NotificationsRemoved, Notified
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.notification import Kind
from stormpetrel.model.notification_policy import Choice, NotificationPolicy, NotificationRequest
from stormpetrel.model.page import Page
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.rules import (
    accounts,
    conversations,
    deletion,
    edits,
    notification_groups,
    notifications,
    phones,
    posts,
)
from stormpetrel.rules import notification_policy as rules
from stormpetrel.storage import notification_policy as stored
from stormpetrel.storage import phone_queue
from stormpetrel.storage import posts as stored_posts
from stormpetrel.storage.engine.connection import Connection, connect, transaction
from stormpetrel.storage.engine.statement import ALL, sql
from tests.community import block, boost, follow, mute
from tests.store import Store, store_at

WAITING = sql("SELECT 1 FROM pg_locks WHERE NOT granted")
ALL.remove(WAITING)

TEN = Page(limit=10)


def choose(store: Store, account: int, **choices: Choice) -> None:
    store.do(rules.change_policy, account_id=account, choices=choices, now_ms=store.now_ms)


def requests(store: Store, account: int, page: Page = TEN) -> list[NotificationRequest]:
    return rules.requests(store.connection, account_id=account, page=page, now_ms=store.now_ms)


def kinds(store: Store, account: int, **options: bool) -> list[Kind]:
    found = notifications.notifications(
        store.connection, account_id=account, page=TEN, now_ms=store.now_ms, **options
    )
    return [one.kind for one in found]


def mention(store: Store, author: int, account: int, **options: object) -> int:
    store.now_ms += 1
    return store.post(author, f"@{store.name(account)} hello", **options)


def test_a_filtered_notification_waits_in_a_request_and_is_not_announced(store: Store) -> None:
    ann, stranger = store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    first = mention(store, stranger, ann)
    assert not [event for event in store.events if isinstance(event, Notified)]
    second = mention(store, stranger, ann)
    boosted = store.post(ann)
    boost(store, stranger, boosted)
    assert kinds(store, ann) == []
    assert kinds(store, ann, include_filtered=True) == [Kind.BOOST, Kind.MENTION, Kind.MENTION]
    assert (
        notification_groups.groups(store.connection, account_id=ann, page=TEN, now_ms=store.now_ms).groups
        == ()
    )
    assert notifications.unread_count(store.connection, account_id=ann, limit=9, now_ms=store.now_ms) == 0
    (waiting,) = requests(store, ann)
    assert (waiting.from_account_id, waiting.count, waiting.last_post_id) == (stranger, 3, second)
    assert first < second
    assert rules.policy(store.connection, account_id=ann, now_ms=store.now_ms) == (
        NotificationPolicy(for_not_following=Choice.FILTER),
        1,
        3,
    )
    assert requests(store, stranger) == []


def test_an_accepted_sender_is_heard_at_once_from_then_on(store: Store) -> None:
    ann, stranger, other = store.person(), store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    for sender in (stranger, other):
        mention(store, sender, ann)
    newest, oldest = requests(store, ann)
    assert (newest.from_account_id, oldest.from_account_id) == (other, stranger)
    assert store.do(rules.accept, account_id=ann, request_ids=[oldest.id]) == 1
    assert NotificationsRemoved(ann) in store.events
    assert kinds(store, ann) == [Kind.MENTION]
    mention(store, stranger, ann)
    mention(store, other, ann)
    assert kinds(store, ann) == [Kind.MENTION, Kind.MENTION]
    assert [(one.id, one.count) for one in requests(store, ann)] == [(newest.id, 2)]
    choose(store, ann, for_not_following=Choice.DROP)
    mention(store, stranger, ann)
    assert len(kinds(store, ann)) == 3


@pytest.mark.parametrize("is_first", ["the post", "the acceptance"])
def test_a_post_beside_the_acceptance_of_its_author_does_not_wait(postgresql_url: str, is_first: str) -> None:
    with store_at(postgresql_url) as store:
        ann, stranger = store.person(), store.person()
        choose(store, ann, for_not_following=Choice.FILTER)
        mention(store, stranger, ann)
        (waiting,) = requests(store, ann)
        other, watching = connect(postgresql_url, ids=IdMaker(2)), connect(postgresql_url)
        draft = Draft(f"@{store.name(ann)} hello again")

        def post(connection: Connection) -> None:
            posts.create_post(
                connection,
                author_id=stranger,
                draft=draft,
                max_characters=500,
                domain="here.example",
                now_ms=store.now_ms + 1,
            )

        def accept(connection: Connection) -> None:
            rules.accept(connection, account_id=ann, request_ids=[waiting.id])

        def do(act: Callable[[Connection], None]) -> None:
            with transaction(other) as connection:
                act(connection)

        first, second = (post, accept) if is_first == "the post" else (accept, post)
        beside = threading.Thread(target=do, args=(second,))
        with transaction(store.connection) as connection:
            first(connection)
            beside.start()
            # Wait until the second transaction waits for this one: otherwise they are not open at the same time.
            while beside.is_alive() and watching.one(WAITING) is None:
                pass
        beside.join()
        assert requests(store, ann) == []
        assert kinds(store, ann) == [Kind.MENTION, Kind.MENTION]
        other.close()
        watching.close()


def test_a_dismissed_request_is_deleted_and_the_next_notification_begins_another(store: Store) -> None:
    ann, stranger = store.person(), store.person()
    choose(store, ann, for_new_accounts=Choice.FILTER)
    mention(store, stranger, ann)
    (waiting,) = requests(store, ann)
    assert store.do(rules.dismiss, account_id=ann, request_ids=[waiting.id]) == 1
    assert kinds(store, ann, include_filtered=True) == []
    assert store.do(rules.dismiss, account_id=ann, request_ids=[waiting.id]) == 0
    mention(store, stranger, ann)
    assert [one.count for one in requests(store, ann)] == [1]


def test_requests_are_paged_and_each_notification_names_its_request(store: Store) -> None:
    ann = store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    senders = [store.person() for _ in range(3)]
    sent = [mention(store, sender, ann) for sender in senders for _ in range(2)]
    found = requests(store, ann)
    assert [one.from_account_id for one in found] == senders[::-1]
    assert requests(store, ann, Page(limit=1)) == found[:1]
    assert requests(store, ann, Page(limit=1, max_id=found[0].id)) == found[1:2]
    assert requests(store, ann, Page(limit=1, min_id=found[2].id)) == found[1:2]
    of = {"account_id": ann, "now_ms": store.now_ms}
    assert rules.request(store.connection, request_id=found[2].newest_id, **of) == found[2]
    store.do(posts.delete_post, author_id=senders[0], post_id=sent[0], now_ms=store.now_ms)
    (left,) = [one for one in requests(store, ann) if one.from_account_id == senders[0]]
    assert (left.id, left.count) == (found[2].newest_id, 1)


def test_only_the_recipient_reads_accepts_and_dismisses_a_request(store: Store) -> None:
    ann, stranger, other = store.person(), store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    mention(store, stranger, ann)
    (waiting,) = requests(store, ann)
    for account in (stranger, other):
        assert store.do(rules.accept, account_id=account, request_ids=[waiting.id]) == 0
        assert store.do(rules.dismiss, account_id=account, request_ids=[waiting.id]) == 0
        with pytest.raises(NotFound):
            rules.request(store.connection, account_id=account, request_id=waiting.id, now_ms=store.now_ms)
    assert requests(store, ann) == [waiting]


def test_what_an_account_is_not_shown_is_in_no_request(store: Store) -> None:
    ann = store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    blocked, muted, suspended = store.person(), store.person(), store.person()
    for sender in (blocked, muted, suspended):
        mention(store, sender, ann)
    block(store, ann, blocked)
    mute(store, ann, muted)
    store.do(accounts.suspend, account_id=suspended)
    assert requests(store, ann) == []
    assert rules.policy(store.connection, account_id=ann, now_ms=store.now_ms)[1:] == (0, 0)


def test_a_dropped_notification_is_not_stored_and_a_followed_account_is_heard(store: Store) -> None:
    ann, stranger, friend = store.person(), store.person(), store.person()
    choose(store, ann, for_not_following=Choice.DROP)
    follow(store, ann, friend)
    mention(store, stranger, ann)
    mention(store, friend, ann)
    assert kinds(store, ann, include_filtered=True) == [Kind.MENTION]


def test_a_direct_post_is_filtered_unless_it_answers(store: Store) -> None:
    ann, stranger = store.person(), store.person()
    choose(store, ann, for_private_mentions=Choice.FILTER)
    direct = {"visibility": Visibility.DIRECT}
    mention(store, stranger, ann)
    uninvited = mention(store, stranger, ann, **direct)
    assert [one.last_post_id for one in requests(store, ann)] == [uninvited]
    reply = mention(store, ann, stranger, **direct, in_reply_to_id=uninvited)
    answer = mention(store, stranger, ann, **direct, in_reply_to_id=reply)
    mention(store, stranger, ann, **direct, in_reply_to_id=answer)
    assert [one.count for one in requests(store, ann)] == [1]
    assert kinds(store, ann) == [Kind.MENTION] * 3


@pytest.mark.parametrize("chosen", [Choice.FILTER, Choice.DROP])
def test_an_unaccepted_direct_post_makes_no_conversation_unread(store: Store, chosen: Choice) -> None:
    ann, friend, stranger = store.person(), store.person(), store.person()
    choose(store, ann, for_not_following=chosen)
    follow(store, ann, friend)

    def unread() -> int:
        return conversations.unread_count(store.connection, account_id=ann, limit=9, now_ms=store.now_ms)

    direct = {"visibility": Visibility.DIRECT}
    mention(store, stranger, ann, **direct)
    edited = store.post(stranger, "hello", **direct)
    store.do(
        edits.edit_post,
        author_id=stranger,
        post_id=edited,
        draft=Draft(text=f"@{store.name(ann)} hello"),
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
    )
    assert unread() == 0
    # It does not hide an unread post of a friend in the same conversation.
    group = store.post(friend, f"@{store.name(ann)} @{store.name(stranger)} hello", **direct)
    assert unread() == 1
    mention(store, stranger, ann, in_reply_to_id=group, **direct)
    assert unread() == 1


def test_a_page_with_the_filtered_ones_is_in_order_from_either_end(store: Store) -> None:
    ann, friend, stranger = store.person(), store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    follow(store, ann, friend)
    sent = [mention(store, sender, ann) for sender in (friend, stranger) * 3]

    def told(page: Page) -> list[tuple[int, int | None]]:
        found = notifications.notifications(
            store.connection, account_id=ann, page=page, now_ms=store.now_ms, include_filtered=True
        )
        return [(one.id, one.post_id) for one in found]

    everything = told(TEN)
    assert [post_id for _, post_id in everything] == sent[::-1]
    assert told(Page(limit=4)) == everything[:4]
    assert told(Page(limit=3, max_id=everything[1][0])) == everything[2:5]
    assert told(Page(limit=3, min_id=everything[5][0])) == everything[2:5]


def test_the_counts_end_at_a_thousand(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, stranger = store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    for _ in range(4):
        mention(store, stranger, ann)
    monkeypatch.setattr(rules, "MOST_COUNTED", 3)
    assert rules.policy(store.connection, account_id=ann, now_ms=store.now_ms)[1:] == (1, 3)
    assert rules.count_requests(store.connection, account_id=ann, now_ms=store.now_ms) == 1
    assert rules.count_requests(store.connection, account_id=stranger, now_ms=store.now_ms) == 0


def test_a_request_begins_with_the_first_post_that_is_not_hidden(store: Store) -> None:
    ann, stranger, other = store.person(), store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    sent = [mention(store, stranger, ann) for _ in range(3)]
    mention(store, other, ann)
    before = {one.from_account_id: one for one in requests(store, ann)}[stranger]
    store.do(stored_posts.set_hidden, post_id=sent[0], hidden=True)
    newest, oldest = requests(store, ann)
    assert newest.from_account_id == other
    assert before.id < oldest.id < newest.id
    assert (oldest.from_account_id, oldest.count, oldest.last_post_id) == (stranger, 2, sent[2])
    of = {"account_id": ann, "now_ms": store.now_ms}
    assert rules.request(store.connection, request_id=oldest.newest_id, **of) == oldest
    store.do(stored_posts.set_hidden, post_id=sent[2], hidden=True)
    assert [(one.id, one.count, one.last_post_id) for one in requests(store, ann)][1] == (
        oldest.id,
        1,
        sent[1],
    )


def test_a_request_counts_the_newest_thousand(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, stranger = store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    sent = [mention(store, stranger, ann) for _ in range(4)]
    (whole,) = requests(store, ann)
    monkeypatch.setattr(rules, "MOST_COUNTED", 3)
    assert requests(store, ann) == [replace(whole, count=3)]
    assert whole.last_post_id == sent[3]


def test_requests_are_the_same_from_few_senders_and_from_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, *strangers = (store.person() for _ in range(9))
    choose(store, ann, for_not_following=Choice.FILTER)
    sent = [mention(store, stranger, ann) for stranger in strangers for _ in range(2)]
    sent += [mention(store, stranger, ann) for stranger in strangers]
    store.do(stored_posts.set_hidden, post_id=sent[0], hidden=True)
    for hidden in (sent[2], sent[3], sent[17]):
        store.do(stored_posts.set_hidden, post_id=hidden, hidden=True)
    mute(store, ann, strangers[2])
    block(store, ann, strangers[3])
    store.do(accounts.suspend, account_id=strangers[4])

    def read() -> list[object]:
        every = requests(store, ann)
        pages = [TEN, Page(limit=2), Page(limit=2, max_id=every[1].id), Page(limit=2, since_id=every[2].id)]
        pages += [Page(limit=2, min_id=every[-1].id), Page(limit=3, min_id=0), Page(limit=1, max_id=1)]
        counted = rules.policy(store.connection, account_id=ann, now_ms=store.now_ms)
        return [*(requests(store, ann, page) for page in pages), counted]

    by_sender = read()
    monkeypatch.setattr(stored, "MOST_SENDERS", 7)
    assert read() == by_sender
    for newest in (1, 9, 11):
        monkeypatch.setattr(stored, "NEWEST", newest)
        assert read() == by_sender
    assert [one.from_account_id for one in requests(store, ann)] == [
        strangers[number] for number in (7, 6, 5, 0)
    ]


def sorts(plan: list[str]) -> list[str]:
    """Return the steps of a plan that sort."""
    return [step for step in plan if "TEMP B-TREE" in step or "Sort" in step]


def test_one_sender_of_very_many_is_read_by_look_ups(store: Store) -> None:
    values = {"account_id": store.person(), "now_ms": store.now_ms, "most_senders": 200}
    plan = store.plan(stored._SENDERS_AND_FIRST, without=("sort", "incremental_sort", "seqscan"), **values)
    assert sorts(plan) == []
    # PostgreSQL 15 does not show the look-up inside of the recursion.
    look_ups = 2 if store.connection.dialect == "sqlite" else 1
    assert len([step for step in plan if "ix_notifications_filtered" in step]) == look_ups


def test_neither_store_sorts_all_requests_for_a_page(store: Store) -> None:
    values = {
        "account_id": store.person(),
        "now_ms": store.now_ms,
        "low_id": 0,
        "high_id": 2**62,
        "count": 20,
    }
    plan = store.plan(stored._FIRST.downward, without=("sort",), **values, oldest_id=2**61)
    assert sorts(plan) == []
    assert any("ix_notifications_account_id_filtered_id" in step for step in plan)
    assert any("ix_notifications_filtered" in step for step in plan)


def test_a_page_is_looked_for_in_the_newest_notifications_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notifications of one sender above those of many are not looked at one after another."""
    monkeypatch.setattr(stored, "MOST_SENDERS", 1)
    monkeypatch.setattr(stored, "NEWEST", 3)
    ann, flooder, *others = (store.person() for _ in range(5))
    choose(store, ann, for_not_following=Choice.FILTER)
    for sender in (flooder, *others, flooder, flooder, flooder, flooder):
        mention(store, sender, ann)
    of = {"account_id": ann, "now_ms": store.now_ms}
    assert stored._newest(store.connection, page=Page(limit=1), **of) == []
    assert [one.from_account_id for one in requests(store, ann)] == [*others[::-1], flooder]
    assert [one.from_account_id for one in requests(store, ann, Page(limit=2))] == others[:0:-1]
    oldest = {"account_id": ann, "high_id": 2**62, "newest": 3}
    plan = store.plan(stored._OLDEST, without=("sort", "seqscan", "bitmapscan"), **oldest)
    assert sorts(plan) == []
    assert any("ix_notifications_account_id_filtered_id" in step for step in plan)


def test_a_filtered_mention_is_not_texted_to_the_phone(store: Store) -> None:
    ann, friend, stranger = store.person(), store.person(), store.person()
    phone = store.do(
        phones.link, account_id=ann, number="+995599123456", route="drop", keys=PhoneKeys(b"k" * 32),
        zone="UTC", language="en", now_ms=store.now_ms, pin=None,
    )  # fmt: skip
    choose(store, ann, for_not_following=Choice.FILTER)
    follow(store, ann, friend)
    mention(store, stranger, ann)
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 0
    mention(store, friend, ann)
    assert phone_queue.waiting(store.connection, phone_id=phone.id) == 1


def test_a_deleted_account_leaves_no_policy_and_no_permission(store: Store) -> None:
    ann, stranger = store.person(), store.person()
    choose(store, ann, for_not_following=Choice.FILTER)
    mention(store, stranger, ann)
    store.do(rules.accept, account_id=ann, request_ids=[requests(store, ann)[0].id])
    of = {"account_id": ann, "from_account_id": stranger}
    assert stored.permits(store.connection, **of)
    store.do(deletion.delete_account, account_id=ann, now_ms=store.now_ms)
    assert not stored.permits(store.connection, **of)
    assert stored.policy(store.connection, account_id=ann) is None
