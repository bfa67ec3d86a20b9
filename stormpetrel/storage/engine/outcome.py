"""Find out whether PostgreSQL transactions were committed whose COMMIT got no answer.

The connection can end after the server received the COMMIT and before its answer arrived. The
transaction's id was fetched when it began; the server knows its outcome, also after a crash
(`pg_xact_status`, PostgreSQL 10 and later). The server is made to end a transaction that goes on without its client.

In a crash the server forgets the transactions whose log was not on the disk, and numbers later ones from there again:
such an id is either not in use, or belongs to another transaction, whose outcome says nothing.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.storage.engine.connection import PostgresqlConnection, TransactionId
from stormpetrel.storage.engine.failures import is_unknown_transaction, server_gone

log = logging.getLogger(__name__)

ASK_FOR_S = 4.0
"""How long to ask the server; a restart takes about a second, and the writer waits meanwhile."""
PAUSE_S = 0.1
LET_RUN_S = 1.0
"""How long a transaction without a client may go on; then the server ends it."""
_LOST = "lost in a crash"
# COMMIT has not arrived, or waits: the transaction has locks that stop others, until the server misses its client.
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = %s::text::xid8::xid"
_STATUS = "SELECT pg_xact_status(%s::text::xid8)"
# The server resets its statistics when it recovers from a crash.
_CRASH = "SELECT extract(epoch FROM stats_reset)::float8 FROM pg_stat_bgwriter"


def outcomes(url: str, transaction_ids: Sequence[TransactionId]) -> dict[TransactionId, bool | None]:
    """Return for each transaction whether it was committed; None if the server did not say in ASK_FOR_S seconds, or
    cannot know after a crash.

    Those that were are durable: the log is flushed after the question. Never raise.
    """
    found: dict[TransactionId, bool | None] = dict.fromkeys(transaction_ids)
    until_s = time.monotonic() + ASK_FOR_S
    let_run_until_s = time.monotonic() + LET_RUN_S
    while time.monotonic() < until_s:
        try:
            connection = PostgresqlConnection(url, limit_s=1.0)
        except EnvironmentFailure:
            time.sleep(PAUSE_S)
            continue
        try:
            if _ask(connection, found, ends=time.monotonic() > let_run_until_s):
                connection.flush()
                return found
        except Exception as error:
            if not server_gone(error):
                # The writer must go on: it is the only one of its process.
                log.exception("the outcome of %d commits could not be found out", len(transaction_ids))
                break
        finally:
            connection.close()
        time.sleep(PAUSE_S)
    return dict.fromkeys(transaction_ids)


def _ask(connection: PostgresqlConnection, found: dict[TransactionId, bool | None], *, ends: bool) -> bool:
    """Fill in the outcomes; return False if a transaction is still in progress, after ending it with `ends`."""
    row = connection.raw.execute(_CRASH).fetchone()
    crash_s = math.inf if row is None or row[0] is None else row[0]
    for transaction_id in found:
        status = _status(connection, transaction_id.number)
        if status != _LOST and transaction_id.began_s <= crash_s:
            # The number may belong to a later transaction, which must not be ended.
            status = None
        elif status == "in progress":
            if ends:
                _end(connection, transaction_id.number)
            return False
        found[transaction_id] = None if status is None else status == "committed"
        log.warning("a commit got no reply; the database reports it as %s", status)
    return True


def _end(connection: PostgresqlConnection, number: int) -> None:
    try:
        connection.raw.execute(_END, (str(number),))
    except Exception as error:
        if server_gone(error):
            raise
        # An operator may have taken the right away. The transaction can still end by itself while we ask.
        log.warning("a transaction without a client cannot be ended: %s", error)


def _status(connection: PostgresqlConnection, number: int) -> str | None:
    """Return the server's word for the outcome, or _LOST; None if the server has forgotten the transaction, which
    does not happen within seconds.
    """
    try:
        row = connection.raw.execute(_STATUS, (str(number),)).fetchone()
    except Exception as error:
        if is_unknown_transaction(error):
            return _LOST
        raise
    return None if row is None else row[0]
