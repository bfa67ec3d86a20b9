"""Read messages with the real parser, and refuse those that cannot be read.

The parser gets one message at a time (`_feed` in protocol.py cuts the stream). The callbacks only record
their arguments; the caller acts once the parser has returned.
"""

from __future__ import annotations

import contextlib
import logging

import httptools

from stormpetrel.edge.codings import coding_for
from stormpetrel.edge.connection import BODY, BUSY, HEADER, IDLE, STREAM, EdgeConnection
from stormpetrel.edge.heads import Head, hot_key
from stormpetrel.edge.streams import HEARTBEAT_S
from stormpetrel.edge.wheel import NEVER
from stormpetrel.edge.worker import INPUT_MEMORY_BYTES, EdgeWorker, Scope
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.canary import HEADER as CANARY
from stormpetrel.shield.cookies import without_prefix
from stormpetrel.shield.identify import Credentials, Visit, credentials_of, identify, may_have_token
from stormpetrel.shield.marks import has_visitor_cookie
from stormpetrel.shield.percent import unquoted

MAX_URL_BYTES = 8192
STREAM_FROM_BYTES = 65_536
"""An upload starts to run once this much has arrived; smaller bodies are complete before they run."""
MAX_HEADERS = 100
"""Each header costs a call. Apache accepts 100 too; browsers and proxies together send about 40."""
LAST_BYTES = 1024
"""A connection remembers the credential headers of its last request up to this size."""
MIN_UPLOAD_BYTES_PER_S = 32_768
"""The body deadline of an upload is extended by its declared length at this rate."""
MAX_OVERHEAD_BYTES = 16_384
"""Chunk sizes, chunk extensions and trailers of a body may take this much, plus the size of the content.
Node.js limits chunk extensions to the same size (CVE-2024-22019)."""
MIN_CHUNK_BYTES = 64
"""Smaller chunks cost more calls than bytes: past `MAX_SMALL_CHUNKS`, the average must be at least this."""
MAX_SMALL_CHUNKS = 256

_log = logging.getLogger("stormpetrel.edge")
_ASGI = {"version": "3.0", "spec_version": "2.4"}
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
    }
)


class MessageReader(EdgeConnection):
    """The message being read, and the last complete one until its answer is complete."""

    def __init__(self, worker: EdgeWorker) -> None:
        super().__init__(worker)
        # The message being parsed.
        self._clean = True
        self._tail = b""
        self._blank_bytes = 0
        self._head_bytes = 0
        self._body_left = 0
        self._is_chunked = False
        self._is_in_body = False
        self._raw_body_bytes = 0
        self._chunks = 0
        self._overrun = False
        self._is_sealed = False
        self._complete = False
        self._begins_stream = False
        self._failure: Refused | None = None
        self._facts: dict[bytes, bytes] = {}
        self._hosts = 0
        # The headers of the last credentials.
        self._last_authorization: bytes | None = None
        self._last_cookie: bytes | None = None
        self._last_credentials: Credentials | None = None
        # The parsed message.
        self._method = ""
        self._path = b""
        self._path_text = ""
        self._query = b""
        self._version = "1.1"
        self._keep_alive = True
        self._head: Head | None = None
        self._visit: Visit | None = None
        self._is_upgrade = False
        self._body_limit = 0
        self._body_end_s = NEVER
        self._received = 0

    def on_message_begin(self) -> None:
        if not self._clean or self._complete:
            self._overrun = True
            raise ValueError("a message inside a message")
        self._clean = False
        self.ready = False
        self.url = b""
        # Until the head is complete, the path and method that decide a refusal's format are unknown.
        self._path = b""
        self._method = ""
        self.headers = []
        self._facts = {}
        self._hosts = 0
        self._head = None
        self._visit = None

    def on_url(self, url: bytes) -> None:
        self.url = self.url + url if self.url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_body:
            # A trailer: never merged into the headers, which were already used (RFC 9110, 6.5.1).
            return
        name = name.lower()
        if name == b"cookie" and self.worker.is_https:
            value = without_prefix(value)
        if len(self.headers) >= MAX_HEADERS:
            self._fail(431, "edge/head-too-large", "The request has too many headers")
            return
        self.headers.append((name, value))
        if name in _FACTS:
            facts = self._facts
            if name == b"host":
                self._hosts += 1
            if name in facts:
                value = facts[name] + (b"; " if name == b"cookie" else b", ") + value
            facts[name] = value

    def on_headers_complete(self) -> None:  # noqa: C901 - on the path of every request
        worker = self.worker
        worker.counts.requests += 1
        parser = self.parser
        facts = self._facts
        self._method = method = parser.get_method().decode("ascii")
        self._version = version = parser.get_http_version()
        self._is_in_body = True
        is_target = self._take_target()
        if version == "1.1":
            self._keep_alive = not worker.is_draining and parser.should_keep_alive()
            if self._hosts != 1:
                self._fail(400, "edge/malformed", "A request must have exactly one Host header")
                return
        elif version == "1.0":
            self._keep_alive = False
        else:
            self._keep_alive = False
            self._fail(505, "edge/version", "This server supports only HTTP/1.1")
            return
        if not is_target:
            self._fail(400, "edge/malformed", "The URL could not be parsed")
            return
        has_framing = b"content-length" in facts or b"transfer-encoding" in facts
        length = self._take_framing(facts) if has_framing else 0
        if length is None:
            return
        path = self._path
        path_facts = worker.paths[path]
        credentials = None
        has_query = may_have_token(self._query)
        if has_query or b"authorization" in facts or b"cookie" in facts or b"upgrade" in facts:
            authorization = facts.get(b"authorization")
            if authorization is None and b"upgrade" in facts and b"access_token=" not in self._query:
                # A browser's WebSocket can send a token only here: it cannot set other headers.
                offered = facts.get(b"sec-websocket-protocol", b"").partition(b",")[0].strip()
                authorization = b"Bearer " + offered if offered else None
            # Browsers send their session for static files too, but all clients get the same bytes from memory.
            if authorization is not None or not path_facts.is_same_for_all:
                credentials = self._credentials(authorization, facts.get(b"cookie"), has_query=has_query)
        if credentials is None:
            self._visit = self._nobody
        else:
            self._visit = identify(
                credentials,
                stranger=self.stranger,
                address=self.address,
                tokens=worker.tokens,
                secret=worker.secret,
                at_s=self.loop.time(),
            )
        self._is_upgrade = False
        if parser.should_upgrade():
            if method == "CONNECT":
                self._fail(405, "edge/connect", "This server is not a proxy")
                return
            # No other protocol is offered here; the name is ignored (RFC 9110, 7.8).
            if facts[b"upgrade"].lower() == b"websocket":
                if method != "GET" or version != "1.1":
                    self._fail(
                        400, "edge/malformed", "A WebSocket handshake must be a GET request without a body"
                    )
                    return
                self._is_upgrade = True
                return
        if length or self._is_chunked:
            self._expect_body(length, path_facts.body_bytes, self.loop.time())
        elif (
            (credentials is None or (self._visit.is_anonymous and b"authorization" not in facts))
            and (method == "GET" or method == "HEAD")
            and path != b"/health"
        ):
            self._head = Head(
                path,
                hot_key(path_facts, path, self._query),
                coding=coding_for(facts.get(b"accept-encoding")),
                if_none_match=facts.get(b"if-none-match"),
                if_modified_since=facts.get(b"if-modified-since"),
                only_head=method == "HEAD",
                keep_alive=self._keep_alive,
                is_introduced=has_visitor_cookie(facts.get(b"cookie")),
            )

    def _credentials(
        self, authorization: bytes | None, cookie: bytes | None, *, has_query: bool
    ) -> Credentials | None:
        """Return the message's credentials; the previous ones if the connection repeats the same headers.

        `has_query`: the query may contain a token.
        """
        if has_query:
            return credentials_of(authorization, cookie, self._query)
        if authorization != self._last_authorization or cookie != self._last_cookie:
            found = credentials_of(authorization, cookie, b"")
            if len(authorization or b"") + len(cookie or b"") > LAST_BYTES:
                return found
            self._last_authorization, self._last_cookie, self._last_credentials = authorization, cookie, found
        return self._last_credentials

    def _take_framing(self, facts: dict[bytes, bytes]) -> int | None:
        """Return the body's declared length in bytes (0: none, or chunked); None if the message is refused.

        A proxy in front and this edge must agree where a message ends, so every form that parsers are known
        to read differently is refused (RFC 9112, 6.1 and 6.3). The parser itself refuses a length together
        with chunks, two lengths, bare line feeds and folded headers.
        """
        coding = facts.get(b"transfer-encoding")
        self._is_chunked = coding is not None
        if coding is not None and coding.lower() != b"chunked":
            self._fail(501, "edge/malformed", "The only supported transfer coding is chunked")
            return None
        if coding is not None and self._version != "1.1":
            self._fail(400, "edge/malformed", "HTTP/1.0 does not support transfer codings")
            return None
        try:
            length = int(facts.get(b"content-length", b"0"))
        except ValueError:
            self._fail(400, "edge/malformed", "The request could not be read")
            return None
        if (length or coding is not None) and b"upgrade" in facts:
            # The parser ends such a message at its head and would read the body as the next request.
            self._fail(400, "edge/malformed", "An upgrade request must not have a body")
            return None
        return length

    def on_body(self, body: bytes) -> None:
        if self._failure is not None:
            return
        if self._body_left:
            self._body_left -= len(body)
        cycle = self._cycle
        self._input_bytes += len(body)
        if self._is_chunked:
            self._chunks += 1
            self._received += len(body)
            if self._received > self._body_limit:
                self._fail(413, "edge/body-too-large", "The request is too large")
                return
        if cycle is None:
            self._body += body
            worker = self.worker
            worker.input_bytes += len(body)
            known = self._visit is not None and self._visit.identity.kind != "address"
            if worker.input_bytes > (INPUT_MEMORY_BYTES if known else INPUT_MEMORY_BYTES // 2):
                self._fail(503, "edge/input-memory", "The server is busy; nothing was stored")
            elif self._body_limit > worker.config.max_body_bytes and len(self._body) >= STREAM_FROM_BYTES:
                self._begins_stream = True
        elif not cycle.finished:
            self.worker.input_bytes += len(body)
            cycle.body += body
            if len(cycle.body) > STREAM_FROM_BYTES:
                self._pause_reading()
            cycle.wake()
        else:
            self._input_bytes -= len(body)

    def on_message_complete(self) -> None:
        if self._is_chunked:
            self._check_chunks()
        if self._failure is not None:
            return
        self._clean = True
        self._is_in_body = False
        self._is_chunked = False
        self._body_left = 0
        self._tail = b""
        self._begins_stream = False
        cycle = self._cycle
        if cycle is None:
            self._complete = True
        else:
            cycle.is_body_complete = True
            cycle.wake()
            self._settle()

    def _parse(self, piece: bytes) -> bool:
        """Feed the parser; return False if the connection was refused."""
        over = False
        if not self._is_in_body:
            # Only the allowed size of a head reaches the parser.
            allowed = self.worker.config.max_header_bytes - (0 if self._clean else self._head_bytes)
            if len(piece) > allowed:
                over = True
                piece = piece[:allowed]
            self._head_bytes = len(piece) if self._clean else self._head_bytes + len(piece)
        elif self._is_chunked:
            self._raw_body_bytes += len(piece)
        try:
            if piece:
                self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # Raised when the message is complete; `_dispatch` handles the upgrade.
            pass
        except httptools.HttpParserError as error:
            if self._overrun:
                # A second message in one piece: only bare line ends can hide it.
                # Answer the first, then close.
                self._keep_alive = False
                if self._cycle is not None:
                    self._cycle.keep_alive = False
                self._overrun = False
                self._is_sealed = True
                return True
            if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
                _log.error("the edge failed on a request", exc_info=error.__context__)
            self._refuse_input(400, "edge/malformed", "The request could not be read")
            return False
        if self._is_chunked:
            self._check_chunks()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._refuse_input(failure.status, failure.because, failure.safe_text)
            return False
        if len(self.url) > MAX_URL_BYTES and not self._is_in_body:
            self._path = self.url.partition(b"?")[0]
            self._refuse_input(414, "edge/url-too-long", "The URL is too long")
            return False
        if over:
            self._path = self.url.partition(b"?")[0]
            self._refuse_input(431, "edge/head-too-large", "The request headers are too large")
            return False
        return True

    def _check_chunks(self) -> None:
        """Refuse a chunked body with more work than content: tiny chunks, endless extensions or trailers."""
        received = self._received
        if (
            self._raw_body_bytes > MAX_OVERHEAD_BYTES + 2 * received
            or self._chunks > MAX_SMALL_CHUNKS + received // MIN_CHUNK_BYTES
        ):
            self._fail(400, "edge/malformed", "The chunks of the request are too small")

    def _terminator(self, data: bytes, at: int) -> int:
        """Return where the message's blank line ends in `data`, searching from `at`; -1 if it is not there.

        The blank line may have begun in an earlier read: `_tail` holds that read's last three bytes.
        """
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

    def _fail(self, status: int, because: str, safe_text: str) -> None:
        """Mark the message as refused; the refusal is sent once the parser has returned."""
        if self._failure is None:
            self._failure = Refused(status, because, safe_text)

    def _take_target(self) -> bool:
        """Set path and query from the request target; return False if it is invalid."""
        url = self.url
        if b"#" in url:
            url = url.partition(b"#")[0]
        if url[:1] == b"/":
            self._path, _, self._query = url.partition(b"?")
        elif url == b"*" and self._method == "OPTIONS":
            self._path, self._query = b"*", b""
            self._path_text = "*"
            return True
        elif self._method == "CONNECT":
            self._path, self._path_text, self._query = b"", "", b""
            return True
        else:
            # Absolute form, as sent to proxies (RFC 9112, 3.2.2).
            try:
                parsed = httptools.parse_url(url)
            except httptools.HttpParserInvalidURLError:
                return False
            if parsed.schema is None or parsed.schema.lower() not in (b"http", b"https") or not parsed.host:
                return False
            self._path, self._query = parsed.path or b"/", parsed.query or b""
        path = self._path
        if url.isascii():
            if b"%" not in path:
                self._path_text = path.decode("ascii")
                return True
            with contextlib.suppress(ValueError):
                plain = unquoted(path)
                if b"\0" not in plain:
                    self._path_text = plain.decode("utf-8", "replace")
                    return True
        self._path = b""
        return False

    def _expect_body(self, length: int, path_limit: int, now: float) -> None:
        """Set the limit and the deadline of a body that follows; send 100 Continue if it is expected.

        `path_limit`: the path's own limit in bytes, 0 if it has none.
        """
        worker = self.worker
        config = worker.config
        limit = config.max_body_bytes
        visit = self._visit
        # Uploads need a credential. An unverified one may be valid: its body is read only after the look-up.
        if path_limit and visit is not None and not visit.is_anonymous:
            limit = path_limit
        if length > limit:
            self._fail(413, "edge/body-too-large", "The request is too large")
            return
        self._body_left = length
        self._body_limit = limit
        self._received = 0
        self._raw_body_bytes = 0
        self._chunks = 0
        more_s = (
            max(length, 0 if length else limit) / MIN_UPLOAD_BYTES_PER_S
            if limit > config.max_body_bytes
            else 0
        )
        self._body_end_s = now + config.body_timeout_s + more_s
        if self._version == "1.1" and self._facts.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _scope(self, visit: Visit) -> Scope:
        """Return the ASGI scope of the parsed message."""
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self._version,
            "server": self.worker.server,
            "client": self.client,
            "scheme": self.worker.scheme,
            "method": self._method,
            "root_path": "",
            "path": self._path_text,
            "raw_path": self._path,
            "query_string": self._query,
            "headers": self.headers,
            "state": {},
            "visit": visit,
            "rate_limit": self.worker.gate.ceiling.limit,
        }

    def _refuse_input(self, status: int, because: str, safe_text: str, *, linger: bool = True) -> None:
        """Send a refusal that explains the error, and close: further input cannot be interpreted any more."""
        worker = self.worker
        cycle = self._cycle
        if cycle is not None:
            # An upload failed while its request ran: an answer that has begun cannot be taken back.
            self._cycle = None
            began = cycle.has_begun
            cycle.disconnect()
            if began:
                self.abort()
                return
        worker.counts.refused[because] += 1
        refused = Refused(status, because, safe_text, 2 if status in (408, 429, 503) else None)
        self.transport.write(
            worker.refusals.answer(
                refused,
                path=self._path,
                date=worker.date,
                keep_alive=False,
                only_head=self._method == "HEAD" and self._is_in_body,
            )
        )
        if linger:
            self._linger()
        else:
            self._close()

    def _progress(self) -> None:
        """Set the deadline for an incomplete message."""
        now = self.loop.time()
        config = self.worker.config
        if self._is_in_body:
            if self._cycle is not None and self._reading_paused:
                self._arm(BUSY, NEVER)
            else:
                self._arm(BODY, min(self._body_end_s, now + config.body_stall_s))
        elif self._kind != HEADER:
            self._arm(HEADER, now + config.header_timeout_s)

    def _settle(self) -> None:
        """Set the deadline after an event ended, and set whether the next bytes may be answered at once."""
        if self._closing:
            return
        if self.write_paused:
            self._arm_write()
        elif self._flight is not None:
            pass
        elif self._outstanding:
            if not self._clean:
                self._progress()
            elif self._cycle is not None and self._cycle.stream is not None:
                self._arm(STREAM, self.loop.time() + HEARTBEAT_S)
            else:
                self._arm(BUSY, NEVER)
        elif self._clean:
            self.ready = not self.worker.is_draining
            self._arm(IDLE, self.loop.time() + self.worker.config.keepalive_timeout_s)
