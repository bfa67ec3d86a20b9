"""Addresses of our own pages, and which addresses a form may send a browser on to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from stormpetrel.http.request import Request

_MISREAD = re.compile(r"[\x00-\x1f\x7f\\]")
_LONGEST_NEXT = 8_000
"""Characters: what an app asks for on its way through sign-in, with a long `state`, and half of a request head."""


def profile_path(username: str) -> str:
    """The page of an account."""
    return f"/@{username}"


def post_path(username: str, post_id: int) -> str:
    """The page of a post."""
    return f"/@{username}/{post_id}"


def history_path(username: str, post_id: int) -> str:
    """The page of what a post was before it was edited."""
    return f"{post_path(username, post_id)}/history"


def tag_path(name: str) -> str:
    """The timeline of a hashtag; any name becomes a valid address."""
    return f"/tags/{quote(name, safe='')}"


def encoded(path: str) -> str:
    """A path of a request, as an address can hold it."""
    return quote(path, safe="/@:~!$&'()*+,;=")


def sign_in_path(here: str) -> str:
    """The sign-in page that leads back to `here`; to the front from where one signs in or up."""
    return f"/auth/sign_in{next_query('/' if here.startswith('/auth/') else here)}"


def next_query(after: str) -> str:
    """Return what an address ends with whose page leads on to `after`: nothing for the front."""
    return "" if after == "/" else f"?{urlencode({'next': after})}"


def leads_to_consent(path: str) -> bool:
    """Whether the page asks somebody to let an app use their account (web/consent.py)."""
    return path.startswith(("/oauth/authorize?", "/oauth/authorize/?"))


def asked_next(request: Request) -> str:
    """Return where the address of this page says that the person goes next: a page of this site."""
    return same_site(dict(request.query_pairs).get("next", "/"))


def same_site(path: str, otherwise: str = "/") -> str:
    """`path` if a browser can only read it as a page of this site, else `otherwise`.

    "//host" and "/\\host" name another site, and browsers drop tabs and newlines before they look.
    """
    if (
        not path.startswith("/")
        or path.startswith(("//", "/\\"))
        or len(path) > _LONGEST_NEXT
        or _MISREAD.search(path)
    ):
        return otherwise
    return path
