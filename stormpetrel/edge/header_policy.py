"""The CORS and security headers of every answer: pages, the API, files and refusals."""

from __future__ import annotations

from collections.abc import Iterable

from stormpetrel.shield.paths import Family

Header = tuple[bytes, bytes]

CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, Retry-After",
    ),
)
"""Headers of every answer of a path that has CORS. Send them once: browsers refuse an answer that has them twice."""
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key"),
    (b"access-control-max-age", b"86400"),
)
"""Headers of the answer to a preflight, besides CORS."""
HSTS: Header = (b"strict-transport-security", b"max-age=31536000")
REFERRER_WITHOUT_PATH: Header = (b"referrer-policy", b"strict-origin")
"""For pages whose URL contains a secret: no site gets it, not even ours. Not `no-referrer`: with that,
browsers send forms with `Origin: null`, as for another site's form (Fetch, "append a request Origin
header")."""
_NO_SNIFFING: Header = (b"x-content-type-options", b"nosniff")
_NO_FRAMES: Header = (b"x-frame-options", b"DENY")
# Not on the pages for signing in and consent: web apps open them in a window and wait for its message.
_OPENER_POLICY: Header = (b"cross-origin-opener-policy", b"same-origin")
_DATA_POLICY: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE_HEADERS: tuple[Header, ...] = (
    _NO_SNIFFING,
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), browsing-topics=()"),
)
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:{media}; "
    "media-src 'self'{media}; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FRAMED_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:{media}; media-src 'self'{media}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors *"
)
FILE_HEADERS: tuple[Header, ...] = (
    _NO_SNIFFING,
    # Whatever type a browser detects, the file may not run anything.
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
"""Headers of an uploaded file."""


class HeaderPolicy:
    """The security headers of one instance's served answers.

    `is_https`: clients reach the instance by https. `media_origin`: another origin that serves files, or "".
    `api`, `file`: the headers of the API's answers, and those to add to a file's.
    """

    def __init__(self, *, is_https: bool, media_origin: str) -> None:
        hsts = (HSTS,) if is_https else ()
        media = f" {media_origin}" if media_origin else ""
        page_policy = _PAGE_POLICY.replace("{media}", media)
        self.api: tuple[Header, ...] = (_NO_SNIFFING, _DATA_POLICY, *hsts)
        self.file: tuple[Header, ...] = hsts
        self._page: tuple[Header, ...] = (*_PAGE_HEADERS, *hsts)
        self._own_forms = _policy(f"{page_policy}; form-action 'self'")
        self._any_forms = _policy(page_policy)
        self._framed = _policy(_FRAMED_POLICY.replace("{media}", media))

    def of_page(
        self, own: Iterable[Header], *, has_opener: bool, may_be_framed: bool, open_form_action: bool
    ) -> list[Header]:
        """Return the headers to add to a page that already has `own`, some of which may replace ours.

        `has_opener`: apps open it in a window and wait for its message. `may_be_framed`, `open_form_action`: as in
        `Response`.
        """
        names = {name for name, _ in own}
        headers = [header for header in self._page if header[0] not in names]
        if not has_opener:
            headers.append(_OPENER_POLICY)
        if may_be_framed:
            headers.append(self._framed)
            return headers
        headers.append(_NO_FRAMES)
        headers.append(self._any_forms if open_form_action else self._own_forms)
        return headers


def refusal_lines(family: Family, *, style: str, is_https: bool) -> bytes:
    """Return the header lines of refusals of a family. `style`: the sources of a page's styles, as in a CSP."""
    headers = [
        (b"cache-control", b"no-store"),
        _NO_SNIFFING,
        (b"referrer-policy", b"no-referrer"),
        *((HSTS,) if is_https else ()),
    ]
    if family is Family.PAGE:
        policy = f"default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        headers += [_policy(policy), _NO_FRAMES]
    else:
        headers.append(_DATA_POLICY)
    return lines_of(headers)


def lines_of(headers: Iterable[Header]) -> bytes:
    """Return the headers as the lines of a head."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _policy(text: str) -> Header:
    return b"content-security-policy", text.encode()
