"""OAuth 2 endpoints for programs: issue tokens for a code or for an application's credentials, revoke tokens,
return the account of a token and the server's metadata. The consent page is in web/consent.py.

RFC 6749, 7009, 7636, 8414. There is no password grant: no app gets to see a password.
"""

from __future__ import annotations

import base64
import binascii
import functools
import secrets

import msgspec

from stormpetrel.api.apps import SECRET_BYTES
from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Entity, Nothing, Token
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Forbidden, Invalid, Malformed, WrongMediaType
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.http.routing import Handler
from stormpetrel.model.access import SCOPES, Application, new_token, secret_hash
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import applications as rules
from stormpetrel.rules.access import revoke_token
from stormpetrel.rules.applications import OAuthRefusal
from stormpetrel.shield.percent import unquoted

INVALID_GRANT = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in "
    "the authorization request, or was issued to another client."
)


class ClientCredentials(msgspec.Struct):
    """An application's credentials, unless it uses HTTP Basic authentication."""

    client_id: str | None = None
    client_secret: str | None = None


class TokenRequest(ClientCredentials):
    """`scope` matters only for client credentials; a code carries the scopes that the account approved."""

    grant_type: str | None = None
    code: str | None = None
    redirect_uri: str | None = None
    code_verifier: str | None = None
    scope: str | None = None


class RevokeRequest(ClientCredentials):
    token: str | None = None


class UserInfo(Entity, frozen=True):
    """The signed-in account, with OpenID Connect's names."""

    iss: str
    sub: str
    name: str
    preferred_username: str
    profile: str
    picture: str


class AuthorizationServer(Entity, frozen=True):
    """RFC 8414 metadata, plus Mastodon's `app_registration_endpoint`."""

    issuer: str
    service_documentation: str
    authorization_endpoint: str
    token_endpoint: str
    app_registration_endpoint: str
    revocation_endpoint: str
    userinfo_endpoint: str
    scopes_supported: tuple[str, ...] = SCOPES
    response_types_supported: tuple[str, ...] = ("code",)
    response_modes_supported: tuple[str, ...] = ("query",)
    grant_types_supported: tuple[str, ...] = ("authorization_code", "client_credentials")
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = (
        "client_secret_basic",
        "client_secret_post",
    )
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)


class OAuthError(Entity, frozen=True):
    """RFC 6749 §5.2."""

    error: str
    error_description: str


def _in_oauth_words(handler: Handler) -> Handler:
    """Return the handler with refusals in OAuth's format and responses marked no-store (RFC 6749 §5.1)."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            response = await handler(request)
        except OAuthRefusal as refusal:
            response = json(OAuthError(refusal.error, refusal.safe_text), refusal.status)
        except Forbidden as refusal:
            response = json(OAuthError("unauthorized_client", refusal.safe_text), refusal.status)
        except (Malformed, Invalid, WrongMediaType) as refusal:
            response = json(OAuthError("invalid_request", refusal.safe_text), 400)
        if response.status == 401:
            response.headers.append((b"www-authenticate", b'Basic realm="stormpetrel", charset="UTF-8"'))
        response.headers += [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
        return response

    return answer


async def _client(request: Request, given: ClientCredentials) -> Application:
    """Return the calling application. Raise OAuthRefusal if its credentials are missing or wrong."""
    client_id, client_secret = given.client_id or "", given.client_secret or ""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        basic_id, basic_secret = _basic(encoded)
        if client_id not in ("", basic_id) or client_secret not in ("", basic_secret):
            raise OAuthRefusal("invalid_request", "Two different client authentications were sent.")
        client_id, client_secret = basic_id, basic_secret
    return await request.site.database.read(
        rules.authenticate, client_id=client_id, client_secret=client_secret
    )


def _form_decoded(text: str) -> str:
    return unquoted(text.replace("+", " ").encode()).decode()


def _basic(encoded: str) -> tuple[str, str]:
    """Return client id and secret, which are percent-encoded before they are joined (RFC 6749 §2.3.1)."""
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        return _form_decoded(client_id), _form_decoded(secret)
    except (binascii.Error, ValueError) as error:
        raise OAuthRefusal("invalid_request", "The Authorization header could not be read.") from error


@answers(Token, takes=TokenRequest)
@_in_oauth_words
async def token(request: Request) -> Response:
    """Obtain a token"""
    given = await request.input(TokenRequest)
    if not given.grant_type:
        raise OAuthRefusal("invalid_request", "Missing required parameter: grant_type.")
    if given.grant_type not in ("authorization_code", "client_credentials"):
        raise OAuthRefusal(
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        )
    client = await _client(request, given)
    access_token = new_token(lambda: secrets.token_urlsafe(SECRET_BYTES))
    granted: rules.Granted | None
    if given.grant_type == "client_credentials":
        granted = await request.site.database.write(
            rules.grant_client_credentials,
            client,
            scope=given.scope or "",
            token_hash=secret_hash(access_token),
            network=request.network_slot,
            now_ms=request.now_ms,
        )
    else:
        if not given.code:
            raise OAuthRefusal("invalid_request", "Missing required parameter: code.")
        granted = await request.site.database.write(
            rules.exchange_code,
            application_id=client.id,
            code_hash=secret_hash(given.code),
            redirect_uri=given.redirect_uri or "",
            code_verifier=given.code_verifier or "",
            token_hash=secret_hash(access_token),
            now_ms=request.now_ms,
        )
    if granted is None:
        raise OAuthRefusal("invalid_grant", INVALID_GRANT)
    return json(
        Token(
            access_token=access_token,
            token_type="Bearer",
            scope=" ".join(granted.scopes),
            created_at=request.now_ms // 1000,
        )
    )


@answers(Nothing, takes=RevokeRequest)
@_in_oauth_words
async def revoke(request: Request) -> Response:
    """Revoke a token"""
    given = await request.input(RevokeRequest)
    client = await _client(request, given)
    if not given.token:
        raise Forbidden("You are not authorized to revoke this token")
    await request.site.database.write(
        revoke_token,
        application_id=client.id,
        token_hash=secret_hash(given.token),
        network=request.network_slot,
    )
    return json(Nothing())


@answers(UserInfo)
async def userinfo(request: Request) -> Response:
    """View the signed-in user (OpenID Connect UserInfo)"""
    account = convert.account(
        await request.site.database.read(account_rules.account, account_id=request.account_id),
        base_url=request.site.base_url,
    )
    return json(
        UserInfo(
            iss=f"{request.site.base_url}/",
            sub=account.uri,
            name=account.display_name,
            preferred_username=account.username,
            profile=account.url,
            picture=account.avatar,
        )
    )


@answers(AuthorizationServer)
async def authorization_server(request: Request) -> Response:
    """View OAuth server metadata (RFC 8414)"""
    base_url = request.site.base_url
    request.keep_hot("instance")
    return json(
        AuthorizationServer(
            issuer=f"{base_url}/",
            service_documentation="https://docs.joinmastodon.org/",
            authorization_endpoint=f"{base_url}/oauth/authorize",
            token_endpoint=f"{base_url}/oauth/token",
            app_registration_endpoint=f"{base_url}/api/v1/apps",
            revocation_endpoint=f"{base_url}/oauth/revoke",
            userinfo_endpoint=f"{base_url}/oauth/userinfo",
        )
    )
