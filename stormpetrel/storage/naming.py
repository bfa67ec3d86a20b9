"""Queries about the questions to accounts behind hot pages."""

from __future__ import annotations

from stormpetrel.model.ids import time_ms
from stormpetrel.model.naming import NamingAnswer, NamingQuestion
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import sql

_COLUMNS = """q.id, q.account_id, a.username, q.began_ms, q.ended_ms, q.percent, q.answer, q.answered_at_ms
    FROM naming_questions q JOIN accounts a ON a.id = q.account_id"""
_ADD = sql(
    """INSERT INTO naming_questions (id, account_id, began_ms, ended_ms, percent)
    VALUES (:id, :account_id, :began_ms, :ended_ms, :percent) ON CONFLICT (account_id, began_ms) DO NOTHING"""
)
_OF_ACCOUNT = sql(
    f"SELECT {_COLUMNS} WHERE q.account_id = :account_id ORDER BY q.began_ms DESC, q.id DESC LIMIT :count"
)
_BETWEEN = sql(
    f"""SELECT {_COLUMNS} WHERE q.began_ms >= :from_ms AND q.began_ms <= :until_ms AND a.state = 'active'
    ORDER BY q.began_ms DESC, q.percent DESC, q.id LIMIT :count"""
)
_OPEN = sql("SELECT 1 FROM naming_questions WHERE account_id = :account_id AND answer = '' LIMIT 1")
_ANSWER = sql(
    """UPDATE naming_questions SET answer = :answer, answered_at_ms = :now_ms
    WHERE id = :id AND account_id = :account_id"""
)


def add(
    connection: Connection, *, account_id: int, began_ms: int, ended_ms: int, percent: int, now_ms: int
) -> bool:
    """Store a question; return False if the account has it already."""
    id = connection.new_id(now_ms)
    added = connection.run(
        _ADD, id=id, account_id=account_id, began_ms=began_ms, ended_ms=ended_ms, percent=percent
    )
    return added == 1


def of_account(connection: Connection, *, account_id: int, count: int) -> list[NamingQuestion]:
    """Return the newest questions to an account, the newest first."""
    return [_question(row) for row in connection.all(_OF_ACCOUNT, account_id=account_id, count=count)]


def between(connection: Connection, *, from_ms: int, until_ms: int, count: int) -> list[NamingQuestion]:
    """Return the questions about attacks that began in a time, the newest first; only of active accounts."""
    rows = connection.all(_BETWEEN, from_ms=from_ms, until_ms=until_ms, count=count)
    return [_question(row) for row in rows]


def has_open(connection: Connection, *, account_id: int) -> bool:
    """Return whether the account has a question without an answer."""
    return connection.one(_OPEN, account_id=account_id) is not None


def set_answer(
    connection: Connection, *, id: int, account_id: int, answer: NamingAnswer, now_ms: int
) -> bool:
    """Store the answer; return False if the account has no such question."""
    return connection.run(_ANSWER, id=id, account_id=account_id, answer=answer.value, now_ms=now_ms) == 1


def _question(row: Row) -> NamingQuestion:
    id, account_id, username, began_ms, ended_ms, percent, answer, answered_at_ms = row
    return NamingQuestion(
        id,
        account_id,
        username,
        began_ms,
        ended_ms,
        percent,
        NamingAnswer(answer),
        time_ms(id),
        answered_at_ms,
    )
