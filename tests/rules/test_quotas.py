"""Quotas: the number of uses, when they return, and the stored rows."""

from __future__ import annotations

import pytest

from stormpetrel.errors import TooMany
from stormpetrel.model import quota as quotas
from stormpetrel.model.quota import Quota, network_of, slot
from stormpetrel.rules.guesses import Guess, admit
from stormpetrel.rules.quotas import give_back, require, spend
from stormpetrel.storage import quotas as stored
from stormpetrel.storage.engine.statement import sql

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


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("nonsense", "nonsense"),
    ],
)
def test_networks_are_what_one_customer_has(address, network):
    assert network_of(address) == network


def test_rows_are_bounded_and_nobody_can_choose_one():
    slots = {slot(b"x" * 32, f"login {number}") for number in range(1000)}
    assert len(slots) > 990
    assert all(1 <= one <= quotas.SLOTS for one in slots)
    assert slot(b"x" * 32, "a") != slot(b"y" * 32, "a")


def stranger(number, **more):
    return Guess(account_id=None, login=5, network=number, pair=1000 + number, **more)


def test_a_flood_from_new_networks_leaves_the_reserve_for_who_comes_later(store):
    """Once each network of the flood has tried, the reserve refills for a network that has not."""
    admitted = [store.do(admit, stranger(number), now_ms=store.now_ms).wait_ms for number in range(500)]
    checked = admitted.count(0)
    assert checked == quotas.GUESS_POOL.burst + quotas.GUESS_NEWCOMER_FAR.burst
    assert store.do(admit, stranger(600), now_ms=store.now_ms).wait_ms > 0
    # Networks where members were seen have a separate reserve.
    assert store.do(admit, stranger(700, is_near=True), now_ms=store.now_ms).wait_ms == 0
    store.now_ms += int(quotas.GUESS_NEWCOMER_FAR.every_ms)
    again = [store.do(admit, stranger(number), now_ms=store.now_ms).wait_ms for number in range(100, 200)]
    assert again.count(0) == quotas.GUESS_NEWCOMER_FAR.every_ms // quotas.GUESS_POOL.every_ms
    assert store.do(admit, stranger(800), now_ms=store.now_ms).wait_ms == 0


def test_strangers_have_at_most_a_hundred_guesses_an_hour_at_one_account(store):
    """Even with a new network for each guess, near and far, and one guess per second."""
    checked = 0
    for number in range(3600):
        store.now_ms += 1000
        guess = stranger(number, is_near=bool(number % 2))
        checked += not store.do(admit, guess, now_ms=store.now_ms).wait_ms
    assert checked <= 100
