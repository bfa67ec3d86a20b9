"""Check that PostgreSQL has enough connections for this machine's processes."""

from __future__ import annotations

from stormpetrel.storage.engine.connection import PostgresqlConnection, connect

PER_WORKER = 4
"""Of a web worker: it reads, searches and writes, and holds its slot of ids."""
BESIDES = 4
"""Of the courier, for the same four purposes."""
_FREE = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int + 1"
)
"""This query's own connection is added back: it is closed afterwards."""


def connections_wanted(web_workers: int) -> int:
    """Return how many connections one machine opens with this many web workers."""
    return PER_WORKER * web_workers + BESIDES


def shortage(url: str, *, web_workers: int) -> str:
    """Return one line that names the connections PostgreSQL lacks; "" if it has enough, and on SQLite.

    Raise EnvironmentFailure if it cannot be reached.
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
