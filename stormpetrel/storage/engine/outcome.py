"""Find out whether a PostgreSQL transaction was committed when its COMMIT got no answer.

The connection can end after the server received the COMMIT and before its answer arrived. The
transaction's id was fetched when it began; the server knows its outcome, also after a crash
(`pg_xact_status`, PostgreSQL 10 and later).
"""

from __future__ import annotations

import logging
import time

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.storage.engine.connection import PostgresqlConnection, connect
from stormpetrel.storage.engine.failures import server_gone

log = logging.getLogger(__name__)

ASK_FOR_S = 4.0
"""How long to ask the server; a restart takes about a second, and the writer waits meanwhile."""
PAUSE_S = 0.1
_STATUS = "SELECT pg_xact_status(%s::text::xid8)"


def was_committed(url: str, transaction_id: str) -> bool | None:
    """Return whether the transaction was committed; None if the server did not say in ASK_FOR_S seconds."""
    until_s = time.monotonic() + ASK_FOR_S
    while time.monotonic() < until_s:
        try:
            connection = connect(url, writes=False, limit_s=1.0)
        except EnvironmentFailure:
            time.sleep(PAUSE_S)
            continue
        assert isinstance(connection, PostgresqlConnection)
        try:
            row = connection.raw.execute(_STATUS, (transaction_id,)).fetchone()
        except Exception as error:
            if not server_gone(error):
                raise
            row = ("in progress",)
        finally:
            connection.close()
        status = row[0] if row is not None else None
        if status in ("committed", "aborted"):
            log.warning("a commit got no reply; the database reports it as %s", status)
            return bool(status == "committed")
        if status is None:
            # The server has forgotten the transaction, which does not happen within seconds.
            return None
        time.sleep(PAUSE_S)
    return None
