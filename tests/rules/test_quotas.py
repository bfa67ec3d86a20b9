"""Quotas: the number of uses, when they return, and what strangers and new accounts may store."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Invalid, TooMany
from stormpetrel.model import quota as quotas
from stormpetrel.model.quota import Quota
from stormpetrel.rules import access, accounts, applications, media, relationships
from stormpetrel.rules.quotas import give_back, require, spend
from stormpetrel.storage import quotas as stored
from stormpetrel.storage.engine.statement import sql
from tests.store import Store

THREE = Quota("three", 3, 10)
ROWS = sql("SELECT count(*) FROM quotas")


def spent(store, number, *, slot=1):
    return [store.do(spend, THREE, slot, now_ms=store.now_ms) for _ in range(number)]


def test_there_are_as_many_uses_as_the_burst_and_then_one_comes_back_at_a_time(store):
    assert spent(store, 4) == [0, 0, 0, 10_000]
    store.now_ms += 9_999
    assert spent(store, 1) == [1]
    store.now_ms += 1
    assert spent(store, 2) == [0, 10_000]
    store.now_ms += 1_000_000
    assert spent(store, 4) == [0, 0, 0, 10_000]


def test_who_counts_separately_has_a_bucket_of_their_own(store):
    spent(store, 4)
    assert spent(store, 1, slot=2) == [0]
    assert store.do(spend, Quota("other", 1, 1), 1, now_ms=store.now_ms) == 0


def test_several_uses_at_once_are_taken_all_or_none(store):
    assert store.do(spend, THREE, 1, now_ms=store.now_ms, uses=2) == 0
    assert store.do(spend, THREE, 1, now_ms=store.now_ms, uses=2) == 10_000
    assert spent(store, 1) == [0]


def test_what_is_given_back_can_be_used_again(store):
    spent(store, 3)
    store.do(give_back, [(THREE, 1)])
    assert spent(store, 2) == [0, 10_000]


def test_a_rule_that_requires_a_use_says_when_there_is_one(store):
    spent(store, 3)
    with pytest.raises(TooMany) as refused:
        store.do(require, THREE, 1, now_ms=store.now_ms, text="enough")
    assert (refused.value.safe_text, refused.value.retry_after_s) == ("enough", 10)


def test_full_buckets_are_removed_and_others_stay(store):
    for number in range(5):
        spent(store, 1, slot=number)
    store.now_ms += 5_000
    spent(store, 1, slot=9)
    store.now_ms += 5_000
    place, removed = ("", 0), 0
    for _ in range(4):
        count, place = store.do(stored.remove_full, after=place, count=2, now_ms=store.now_ms)
        removed += count
    assert removed == 5
    assert store.connection.one(ROWS) == (1,)


def register(store: Store, number: int, network: int, uris: tuple[str, ...] = ("app://x",)) -> None:
    store.do(
        applications.register,
        name="an app",
        redirect_uris=uris,
        scopes="read",
        website="",
        client_id=f"client {network} {number}",
        client_secret_hash=b"-",
        now_ms=store.now_ms,
        network=network,
    )


def sign_up(store: Store, number: int, network: int) -> None:
    store.do(
        accounts.sign_up,
        username=f"new_{network}_{number}",
        email=f"new{network}.{number}@example.org",
        password_hash="-",
        reason="",
        locale="en",
        registration="open",
        now_ms=store.now_ms,
        network=network,
    )


@pytest.mark.parametrize(("act", "quota"), [(register, quotas.APPS), (sign_up, quotas.SIGN_UPS)])
def test_one_network_has_so_many_at_once_and_others_have_theirs(
    store: Store, act, quota: quotas.Quota
) -> None:
    for number in range(quota.burst):
        act(store, number, 1)
    with pytest.raises(TooMany) as raised:
        act(store, 1000, 1)
    assert 0 < raised.value.retry_after_s <= quota.every_s + 1
    act(store, 0, 2)
    store.now_ms += quota.every_ms
    act(store, 1001, 1)


def test_the_tokens_of_applications_are_counted_by_network(store: Store) -> None:
    register(store, 1, 1)
    client = applications.application_by_client_id(store.connection, client_id="client 1 1")
    assert client is not None

    def grant(number: int, network: int) -> None:
        store.do(
            applications.grant_client_credentials,
            client,
            scope="",
            token_hash=b"%d of %d" % (number, network),
            network=network,
            now_ms=store.now_ms,
        )

    for number in range(quotas.APP_TOKENS.burst):
        grant(number, 1)
    with pytest.raises(TooMany) as raised:
        grant(1000, 1)
    assert 0 < raised.value.retry_after_s <= quotas.APP_TOKENS.every_s + 1
    grant(0, 2)
    # The watch creates and revokes a token, again and again.
    for number in range(2 * quotas.APP_TOKENS.burst):
        store.do(
            access.revoke_token,
            application_id=client.id,
            token_hash=b"%d of 1" % (999 + number if number else 0),
            network=1,
        )
        grant(1000 + number, 1)
    with pytest.raises(TooMany):
        grant(5000, 1)


def test_a_young_account_has_so_many_browsers_and_apps(store: Store) -> None:
    person = store.person("person")
    register(store, 1, 1)
    client = applications.application_by_client_id(store.connection, client_id="client 1 1")
    assert client is not None

    def sign_in() -> None:
        store.do(access.start_session, account_id=person, now_ms=store.now_ms)

    def let_in(number: int) -> None:
        store.do(
            applications.create_code,
            application_id=client.id,
            account_id=person,
            consent=applications.Consent("app://x", ("read",), ""),
            code_hash=b"%d" % number,
            now_ms=store.now_ms,
        )

    for number in range(quotas.YOUNG_WAYS_IN.burst // 2):
        sign_in()
        let_in(number)
    with pytest.raises(TooMany):
        sign_in()
    with pytest.raises(TooMany):
        let_in(1000)
    store.now_ms += quotas.YOUNG_MS
    for number in range(quotas.YOUNG_WAYS_IN.burst + 1):
        sign_in()
        let_in(2000 + number)


def test_a_young_account_uploads_so_many_megabytes(store: Store) -> None:
    person = store.person("person")

    def upload(size_bytes: int) -> None:
        store.do(
            media.begin,
            account_id=person,
            size_bytes=size_bytes,
            description=None,
            focus=None,
            now_ms=store.now_ms,
        )

    upload((quotas.YOUNG_UPLOAD_MB.burst - 1) * 1_000_000)
    with pytest.raises(TooMany):
        upload(1_000_001)
    upload(1)
    store.now_ms += quotas.YOUNG_UPLOAD_MB.span_ms
    # An instance may permit larger videos than that.
    upload(2 * quotas.YOUNG_UPLOAD_MB.burst * 1_000_000)
    store.now_ms += quotas.YOUNG_MS
    for _ in range(3):
        upload(quotas.YOUNG_UPLOAD_MB.burst * 1_000_000)


def test_an_application_has_a_few_kilobytes(store: Store) -> None:
    with pytest.raises(Invalid, match="too long"):
        register(store, 1, 1, tuple(f"https://app.example/{n}/{'x' * 1900}" for n in range(3)))


def test_a_young_account_names_few_strangers_and_an_older_one_as_many_as_it_likes(store: Store) -> None:
    author, friend, late = store.person("author"), store.person("friend"), store.person("late")
    people = [store.person("named") for _ in range(quotas.YOUNG_MENTIONS.burst)]
    for person in people:
        store.post(author, f"@{store.name(person)}")
    # Further mentions of the same accounts do not count.
    for person in people:
        store.post(author, f"@{store.name(person)} again")
    with pytest.raises(TooMany, match="new and has mentioned"):
        store.post(author, f"@{store.name(late)}")
    # Followers of the author do not count: they want the mentions.
    _follow(store, friend, author)
    store.post(author, f"@{store.name(friend)}")
    store.now_ms += quotas.YOUNG_MS
    for _ in range(2 * quotas.YOUNG_MENTIONS.burst):
        store.post(author, f"@{store.name(store.person('other'))}")


def test_a_young_account_posts_and_follows_within_bounds(store: Store) -> None:
    author, target = store.person("author"), store.person("target")
    for _ in range(quotas.YOUNG_POSTS.burst):
        store.post(author)
    with pytest.raises(TooMany):
        store.post(author)
    for _ in range(quotas.YOUNG_FOLLOWS.burst):
        _follow(store, author, target)
    with pytest.raises(TooMany):
        _follow(store, author, target)
    store.now_ms += quotas.YOUNG_MS
    for _ in range(2 * quotas.YOUNG_POSTS.burst):
        store.post(author)


def _follow(store: Store, follower: int, followed: int) -> None:
    store.do(
        relationships.follow,
        follower_id=follower,
        followed_id=followed,
        show_boosts=None,
        notify=None,
        now_ms=store.now_ms,
    )
