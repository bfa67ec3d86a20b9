"""The newest row of the store: its id carries a time to compare with the machine's clock."""

from __future__ import annotations

from stormpetrel.model.ids import time_ms
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.engine.statement import sql

_NEWEST = tuple(
    sql(f"SELECT max(id) FROM {table}") for table in ("posts", "notifications", "accounts", "sessions")
)


@hot
def newest_id(connection: Connection) -> int:
    """Return the largest id of a post, notification, account or session; 0 in an empty store."""
    rows = [connection.one(statement) for statement in _NEWEST]
    return max((row[0] or 0 for row in rows if row is not None), default=0)


def newest_ms(connection: Connection) -> int:
    """Return the time at which the newest row was made, in milliseconds since 1970; 0 in an empty store."""
    return time_ms(newest_id(connection))
