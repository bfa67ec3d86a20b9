"""A request as the parser understood it: values only."""

from __future__ import annotations


class RequestMessage:
    """The head of one request.

    `path`: raw, b"" if the target could not be read. `path_text`: decoded. `query`: raw, without the question mark.
    `headers`: names in lower case, in order; trailers are not among them. `facts`: the values of the headers that
    decide how the request is handled, repeated ones joined. `length`: the body's declared size in bytes; 0 for
    none, or with `is_chunked`. `keep_alive`: the connection may carry another request after this one.
    `is_upgrade`: a WebSocket's handshake.
    """

    __slots__ = (
        "facts",
        "headers",
        "is_chunked",
        "is_upgrade",
        "keep_alive",
        "length",
        "method",
        "path",
        "path_text",
        "query",
        "version",
    )

    def __init__(
        self,
        method: str,
        version: str,
        headers: list[tuple[bytes, bytes]],
        facts: dict[bytes, bytes],
        target: tuple[bytes, str, bytes],
    ) -> None:
        """`target`: path, path as text, query."""
        self.method = method
        self.version = version
        self.headers = headers
        self.facts = facts
        self.path, self.path_text, self.query = target
        self.keep_alive = False
        self.length = 0
        self.is_chunked = False
        self.is_upgrade = False

    @property
    def has_body(self) -> bool:
        """Return True if a body follows the head, even an empty one in chunks."""
        return self.length > 0 or self.is_chunked

    @property
    def expects_continue(self) -> bool:
        """Return True if the client waits for 100 Continue before it sends the body (RFC 9110, 10.1.1)."""
        return self.version == "1.1" and self.facts.get(b"expect", b"").lower() == b"100-continue"
