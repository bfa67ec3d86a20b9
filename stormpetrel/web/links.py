"""Paths of our own pages, and the check of paths to which a form may redirect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stormpetrel.shield.percent import query_string, quoted

if TYPE_CHECKING:
    from stormpetrel.http.request import Request

_MISREAD = re.compile(r"[\x00-\x1f\x7f\\]")
_LONGEST_NEXT = 8_000
"""Characters: enough for an app's authorization request with a long `state`, which passes through sign-in;
half of a request head."""


def profile_path(username: str) -> str:
    """Return the path of an account's page."""
    return f"/@{username}"


def post_path(username: str, post_id: int) -> str:
    """Return the path of a post's page."""
    return f"/@{username}/{post_id}"


def history_path(username: str, post_id: int) -> str:
    """Return the path of the page with a post's versions."""
    return f"{post_path(username, post_id)}/history"


def tag_path(name: str) -> str:
    """Return the path of a hashtag's timeline; any name becomes a valid path."""
    return f"/tags/{quoted(name)}"


def encoded(path: str) -> str:
    """Return a request's path, percent-encoded for use in a URL."""
    return quoted(path, safe=b"/@:~!$&'()*+,;=")


def sign_in_path(here: str) -> str:
    """Return the path of the sign-in page that leads back to `here`; from /auth/ pages, to the front page."""
    return f"/auth/sign_in{next_query('/' if here.startswith('/auth/') else here)}"


def next_query(after: str) -> str:
    """Return the query of a page that leads on to `after`; empty for the front page."""
    return "" if after == "/" else f"?{query_string([('next', after)])}"


def leads_to_consent(path: str) -> bool:
    """Return True if the page asks a user to let an app use their account (web/consent.py)."""
    return path.startswith(("/oauth/authorize?", "/oauth/authorize/?"))


def asked_next(request: Request) -> str:
    """Return the `next` parameter of this page's URL if it is a page of this site, else "/"."""
    return same_site(dict(request.query_pairs).get("next", "/"))


def same_site(path: str, otherwise: str = "/") -> str:
    """Return `path` if every browser reads it as a page of this site, else `otherwise`.

    "//host" and "/\\host" name another site, and browsers remove tabs and newlines before parsing.
    """
    if (
        not path.startswith("/")
        or path.startswith(("//", "/\\"))
        or len(path) > _LONGEST_NEXT
        or _MISREAD.search(path)
    ):
        return otherwise
    return path
