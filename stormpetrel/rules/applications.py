"""OAuth applications: registration, the scopes an application may ask for, and the way
from consent to a token.

Authorization code with PKCE (S256 only) and client credentials; RFC 6749, 7636, 8252, 9700. Secrets are seen
here only to be checked; only hashes are stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from stormpetrel.errors import BLANK, Forbidden, Invalid, NotFound, Refusal, too_long
from stormpetrel.model.access import (
    DEFAULT_SCOPES,
    OUT_OF_BAND,
    Application,
    covers,
    parse_scopes,
    secret_hash,
)
from stormpetrel.model.event import AccessChanged
from stormpetrel.model.quota import APP_TOKENS, APPS, YOUNG_WAYS_IN
from stormpetrel.rules import quotas
from stormpetrel.rules.access import TOO_MANY_WAYS_IN, create_token
from stormpetrel.storage import applications as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

MAX_NAME = 60
MAX_URL = 2000
"""Both are Mastodon's limits."""
MAX_REDIRECT_URIS = 20
MAX_REDIRECT_CHARACTERS = 4000
"""All addresses together: twenty of the longest would take 40 KB in the store."""
TOO_MANY_APPS = "Too many applications were just registered from this network. Please try again in a minute"
TOO_MANY_APP_TOKENS = (
    "Too many tokens were just requested by applications from this network. Please try again in a minute"
)
CODE_AGE_S = 600
"""RFC 6749 §4.1.2: ten minutes at most."""
SPENT_AGE_S = 3600
"""How long the store remembers which token a code was exchanged for."""

REFUSED_SCHEMES = frozenset(
    "about blob chrome data file filesystem ftp intent jar javascript mailto resource sms tel urn vbscript "
    "view-source ws wss".split()
)
"""Schemes that a browser would run, open or show itself instead of handing them to an app."""

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):([!#$%&'()*+,./:;=?@A-Za-z0-9\[\]_~-]+)\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


class OAuthRefusal(Refusal):
    """A refusal in OAuth's terms: `error` is one of the codes of RFC 6749 §4.1.2.1 and §5.2."""

    def __init__(self, error: str, safe_text: str, *, status: int = 400) -> None:
        super().__init__(safe_text)
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class Consent:
    """The access that an application asks a user for. `code_challenge` is empty without PKCE."""

    redirect_uri: str
    scopes: tuple[str, ...]
    code_challenge: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A new token's account (None: the application's own token) and scopes."""

    account_id: int | None
    scopes: tuple[str, ...]


# Registration


def register(
    connection: Connection,
    *,
    name: str,
    redirect_uris: Sequence[str],
    scopes: str,
    website: str,
    client_id: str,
    client_secret_hash: bytes,
    now_ms: int,
    network: int | None = None,
) -> Application:
    """Store a new application and return it.

    `scopes` as the app wrote them, separated by spaces; empty: the default, `read`. Raise TooMany, or Invalid
    for values that are not accepted: `fields` names them and gives the reasons.
    """
    name, website = name.strip(), website.strip()
    uris = tuple(dict.fromkeys(redirect_uris))
    parsed = parse_scopes(scopes.strip() or DEFAULT_SCOPES)
    problems = {
        "client_name": _name_problem(name),
        "redirect_uris": _redirect_uris_problem(uris),
        "website": _website_problem(website),
        "scopes": None if parsed else "doesn't match those configured on the server",
    }
    fields = {field: problem for field, problem in problems.items() if problem}
    if fields or parsed is None:
        raise Invalid(
            "Validation failed: " + ", ".join(f"{_SHOWN[field]} {fields[field]}" for field in fields),
            fields=fields,
        )
    if network is not None:
        quotas.require(connection, APPS, network, now_ms=now_ms, text=TOO_MANY_APPS)
    application = Application(
        id=connection.new_id(now_ms),
        client_id=client_id,
        client_secret_hash=client_secret_hash,
        name=name,
        website=website,
        redirect_uris=uris,
        scopes=parsed,
        created_at_ms=now_ms,
    )
    stored.add_application(connection, application)
    return application


_SHOWN = {
    "client_name": "Application name",
    "redirect_uris": "Redirect URI",
    "website": "Application website",
    "scopes": "Scopes",
}


def _name_problem(name: str) -> str | None:
    if not name:
        return BLANK
    if len(name) > MAX_NAME:
        return too_long(MAX_NAME)
    # Users decide by the name on the consent page, so nothing in it may hide or reorder its letters. (Many
    # emoji need the zero-width joiner.)
    if not name.replace("\u200d", "").isprintable():
        return "must not contain invisible characters"
    return None


def _website_problem(website: str) -> str | None:
    if not website:
        return None
    if len(website) > MAX_URL:
        return too_long(MAX_URL)
    url = _split(website)
    if url is None or url.scheme not in ("http", "https") or not url.hostname or not website.isprintable():
        return "must be an http or https address"
    return None


def _redirect_uris_problem(uris: tuple[str, ...]) -> str | None:
    if not uris:
        return BLANK
    if sum(map(len, uris)) > MAX_REDIRECT_CHARACTERS:
        return too_long(MAX_REDIRECT_CHARACTERS)
    if len(uris) > MAX_REDIRECT_URIS:
        return f"has too many lines (maximum is {MAX_REDIRECT_URIS})"
    return next((problem for problem in map(redirect_uri_problem, uris) if problem), None)


def redirect_uri_problem(uri: str) -> str | None:
    """Return why an app may not have this redirect address, or None if it may.

    Allowed are http, https, an app's private scheme (`com.app.x:/callback`) and out of band. ASCII only:
    other characters must be percent-encoded.
    """
    if uri == OUT_OF_BAND:
        return None
    if len(uri) > MAX_URL:
        return too_long(MAX_URL)
    match = _URI.match(uri)
    url = _split(uri)
    if match is None or url is None:
        return "must be an absolute URI"
    if "#" in uri:
        return "cannot contain a fragment"
    scheme = match[1].lower()
    if scheme in REFUSED_SCHEMES:
        return f"must not have the scheme {scheme}"
    if scheme in ("http", "https"):
        if not url.hostname:
            return "must be an absolute URI"
        if "@" in url.netloc:
            return "must not contain a name or password"
    return None


def _split(uri: str) -> SplitResult | None:
    try:
        url = urlsplit(uri)
        # Reading `port` raises ValueError for an invalid one.
        return url if url.port is None or url.port > 0 else None
    except ValueError:
        return None


# Clients


@hot
def application(connection: Connection, *, application_id: int) -> Application:
    """Return the application. Raise NotFound."""
    found = stored.application_by_id(connection, application_id=application_id)
    if found is None:
        raise NotFound
    return found


@hot
def application_by_client_id(connection: Connection, *, client_id: str) -> Application | None:
    """Return the application with this client id, or None."""
    # No store can hold this character, and PostgreSQL rejects a query with it.
    return None if "\0" in client_id else stored.application_by_client_id(connection, client_id=client_id)


def has_application_named(connection: Connection, *, name: str) -> bool:
    """Return True if any application has exactly this name. Names are not unique."""
    return "\0" not in name and stored.count_named(connection, name=name) > 0


def authenticate(connection: Connection, *, client_id: str, client_secret: str) -> Application:
    """Return the application if its secret is right. Raise OAuthRefusal `invalid_client`, whatever was wrong."""
    found = application_by_client_id(connection, client_id=client_id)
    kept = found.client_secret_hash if found is not None else b""
    if not hmac.compare_digest(kept, secret_hash(client_secret)) or found is None:
        raise OAuthRefusal(
            "invalid_client",
            "Client authentication failed due to unknown client, no client authentication included, or "
            "unsupported authentication method.",
            status=401,
        )
    return found


def redirect_uri_fits(client: Application, uri: str) -> bool:
    """Return True if the application registered exactly this address.

    On loopback (http to 127.0.0.1 or [::1]) any port fits (RFC 8252 §7.3): a desktop program
    uses whichever port is free.
    """
    if uri in client.redirect_uris:
        return True
    if redirect_uri_problem(uri) is not None:
        return False
    portless = _loopback_without_port(uri)
    return portless is not None and portless in {
        _loopback_without_port(kept) for kept in client.redirect_uris
    }


def _loopback_without_port(uri: str) -> str | None:
    url = _split(uri)
    if url is None or url.scheme != "http" or url.hostname not in ("127.0.0.1", "::1"):
        return None
    return url._replace(netloc=url.hostname).geturl()


# Consent


def scopes_for(client: Application, wanted: str) -> tuple[str, ...]:
    """Return the scopes that `wanted` names (empty: `read`).

    Raise OAuthRefusal `invalid_scope` when one is unknown or the application did not register for it.
    """
    scopes = parse_scopes(wanted if wanted.strip() else DEFAULT_SCOPES)
    if not scopes or not covers(client.scopes, scopes):
        raise OAuthRefusal("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
    return scopes


def consent_wanted(
    client: Application,
    *,
    response_type: str,
    redirect_uri: str,
    scope: str,
    code_challenge: str,
    code_challenge_method: str,
) -> Consent:
    """Return the requested authorization. Raise OAuthRefusal, which is sent to the application.

    The caller must have checked `redirect_uri`: a browser must never be sent to an address that does not
    fit, not even with an error.
    """
    if response_type != "code":
        raise OAuthRefusal(
            "unsupported_response_type", "The authorization server does not support this response type."
        )
    # Without a method RFC 7636 assumes `plain`, which does not protect against an attacker who reads the
    # request.
    if code_challenge and code_challenge_method != "S256":
        raise OAuthRefusal("invalid_request", "The code_challenge_method must be S256.")
    if code_challenge and not _CHALLENGE.match(code_challenge):
        raise OAuthRefusal("invalid_request", "The code_challenge must be 43 characters of base64url.")
    return Consent(redirect_uri, scopes_for(client, scope), code_challenge)


def create_code(
    connection: Connection,
    *,
    application_id: int,
    account_id: int,
    consent: Consent,
    code_hash: bytes,
    now_ms: int,
) -> None:
    """Store the owner's consent; the code with this hash is valid once, for CODE_AGE_S.

    Raise TooMany when the account is young and has used up its quota.
    """
    quotas.require_young(connection, YOUNG_WAYS_IN, account_id, now_ms=now_ms, text=TOO_MANY_WAYS_IN)
    code = stored.Code(
        application_id,
        account_id,
        consent.redirect_uri,
        consent.scopes,
        consent.code_challenge,
        now_ms + CODE_AGE_S * 1000,
    )
    stored.add_code(connection, code, code_hash=code_hash)


def exchange_code(
    connection: Connection,
    *,
    application_id: int,
    code_hash: bytes,
    redirect_uri: str,
    code_verifier: str,
    token_hash: bytes,
    now_ms: int,
) -> Granted | None:
    """Exchange a code for the token with `token_hash`; return None when the code is
    not valid for this request.

    A code that is presented again ends the token that it was exchanged for (RFC 6749, 4.1.2). Presenting a
    code spends it even when the exchange fails: a wrong verifier, address or client means that the code was
    stolen. For that reason this returns None and does not raise: an exception would roll the spending back.
    """
    code = stored.take_code(connection, code_hash=code_hash)
    if code is None:
        _end_token_of(connection, code_hash)
        return None
    if (
        code.expires_at_ms <= now_ms
        or code.application_id != application_id
        or code.redirect_uri != redirect_uri
        or not _verified(code.code_challenge, code_verifier)
    ):
        return None
    try:
        token_id = create_token(
            connection,
            account_id=code.account_id,
            application_id=application_id,
            scopes=code.scopes,
            token_hash=token_hash,
            now_ms=now_ms,
        )
    except Forbidden:
        # The account was suspended since its owner consented.
        return None
    stored.spend_code(
        connection, code_hash=code_hash, token_id=token_id, expires_at_ms=now_ms + SPENT_AGE_S * 1000
    )
    return Granted(code.account_id, code.scopes)


def _end_token_of(connection: Connection, code_hash: bytes) -> None:
    """End the token of a code that was spent before: two clients have the code, and one of them is a thief."""
    ended = stored.end_token_of_code(connection, code_hash=code_hash)
    if ended is not None:
        connection.tell(AccessChanged(account_id=ended[0] or 0, token_hash=ended[1]))


def _verified(challenge: str, verifier: str) -> bool:
    if not challenge:
        # A verifier for a code without a challenge: an attacker removed the challenge (RFC 9700 §4.8.2).
        return not verifier
    if not _VERIFIER.match(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())


def grant_client_credentials(
    connection: Connection, client: Application, *, scope: str, token_hash: bytes, network: int, now_ms: int
) -> Granted:
    """Store the application's own token, which speaks for no account.

    `network`: whose quota it counts against. Raise OAuthRefusal `invalid_scope`, TooMany.
    """
    scopes = scopes_for(client, scope)
    quotas.require(connection, APP_TOKENS, network, now_ms=now_ms, text=TOO_MANY_APP_TOKENS)
    create_token(
        connection,
        account_id=None,
        application_id=client.id,
        scopes=scopes,
        token_hash=token_hash,
        now_ms=now_ms,
    )
    return Granted(None, scopes)
