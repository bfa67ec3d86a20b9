"""The choice that a policy makes for a sender."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stormpetrel.model.notification_policy import (
    NEW_ACCOUNT_MS,
    NEW_FOLLOWER_MS,
    Choice,
    KnownSender,
    NotificationPolicy,
    choice,
)

NOW_MS = 10 * NEW_ACCOUNT_MS
OLD = KnownSender(is_followed=False, follows_since_ms=None, created_at_ms=0, is_bot=False, is_uninvited=False)
FOLLOWER = replace(OLD, follows_since_ms=NOW_MS - NEW_FOLLOWER_MS)
FRIEND = replace(OLD, is_followed=True)
NEW = replace(FOLLOWER, created_at_ms=NOW_MS - NEW_ACCOUNT_MS + 1)


@pytest.mark.parametrize(
    ("field", "applies", "applies_not"),
    [
        ("for_not_following", OLD, FRIEND),
        ("for_not_followers", replace(OLD, follows_since_ms=NOW_MS - NEW_FOLLOWER_MS + 1), FOLLOWER),
        ("for_not_followers", FRIEND, replace(FRIEND, follows_since_ms=0)),
        ("for_new_accounts", NEW, replace(NEW, created_at_ms=NOW_MS - NEW_ACCOUNT_MS)),
        ("for_new_accounts", NEW, replace(NEW, is_followed=True)),
        ("for_private_mentions", replace(FOLLOWER, is_uninvited=True), FOLLOWER),
        ("for_private_mentions", replace(FOLLOWER, is_uninvited=True), replace(FRIEND, is_uninvited=True)),
        ("for_bots", replace(FOLLOWER, is_bot=True), replace(FRIEND, is_bot=True)),
    ],
)
@pytest.mark.parametrize("chosen", [Choice.FILTER, Choice.DROP])
def test_a_choice_applies_to_its_sort_of_sender_only(field, applies, applies_not, chosen):
    policy = NotificationPolicy(**{field: chosen})
    assert choice(policy, applies, now_ms=NOW_MS) is chosen
    assert choice(policy, applies_not, now_ms=NOW_MS) is Choice.ACCEPT


def test_the_strictest_choice_that_applies_counts():
    policy = NotificationPolicy(for_not_following=Choice.FILTER, for_bots=Choice.DROP)
    assert choice(policy, OLD, now_ms=NOW_MS) is Choice.FILTER
    assert choice(policy, replace(OLD, is_bot=True), now_ms=NOW_MS) is Choice.DROP
    assert choice(NotificationPolicy(), replace(NEW, is_bot=True), now_ms=NOW_MS) is Choice.ACCEPT
