"""The progress of a synthetic community that is not complete yet, and its counts until it is.

The number of steps is stored as a fact, in each step's transaction: the two agree
even if the process is killed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stormpetrel.errors import SetupError
from stormpetrel.storage.engine.connection import PostgresqlConnection, StoreConnection, transaction
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.facts import fact, replace_fact
from stormpetrel.storage.seed.plan import Size

COUNTED_PER_COMMIT = 5_000
"""Accounts or posts whose counts are recomputed in one transaction."""

_COUNT_PEOPLE = sql(
    """UPDATE accounts SET
        followers_count = (SELECT count(*) FROM follows WHERE followed_id = accounts.id),
        following_count = (SELECT count(*) FROM follows WHERE follower_id = accounts.id),
        posts_count = (SELECT count(*) FROM posts WHERE author_id = accounts.id),
        last_post_at_ms = (SELECT coalesce(max(created_at_ms), 0) FROM posts WHERE author_id = accounts.id),
        last_post_day = (SELECT coalesce(max(created_at_ms), 0) FROM posts WHERE author_id = accounts.id) / 86400000
    WHERE id IN :ids[]"""
)
_COUNT_POSTS = sql(
    """UPDATE posts SET
        replies_count = (SELECT count(*) FROM posts other WHERE other.in_reply_to_id = posts.id),
        boosts_count = (SELECT count(*) FROM posts other WHERE other.boost_of_id = posts.id),
        favourites_count = (SELECT count(*) FROM favourites WHERE post_id = posts.id)
    WHERE id IN :ids[]"""
)


class Begun(msgspec.Struct, frozen=True):
    """The requested community, and how many of its steps are written."""

    size: Size
    rows_per_commit: int
    steps: int


def unfinished(connection: StoreConnection, seed: int) -> Size | None:
    """Return the size of this seed's community if it was begun and is not complete, otherwise None."""
    begun = _begun(connection, seed)
    return None if begun is None else begun.size


def _begun(connection: StoreConnection, seed: int) -> Begun | None:
    value = fact(connection, _name(seed))
    return None if value is None else msgspec.json.decode(value, type=Begun)


def _name(seed: int) -> str:
    return f"seed {seed}"


def steps_of(connection: StoreConnection, wanted: Begun) -> int:
    """Return how many steps of the wanted community are written.

    Raise SetupError if a different one was begun with the same seed: their rows would not fit together.
    """
    begun = _begun(connection, wanted.size.seed)
    if begun is None:
        return 0
    if (begun.size, begun.rows_per_commit) != (wanted.size, wanted.rows_per_commit):
        one = begun.size
        reader = f" --reader {one.reader} --reader-follows {one.reader_follows}" if one.reader else ""
        raise SetupError(
            f"the community of seed {one.seed} is incomplete: continue with --users {one.users} --posts {one.posts} "
            f"--follows {one.follows} --seed {one.seed}{reader} and the same --until, or use another --seed"
        )
    return begun.steps


def note(connection: StoreConnection, *, was: Begun, now: Begun | None) -> None:
    """Store that the step after `was` is written. `now` None: all is complete. Call it first in the step.

    Raise SetupError if another process has written a step meanwhile, before the rows of both mix.
    """
    name = _name(was.size.seed)
    if not replace_fact(
        connection, name, was=_text(was) if was.steps else None, value=None if now is None else _text(now)
    ):
        raise SetupError(f"another process is writing the community of seed {was.size.seed}")


def _text(begun: Begun) -> str:
    return msgspec.json.encode(begun).decode()


def analyze(connection: StoreConnection) -> None:
    """Have PostgreSQL update its statistics: after so many new rows its planner still assumes empty tables,
    and scans a whole table for each row of another."""
    if isinstance(connection, PostgresqlConnection):
        connection.raw.execute("ANALYZE")


def count_again(connection: StoreConnection, *, account_ids: Sequence[int], post_ids: Sequence[int]) -> None:
    """Recompute all counts of these accounts and posts from the rows, in several transactions."""
    analyze(connection)
    for statement, ids in ((_COUNT_PEOPLE, account_ids), (_COUNT_POSTS, post_ids)):
        for start in range(0, len(ids), COUNTED_PER_COMMIT):
            with transaction(connection):
                connection.run(statement, ids=ids[start : start + COUNTED_PER_COMMIT])
