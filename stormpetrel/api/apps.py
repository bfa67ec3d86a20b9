"""Register applications, and check that their credentials still work."""

from __future__ import annotations

import secrets

import msgspec

from stormpetrel.api.json.entities import Entity
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.access import secret_hash
from stormpetrel.rules import applications as rules

SECRET_BYTES = 32
"""Random bytes in a client id, client secret, code or token."""

MOST_URIS = 1_000
"""So many are separated; a list with as many different ones is too long in any case."""


class NewApplication(msgspec.Struct):
    """`redirect_uris`: a list, or one text with one URI per line. `scopes`: separated by spaces."""

    client_name: str | None = None
    redirect_uris: list[str] | None = None
    scopes: str | None = None
    website: str | None = None


class RegisteredApplication(Entity, frozen=True):
    """An application, as returned to it.

    `redirect_uri` is the old field: all URIs, one per line. `vapid_key` is empty while there is no web push;
    typed clients fail without the field.
    """

    id: str
    name: str
    website: str | None
    scopes: tuple[str, ...]
    redirect_uri: str
    redirect_uris: tuple[str, ...]
    vapid_key: str = ""


class CredentialApplication(RegisteredApplication, frozen=True, kw_only=True):
    """An application with its credentials, which are shown once: only a hash of the secret is stored. The
    secret never expires (0)."""

    client_id: str
    client_secret: str
    client_secret_expires_at: int = 0


@answers(CredentialApplication, takes=NewApplication)
async def create(request: Request) -> Response:
    """Register an application"""
    given = await request.input(NewApplication)
    client_id = secrets.token_urlsafe(SECRET_BYTES)
    client_secret = secrets.token_urlsafe(SECRET_BYTES)
    application = await request.site.database.write(
        rules.register,
        name=given.client_name or "",
        # URIs contain no white space, so any of it separates them. The last of too many holds all others: 20,000
        # of them took 4 ms, and are refused all the same.
        redirect_uris=[uri for text in given.redirect_uris or () for uri in text.split(maxsplit=MOST_URIS)],
        scopes=given.scopes or "",
        website=given.website or "",
        client_id=client_id,
        client_secret_hash=secret_hash(client_secret),
        now_ms=request.now_ms,
        network=request.network_slot,
    )
    return json(
        CredentialApplication(
            id=str(application.id),
            name=application.name,
            website=application.website or None,
            scopes=application.scopes,
            redirect_uri="\n".join(application.redirect_uris),
            redirect_uris=application.redirect_uris,
            client_id=client_id,
            client_secret=client_secret,
        )
    )


@answers(RegisteredApplication)
async def verify_credentials(request: Request) -> Response:
    """Verify an application's credentials"""
    assert request.access is not None
    assert request.access.application_id is not None  # the route requires a token
    application = await request.site.database.read(
        rules.application, application_id=request.access.application_id
    )
    return json(
        RegisteredApplication(
            id=str(application.id),
            name=application.name,
            website=application.website or None,
            scopes=application.scopes,
            redirect_uri="\n".join(application.redirect_uris),
            redirect_uris=application.redirect_uris,
        )
    )
