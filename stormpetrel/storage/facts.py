"""Single facts about the instance: the fingerprint of its secret, and the progress of a seeded community that
is not complete yet (seed.py)."""

from __future__ import annotations

import hashlib
import logging

from stormpetrel.errors import SetupError
from stormpetrel.storage.engine.connection import Connection, connect, transaction
from stormpetrel.storage.engine.slots import slots_in_use
from stormpetrel.storage.engine.statement import sql

log = logging.getLogger(__name__)

_PERSON = b"petrel.finger.1"
_NAME = "secret"
_FACT = sql("SELECT value FROM facts WHERE name = :name")
_PUT = sql(
    "INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_ADD = sql("INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")
_REPLACE = sql("UPDATE facts SET value = :value WHERE name = :name AND value = :was")
_REMOVE = sql("DELETE FROM facts WHERE name = :name AND value = :was")
OTHER_SECRET = (
    "the secret key of this machine differs from that of the others: copy their secret.key, or set the "
    "same secret_key on all machines"
)


def fact(connection: Connection, name: str) -> str | None:
    """Return the value of a fact, or None if there is none with that name."""
    row = connection.one(_FACT, name=name)
    return None if row is None else str(row[0])


def replace_fact(connection: Connection, name: str, *, was: str | None, value: str | None) -> bool:
    """Change a fact from one value to another; None stands for no fact.

    Return False, changing nothing, if it was not `was` any more: another process came first.
    """
    if value is None:
        return connection.run(_REMOVE, name=name, was=was) == 1
    if was is None:
        return connection.run(_ADD, name=name, value=value) == 1
    return connection.run(_REPLACE, name=name, was=was, value=value) == 1


def fingerprint(secret: bytes) -> str:
    """Return 32 digits that tell secrets apart and reveal nothing about them."""
    return hashlib.blake2b(key=secret[:64], digest_size=16, person=_PERSON).hexdigest()


def has_other_secret(connection: Connection, secret: bytes) -> bool:
    """Return whether the instance was last served with another secret."""
    known = fact(connection, _NAME)
    return known is not None and known != fingerprint(secret)


def slot_key(connection: Connection) -> bytes:
    """Return a key that no client knows, for slots (model/quota.py) of rules that run without the secret.

    It is empty until the instance is served.
    """
    return (fact(connection, _NAME) or "").encode()


def require_same_secret(url: str, secret: bytes) -> None:
    """Store the fingerprint of the secret that this machine serves with.

    Raise SetupError if another machine serves with another secret: each would end the other's sessions and
    reject its visitors' cookies. If the secret was replaced while no process ran, only log a warning.
    """
    connection = connect(url)
    try:
        if has_other_secret(connection, secret):
            if slots_in_use(url):
                raise SetupError(OTHER_SECRET)
            log.warning("the secret key was replaced: all browsers have to sign in again")
        with transaction(connection) as writer:
            writer.run(_PUT, name=_NAME, value=fingerprint(secret))
    finally:
        connection.close()
