"""Conversations: who has which, the last post in each, and the actions on them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings

from stormpetrel.errors import NotFound
from stormpetrel.model.event import ConversationChanged
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.model.page import Page
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.rules import accounts, conversations, deletion, edits, moderation, pins, posts, relationships
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.statement import ALL, sql
from tests.community import ACTIONS, Community, block, follow, mute
from tests.store import store_at

DIRECT = Visibility.DIRECT
WAITING = sql("SELECT 1 FROM pg_locks WHERE NOT granted")
ALL.remove(WAITING)


@pytest.fixture
def ann(store):
    return store.person("ann")


@pytest.fixture
def bob(store):
    return store.person("bob")


def say(store, author, *to, answers=None, visibility=DIRECT):
    """Write a direct post to these accounts."""
    text = " ".join(["psst", *(f"@{store.name(account)}" for account in to)])
    return store.post(author, text, visibility=visibility, in_reply_to_id=answers)


def listed(store, account, **page):
    return conversations.conversations(
        store.connection, account_id=account, page=Page(**{"limit": 20} | page), now_ms=store.now_ms
    )


def one(store, account):
    (found,) = listed(store, account)
    return found


def delete(store, author, post):
    store.do(posts.delete_post, author_id=author, post_id=post, now_ms=store.now_ms)


def edit(store, author, post, *to):
    text = " ".join(["pssst", *(f"@{store.name(account)}" for account in to)])
    store.do(
        edits.edit_post,
        author_id=author,
        post_id=post,
        draft=Draft(text=text),
        max_characters=500,
        domain="here.example",
        now_ms=store.now_ms,
    )


def told(store):
    return [event for event in store.events if isinstance(event, ConversationChanged)]


def test_a_direct_post_begins_a_conversation_for_all_whom_it_is_between(store, ann, bob):
    stranger = store.person()
    first = say(store, ann, bob)
    assert told(store) == [ConversationChanged(account, first, first) for account in sorted((ann, bob))]
    mine, theirs = one(store, ann), one(store, bob)
    assert (mine.id, mine.last_post_id, mine.participant_ids, mine.unread) == (first, first, (bob,), False)
    assert (theirs.id, theirs.last_post_id, theirs.participant_ids, theirs.unread) == (
        *(first, first, (ann,)),
        True,
    )
    assert listed(store, stranger) == []


def test_only_direct_posts_make_conversations(store, ann, bob):
    for visibility in (Visibility.PUBLIC, Visibility.UNLISTED, Visibility.FOLLOWERS):
        say(store, ann, bob, visibility=visibility)
    assert listed(store, ann) == listed(store, bob) == []


def test_an_answer_goes_into_the_conversation_and_reads_it(store, ann, bob):
    first = say(store, ann, bob)
    second = say(store, bob, ann, answers=first)
    assert (one(store, bob).last_post_id, one(store, bob).unread) == (second, False)
    assert (one(store, ann).id, one(store, ann).last_post_id, one(store, ann).unread) == (first, second, True)
    # Below a public post it is a separate conversation, identified by the thread that contains it.
    public = store.post(ann)
    aside = say(store, bob, ann, answers=public)
    assert [found.id for found in listed(store, ann)] == [public, first]
    assert listed(store, bob)[0].last_post_id == aside


def test_whoever_is_in_a_post_is_in_the_conversation_from_there_on(store, ann, bob):
    third = store.person()
    first = say(store, ann, bob)
    joined = say(store, ann, bob, third, answers=first)
    assert one(store, third).last_post_id == joined
    apart = say(store, bob, ann, answers=joined)
    assert one(store, third).last_post_id == joined
    assert one(store, ann).last_post_id == apart
    assert one(store, ann).participant_ids == (bob,)
    assert set(one(store, third).participant_ids) == {ann, bob}


def test_a_note_to_oneself_is_a_conversation_with_oneself(store, ann):
    say(store, ann, ann)
    assert (one(store, ann).participant_ids, one(store, ann).unread) == ((ann,), False)


def test_reading_marks_a_conversation_until_the_next_post(store, ann, bob):
    first = say(store, ann, bob)
    now = {"now_ms": store.now_ms}
    assert not store.do(conversations.mark_read, account_id=bob, conversation_id=first, **now).unread
    assert told(store) == [ConversationChanged(bob, first)]
    store.do(conversations.mark_read, account_id=bob, conversation_id=first, **now)
    assert told(store) == []
    say(store, ann, bob, answers=first)
    assert one(store, bob).unread


def test_in_a_muted_thread_nothing_is_unread(store, ann, bob):
    first = say(store, ann, bob)
    other = say(store, ann, bob)
    at = {"account_id": bob, "post_id": first, "now_ms": store.now_ms}
    store.do(pins.mute_thread, **at)
    second = say(store, ann, bob, answers=first)
    assert [(found.last_post_id, found.unread) for found in listed(store, bob)] == [
        (second, False),
        (other, True),
    ]
    store.do(pins.unmute_thread, **at)
    say(store, ann, bob, answers=second)
    assert listed(store, bob)[0].unread


def test_a_removed_conversation_comes_back_with_what_is_new_alone(store, ann, bob):
    first = say(store, ann, bob)
    store.do(conversations.remove, account_id=bob, conversation_id=first)
    assert listed(store, bob) == []
    assert one(store, ann).last_post_id == first
    second = say(store, ann, bob, answers=first)
    assert (one(store, bob).id, one(store, bob).unread) == (first, True)
    delete(store, ann, second)
    assert listed(store, bob) == []
    assert one(store, ann).last_post_id == first


def test_nobody_reads_or_removes_what_is_not_theirs(store, ann, bob):
    stranger = store.person()
    first = say(store, ann, bob)
    for account in (stranger, 1):
        with pytest.raises(NotFound):
            store.do(conversations.mark_read, account_id=account, conversation_id=first, now_ms=store.now_ms)
        with pytest.raises(NotFound):
            store.do(conversations.remove, account_id=account, conversation_id=first)
    assert one(store, bob).unread


def test_a_deleted_post_gives_way_to_the_one_before(store, ann, bob):
    first = say(store, ann, bob)
    second = say(store, bob, ann, answers=first)
    third = say(store, ann, bob, answers=second)
    delete(store, bob, second)
    assert told(store) == []
    delete(store, ann, third)
    assert {event.account_id for event in told(store)} == {ann, bob}
    assert one(store, bob).last_post_id == one(store, ann).last_post_id == first
    delete(store, ann, first)
    assert told(store) == []
    assert listed(store, ann) == listed(store, bob) == []
    # Answers to the remaining posts stay in the same thread.
    other = say(store, ann, bob)
    answer = say(store, bob, ann, answers=other)
    delete(store, ann, other)
    assert (one(store, ann).id, one(store, ann).last_post_id) == (other, answer)


def test_an_edit_lets_people_into_a_conversation_and_takes_them_out(store, ann, bob):
    third = store.person()
    post = say(store, ann, bob)
    edit(store, ann, post, third)
    assert ConversationChanged(third, post, post) in told(store)
    assert listed(store, bob) == []
    assert (one(store, third).last_post_id, one(store, third).unread) == (post, True)
    assert one(store, ann).participant_ids == (third,)
    edit(store, ann, post, bob, third)
    assert set(one(store, bob).participant_ids) == {ann, third}
    # Of two posts, the other one remains.
    later = say(store, ann, bob, third, answers=post)
    edit(store, ann, later, third)
    assert one(store, bob).last_post_id == post


def test_who_is_blocked_or_muted_is_not_met_in_conversations(store, ann, bob):
    third = store.person()
    first = say(store, ann, bob, third)
    second = say(store, bob, ann, third, answers=first)
    mute(store, ann, bob, duration_s=60)
    # With a third account the conversation continues without the muted one.
    assert one(store, ann).last_post_id == first
    assert not one(store, ann).unread
    say(store, bob, ann)
    assert [found.id for found in listed(store, ann)] == [first]
    store.now_ms += 61_000
    assert [found.unread for found in listed(store, ann)] == [True, True]
    block(store, ann, bob)
    assert one(store, ann).last_post_id == first
    # Posts written in the meantime are never shown, on either side.
    say(store, bob, ann, answers=second)
    alone = say(store, ann, bob)
    store.do(relationships.unblock, account_id=ann, target_id=bob, now_ms=store.now_ms)
    assert {found.last_post_id for found in listed(store, ann)} > {alone, second}
    assert alone not in {found.last_post_id for found in listed(store, bob)}


def test_a_conversation_of_two_is_gone_while_the_other_is_hidden(store, ann, bob):
    first = say(store, ann, bob)
    mute(store, ann, bob)
    assert listed(store, ann) == []
    with pytest.raises(NotFound):
        store.do(conversations.mark_read, account_id=ann, conversation_id=first, now_ms=store.now_ms)
    assert one(store, bob).last_post_id == first


def test_what_moderators_took_away_is_not_last(store, ann, bob):
    first = say(store, ann, bob)
    second = say(store, bob, ann, answers=first)
    by = {"reason": "no", "now_ms": store.now_ms}
    store.do(moderation.hide, COMMAND_LINE, post_id=second, **by)
    assert one(store, ann).last_post_id == first
    assert one(store, bob).last_post_id == second
    store.do(moderation.unhide, COMMAND_LINE, post_id=second, **by)
    assert one(store, ann).last_post_id == second
    store.do(accounts.suspend, account_id=bob)
    assert one(store, ann).last_post_id == first


def test_a_silenced_stranger_is_not_met_but_somebody_followed_is(store, ann, bob):
    store.do(moderation.silence, COMMAND_LINE, account_id=bob, reason="no", now_ms=store.now_ms)
    say(store, bob, ann)
    assert listed(store, ann) == []
    follow(store, ann, bob)
    assert one(store, ann).unread


def test_a_deleted_account_leaves_no_conversation_behind(store, ann, bob):
    first = say(store, ann, bob)
    say(store, bob, ann, answers=first)
    store.do(deletion.delete_account, account_id=bob, now_ms=store.now_ms)
    assert listed(store, bob) == []
    assert one(store, ann).last_post_id == first


def test_conversations_are_paged_by_the_newest_post_in_them(store, ann, bob):
    begun = [say(store, ann, bob) for _ in range(5)]
    last = say(store, bob, ann, answers=begun[0])
    order = [begun[0], *begun[:0:-1]]
    assert [found.id for found in listed(store, ann)] == order
    places = [found.place for found in listed(store, ann)]
    assert places == [last, *begun[:0:-1]]
    assert [found.id for found in listed(store, ann, limit=2, max_id=places[1])] == order[2:4]
    assert [found.id for found in listed(store, ann, since_id=places[2])] == order[:2]
    assert [found.id for found in listed(store, ann, limit=2, min_id=places[4])] == order[2:4]


def test_neither_store_walks_more_than_the_page(store, ann, bob):
    """The plan uses the list's own index and keys, and never scans a table."""
    first = say(store, ann, bob)
    for _ in range(3):
        say(store, bob, ann, answers=first)
    statement = conversations.stored._CONVERSATIONS.downward
    values = {"account_id": ann, "now_ms": store.now_ms, "low_id": 0, "high_id": 2**62, "count": 20}
    plan = "\n".join(store.plan(statement, without=("seqscan",), **values))
    assert "ix_conversations_account_id_last_post_id" in plan
    assert "SCAN" not in plan
    assert "Seq Scan" not in plan
    assert "TEMP B-TREE" not in plan


def expected(community, reader, between):
    """Return (thread, its newest post for the reader), newest first: an independent statement of the rule."""
    newest = {}
    for post_id, (thread_id, told_ids) in sorted(between.items()):
        said = community.said.get(post_id)
        if said is None or reader not in told_ids:
            continue
        if said.author == reader:
            others = {said.named} - {None, reader}
            shown = not others or not any(
                (reader, other) in community.blocks
                or community.mutes.get((reader, other), 0) > community.store.now_ms
                for other in others
            )
        else:
            shown = said.author not in community.suspended and not community.hides(reader, said.author)
        if shown:
            newest[thread_id] = post_id
    return sorted(newest.items(), key=lambda pair: pair[1], reverse=True)


@given(actions=ACTIONS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_conversations_are_what_the_rule_says_in_any_small_community(store, actions):
    community = Community(store).settle()
    between = {}
    for action in actions:
        if action[0] == "post":
            # Many more posts are direct than in real use.
            action = (action[0], action[1], DIRECT if action[4] is not None else action[2], *action[3:])
        before = set(community.said)
        community.act(action)
        for post_id in set(community.said) - before:
            said = community.said[post_id]
            if said.visibility is DIRECT and said.boosted is None:
                post = posts.posts(store.connection, post_ids=[post_id])[0]
                told_ids = {said.author, said.named}
                if (said.author, said.named) in community.blocks or (
                    said.named,
                    said.author,
                ) in community.blocks:
                    told_ids = {said.author}
                between[post_id] = (post.thread_id or post_id, told_ids)
    for reader in community.people:
        found = listed(store, reader, limit=100)
        # The order follows the newest post of all, which may be hidden from the reader.
        assert sorted(((one.id, one.last_post_id) for one in found), key=lambda pair: -pair[1]) == expected(
            community, reader, between
        )


def test_two_posts_deleted_at_once_leave_no_place_for_either(postgresql_url):
    with store_at(postgresql_url) as store:
        ann, bob = store.person("ann"), store.person("bob")
        first = say(store, ann, bob)
        left, right = (say(store, bob, ann, answers=first) for _ in range(2))
        older = say(store, ann, bob, answers=left)
        newest = say(store, bob, ann, answers=right)
        other, watching = connect(postgresql_url, ids=IdMaker(2)), connect(postgresql_url)

        def delete_older():
            with transaction(other) as connection:
                posts.delete_post(connection, author_id=ann, post_id=older, now_ms=store.now_ms)

        second = threading.Thread(target=delete_older)
        with transaction(store.connection) as connection:
            posts.delete_post(connection, author_id=bob, post_id=newest, now_ms=store.now_ms)
            second.start()
            # Wait until the second transaction waits for this one: otherwise it could not know the last post.
            while second.is_alive() and watching.one(WAITING) is None:
                pass
        second.join()
        assert [found.place for found in (one(store, ann), one(store, bob))] == [right, right]
        other.close()
        watching.close()


def unread(store, account, limit=20):
    return conversations.unread_count(store.connection, account_id=account, limit=limit, now_ms=store.now_ms)


def test_unread_conversations_are_counted_as_they_are_listed(store, ann, bob):
    cleo = store.person("cleo")
    assert unread(store, ann) == 0
    first = say(store, bob, ann)
    say(store, cleo, ann)
    say(store, ann, bob)
    assert (unread(store, ann), unread(store, bob), unread(store, cleo)) == (2, 1, 0)
    assert unread(store, ann, limit=1) == 1
    say(store, bob, ann, answers=first)
    assert unread(store, ann) == 2
    store.do(conversations.mark_read, account_id=ann, conversation_id=first, now_ms=store.now_ms)
    assert unread(store, ann) == 1
    mute(store, ann, cleo)
    assert unread(store, ann) == 0 == sum(each.unread for each in listed(store, ann))
