"""The codes that are texted to one country in a day: strangers use up half, and owners always get theirs."""

from __future__ import annotations

from stormpetrel.gateway.code_budget import spend_code
from stormpetrel.model.quota import CODE_OF_OWNER, YOUNG_MS, Quota
from tests.gateway.test_effects import context_of

CONTEXT = context_of(
    nonces=Quota("sms.nonce", 10, 8_640), nonces_of_strangers=Quota("sms.nonce.strangers", 5, 17_280)
)
LARGE = context_of(
    nonces=Quota("sms.nonce", 100, 864), nonces_of_strangers=Quota("sms.nonce.strangers", 50, 1_728)
)


def codes(store, count, account_id, *, is_known, context=CONTEXT):
    """Return how many codes may be sent."""
    return sum(
        store.do(
            spend_code, context, number=f"+995{number:06}", account_id=account_id, is_known=is_known,
            now_ms=store.now_ms,
        )
        for number in range(count)
    )  # fmt: skip


def test_strangers_and_young_accounts_leave_half_of_the_budget_to_owners(store):
    owner = store.person("owner")
    store.now_ms += YOUNG_MS
    young = store.person("young")
    assert codes(store, 20, owner, is_known=False) + codes(store, 20, young, is_known=True) == 5
    assert codes(store, 20, owner, is_known=True) == 5


def test_the_budget_is_never_exceeded(store):
    owner = store.person("owner")
    store.now_ms += YOUNG_MS
    assert codes(store, 20, owner, is_known=True) == 10
    assert codes(store, 20, owner, is_known=False) == 0


def test_one_old_account_does_not_use_up_what_is_kept_for_owners(store):
    one, owner = store.person("one"), store.person("owner")
    store.now_ms += YOUNG_MS
    assert codes(store, 200, one, is_known=True, context=LARGE) == 50 + CODE_OF_OWNER.burst
    assert codes(store, 3, owner, is_known=True, context=LARGE) == 3
