"""Guesses at passwords: the reserves of networks and accounts under a flood."""

from __future__ import annotations

from stormpetrel.model import quota as quotas
from stormpetrel.rules.guesses import Guess, admit


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
