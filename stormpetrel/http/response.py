"""Responses. The application adds the headers that all have (security headers, CORS, request id)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from stormpetrel.shield.cookies import sent_name
from stormpetrel.shield.percent import quoted

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json; charset=utf-8"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"

_encoder = msgspec.json.Encoder()


class Response:
    """Status, headers (lower-case names) and the whole body.

    - `open_form_action`: the page's form may redirect to a URL of any scheme (OAuth consent: a CSP with
      form-action would block the redirect to an app's private scheme).
    - `may_be_framed`: pages of other sites may show it in a frame; it has no form that clickjacking could
      exploit.
    - `pieces`: an iterator over a body of `length` bytes, sent in pieces instead of `body`.
    - `is_file`: an uploaded file, which has its own security headers.
    - `listen`: the response stays open after `body`; awaited with the request's `receive`, or with None if
      the body is not sent (HEAD). The scope's `open_stream` writes more of it.
    """

    __slots__ = (
        "body",
        "headers",
        "is_file",
        "length",
        "listen",
        "may_be_framed",
        "open_form_action",
        "pieces",
        "status",
    )

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Headers | None = None,
        content_type: bytes | None = JSON,
    ) -> None:
        self.status = status
        self.body = body
        self.headers: Headers = [] if headers is None else headers
        self.open_form_action = False
        self.may_be_framed = False
        self.pieces: AsyncIterator[bytes] | None = None
        self.length = 0
        self.is_file = False
        self.listen: Callable[[Any], Awaitable[None]] | None = None
        if content_type is not None:
            self.headers.append((b"content-type", content_type))

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age_s: int,
        secure: bool,
        http_only: bool = True,
        same_site: str = "Lax",
    ) -> None:
        """Set a cookie for the whole site; `secure`: the site uses https."""
        text = f"{sent_name(name, secure=secure)}={value}; Path=/; Max-Age={max_age_s}; SameSite={same_site}"
        if http_only:
            text += "; HttpOnly"
        if secure:
            text += "; Secure"
        self.headers.append((b"set-cookie", text.encode("latin-1")))

    def delete_cookie(self, name: str, *, secure: bool) -> None:
        """Delete a cookie in the browser."""
        self.set_cookie(name, "", max_age_s=0, secure=secure)


def json(value: Any, status: int = 200) -> Response:
    """Return `value` (msgspec Structs, lists, dicts) as JSON."""
    return Response(status, _encoder.encode(value))


def html(text: str, status: int = 200) -> Response:
    """Return an HTML page."""
    return Response(status, text.encode(), content_type=HTML)


def redirect(url: str, status: int = 303) -> Response:
    """Redirect the browser; `url` is one of ours, or was checked."""
    # Preserve all characters that a URL may contain; escape those that could end the header.
    safe = quoted(url, safe=b"/:?#[]@!$&'()*+,;=%")
    return Response(status, headers=[(b"location", safe.encode("ascii"))], content_type=None)


def empty(status: int = 204) -> Response:
    """Return a response without a body."""
    return Response(status, content_type=None)
