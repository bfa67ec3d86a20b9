"""Find out whether PostgreSQL transactions were committed whose COMMIT got no answer.

The connection can end after the server received the COMMIT and before its answer arrived. The
transaction's id was fetched when it began; the server knows its outcome, also after a crash
(`pg_xact_status`, PostgreSQL 10 and later).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.storage.engine.connection import PostgresqlConnection
from stormpetrel.storage.engine.failures import server_gone

log = logging.getLogger(__name__)

ASK_FOR_S = 4.0
"""How long to ask the server; a restart takes about a second, and the writer waits meanwhile."""
PAUSE_S = 0.1
_STATUS = "SELECT pg_xact_status(%s::text::xid8)"


def outcomes(url: str, transaction_ids: Sequence[str]) -> dict[str, bool | None]:
    """Return for each transaction whether it was committed; None if the server did not say in ASK_FOR_S seconds.

    Those that were are durable: the log is flushed after the question.
    """
    found: dict[str, bool | None] = dict.fromkeys(transaction_ids)
    until_s = time.monotonic() + ASK_FOR_S
    while time.monotonic() < until_s:
        try:
            connection = PostgresqlConnection(url, limit_s=1.0)
        except EnvironmentFailure:
            time.sleep(PAUSE_S)
            continue
        try:
            if _ask(connection, found):
                connection.flush()
                return found
        except Exception as error:
            if not server_gone(error):
                raise
        finally:
            connection.close()
        time.sleep(PAUSE_S)
    return dict.fromkeys(transaction_ids)


def _ask(connection: PostgresqlConnection, found: dict[str, bool | None]) -> bool:
    """Fill in the outcomes; return False if a transaction is still in progress."""
    for transaction_id in found:
        row = connection.raw.execute(_STATUS, (transaction_id,)).fetchone()
        # None: the server has forgotten the transaction, which does not happen within seconds.
        status = row[0] if row is not None else None
        if status == "in progress":
            return False
        found[transaction_id] = None if status is None else status == "committed"
        log.warning("a commit got no reply; the database reports it as %s", status)
    return True
