"""Whether PostgreSQL has room for the connections that this machine's processes open."""

from __future__ import annotations

from stormpetrel.storage.connection import PostgresqlConnection, connect

PER_WORKER = 4
"""A web worker's: it reads, searches and writes, and holds its slot of ids."""
BESIDES = 4
"""The courier's, which are as many."""
_FREE = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int + 1"
)
"""The one that asks will be closed again."""


def connections_wanted(web_workers: int) -> int:
    """Return how many connections one machine opens with so many web workers."""
    return PER_WORKER * web_workers + BESIDES


def shortage(url: str, *, web_workers: int) -> str:
    """Return one line that says which connections PostgreSQL lacks; "" when it has enough, and on SQLite.

    Raise EnvironmentFailure when it cannot be reached.
    """
    if url.startswith("sqlite:///"):
        return ""
    connection = connect(url, writes=False)
    assert isinstance(connection, PostgresqlConnection)
    try:
        row = connection.raw.execute(_FREE).fetchone()
    finally:
        connection.close()
    free = row[0] if row is not None else 0
    wanted = connections_wanted(web_workers)
    if free >= wanted:
        return ""
    return (
        f"PostgreSQL has {free} free connections, but {wanted} are needed ({PER_WORKER} for each of {web_workers} "
        f"web workers and {BESIDES}): raise its max_connections, or lower web.workers"
    )
