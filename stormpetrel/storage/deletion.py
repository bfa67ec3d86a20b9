"""Queries for deleting an account."""

from __future__ import annotations

from stormpetrel.storage import notification_policy, second_factors
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_POSTS = sql("SELECT id FROM posts WHERE author_id = :account_id ORDER BY id DESC LIMIT :count")
_FOLLOWED = sql("SELECT followed_id FROM follows WHERE follower_id = :account_id LIMIT :count")
_FOLLOWERS = sql("SELECT follower_id FROM follows WHERE followed_id = :account_id LIMIT :count")
_FORGET_USER = sql("DELETE FROM users WHERE account_id = :account_id")
_FORGET_LINKS = sql("DELETE FROM mail_links WHERE account_id = :account_id")
_FORGET_CONVERSATIONS = sql("DELETE FROM conversations WHERE account_id = :account_id")
_FORGET_QUESTIONS = sql("DELETE FROM naming_questions WHERE account_id = :account_id")
_FORGET_PROFILE = sql(
    "UPDATE accounts SET display_name = '', note = '', fields = '[]', discoverable = FALSE WHERE id = :account_id"
)


def forget_person(connection: Connection, *, account_id: int) -> None:
    """Delete the user (address, password), second factors, mail links, conversations, questions, the policy for
    notifications, and profile texts.
    """
    connection.run(_FORGET_USER, account_id=account_id)
    second_factors.delete_all(connection, account_id=account_id)
    connection.run(_FORGET_LINKS, account_id=account_id)
    connection.run(_FORGET_CONVERSATIONS, account_id=account_id)
    connection.run(_FORGET_QUESTIONS, account_id=account_id)
    notification_policy.forget(connection, account_id=account_id)
    connection.run(_FORGET_PROFILE, account_id=account_id)


def post_ids(connection: Connection, *, account_id: int, count: int) -> list[int]:
    """Return posts and boosts of the account, newest first."""
    return [row[0] for row in connection.all(_POSTS, account_id=account_id, count=count)]


def followed_ids(connection: Connection, *, account_id: int, count: int) -> list[int]:
    """Return up to `count` accounts that the account follows."""
    return [row[0] for row in connection.all(_FOLLOWED, account_id=account_id, count=count)]


def follower_ids(connection: Connection, *, account_id: int, count: int) -> list[int]:
    """Return up to `count` followers of the account."""
    return [row[0] for row in connection.all(_FOLLOWERS, account_id=account_id, count=count)]
