"""Bytes to messages, without a socket: a request's head, the parts of its body, its end, or an error.

The engine is httptools (llhttp). This class gives it one message at a time, cut where its head or its body ends, so
that later messages stay plain bytes: a client that sends many at once costs no memory but theirs, and the bytes of
one whole request can be looked up before they are parsed. It also refuses every form of framing that parsers are
known to read differently.

A caller loops over what it read: `skip_blank_lines`, `cut`, `feed`. After `feed`:

    phase HEAD            the head is incomplete
    phase BODY or CHUNKS  `message` is set, and `body` has the content read since the caller took it
    phase BETWEEN         the message is complete

    BETWEEN → HEAD → BODY or CHUNKS → BETWEEN; each step may be skipped within one call.
    Any → an error: MessageError was raised, and the parser must not be fed again.

The caller sets `max_content_bytes` when a message with a body begins, and takes `body`.
"""

from __future__ import annotations

import contextlib
import enum
import logging
from typing import Any

import httptools

from stormpetrel.audience.visitor import HEADERS
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.rejections import (
    BODY_TOO_LARGE,
    CHUNKS_TOO_SMALL,
    CONNECT,
    HEAD_TOO_LARGE,
    TOO_MANY_HEADERS,
    UNKNOWN_CODING,
    UNKNOWN_VERSION,
    UNREADABLE,
    URL_TOO_LONG,
    malformed,
)
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.canary import HEADER as CANARY
from stormpetrel.shield.cookies import without_prefix
from stormpetrel.shield.percent import MAX_PARAMETERS, is_readable, unquoted

MAX_URL_BYTES = 8192
MAX_PATH_BYTES = 2048
"""The part before the query. The longest path that exists is a hashtag of 100 encoded letters, 1,200 bytes."""
MAX_HEADERS = 100
"""Each header costs a call. Apache accepts 100 too; browsers and proxies together send about 40."""
MAX_BLANK_BYTES = 16
"""Line ends before a request; RFC 9112, 2.2 asks to skip at least one."""
MAX_CHUNKED_CUTS = 64
"""A chunked body is cut at up to this many blank lines per read, as a body full of them would cost CPU."""
MAX_OVERHEAD_BYTES = 16_384
"""Chunk sizes, chunk extensions and trailers of a body may take this much, plus the size of the content.
Node.js limits chunk extensions to the same size (CVE-2024-22019)."""
MIN_CHUNK_BYTES = 64
"""Smaller chunks cost more calls than bytes: past `MAX_SMALL_CHUNKS`, the average must be at least this."""
MAX_SMALL_CHUNKS = 256
REPEATED_BYTES = 1536
"""A message up to this size is read again without parsing if the next one has the same bytes."""

_log = logging.getLogger("stormpetrel.edge")
_FACTS = frozenset(
    {
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"if-modified-since",
        b"if-none-match",
        b"sec-websocket-protocol",
        b"transfer-encoding",
        b"upgrade",
        CANARY,
        *HEADERS,
    }
)


class ReadPhase(enum.IntEnum):
    """The part of a message that comes next; the module's docstring has the transitions."""

    BETWEEN = 0
    HEAD = 1
    BODY = 2
    CHUNKS = 3


BETWEEN, HEAD, BODY, CHUNKS = ReadPhase


class MessageError(Exception):
    """The message cannot be accepted, and nothing after it can be read. `refused` explains it."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.safe_text)
        self.refused = refused


class RequestParser:
    """Reads the messages of one connection.

    `max_header_bytes`: the largest head. `has_cookie_prefix`: cookies have the prefix `__Host-` (https), which is
    taken off. `message`: the message of which the head was read last; None before the first, and while a head is
    incomplete. `skipped_bytes`: line ends since the last message; a caller that answers a message without this parser
    sets it to 0.
    """

    __slots__ = (
        "_body_left",
        "_chunks",
        "_content_bytes",
        "_cuts",
        "_engine",
        "_facts",
        "_failure",
        "_has_cookie_prefix",
        "_head_bytes",
        "_headers",
        "_hosts",
        "_is_overrun",
        "_max_header_bytes",
        "_raw_body_bytes",
        "_tail",
        "_url",
        "_whole",
        "body",
        "max_content_bytes",
        "message",
        "phase",
        "skipped_bytes",
    )

    def __init__(self, *, max_header_bytes: int, has_cookie_prefix: bool) -> None:
        self._engine: Any = httptools.HttpRequestParser(self)
        # The edge ignores bytes after a message that said `close`; the parser must not reject them.
        self._engine.set_dangerous_leniencies(lenient_data_after_close=True)
        self._max_header_bytes = max_header_bytes
        self._has_cookie_prefix = has_cookie_prefix
        self.phase = BETWEEN
        self.message: RequestMessage | None = None
        self.body = bytearray()
        self.max_content_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._facts: dict[bytes, bytes] = {}
        self._hosts = 0
        self._failure: Refused | None = None
        self._is_overrun = False
        # The last three bytes of the read before, when a blank line may have begun in them.
        self._tail = b""
        self._cuts = 0
        self.skipped_bytes = 0
        self._head_bytes = 0
        self._body_left = 0
        self._raw_body_bytes = 0
        self._content_bytes = 0
        self._chunks = 0
        # The bytes of `message`, if they were a whole message that the next one may repeat.
        self._whole = b""

    @property
    def path(self) -> bytes:
        """Return the raw path of the message, also while its head is incomplete; b"" if it is not known yet."""
        return self.message.path if self.message is not None else self._url.partition(b"?")[0]

    def close(self) -> None:
        """Drop the engine: it holds methods of this object, and only the garbage collector would find that cycle."""
        self._engine = None

    def skip_blank_lines(self, data: bytes, at: int) -> int:
        """Return the position after the blank lines that begin at `at`. Raise MessageError for too many."""
        end = len(data)
        start = at
        while at < end and data[at] in b"\r\n":
            at += 1
        self.skipped_bytes += at - start
        if self.skipped_bytes > MAX_BLANK_BYTES:
            self.message = None
            self._url = b""
            raise MessageError(UNREADABLE)
        return at

    def cut(self, data: bytes, at: int) -> int:
        """Return the end of the piece of `data` that begins at `at`; -1 if it is the rest of `data`, and incomplete.

        Pass the piece to `feed`. It ends with a head, with a body, or with the data. `at` is 0 for a new read.
        """
        phase = self.phase
        if phase is BODY:
            return min(len(data), at + self._body_left)
        if phase is CHUNKS:
            if at == 0:
                self._cuts = 0
            if self._cuts >= MAX_CHUNKED_CUTS:
                return len(data)
            self._cuts += 1
        # The blank line may have begun in an earlier read.
        tail = self._tail
        if tail:
            across = (tail + data[at : at + 3]).find(b"\r\n\r\n")
            if across >= 0:
                self._tail = b""
                return at + across + 4 - len(tail)
        found = data.find(b"\r\n\r\n", at)
        if found >= 0:
            self._tail = b""
            return found + 4
        self._tail = (tail + data[max(at, len(data) - 3) :])[-3:]
        return -1

    def feed(self, piece: bytes) -> None:
        """Read a piece, as `cut` gave it. Raise MessageError if the message cannot be accepted."""
        phase = self.phase
        if piece == self._whole and phase is BETWEEN:
            # Apps poll: the same bytes in the same position mean the same message.
            self.skipped_bytes = 0
            return
        self._whole = b""
        is_too_large = False
        if phase <= HEAD:
            # Only the allowed size of a head reaches the parser.
            if phase is BETWEEN:
                self.message = None
                self._head_bytes = 0
            allowed = self._max_header_bytes - self._head_bytes
            if len(piece) > allowed:
                is_too_large = True
                piece = piece[:allowed]
            self._head_bytes += len(piece)
        elif phase is CHUNKS:
            self._raw_body_bytes += len(piece)
        try:
            if piece:
                self._engine.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # Raised when the message is complete; the caller handles the upgrade.
            pass
        except httptools.HttpParserError as error:
            self._on_error(error)
        if self._failure is None:
            if phase is CHUNKS:
                self._check_overhead()
            elif is_too_large:
                self._failure = HEAD_TOO_LARGE
        if self._failure is not None:
            raise MessageError(self._failure)
        if phase is BETWEEN and self.phase is BETWEEN and len(piece) <= REPEATED_BYTES:
            message = self.message
            if (
                message is not None
                and message.keep_alive
                and not (message.has_body or b"upgrade" in message.facts)
            ):
                self._whole = piece

    # The callbacks of httptools only record their arguments.

    def on_message_begin(self) -> None:
        if self.phase is not BETWEEN or self.message is not None:
            self._is_overrun = True
            raise ValueError("a message inside a message")
        self.phase = HEAD
        self.skipped_bytes = 0
        self._url = b""
        self._headers = []
        self._facts = {}
        self._hosts = 0

    def on_url(self, url: bytes) -> None:
        self._url = url = self._url + url if self._url else url
        if len(url) > MAX_URL_BYTES:
            self._fail(URL_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is not HEAD:
            # A trailer: never merged into the headers, which were already used (RFC 9110, 6.5.1).
            return
        name = name.lower()
        if name == b"cookie" and self._has_cookie_prefix:
            value = without_prefix(value)
        if len(self._headers) >= MAX_HEADERS:
            self._fail(TOO_MANY_HEADERS)
            return
        self._headers.append((name, value))
        if name in _FACTS:
            facts = self._facts
            if name == b"host":
                self._hosts += 1
            if name in facts:
                value = facts[name] + (b"; " if name == b"cookie" else b", ") + value
            facts[name] = value

    def on_headers_complete(self) -> None:
        engine = self._engine
        facts = self._facts
        method = engine.get_method().decode("ascii")
        version = engine.get_http_version()
        url = self._url
        if len(url) > MAX_PATH_BYTES and b"?" not in url[: MAX_PATH_BYTES + 1]:
            # Before it is decoded; the path alone tells in which format the refusal is.
            self._fail(URL_TOO_LONG)
            target: tuple[bytes, str, bytes] | None = (url, "", b"")
        else:
            target = _target(method, url)
        self.message = message = RequestMessage(
            method, version, self._headers, facts, target or (b"", "", b"")
        )
        self.phase = BODY
        self._body_left = 0
        if version == "1.1":
            message.keep_alive = engine.should_keep_alive()
            if self._hosts != 1:
                self._refuse("A request must have exactly one Host header")
        elif version != "1.0":
            self._fail(UNKNOWN_VERSION)
        if target is None:
            self._refuse("The URL could not be parsed")
        elif len(message.query) >= MAX_PARAMETERS and not is_readable(message.query):
            # The application would refuse it too, with a page that takes half a millisecond.
            self._refuse("The URL has too many parameters or broken escapes")
        if b"content-length" in facts or b"transfer-encoding" in facts:
            self._take_framing(message)
        if engine.should_upgrade():
            self._take_upgrade(message)

    def on_body(self, body: bytes) -> None:
        if self._failure is not None:
            return
        if self.phase is CHUNKS:
            self._content_bytes += len(body)
            if self._content_bytes > self.max_content_bytes:
                self._fail(BODY_TOO_LARGE)
                return
        else:
            self._body_left -= len(body)
        self.body += body

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > MAX_SMALL_CHUNKS + self._content_bytes // MIN_CHUNK_BYTES:
            self._fail(CHUNKS_TOO_SMALL)

    def on_message_complete(self) -> None:
        if self.phase is CHUNKS:
            self._check_overhead()
        if self._failure is None:
            self.phase = BETWEEN
            self._tail = b""

    def _on_error(self, error: Exception) -> None:
        """Record why the engine stopped. A second message in one piece ends the reading without an error."""
        if self._is_overrun:
            # Only the uncut rest of a chunked body can hide one. Answer the first, then close.
            assert self.message is not None
            self.message.keep_alive = False
            return
        if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
            _log.error("the edge failed on a request", exc_info=error.__context__)
        if self._failure is None:
            self._failure = UNREADABLE
            if self.phase <= HEAD:
                # A path that could not be read to its end says nothing about the refusal's format.
                self._url = b""

    def _fail(self, refused: Refused) -> None:
        """Record the first error; it is raised once the engine has returned."""
        if self._failure is None:
            self._failure = refused

    def _refuse(self, safe_text: str) -> None:
        self._fail(malformed(safe_text))

    def _take_framing(self, message: RequestMessage) -> None:
        """Set how the body ends.

        A proxy in front and this edge must agree where a message ends, so every form that parsers are known
        to read differently is refused (RFC 9112, 6.1 and 6.3). The engine itself refuses a length together
        with chunks, two lengths, bare line feeds and folded headers.
        """
        facts = message.facts
        coding = facts.get(b"transfer-encoding")
        if coding is not None:
            message.is_chunked = True
            self.phase = CHUNKS
            self._cuts = self._raw_body_bytes = self._content_bytes = self._chunks = 0
            if coding.rpartition(b",")[2].strip().lower() != b"chunked":
                self._fail(UNREADABLE)
            elif coding.lower() != b"chunked":
                self._fail(UNKNOWN_CODING)
            elif message.version != "1.1":
                self._refuse("HTTP/1.0 does not support transfer codings")
        try:
            message.length = self._body_left = int(facts.get(b"content-length", b"0"))
        except ValueError:
            self._fail(UNREADABLE)
        if message.has_body and b"upgrade" in facts:
            # The engine ends such a message at its head and would read the body as the next request.
            self._refuse("An upgrade request must not have a body")

    def _take_upgrade(self, message: RequestMessage) -> None:
        if message.method == "CONNECT":
            self._fail(CONNECT)
        # No other protocol is offered here; the name is ignored (RFC 9110, 7.8).
        elif message.facts.get(b"upgrade", b"").lower() == b"websocket":
            message.is_upgrade = True
            if message.method != "GET" or message.version != "1.1":
                self._refuse("A WebSocket handshake must be a GET request without a body")

    def _check_overhead(self) -> None:
        """Refuse a chunked body with more framing than content: endless extensions or trailers."""
        if self._raw_body_bytes > MAX_OVERHEAD_BYTES + 2 * self._content_bytes:
            self._fail(CHUNKS_TOO_SMALL)


def _target(method: str, url: bytes) -> tuple[bytes, str, bytes] | None:
    """Return path, path as text and query of a request target; None if it is invalid."""
    if b"#" in url:
        url = url.partition(b"#")[0]
    if url[:1] == b"/":
        path, _, query = url.partition(b"?")
    elif url == b"*" and method == "OPTIONS":
        return b"*", "*", b""
    elif method == "CONNECT":
        return b"", "", b""
    else:
        # Absolute form, as sent to proxies (RFC 9112, 3.2.2).
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            return None
        if parsed.schema is None or parsed.schema.lower() not in (b"http", b"https") or not parsed.host:
            return None
        path, query = parsed.path or b"/", parsed.query or b""
    if url.isascii():
        if b"%" not in path:
            return path, path.decode("ascii"), query
        with contextlib.suppress(ValueError):
            plain = unquoted(path)
            if b"\0" not in plain:
                return path, plain.decode("utf-8", "replace"), query
    return None
