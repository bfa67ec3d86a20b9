"""Remove a hidden account from the counts of others, so that each count matches the list it belongs to.

Only visible accounts are counted: favourites, boosts and replies of a post,
followers and followed of an account.
"""

from __future__ import annotations

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_CHANGES = (
    sql(
        "UPDATE posts SET favourites_count = favourites_count + :delta "
        "WHERE id IN (SELECT post_id FROM favourites WHERE account_id = :account_id)"
    ),
    sql(
        "UPDATE posts SET boosts_count = boosts_count + :delta WHERE id IN "
        "(SELECT boost_of_id FROM posts WHERE author_id = :account_id AND boost_of_id IS NOT NULL)"
    ),
    sql(
        "UPDATE posts SET replies_count = replies_count + :delta * (SELECT COUNT(*) FROM posts r "
        "WHERE r.in_reply_to_id = posts.id AND r.author_id = :account_id AND r.visibility <= 1) "
        "WHERE id IN (SELECT in_reply_to_id FROM posts WHERE author_id = :account_id "
        "AND in_reply_to_id IS NOT NULL AND visibility <= 1)"
    ),
    sql(
        "UPDATE accounts SET followers_count = followers_count + :delta "
        "WHERE id IN (SELECT followed_id FROM follows WHERE follower_id = :account_id)"
    ),
    sql(
        "UPDATE accounts SET following_count = following_count + :delta "
        "WHERE id IN (SELECT follower_id FROM follows WHERE followed_id = :account_id)"
    ),
)


def take_back_counts(connection: Connection, *, account_id: int) -> None:
    """Remove the account's contributions from the counts of others: it is hidden from now on."""
    _change(connection, account_id=account_id, delta=-1)


def give_back_counts(connection: Connection, *, account_id: int) -> None:
    """Add the account's contributions to the counts of others again."""
    _change(connection, account_id=account_id, delta=1)


def _change(connection: Connection, *, account_id: int, delta: int) -> None:
    for statement in _CHANGES:
        connection.run(statement, account_id=account_id, delta=delta)
