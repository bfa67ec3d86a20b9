"""OAuth 2: applications, tokens, and the meaning of scopes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

_NOUNS_READ = (
    "accounts blocks bookmarks favourites filters follows lists mutes notifications search statuses".split()
)
_NOUNS_WRITE = (
    "accounts blocks bookmarks conversations favourites filters follows lists media mutes notifications "
    "reports statuses".split()
)
_FOLLOW_NOUNS = ("blocks", "follows", "mutes")

SCOPES = (
    "profile",
    "read",
    *(f"read:{noun}" for noun in _NOUNS_READ),
    "write",
    *(f"write:{noun}" for noun in _NOUNS_WRITE),
    "follow",
    "push",
)
"""Every scope that an app can ask for, in the order in which they are listed."""

DEFAULT_SCOPES = "read"

_IMPLIED: dict[str, frozenset[str]] = {
    "read": frozenset({"profile", *(f"read:{noun}" for noun in _NOUNS_READ)}),
    "write": frozenset(f"write:{noun}" for noun in _NOUNS_WRITE),
    # A token that may read accounts may read its own account.
    "read:accounts": frozenset({"profile"}),
    # The scope used before granular ones existed; apps still ask for it.
    "follow": frozenset(f"{kind}:{noun}" for kind in ("read", "write") for noun in _FOLLOW_NOUNS),
}


def parse_scopes(text: str) -> tuple[str, ...] | None:
    """Return the scopes in `text` (separated by spaces or plus signs) without duplicates,
    or None if one is unknown.
    """
    wanted = tuple(dict.fromkeys(text.replace("+", " ").split()))
    return wanted if all(scope in SCOPES for scope in wanted) else None


@lru_cache(maxsize=1024)
def expand(scopes: tuple[str, ...]) -> frozenset[str]:
    """Return everything that these scopes allow, themselves included. Tokens of the same scopes share it."""
    allowed = set(scopes)
    for scope in scopes:
        allowed |= _IMPLIED.get(scope, frozenset())
    return frozenset(allowed)


def covers(granted: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Return True if `granted` allows everything that `wanted` asks for."""
    return expand(wanted) <= expand(granted)


def new_token(draw: Callable[[], str]) -> str:
    """Return a token from `draw`, a source of random ones, that does not begin with "-".

    Given to a command, one that does would be taken for an option; every 64th of secrets.token_urlsafe does.
    """
    token = draw()
    while token.startswith("-"):
        token = draw()
    return token


def secret_hash(secret: str) -> bytes:
    """Return the hash to store of a token, code or client secret: they are random, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True, slots=True)
class Application:
    """An OAuth client. `redirect_uris` are as registered."""

    id: int
    client_id: str
    client_secret_hash: bytes
    name: str
    website: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Access:
    """What a credential allows: a token, or a signed-in browser (`session_id` set, every scope).

    `account_id` is None for an application's own token. `allowed` holds the scopes, expanded. `confirmed`
    is False for a token of an account whose e-mail address is not confirmed yet. `application`: the name of
    the token's application.
    """

    token_id: int
    account_id: int | None
    application_id: int | None
    scopes: tuple[str, ...]
    allowed: frozenset[str]
    created_at_ms: int
    role: str = "member"
    session_id: int | None = None
    confirmed: bool = True
    application: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A signed-in browser, as its owner sees it. `browser` may be empty."""

    session_id: int
    browser: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Authorised:
    """An application that has access to an account, as the account's owner sees it."""

    application_id: int
    name: str
    website: str
    first_at_ms: int
    last_at_ms: int
