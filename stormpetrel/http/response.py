"""Answers. What every answer carries besides (security headers, CORS, request id) the application adds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from stormpetrel.shield.cookies import sent_name

if TYPE_CHECKING:
    from stormpetrel.http.request import Request

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json; charset=utf-8"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"

_encoder = msgspec.json.Encoder()


class Response:
    """Status, headers (lower-case names) and the whole body.

    `open_form_action`: the page may send its form's answer on to an address of any scheme (OAuth consent:
    a CSP that names form-action would stop the redirect to an app's private scheme).
    `may_be_framed`: pages of other sites may show it in a frame; it has no form that a click could be stolen for.
    `pieces`: a body of `length` bytes that is sent piece by piece instead. `is_file`: what people uploaded;
    it says itself how it may be used.
    `listen`: the answer stays open after `body`; awaited with the request's `receive`, and with None when the
    body is not sent at all (HEAD). The scope's `open_stream` writes more of it.
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
        """Sets a cookie for the whole site; `secure`: people come by https."""
        text = f"{sent_name(name, secure=secure)}={value}; Path=/; Max-Age={max_age_s}; SameSite={same_site}"
        if http_only:
            text += "; HttpOnly"
        if secure:
            text += "; Secure"
        self.headers.append((b"set-cookie", text.encode("latin-1")))

    def delete_cookie(self, name: str, *, secure: bool) -> None:
        """Makes the browser forget a cookie."""
        self.set_cookie(name, "", max_age_s=0, secure=secure)


REFERRER_WITHOUT_PATH = (b"referrer-policy", b"strict-origin")
"""For pages whose address holds a secret: nobody is told it, not even we ourselves. Not `no-referrer`: with that,
browsers send forms with `Origin: null`, as another site's would be (Fetch, "append a request Origin header")."""


def json(value: Any, status: int = 200) -> Response:
    """`value` (msgspec Structs, lists, dicts) as JSON."""
    return Response(status, _encoder.encode(value))


def html(text: str, status: int = 200) -> Response:
    """A page."""
    return Response(status, text.encode(), content_type=HTML)


def redirect(url: str, status: int = 303) -> Response:
    """Sends the browser on; `url` is one of ours, or was checked."""
    # Everything that a URL may hold stays; what could end the header is escaped.
    safe = quote(url, safe="/:?#[]@!$&'()*+,;=%~-._")
    return Response(status, headers=[(b"location", safe.encode("ascii"))], content_type=None)


def empty(status: int = 204) -> Response:
    """No body."""
    return Response(status, content_type=None)


def page_links(request: Request, *, newest_id: int, oldest_id: int) -> tuple[bytes, bytes]:
    """The Link header to the pages around the one answered: older (`next`) and newer (`prev`).

    Absolute public addresses; the caller's other parameters are kept. Not in an answer that others may be
    given from the hot-page cache: of those only what the route names.
    """
    kept = [(k, v) for k, v in request.query_pairs if k not in ("max_id", "min_id", "since_id")]
    if request.access is None and request.route is not None and request.route.hot is not None:
        named = {name.partition("[")[0] for name in request.route.hot}
        kept = [(k, v) for k, v in kept if k.partition("[")[0] in named]
    others = f"{urlencode(kept)}&" if kept else ""
    url = f"{request.site.base_url}{_quoted(request.path)}?{others}"
    links = f'<{url}max_id={oldest_id}>; rel="next", <{url}min_id={newest_id}>; rel="prev"'
    return b"link", links.encode("ascii")


@lru_cache(maxsize=1024)
def _quoted(path: str) -> str:
    return quote(path, safe="/:@")


def paged(request: Request, body: bytes, ids: Sequence[int]) -> Response:
    """A JSON answer with the Link header for `ids`, newest first; without one when there are none."""
    response = Response(200, body)
    if ids:
        response.headers.append(page_links(request, newest_id=ids[0], oldest_id=ids[-1]))
    return response
