"""Compress a whole answer for a single reader, and adapt its headers."""

from __future__ import annotations

from collections.abc import Mapping

from stormpetrel.edge.cache import Headers
from stormpetrel.edge.codings import accepts_gzip, encode_fast, is_compressible

MIN_PERSONAL_BYTES = 1024
"""A personal answer is compressed from this size up: below it, the answer fits into one packet anyway."""
_NAMES_BYTES = frozenset({b"etag", b"content-encoding", b"content-range", b"accept-ranges"})


def in_gzip(headers: Headers, body: bytes, asked: Mapping[bytes, bytes]) -> tuple[Headers, bytes] | None:
    """Return the answer's headers and body in gzip; None if the client does not accept gzip or it does not pay.

    `asked`: the headers of the request.
    """
    if (
        len(body) < MIN_PERSONAL_BYTES
        or not accepts_gzip(asked.get(b"accept-encoding"))
        or not may_be_packed(headers, body)
    ):
        return None
    return headers_in_gzip(headers), encode_fast(body)


def may_be_packed(headers: Headers, body: bytes) -> bool:
    """Return True if gzip pays: a large body of a type that shrinks, and no header that describes its exact bytes
    (ETag, Content-Encoding, a range).
    """
    if len(body) < MIN_PERSONAL_BYTES:
        return False
    kind = b""
    for name, value in headers:
        if name == b"content-type":
            kind = value
        elif name in _NAMES_BYTES:
            return False
    return is_compressible(kind)


def headers_in_gzip(headers: Headers) -> Headers:
    """Return the headers of the same answer in gzip, without its length."""
    kept = [header for header in headers if header[0] != b"content-length"]
    return [*kept, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
