"""Ask the owners of accounts behind hot pages whether an insight report may name them.

The question is private: the owner gets a mail, and sees it on their own pages. Without an answer the account is not
named, and an answer can be changed at any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from stormpetrel.errors import NotFound
from stormpetrel.model.account import AccountState
from stormpetrel.model.mail import Letter, Notice
from stormpetrel.model.naming import NamingAnswer, NamingQuestion
from stormpetrel.model.quota import NAMING_NOTICE
from stormpetrel.rules.mail import post
from stormpetrel.rules.quotas import spend
from stormpetrel.storage import accounts
from stormpetrel.storage import naming as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

SHOWN = 50
"""Questions that an owner sees, the newest."""
MAX_STATES = 500


def ask(
    connection: Connection, *, shares: Mapping[str, float], began_ms: int, ended_ms: int, now_ms: int
) -> int:
    """Ask the owners of the accounts with these names; return how many were asked now. Asking again is no error.

    `shares`: of the requests of the attack, by name (hot_accounts). An owner gets a mail a day at most: attacks on
    one page may come again and again.
    """
    asked = 0
    for name, share in shares.items():
        account = accounts.account_named(connection, username=name)
        if account is None or account.state is not AccountState.ACTIVE:
            continue
        is_new = stored.add(
            connection,
            account_id=account.id,
            began_ms=began_ms,
            ended_ms=ended_ms,
            percent=round(share * 100),
            now_ms=now_ms,
        )
        if not is_new:
            continue
        asked += 1
        user = accounts.user(connection, account_id=account.id)
        if user is not None and not spend(connection, NAMING_NOTICE, account.id, now_ms=now_ms):
            post(connection, Letter(Notice.NAMING.value, user.email, user.username), now_ms=now_ms)
    return asked


def questions_of(connection: Connection, *, account_id: int) -> list[NamingQuestion]:
    """Return the newest SHOWN questions to an account, the newest first."""
    return stored.of_account(connection, account_id=account_id, count=SHOWN)


@hot
def has_open_question(connection: Connection, *, account_id: int) -> bool:
    """Return whether the account has a question without an answer."""
    return stored.has_open(connection, account_id=account_id)


def answer(
    connection: Connection, *, account_id: int, question_id: int, answer: NamingAnswer, now_ms: int
) -> None:
    """Store the owner's answer, in place of an earlier one. Raise NotFound for a question to another account."""
    if not stored.set_answer(connection, id=question_id, account_id=account_id, answer=answer, now_ms=now_ms):
        raise NotFound


def questions_about(connection: Connection, *, from_ms: int, until_ms: int) -> list[NamingQuestion]:
    """Return the questions about attacks that began in a time, the newest first, MAX_STATES at most."""
    return stored.between(connection, from_ms=from_ms, until_ms=until_ms, count=MAX_STATES)
