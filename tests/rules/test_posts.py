"""Posting, reading, boosting, favouriting, deleting: who may do it, and the effects."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.event import AccountChanged, PostChanged, PostCreated, PostDeleted
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.rules import (
    accounts,
    drafts,
    notifications,
    posts,
    reactions,
    relationships,
    threads,
    timelines,
)
from stormpetrel.rules.threads import MAX_ANCESTORS, MAX_DESCENDANTS
from tests.store import Store

TEN = Page(limit=10)


def follow(store: Store, follower: int, followed: int) -> None:
    store.do(
        relationships.follow,
        follower_id=follower,
        followed_id=followed,
        show_boosts=None,
        notify=None,
        now_ms=store.now_ms,
    )


def block(store: Store, blocker: int, blocked: int) -> None:
    store.do(relationships.block, account_id=blocker, target_id=blocked, now_ms=store.now_ms)


def sees(store: Store, reader: int | None, post_id: int) -> bool:
    try:
        posts.post(store.connection, reader_id=reader, post_id=post_id, now_ms=store.now_ms)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize(
    ("visibility", "visitor", "stranger", "follower", "mentioned"),
    [
        (Visibility.PUBLIC, True, True, True, True),
        (Visibility.UNLISTED, True, True, True, True),
        (Visibility.FOLLOWERS, False, False, True, True),
        (Visibility.DIRECT, False, False, False, True),
    ],
)
def test_who_sees_a_post(
    store: Store, visibility: Visibility, visitor: bool, stranger: bool, follower: bool, mentioned: bool
) -> None:
    author, other, fan, named = (store.person(name) for name in ("author", "other", "fan", "named"))
    follow(store, fan, author)
    blocked = store.person("blocked")
    block(store, author, blocked)
    blocked_and_named = store.person("both")
    names = f"@{store.name(named)} @{store.name(blocked_and_named)}"
    post_id = store.post(author, f"hello {names}", visibility=visibility)
    block(store, author, blocked_and_named)
    assert sees(store, author, post_id)
    assert sees(store, None, post_id) is visitor
    assert sees(store, other, post_id) is stranger
    assert sees(store, fan, post_id) is follower
    assert sees(store, named, post_id) is mentioned
    assert not sees(store, blocked, post_id)
    assert not sees(store, blocked_and_named, post_id)


def test_nobody_sees_a_suspended_authors_posts(store: Store) -> None:
    author, reader = store.person(), store.person()
    follow(store, reader, author)
    post_id = store.post(author)
    store.do(accounts.suspend, account_id=author)
    assert not sees(store, reader, post_id)
    assert not sees(store, None, post_id)
    assert timelines.public(store.connection, reader_id=None, page=TEN, now_ms=store.now_ms) == []
    assert timelines.home(store.connection, reader_id=reader, page=TEN, now_ms=store.now_ms) == []
    with pytest.raises(Forbidden):
        store.post(author, "still here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "can't be blank"),
        (" \n\t \u0000", "can't be blank"),
        ("x" * 501, "character limit of 500"),
        ("x" * 50_000, "character limit of 500"),
    ],
)
def test_a_text_that_cannot_be_posted_is_refused_and_nothing_is_stored(
    store: Store, text: str, said: str
) -> None:
    author = store.person()
    with pytest.raises(Invalid, match=said):
        store.post(author, text)
    assert accounts.account(store.connection, account_id=author).posts_count == 0


def test_a_link_counts_23_characters_however_long_it_is(store: Store) -> None:
    author = store.person()
    link = "https://example.org/" + "a" * 400
    store.post(author, f"{link} {'x' * 476}")
    with pytest.raises(Invalid, match="character limit"):
        store.post(author, f"{link} {'x' * 477}")


def test_the_same_key_gives_the_same_post_for_an_hour(store: Store) -> None:
    author, other = store.person(), store.person()

    def post(who: int, key: str, text: str = "once") -> int:
        return store.do(
            posts.create_post,
            author_id=who,
            draft=Draft(text=text),
            max_characters=500,
            domain="here.example",
            now_ms=store.now_ms,
            idempotency_key=key,
        ).post_id

    first = post(author, "key")
    assert post(author, "key", "another text") == first
    assert post(author, "key2") != first
    assert post(other, "key") != first
    store.now_ms += drafts.IDEMPOTENCY_MS - 1
    assert post(author, "key") == first
    store.now_ms += 1
    assert post(author, "key") != first
    assert accounts.account(store.connection, account_id=author).posts_count == 3


def test_a_mention_tells_the_mentioned_once_and_only_members(store: Store) -> None:
    author, named = store.person(), store.person("Named")
    name = store.name(named)
    post_id = store.post(
        author, f"@{name} @{name.upper()} @{name}@here.example @nobody @{name}@there.example"
    )
    told = notifications.notifications(store.connection, account_id=named, page=TEN, now_ms=store.now_ms)
    assert [(one.kind, one.from_account_id, one.post_id) for one in told] == [(Kind.MENTION, author, post_id)]
    found = posts.posts(store.connection, post_ids=[post_id])[0]
    assert [(mention.account_id, mention.username) for mention in found.mentions] == [(named, name)]


def test_who_is_blocked_or_muted_tells_nobody(store: Store) -> None:
    author, blocker, muter = store.person(), store.person("blocker"), store.person("muter")
    block(store, blocker, author)
    store.do(
        relationships.mute,
        account_id=muter,
        target_id=author,
        hide_notifications=True,
        duration_s=0,
        now_ms=store.now_ms,
    )
    store.post(author, f"@{store.name(blocker)} @{store.name(muter)}")
    for account_id in (blocker, muter):
        told = notifications.notifications(
            store.connection, account_id=account_id, page=TEN, now_ms=store.now_ms
        )
        assert told == []


def test_a_reply_counts_tells_and_outlives_its_parent(store: Store) -> None:
    author, replier = store.person(), store.person()
    parent = store.post(author)
    reply = store.post(replier, f"@{store.name(author)} yes", in_reply_to_id=parent)
    assert PostChanged(parent, author) in store.events
    assert posts.posts(store.connection, post_ids=[parent])[0].replies_count == 1
    store.do(posts.delete_post, author_id=author, post_id=parent, now_ms=store.now_ms)
    kept = posts.posts(store.connection, post_ids=[reply])[0]
    assert kept.in_reply_to_id is None
    assert kept.in_reply_to_account_id == author


def test_a_reply_to_what_one_may_not_see_is_refused(store: Store) -> None:
    author, stranger = store.person(), store.person()
    hidden = store.post(author, visibility=Visibility.FOLLOWERS)
    with pytest.raises(NotFound):
        store.post(stranger, "I saw that", in_reply_to_id=hidden)
    with pytest.raises(NotFound):
        store.post(stranger, "what", in_reply_to_id=12345)


def test_only_the_author_deletes_and_then_boosts_and_counts_are_gone_too(store: Store) -> None:
    author, fan, stranger = store.person(), store.person(), store.person()
    post_id = store.post(author, "#gone")
    boost_id = store.do(
        reactions.boost, account_id=fan, post_id=post_id, visibility=None, now_ms=store.now_ms + 1
    )
    store.do(reactions.favourite, account_id=fan, post_id=post_id, now_ms=store.now_ms)
    for nobody in (fan, stranger):
        with pytest.raises(NotFound):
            store.do(posts.delete_post, author_id=nobody, post_id=post_id, now_ms=store.now_ms)
    store.do(posts.delete_post, author_id=author, post_id=post_id, now_ms=store.now_ms)
    assert (
        PostDeleted(post_id, author, ("gone",), 0, 0, ((boost_id, fan),), Visibility.PUBLIC) in store.events
    )
    assert posts.posts(store.connection, post_ids=[post_id, boost_id]) == []
    assert accounts.account(store.connection, account_id=author).posts_count == 0
    assert accounts.account(store.connection, account_id=fan).posts_count == 0
    assert (
        notifications.notifications(store.connection, account_id=author, page=TEN, now_ms=store.now_ms) == []
    )
    with pytest.raises(NotFound):
        store.do(posts.delete_post, author_id=author, post_id=post_id, now_ms=store.now_ms)


def test_boosting_twice_is_boosting_once_and_unboost_undoes_it(store: Store) -> None:
    author, fan = store.person(), store.person()
    post_id = store.post(author)

    def boost(target: int) -> int:
        return store.do(
            reactions.boost, account_id=fan, post_id=target, visibility=None, now_ms=store.now_ms + 1
        )

    boost_id = boost(post_id)
    assert boost(post_id) == boost_id
    assert boost(boost_id) == boost_id  # boosting a boost means its original
    assert posts.posts(store.connection, post_ids=[post_id])[0].boosts_count == 1
    assert posts.flags(store.connection, reader_id=fan, post_ids=[post_id])[post_id].boosted
    store.do(posts.unboost, account_id=fan, post_id=post_id, now_ms=store.now_ms)
    assert PostDeleted(boost_id, fan, (), 0, post_id) in store.events
    store.do(posts.unboost, account_id=fan, post_id=post_id, now_ms=store.now_ms)
    assert posts.posts(store.connection, post_ids=[post_id])[0].boosts_count == 0
    assert posts.flags(store.connection, reader_id=fan, post_ids=[post_id]) == {}


def test_who_is_suspended_boosts_nothing(store: Store) -> None:
    author, fan = store.person(), store.person()
    post_id = store.post(author)
    store.do(accounts.suspend, account_id=fan)
    with pytest.raises(Forbidden):
        store.do(reactions.boost, account_id=fan, post_id=post_id, visibility=None, now_ms=store.now_ms)
    assert posts.posts(store.connection, post_ids=[post_id])[0].boosts_count == 0
    store.do(accounts.unsuspend, account_id=fan)
    store.do(reactions.boost, account_id=fan, post_id=post_id, visibility=None, now_ms=store.now_ms)
    assert posts.posts(store.connection, post_ids=[post_id])[0].boosts_count == 1


@pytest.mark.parametrize("visibility", [Visibility.FOLLOWERS, Visibility.DIRECT])
def test_what_is_not_for_everybody_cannot_be_boosted(store: Store, visibility: Visibility) -> None:
    author, fan = store.person(), store.person()
    follow(store, fan, author)
    post_id = store.post(author, f"@{store.name(fan)}", visibility=visibility)
    with pytest.raises(Forbidden):
        store.do(reactions.boost, account_id=fan, post_id=post_id, visibility=None, now_ms=store.now_ms)


def test_a_boost_reaches_no_further_than_its_original(store: Store) -> None:
    author, fan = store.person(), store.person()
    post_id = store.post(author, visibility=Visibility.UNLISTED)
    boost_id = store.do(
        reactions.boost, account_id=fan, post_id=post_id, visibility=Visibility.PUBLIC, now_ms=store.now_ms
    )
    assert posts.posts(store.connection, post_ids=[boost_id])[0].visibility is Visibility.UNLISTED


def test_favourites_and_bookmarks_are_idempotent_and_need_sight(store: Store) -> None:
    author, fan, stranger = store.person(), store.person(), store.person()
    follow(store, fan, author)
    post_id = store.post(author, visibility=Visibility.FOLLOWERS)
    for rule in (reactions.favourite, reactions.bookmark):
        for _ in range(2):
            store.do(rule, account_id=fan, post_id=post_id, now_ms=store.now_ms)
        with pytest.raises(NotFound):
            store.do(rule, account_id=stranger, post_id=post_id, now_ms=store.now_ms)
    assert posts.posts(store.connection, post_ids=[post_id])[0].favourites_count == 1
    flags = posts.flags(store.connection, reader_id=fan, post_ids=[post_id])[post_id]
    assert (flags.favourited, flags.boosted, flags.bookmarked) == (True, False, True)
    # The reader has lost access, but can still undo.
    store.do(relationships.unfollow, follower_id=fan, followed_id=author, now_ms=store.now_ms)
    for undo in (reactions.unfavourite, reactions.unbookmark):
        store.do(undo, account_id=fan, post_id=post_id, now_ms=store.now_ms)
        with pytest.raises(NotFound):
            store.do(undo, account_id=fan, post_id=post_id, now_ms=store.now_ms)
    assert posts.posts(store.connection, post_ids=[post_id])[0].favourites_count == 0


def test_a_thread_is_read_in_order_and_hides_what_one_may_not_see(store: Store) -> None:
    author, other, reader = store.person(), store.person(), store.person()
    root = store.post(author, "root")
    middle = store.post(other, "middle", in_reply_to_id=root)
    leaf = store.post(author, "leaf", in_reply_to_id=middle)
    secret = store.post(other, "secret", in_reply_to_id=middle, visibility=Visibility.DIRECT)
    under_secret = store.post(author, "under", in_reply_to_id=leaf)
    second = store.post(reader, "second", in_reply_to_id=root)

    def thread(who: int | None, post_id: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        found = threads.thread(store.connection, reader_id=who, post_id=post_id, now_ms=store.now_ms)
        return found.ancestor_ids, found.descendant_ids

    assert thread(None, root) == ((), (middle, leaf, under_secret, second))
    assert thread(other, root) == ((), (middle, leaf, under_secret, secret, second))
    assert thread(None, under_secret) == ((root, middle, leaf), ())
    block(store, reader, other)
    assert thread(reader, root) == ((), (second,))
    with pytest.raises(NotFound):
        thread(None, secret)


def test_a_long_thread_shows_what_is_nearest_and_goes_on_at_the_last_that_it_shows(store: Store) -> None:
    author, reader = store.person(), store.person()
    line = [store.post(author, "0")]
    for number in range(1, MAX_DESCENDANTS + 10):
        store.now_ms += 12_000  # as often as a new account may post
        line.append(store.post(author, str(number), in_reply_to_id=line[-1]))

    def thread(who: int | None, post_id: int) -> tuple[list[int], list[int]]:
        found = threads.thread(store.connection, reader_id=who, post_id=post_id, now_ms=store.now_ms)
        return list(found.ancestor_ids), list(found.descendant_ids)

    assert thread(reader, line[0]) == ([], line[1 : MAX_DESCENDANTS + 1])
    last = line[MAX_DESCENDANTS]
    assert thread(reader, last) == (
        line[MAX_DESCENDANTS - MAX_ANCESTORS : MAX_DESCENDANTS],
        line[MAX_DESCENDANTS + 1 :],
    )
    assert thread(None, line[0]) == ([], line[1:21])


def test_a_new_post_says_what_changed(store: Store) -> None:
    author, named = store.person(), store.person("named")
    post_id = store.post(author, f"@{store.name(named)} #Storm #storm #Petrel")
    created = next(event for event in store.events if isinstance(event, PostCreated))
    assert created == PostCreated(post_id, author, 0, mentioned_ids=(named,), tags=("storm", "petrel"))
    assert AccountChanged(author) in store.events
