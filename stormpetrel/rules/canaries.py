"""The built-in application of the watch role's canaries, treated like any other application.

Its id and secrets derive from the instance's secret, so every start and every machine gets the same
application and none accumulate. Its token has no account and may only read what a visitor may see.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from stormpetrel.model.access import Application, secret_hash
from stormpetrel.rules.access import access_by_token, create_token
from stormpetrel.rules.applications import application_by_client_id
from stormpetrel.storage.applications import add_application
from stormpetrel.storage.engine.connection import Connection

NAME = "Canaries"
SCOPES = ("read",)
_PERSON = b"petrel.canary.1"


@dataclass(frozen=True, slots=True)
class CanaryCredentials:
    """Credentials of the canaries. Never stored in clear, never logged."""

    client_id: str
    client_secret: str
    token: str


def credentials(secret: bytes) -> CanaryCredentials:
    """Return the credentials for the instance with this secret (at least 16 bytes)."""

    def derived(what: bytes, size: int) -> str:
        return hashlib.blake2b(what, key=secret[:64], digest_size=size, person=_PERSON).hexdigest()

    return CanaryCredentials(
        f"canaries-{derived(b'client id', 8)}", derived(b"client secret", 32), derived(b"token", 32)
    )


def register(connection: Connection, *, known: CanaryCredentials, now_ms: int) -> None:
    """Create the application and its token if they are missing: both may have been cleaned up as unused."""
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
                # Without a redirect address, no user can be asked for consent.
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
