"""The application that the watch role's canaries speak as: built in, and anybody's equal.

Its id and secrets come from the instance's secret, so that every start and every machine has the same one and
nothing piles up. Its token has no account and may only read: it opens nothing that a visitor does not see.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from stormpetrel.model.access import Application, secret_hash
from stormpetrel.rules.access import access_by_token, create_token
from stormpetrel.rules.applications import application_by_client_id
from stormpetrel.storage.applications import add_application
from stormpetrel.storage.connection import Connection

NAME = "Canaries"
SCOPES = ("read",)
_PERSON = b"petrel.canary.1"


@dataclass(frozen=True, slots=True)
class CanaryCredentials:
    """What the canaries sign in with. Never stored in clear, never logged."""

    client_id: str
    client_secret: str
    token: str


def credentials(secret: bytes) -> CanaryCredentials:
    """Of the instance with this secret; 16 bytes at least."""

    def derived(what: bytes, size: int) -> str:
        return hashlib.blake2b(what, key=secret[:64], digest_size=size, person=_PERSON).hexdigest()

    return CanaryCredentials(
        f"canaries-{derived(b'client id', 8)}", derived(b"client secret", 32), derived(b"token", 32)
    )


def register(connection: Connection, *, known: CanaryCredentials, now_ms: int) -> None:
    """Makes the application and its token unless they are there: both may have been cleared away as unused."""
    found = application_by_client_id(connection, client_id=known.client_id)
    if found is None:
        add_application(
            connection,
            Application(
                id=connection.new_id(now_ms),
                client_id=known.client_id,
                client_secret_hash=secret_hash(known.client_secret),
                name=NAME,
                website="",
                # No address that a browser could be sent to: nobody can be asked for consent.
                redirect_uris=(),
                scopes=SCOPES,
                created_at_ms=now_ms,
            ),
        )
        found = application_by_client_id(connection, client_id=known.client_id)
        assert found is not None
    token_hash = secret_hash(known.token)
    if access_by_token(connection, token_hash=token_hash) is None:
        create_token(
            connection,
            account_id=None,
            application_id=found.id,
            scopes=SCOPES,
            token_hash=token_hash,
            now_ms=now_ms,
        )
