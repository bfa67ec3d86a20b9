"""Questions to the owners of hot pages: asked in private, and answered by the owner alone."""

from __future__ import annotations

import msgspec
import pytest

from stormpetrel.errors import NotFound
from stormpetrel.model.account import AccountState
from stormpetrel.model.mail import Letter
from stormpetrel.model.naming import NamingAnswer
from stormpetrel.rules import deletion
from stormpetrel.rules import naming as rules
from stormpetrel.storage import accounts
from stormpetrel.storage.engine.statement import sql

MAILS = sql("SELECT payload FROM outbox WHERE kind = 'mail' ORDER BY id")
BEGAN_MS = 1_789_999_000_000


def ask(store, *people, began_ms=BEGAN_MS):
    shares = {store.name(person).lower(): 0.42 for person in people}
    return store.do(
        rules.ask, shares=shares, began_ms=began_ms, ended_ms=began_ms + 60_000, now_ms=store.now_ms
    )


def letters(store):
    return [msgspec.json.decode(payload, type=Letter) for (payload,) in store.connection.all(MAILS)]


def about(store, began_ms=BEGAN_MS):
    return store.do(rules.questions_about, from_ms=began_ms, until_ms=began_ms)


def test_an_owner_is_asked_once_about_an_attack_and_gets_a_mail(store):
    ana = store.person("Ana")
    assert (ask(store, ana), ask(store, ana)) == (1, 0)
    (letter,) = letters(store)
    assert (letter.about, letter.to) == ("naming", f"{store.name(ana)}@example.org")
    (question,) = store.do(rules.questions_of, account_id=ana)
    assert (question.percent, question.answer, question.username) == (42, NamingAnswer.NONE, store.name(ana))
    assert store.do(rules.has_open_question, account_id=ana)


def test_attacks_on_one_page_send_one_mail_a_day(store):
    ana = store.person("Ana")
    for number in range(5):
        ask(store, ana, began_ms=BEGAN_MS + number)
    assert len(letters(store)) == 1
    assert len(store.do(rules.questions_of, account_id=ana)) == 5
    store.now_ms += 86_400_000
    ask(store, ana, began_ms=BEGAN_MS + 9)
    assert len(letters(store)) == 2


def test_the_owner_alone_answers_and_may_change_the_answer(store):
    ana, ben = store.person("Ana"), store.person("Ben")
    ask(store, ana)
    (question,) = about(store)
    for answer in (NamingAnswer.AGREED, NamingAnswer.DECLINED, NamingAnswer.AGREED):
        said = {"question_id": question.id, "answer": answer, "now_ms": store.now_ms}
        with pytest.raises(NotFound):
            store.do(rules.answer, account_id=ben, **said)
        store.do(rules.answer, account_id=ana, **said)
        assert [one.answer for one in about(store)] == [answer]
    assert not store.do(rules.has_open_question, account_id=ana)


def test_names_that_are_no_account_and_accounts_that_are_hidden_are_not_asked(store):
    ana = store.person("Ana")
    shares = {store.name(ana): 0.5, "nosuch": 0.4}
    store.do(accounts.set_state, account_id=ana, state=AccountState.SUSPENDED)
    assert store.do(rules.ask, shares=shares, began_ms=1, ended_ms=2, now_ms=store.now_ms) == 0


def test_an_account_that_is_suspended_or_deleted_after_its_yes_is_not_named(store):
    ana, ben = store.person("Ana"), store.person("Ben")
    ask(store, ana, ben)
    store.do(accounts.set_state, account_id=ben, state=AccountState.SUSPENDED)
    assert [one.account_id for one in about(store)] == [ana]
    store.do(deletion.delete_account, account_id=ana, now_ms=store.now_ms)
    assert about(store) == []
    assert store.do(rules.questions_of, account_id=ana) == []
