"""A document that a small server answers with from memory: its bytes, plain and compressed, and its ETag."""

from __future__ import annotations

import gzip
import hashlib
from functools import cached_property

HTML = "text/html; charset=utf-8"
MIN_COMPRESSED_BYTES = 600
"""A smaller body fits into one packet anyway."""


class Document:
    """The answer to GET of one path. `policy`: its Content-Security-Policy, "" for none.

    `is_public`: other sites may read it (CORS).
    """

    def __init__(
        self, content_type: str, body: bytes, *, policy: str = "", is_public: bool = False, max_age_s: int = 0
    ) -> None:
        self.content_type = content_type
        self.body = body
        self.etag = f'"{hashlib.blake2b(body, digest_size=9).hexdigest()}"'
        self._policy = policy
        self._is_public = is_public
        self._max_age_s = max_age_s

    @cached_property
    def compressed(self) -> bytes:
        """Return the body in gzip; b"" where that is not worth it."""
        return gzip.compress(self.body, 6, mtime=0) if len(self.body) >= MIN_COMPRESSED_BYTES else b""

    @cached_property
    def head_lines(self) -> str:
        """Return the header lines that describe it, apart from its length and coding."""
        lines = [f"ETag: {self.etag}", "Vary: Accept-Encoding", "Referrer-Policy: no-referrer"]
        lines.append(f"Cache-Control: public, max-age={self._max_age_s}")
        if self._policy:
            lines.append(f"Content-Security-Policy: {self._policy}")
        if self._is_public:
            lines.append("Access-Control-Allow-Origin: *")
        return "".join(f"{line}\r\n" for line in lines)
