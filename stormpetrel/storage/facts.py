"""Single facts about the instance. So far one: the fingerprint of the secret with which it is served."""

from __future__ import annotations

import hashlib
import logging

from stormpetrel.errors import SetupError
from stormpetrel.storage.connection import Connection, connect, transaction
from stormpetrel.storage.slots import slots_in_use
from stormpetrel.storage.statement import sql

log = logging.getLogger(__name__)

_PERSON = b"petrel.finger.1"
_NAME = "secret"
_FACT = sql("SELECT value FROM facts WHERE name = :name")
_PUT = sql(
    "INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
OTHER_SECRET = (
    "the secret of this machine is not the one that the others serve with: copy their secret.key, or give all the "
    "same secret_key"
)


def fingerprint(secret: bytes) -> str:
    """Return 32 digits that tell secrets apart and say nothing of them."""
    return hashlib.blake2b(key=secret[:64], digest_size=16, person=_PERSON).hexdigest()


def has_other_secret(connection: Connection, secret: bytes) -> bool:
    """Return whether the instance was last served with another secret."""
    row = connection.one(_FACT, name=_NAME)
    return row is not None and row[0] != fingerprint(secret)


def require_same_secret(url: str, secret: bytes) -> None:
    """Note the secret that the instance is served with.

    Raise SetupError where another machine serves it with another secret: each would throw out the other's sessions,
    and take its visitors for forgers. A secret that was replaced while no process ran is noted with a warning.
    """
    connection = connect(url)
    try:
        if has_other_secret(connection, secret):
            if slots_in_use(url):
                raise SetupError(OTHER_SECRET)
            log.warning("the secret was replaced: browsers have to sign in again")
        with transaction(connection) as writer:
            writer.run(_PUT, name=_NAME, value=fingerprint(secret))
    finally:
        connection.close()
