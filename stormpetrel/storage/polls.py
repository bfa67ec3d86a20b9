"""Queries about polls and votes. A poll has its post's id."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.model.poll import Option, Poll, positions_in
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_BY_IDS = sql(
    "SELECT l.post_id, p.author_id, l.multiple, l.hide_totals, l.expires_at_ms, l.voters_count, "
    "o.title, o.votes_count FROM polls l JOIN posts p ON p.id = l.post_id "
    "JOIN poll_options o ON o.post_id = l.post_id "
    "WHERE l.post_id IN :post_ids[] ORDER BY l.post_id, o.position"
)
_INSERT = sql(
    "INSERT INTO polls (post_id, multiple, hide_totals, expires_at_ms) "
    "VALUES (:post_id, :multiple, :hide_totals, :expires_at_ms)"
)
_INSERT_OPTION = sql(
    "INSERT INTO poll_options (post_id, position, title) VALUES (:post_id, :position, :title)"
)
_HAS_POLL = sql("UPDATE posts SET has_poll = :has_poll WHERE id = :post_id")
_DELETE = sql("DELETE FROM polls WHERE post_id = :post_id")
_RESCHEDULE = sql(
    "UPDATE polls SET expires_at_ms = :expires_at_ms, hide_totals = :hide_totals, told = FALSE "
    "WHERE post_id = :post_id"
)
# Also locks the row: votes and edits of one poll run one after another, and later reads are current.
_LOCK = sql("UPDATE polls SET told = told WHERE post_id = :post_id")
_PUT_BALLOT = sql(
    "INSERT INTO ballots (post_id, account_id, choices) VALUES (:post_id, :account_id, :choices) "
    "ON CONFLICT DO NOTHING"
)
_COUNT_VOTER = sql("UPDATE polls SET voters_count = voters_count + 1 WHERE post_id = :post_id")
_COUNT_VOTES = sql(
    "UPDATE poll_options SET votes_count = votes_count + 1 WHERE post_id = :post_id AND position IN :positions[]"
)
_END = sql(
    "UPDATE polls SET told = TRUE WHERE post_id = :post_id AND expires_at_ms = :expires_at_ms AND told = FALSE"
)
_VOTERS = sql(
    "SELECT account_id FROM ballots WHERE post_id = :post_id AND account_id > :after_id "
    "ORDER BY account_id LIMIT :count"
)


def polls(connection: Connection, *, post_ids: Sequence[int]) -> dict[int, Poll]:
    """Return the polls of these posts by post, for posts that have one."""
    found: dict[int, Poll] = {}
    options: dict[int, list[Option]] = {}
    for row in connection.all(_BY_IDS, post_ids=post_ids):
        options.setdefault(row[0], []).append(Option(row[6], row[7]))
        found[row[0]] = Poll(
            post_id=row[0],
            author_id=row[1],
            multiple=bool(row[2]),
            hide_totals=bool(row[3]),
            expires_at_ms=row[4],
            voters_count=row[5],
            options=tuple(options[row[0]]),
        )
    return found


def insert(connection: Connection, poll: Poll) -> None:
    """Insert a poll, without votes, for an existing post."""
    connection.run(
        _INSERT,
        post_id=poll.post_id,
        multiple=poll.multiple,
        hide_totals=poll.hide_totals,
        expires_at_ms=poll.expires_at_ms,
    )
    for position, option in enumerate(poll.options):
        connection.run(_INSERT_OPTION, post_id=poll.post_id, position=position, title=option.title)
    connection.run(_HAS_POLL, post_id=poll.post_id, has_poll=True)


def delete(connection: Connection, *, post_id: int) -> None:
    """Delete the post's poll with its votes."""
    connection.run(_DELETE, post_id=post_id)
    connection.run(_HAS_POLL, post_id=post_id, has_poll=False)


def reschedule(connection: Connection, *, post_id: int, expires_at_ms: int, hide_totals: bool) -> None:
    """Change the end of a poll and whether totals are hidden; its votes stay."""
    connection.run(_RESCHEDULE, post_id=post_id, expires_at_ms=expires_at_ms, hide_totals=hide_totals)


def locked(connection: Connection, *, post_id: int) -> Poll | None:
    """Lock the poll until the transaction ends and return it; None if there is none."""
    if not connection.run(_LOCK, post_id=post_id):
        return None
    return polls(connection, post_ids=[post_id]).get(post_id)


def put_ballot(connection: Connection, *, post_id: int, account_id: int, choices: int) -> bool:
    """Store and count a vote; return False if the account has voted before."""
    if not connection.run(_PUT_BALLOT, post_id=post_id, account_id=account_id, choices=choices):
        return False
    connection.run(_COUNT_VOTER, post_id=post_id)
    connection.run(_COUNT_VOTES, post_id=post_id, positions=positions_in(choices))
    return True


def end(connection: Connection, *, post_id: int, expires_at_ms: int) -> bool:
    """Mark the end as announced; return False if it was before, or if the poll ends at another time."""
    return connection.run(_END, post_id=post_id, expires_at_ms=expires_at_ms) > 0


def voters(connection: Connection, *, post_id: int, after_id: int, count: int) -> list[int]:
    """Return the voters by account id, from after `after_id`."""
    rows = connection.all(_VOTERS, post_id=post_id, after_id=after_id, count=count)
    return [row[0] for row in rows]
