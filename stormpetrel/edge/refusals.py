"""Builds the bytes of refusals in the client's format, with the time to try again.

An application gets JSON, a feed reader plain text, a person a light page; never a redirect, and never
status 200 except in mode overcompensate. Refusals carry the CORS headers wherever the answer itself
would: without them, a web app sees only "network error".
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from http import HTTPStatus

from stormpetrel.edge.header_policy import CORS, lines_of, refusal_lines
from stormpetrel.shield.answer import Refused, reset_text
from stormpetrel.shield.cookies import sent_name
from stormpetrel.shield.decide import PASSED
from stormpetrel.shield.paths import Family, PathFacts, PathTable

CORS_LINES = lines_of(CORS)
_TYPES = {
    Family.PAGE: b"text/html; charset=utf-8",
    Family.API: b"application/json; charset=utf-8",
    Family.FEED: b"text/plain; charset=utf-8",
}
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;"
    "color:#1d2733;background:#f6f8fa}a{color:#0b57a4}"
    "@media(prefers-color-scheme:dark){body{color:#dbe4ee;background:#10161d}a{color:#8fc1ff}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_NO_PATH = PathFacts(family=Family.API, has_cors=True)
"""Facts of a request whose path could not be read: most broken requests come from programs."""
_TITLES = {
    429: "Too many requests",
    503: "Server busy",
    400: "Bad request",
    408: "Request timed out",
    413: "Request too large",
    414: "URL too long",
    431: "Request headers too large",
}


class RefusalWriter:
    """Builds the bytes of a refusal. `status_url`: the status page's; "" for none."""

    def __init__(self, *, paths: PathTable, status_url: str, public_https: bool) -> None:
        self._paths = paths
        self._status_url = status_url
        style = f"'sha256-{_STYLE_HASH}'"
        self._security = {
            family: refusal_lines(family, style=style, is_https=public_https) for family in Family
        }
        passed = sent_name(PASSED.decode(), secure=public_https).encode()
        self._passed_line = b"set-cookie: %b; Path=/; Max-Age=3600; SameSite=Lax; HttpOnly%b\r\n" % (
            passed,
            b"; Secure" if public_https else b"",
        )
        self._bodies: dict[tuple[int, str, Family, bool], bytes] = {}

    def answer(self, refused: Refused, *, path: bytes, date: bytes, keep_alive: bool, method: str) -> bytes:
        """Return the whole answer. `path`: raw; b"" if unknown, which gives the answer for an application.

        A person's page asks again by itself after the time to wait: a waiting room without a script or a cookie.
        A form does not: the browser would ask for its address and lose its text.
        """
        facts = self._paths[path] if path else _NO_PATH
        family = facts.family
        is_waiting = family == Family.PAGE and method == "GET" and refused.retry_after_s is not None
        body = self._body(refused, family, is_waiting=is_waiting)
        status = refused.status
        lines = [
            b"HTTP/1.1 %d %b\r\ndate: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
            % (status, _PHRASES[status], date, _TYPES[family], len(body)),
            self._security[family],
        ]
        if facts.has_cors:
            lines.append(CORS_LINES)
        if refused.retry_after_s is not None:
            lines.append(b"retry-after: %d\r\n" % refused.retry_after_s)
            if is_waiting:
                lines.append(b"refresh: %d\r\n" % refused.retry_after_s)
        if refused.rate_limit is not None:
            lines.append(self.rate_limit_lines(*refused.rate_limit))
        lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        if method != "HEAD":
            lines.append(body)
        return b"".join(lines)

    def challenge(self, *, date: bytes, keep_alive: bool, only_head: bool) -> bytes:
        """Return a page with status 200 for any request, for mode overcompensate, as in August 2009.

        A browser that stores its cookie is let through when it comes back; applications are not.
        """
        return b"".join(
            (
                b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: text/html; charset=utf-8\r\n" % date,
                b"content-length: %d\r\n" % len(_CHALLENGE),
                self._security[Family.PAGE],
                self._passed_line,
                b"\r\n" if keep_alive else b"connection: close\r\n\r\n",
                b"" if only_head else _CHALLENGE,
            )
        )

    def rate_limit_lines(self, limit: int, remaining: int, reset_epoch_s: float) -> bytes:
        """Return the three X-RateLimit header lines; the reset in ISO 8601, rounded up to a second."""
        return b"x-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %b\r\n" % (
            limit,
            remaining,
            reset_text(math.ceil(reset_epoch_s)),
        )

    def _body(self, refused: Refused, family: Family, *, is_waiting: bool) -> bytes:
        key = (refused.status, refused.safe_text, family, is_waiting)
        body = self._bodies.get(key)
        if body is None:
            body = self._make(refused, family, is_waiting=is_waiting)
            if len(self._bodies) < 256:
                self._bodies[key] = body
        return body

    def _make(self, refused: Refused, family: Family, *, is_waiting: bool) -> bytes:
        if family == Family.API:
            return json.dumps({"error": refused.safe_text}).encode()
        if family == Family.FEED:
            return (refused.safe_text + "\n").encode()
        title = html.escape(_TITLES.get(refused.status, "Request refused"))
        status = ""
        if self._status_url:
            status = (
                f'<p>Is it just you? See the <a href="{html.escape(self._status_url)}">status page</a>.</p>'
            )
        again = ""
        if is_waiting:
            again = (
                "<p>This page tries again by itself. If you wait, you are served before those who reload.</p>"
            )
        elif refused.status in (429, 503):
            again = "<p>Try again in a moment. You can reload this page.</p>"
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
            f"<p>{html.escape(refused.safe_text)}.</p>"
            f"{again}{status}</main></body></html>\n"
        ).encode()


_CHALLENGE = (
    b'<!doctype html><html lang="en"><head><meta charset="utf-8">'
    b"<title>One moment</title></head><body><main><h1>One moment</h1>"
    b'<p>Your browser was checked. <a href="">Continue</a></p></main></body></html>\n'
)
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_PHRASES[413] = b"Content Too Large"
