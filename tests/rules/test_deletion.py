"""Deleting an account: it disappears at once, is erased in batches, and its name stays reserved."""

from __future__ import annotations

import pytest

from stormpetrel.courier.deliveries import DELIVERIES
from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.account import AccountState
from stormpetrel.model.event import AccessChanged, AccountChanged
from stormpetrel.rules import access, accounts, deletion, posts, reactions, relationships
from stormpetrel.storage import accounts as stored
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.statement import sql

LEFT = sql(
    "SELECT (SELECT count(*) FROM posts WHERE author_id = :id), "
    "(SELECT count(*) FROM follows WHERE follower_id = :id OR followed_id = :id), "
    "(SELECT count(*) FROM users WHERE account_id = :id)"
)


def erase(store):
    """Do the courier's jobs until none is left. Return their number."""
    done = 0
    while jobs := store.do(outbox.lease, now_ms=store.now_ms + 1000, lease_ms=1000, count=10):
        for job in jobs:
            store.do(outbox.finish, job)
            store.do(DELIVERIES[job.kind], job.payload, store.now_ms)
            done += 1
    return done


def follow(store, follower_id, followed_id):
    store.do(
        relationships.follow,
        follower_id=follower_id,
        followed_id=followed_id,
        show_boosts=True,
        notify=False,
        now_ms=store.now_ms,
    )


def test_a_deleted_account_is_gone_at_once_and_its_name_stays_taken(store):
    nino = store.person("nino")
    name = store.name(nino)
    store.do(access.start_session, account_id=nino, now_ms=store.now_ms)
    store.do(deletion.delete_account, account_id=nino, now_ms=store.now_ms)
    assert AccountChanged(nino, hidden=True) in store.events
    assert AccessChanged(nino) in store.events
    with pytest.raises(NotFound):
        accounts.account(store.connection, account_id=nino)
    assert accounts.user_by_login(store.connection, login=name) is None
    with pytest.raises(Forbidden):
        store.do(access.start_session, account_id=nino, now_ms=store.now_ms)

    def again(username):
        return store.do(
            accounts.sign_up,
            username=username,
            email=f"{name}@example.org",
            password_hash="-",
            reason="",
            locale="en",
            registration="open",
            now_ms=store.now_ms,
        )

    with pytest.raises(Invalid, match="taken"):
        again(name)
    # The e-mail address can be used for another account.
    assert again("somebody_else").state is AccountState.ACTIVE
    with pytest.raises(NotFound):
        store.do(deletion.delete_account, account_id=nino, now_ms=store.now_ms)
    for rule in (accounts.suspend, accounts.unsuspend, accounts.approve):
        with pytest.raises((NotFound, Invalid)):
            store.do(rule, account_id=nino)


def test_its_posts_boosts_and_follows_are_erased_in_batches_and_counts_follow(store):
    nino, maia, lomi = store.person("nino"), store.person("maia"), store.person("lomi")
    follow(store, nino, maia)
    follow(store, lomi, nino)
    follow(store, lomi, maia)
    for number in range(deletion.BATCH + 5):
        mine = store.post(nino, f"post {number}")
    theirs = store.post(maia)
    store.do(reactions.boost, account_id=nino, post_id=theirs, visibility=None, now_ms=store.now_ms)
    store.do(reactions.boost, account_id=maia, post_id=mine, visibility=None, now_ms=store.now_ms)
    store.do(deletion.delete_account, account_id=nino, now_ms=store.now_ms)
    assert erase(store) >= 3
    assert store.connection.one(LEFT, id=nino) == (0, 0, 0)
    left = accounts.account(store.connection, account_id=maia)
    assert (left.followers_count, left.posts_count) == (1, 1)
    assert accounts.account(store.connection, account_id=lomi).following_count == 1
    (post,) = [posts.post(store.connection, reader_id=None, post_id=theirs, now_ms=store.now_ms)]
    assert post.boosts_count == 0
    gone = stored.account(store.connection, account_id=nino)
    assert gone.state is AccountState.DELETED


def test_nothing_of_an_account_that_is_there_is_ever_erased(store):
    nino = store.person("nino")
    store.post(nino)
    store.do(deletion.erase_some, account_id=nino, now_ms=store.now_ms)
    assert store.connection.one(LEFT, id=nino) == (1, 0, 1)
