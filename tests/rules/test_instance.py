"""Rules, texts and announcements of the instance, which only admins change; and blocks of e-mail domains."""

from __future__ import annotations

import pytest

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.account import Role
from stormpetrel.model.moderation import COMMAND_LINE, MAX_ANNOUNCEMENT, MAX_RULE, MAX_TEXT, Moderator
from stormpetrel.rules import accounts
from stormpetrel.rules import instance as rules

HELPER = Moderator(5, "helper", Role.MODERATOR)
WRITES = (
    (rules.set_text, {"name": "privacy_policy", "text": "x"}),
    (rules.add_rule, {"text": "x", "hint": ""}),
    (rules.remove_rule, {"rule_id": 1}),
    (rules.announce, {"text": "x"}),
    (rules.withdraw, {"announcement_id": 1}),
    (rules.block_email_domain, {"domain": "a.example"}),
    (rules.unblock_email_domain, {"domain": "a.example"}),
)


def write(store, rule, actor=COMMAND_LINE, **values):
    return store.do(rule, actor, now_ms=store.now_ms, **values)


@pytest.mark.parametrize(("rule", "values"), WRITES)
def test_a_moderator_who_is_no_admin_changes_nothing(store, rule, values):
    with pytest.raises(Forbidden):
        write(store, rule, HELPER, **values)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (rules.set_text, {"name": "privacy_policy", "text": "x" * (MAX_TEXT + 1)}),
        (rules.set_text, {"name": "poem", "text": "x"}),
        (rules.add_rule, {"text": "x" * (MAX_RULE + 1), "hint": ""}),
        (rules.add_rule, {"text": " ", "hint": ""}),
        (rules.announce, {"text": "x" * (MAX_ANNOUNCEMENT + 1)}),
        (rules.announce, {"text": ""}),
        (rules.block_email_domain, {"domain": "a b.example"}),
    ],
)
def test_what_is_empty_too_long_or_unknown_is_refused(store, rule, values):
    with pytest.raises(Invalid):
        write(store, rule, **values)


def test_rules_end_at_forty(store):
    for number in range(40):
        write(store, rules.add_rule, text=str(number), hint="")
    with pytest.raises(Invalid, match="Too many rules"):
        write(store, rules.add_rule, text="one more", hint="")
    assert [rule.text for rule in rules.rules(store.connection)] == [str(number) for number in range(40)]


def test_an_announcement_is_read_by_each_for_themselves(store):
    nino, lomi = store.person(), store.person()
    some_id = write(store, rules.announce, text="A storm comes")
    store.do(rules.dismiss, account_id=nino, announcement_id=some_id)
    store.do(rules.dismiss, account_id=nino, announcement_id=some_id)
    for reader_id, read in ((nino, True), (lomi, False), (None, False)):
        assert [one.read for one in rules.announcements(store.connection, reader_id=reader_id)] == [read]
    with pytest.raises(NotFound):
        store.do(rules.dismiss, account_id=nino, announcement_id=12345)


@pytest.mark.parametrize(
    ("email", "taken"),
    [
        ("a@spam.example", False),
        ("a@Deep.SPAM.example", False),
        ("a@notspam.example", True),
        ("a@example.org", True),
    ],
)
def test_a_blocked_domain_counts_with_all_that_is_below_it(store, email, taken):
    write(store, rules.block_email_domain, domain="Spam.example")

    def sign_up(**more):
        return store.do(
            accounts.sign_up,
            username="nino",
            email=email,
            password_hash="-",
            reason="",
            locale="en",
            registration="open",
            now_ms=store.now_ms,
            **more,
        )

    if taken:
        assert sign_up().username == "nino"
    else:
        with pytest.raises(Invalid, match="not allowed on this server"):
            sign_up()
        assert sign_up(by_operator=True).username == "nino"
