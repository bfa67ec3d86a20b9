"""The HTTP/1.1 protocol class: parse, identify, answer from the cache, admit, refuse.

A subclass of uvicorn's httptools protocol, which brings the parser and the WebSocket hand-over; from the
first byte to the application everything else is here. One message is fed to the parser at a time, cut where
its head (or body) ends, so what follows waits as plain bytes and a pipelining client costs no tasks.

Two ways lead to an answer without the application: the memo (`data_received`: the same bytes as a request
that was parsed before, between two messages) and `_serve_hot` after parsing. Both give the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from stormpetrel.edge.cache import Flight, Page
from stormpetrel.edge.codings import coding_for
from stormpetrel.edge.cycle import Cycle, HotRender
from stormpetrel.edge.heads import Head
from stormpetrel.edge.websocket import EdgeWebSocket
from stormpetrel.edge.wheel import NEVER
from stormpetrel.edge.worker import INPUT_MEMORY_BYTES, EdgeWorker, Scope
from stormpetrel.shield.answer import Refused
from stormpetrel.shield.classify import LANES, classify
from stormpetrel.shield.identify import Visit, address_identity, credentials_of, identify
from stormpetrel.shield.queues import RUNNING, Ticket

if TYPE_CHECKING:
    from stormpetrel.shield.identify import Identity

_log = logging.getLogger("stormpetrel.edge")

MAX_URL_BYTES = 8192
MAX_BLANK_BYTES = 16
"""Line ends before a request; RFC 9112, 2.2 asks to skip at least one."""
MAX_CHUNKED_CUTS = 64
"""A chunked body is cut at so many blank lines per read; more would let a body of blank lines cost CPU."""
STREAM_FROM_BYTES = 65_536
"""An upload starts to run when it has brought this much; smaller bodies are complete before they run."""
MIN_UPLOAD_BYTES_PER_S = 32_768
"""An upload's body deadline grows by its declared length at this pace."""
WRITE_BUFFER_BYTES = 65_536
MIN_DRAIN_BYTES = 4096
"""A slow reader must take this much per write deadline, or all that there is."""
LINGER_S = 2.0
LINGER_BYTES = 262_144
"""After a refusal that leaves input unread, so much is read and thrown away: a reset would lose the refusal."""

_FACTS = frozenset(
    {
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"if-none-match",
        b"transfer-encoding",
        b"upgrade",
    }
)
_ASGI = {"version": "3.0", "spec_version": "2.4"}
_HEADER, _BODY, _IDLE, _WRITE, _FLIGHT, _BUSY, _CLOSING, _LINGER = (
    "header",
    "body",
    "idle",
    "write",
    "flight",
    "busy",
    "closing",
    "linger",
)


class EdgeProtocol(HttpToolsProtocol):
    """One connection.

    `ready`: between two messages, nothing outstanding, nothing kept back, the client reads: the next bytes
    may be answered at once. Every other flag says why not.
    """

    def __init__(
        self,
        worker: EdgeWorker,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.worker = worker
        self.memo = worker.memo
        self.address = ""
        self.stranger: Identity = None  # type: ignore[assignment]
        self._nobody: Visit = None  # type: ignore[assignment]
        # For the wheel
        self.deadline_s = NEVER
        self.wheel_slot = -1
        self._kind = _HEADER
        self._keepalive_s = worker.config.keepalive_timeout_s
        # The refusal this connection was last given, while it still holds
        self._refused_as: tuple[int, str, bytes, bool, bool] | None = None
        self._refused_wire = b""
        # The connection
        self.ready = False
        self.write_paused = False
        self._reading_paused = False
        self._closing = False
        self._lingering_bytes = -1
        self._stash = b""
        self._write_mark = 0
        self._drain_waiters: list[asyncio.Future[None]] = []
        # The message being parsed
        self._clean = True
        self._tail = b""
        self._blank_bytes = 0
        self._head_bytes = 0
        self._body_left = 0
        self._is_chunked = False
        self._is_in_body = False
        self._overrun = False
        self._is_sealed = False
        self._complete = False
        self._begins_stream = False
        self._failure: Refused | None = None
        self._facts: dict[bytes, bytes] = {}
        self._hosts = 0
        # The message that was parsed
        self._method = ""
        self._path = b""
        self._query = b""
        self._version = "1.1"
        self._keep_alive = True
        self._head: Head | None = None
        self._visit: Visit | None = None
        self._is_upgrade = False
        self._body = bytearray()
        self._body_limit = 0
        self._body_end_s = NEVER
        self._received = 0
        self._input_bytes = 0
        # Its answer
        self._outstanding = False
        self._cycle: Cycle | None = None
        self._flight: Flight | None = None

    # The transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        client = get_remote_addr(transport)
        self.client = client
        address = client[0] if client is not None else "local"
        worker = self.worker
        over = worker.caps.enter(address)
        if over:
            worker.counts.dropped[over] += 1
            self._closing = True
            transport.abort()
            return
        self.address = address
        self.stranger = address_identity(address)
        self._nobody = Visit(self.stranger, address)
        self.server = get_local_addr(transport)
        worker.connections.add(self)
        worker.counts.accepted += 1
        worker.counts.connections += 1
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.ready = not worker.is_draining
        self._arm(_HEADER, self.loop.time() + worker.config.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        worker = self.worker
        if self.address:
            worker.wheel.disarm(self)
            worker.connections.discard(self)
            worker.counts.connections -= 1
            worker.caps.leave(self.address)
        self._closing = True
        self.ready = False
        self._forget_input()
        self._stash = b""
        self._leave_flight()
        cycle = self._cycle
        if cycle is not None:
            self._cycle = None
            cycle.disconnect()
            if cycle.task is None:
                # It still waited: no work for the gone.
                worker.counts.gone_while_waiting += 1
                worker.gate.leave(cycle.ticket)
                cycle.land(retry=True)
        self._wake_drained()
        # The parser holds this object's methods: without it the two would be garbage in a circle.
        self.parser = None  # type: ignore[assignment]

    def eof_received(self) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        if self.ready:
            # The memo's `young` half first: one look-up is all that a repeated request costs.
            memo = self.memo
            head = memo.young.get(data) or memo.get(data)
            if head is not None and self._answer_remembered(head):
                return
        if self._closing:
            self._discard(len(data))
            return
        self._feed(data)

    def pause_writing(self) -> None:
        self.write_paused = True
        self.ready = False
        if not self._closing:
            self._arm_write()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._wake_drained()
        if not self._closing:
            self._settle()
            self._feed_stash()

    # The fast way

    def _answer_remembered(self, head: Head) -> bool:
        """Answer a request whose bytes were parsed before; False: the parser must look at it again."""
        worker = self.worker
        now = self.loop.time()
        key = head.key
        if key is not None:
            page = worker.cache.pages.get(key)
            if page is not None and page.fresh_until_s > now:
                worker.counts.requests += 1
                if head.plain and not page.is_metered:
                    self.transport.write(self._plain_wire(page, head.coding))
                    self._kind = _IDLE
                    self.deadline_s = now + self._keepalive_s
                    return True
                self._answer_page(page, head, now)
                return True
        if not worker.gate.ceiling.is_spent(self.stranger, now) or (
            key is not None and worker.cache.lookup(key, now) is not None
        ):
            return False
        worker.counts.requests += 1
        self.transport.write(
            self._refusal("ceiling/requests", self.stranger, head.path, head.keep_alive, head.only_head, now)
        )
        self._kind = _IDLE
        self.deadline_s = now + self._keepalive_s
        if not head.keep_alive:
            self._close()
        return True

    def _refusal(
        self,
        because: str,
        identity: Identity,
        path: bytes,
        keep_alive: bool,  # noqa: FBT001 - private, and called for each refusal: keywords cost
        only_head: bool,  # noqa: FBT001
        now: float,
    ) -> bytes:
        """A refusal's bytes; within a second the same ones for the same request: its numbers change no faster."""
        worker = self.worker
        same_as = (worker.second, because, path, keep_alive, only_head)
        if self._refused_as == same_as:
            worker.counts.refused[because] += 1
            return self._refused_wire
        self._refused_as = same_as
        self._refused_wire = worker.refusals.answer(
            worker.refusal(because, identity, now),
            path=path,
            date=worker.date,
            keep_alive=keep_alive,
            only_head=only_head,
        )
        return self._refused_wire

    def _plain_wire(self, page: Page, coding: int) -> bytes:
        """A page's bytes as they are, counted as served."""
        worker = self.worker
        worker.counts.served_from_cache += 1
        wire = page.wires[coding]
        if wire is None or page.stamps[coding] != worker.second:
            wire = page.wire(coding, worker.second, worker.date)
            worker.cache.touch(page)
        return wire

    # Cutting the stream into messages

    def _feed(self, data: bytes) -> None:
        """Give the parser one message after the other, until one has to wait for its answer."""
        at, end = 0, len(data)
        cuts = 0
        while at < end:
            if self._closing or self._is_sealed:
                self._discard(end - at)
                return
            if (self._outstanding and not self._is_in_body) or self.write_paused:
                self._keep_back(data[at:] if at else data)
                return
            if self._clean:
                while at < end and data[at] in b"\r\n":
                    at += 1
                    self._blank_bytes += 1
                if self._blank_bytes > MAX_BLANK_BYTES:
                    self._refuse_input(400, "edge/malformed", "The request could not be read")
                    return
                if at == end:
                    break
            if self._body_left:
                cut = min(end, at + self._body_left)
            elif self._is_in_body and cuts >= MAX_CHUNKED_CUTS:
                cut = end
            else:
                cut = self._terminator(data, at)
                cuts += 1
            is_whole = self._clean and cut > 0
            if cut < 0:
                cut = end
            piece = data if at == 0 and cut == end else data[at:cut]
            at = cut
            if is_whole and self.ready:
                head = self.memo.get(piece)
                if head is not None and self._answer_remembered(head):
                    continue
            if not self._parse(piece):
                return
            if self._complete:
                self._complete = False
                self._blank_bytes = 0
                if is_whole and self._head is not None:
                    self.memo.offer(piece, self._head)
                self._dispatch()
            elif self._begins_stream:
                self._begins_stream = False
                self._dispatch()
        if not self._clean and not self._closing:
            self._progress()

    def _terminator(self, data: bytes, at: int) -> int:
        """Where the message's blank line ends in `data`, looking from `at`; -1: not in here.

        The blank line may have begun in an earlier read: `_tail` has its last three bytes.
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

    def _parse(self, piece: bytes) -> bool:
        """Feed the parser; False when that ended the conversation."""
        over = False
        if not self._is_in_body:
            # Only as much of a head as is allowed reaches the parser.
            allowed = self.worker.config.max_header_bytes - (0 if self._clean else self._head_bytes)
            if len(piece) > allowed:
                over = True
                piece = piece[:allowed]
            self._head_bytes = len(piece) if self._clean else self._head_bytes + len(piece)
        try:
            if piece:
                self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # Raised when the message is complete: what it wants to become is decided in `_dispatch`.
            pass
        except httptools.HttpParserError as error:
            if self._overrun:
                # A second message in one piece: only bare line ends can hide one. Answer the first, then close.
                self._keep_alive = False
                if self._cycle is not None:
                    self._cycle.keep_alive = False
                self._overrun = False
                self._is_sealed = True
                return True
            if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
                _log.error("the edge failed on a request", exc_info=error.__context__)
            self._path = self._path if self._is_in_body else self.url.partition(b"?")[0]
            self._refuse_input(400, "edge/malformed", "The request could not be read")
            return False
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._refuse_input(failure.status, failure.because, failure.safe_text)
            return False
        if len(self.url) > MAX_URL_BYTES and not self._is_in_body:
            self._path = self.url.partition(b"?")[0]
            self._refuse_input(414, "edge/url-too-long", "The address is too long")
            return False
        if over:
            self._path = self.url.partition(b"?")[0]
            self._refuse_input(431, "edge/head-too-large", "The request's head is too large")
            return False
        return True

    def _progress(self) -> None:
        """A message is incomplete: which deadline holds now."""
        now = self.loop.time()
        config = self.worker.config
        if self._is_in_body:
            if self._cycle is not None and self._reading_paused:
                self._arm(_BUSY, NEVER)
            else:
                self._arm(_BODY, min(self._body_end_s, now + config.body_stall_s))
        elif self._kind != _HEADER:
            self._arm(_HEADER, now + config.header_timeout_s)

    # The parser's calls

    def on_message_begin(self) -> None:
        if not self._clean or self._complete:
            self._overrun = True
            raise ValueError("a message inside a message")
        self._clean = False
        self.ready = False
        self.url = b""
        self.headers = []
        self._facts = {}
        self._hosts = 0
        self._head = None
        self._visit = None

    def on_url(self, url: bytes) -> None:
        self.url = self.url + url if self.url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value))
        if name in _FACTS:
            facts = self._facts
            if name == b"host":
                self._hosts += 1
            if name in facts:
                value = facts[name] + (b"; " if name == b"cookie" else b", ") + value
            facts[name] = value

    def on_headers_complete(self) -> None:
        worker = self.worker
        worker.counts.requests += 1
        parser = self.parser
        facts = self._facts
        self._method = method = parser.get_method().decode("ascii")
        self._version = version = parser.get_http_version()
        self._is_in_body = True
        if version == "1.1":
            self._keep_alive = not worker.is_draining and parser.should_keep_alive()
            if self._hosts != 1:
                self._fail(400, "edge/malformed", "A request names one host")
                return
        elif version == "1.0":
            self._keep_alive = False
        else:
            self._keep_alive = False
            self._fail(505, "edge/version", "This server speaks HTTP/1.1")
            return
        if not self._take_target():
            self._fail(400, "edge/malformed", "The address could not be read")
            return
        length = 0
        self._is_chunked = b"transfer-encoding" in facts
        if b"content-length" in facts:
            try:
                length = int(facts[b"content-length"])
            except ValueError:
                self._fail(400, "edge/malformed", "The request could not be read")
                return
        path = self._path
        credentials = None
        if self._query or b"authorization" in facts or b"cookie" in facts:
            credentials = credentials_of(facts.get(b"authorization"), facts.get(b"cookie"), self._query)
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
            if facts.get(b"upgrade", b"").lower() == b"websocket":
                if method != "GET" or length or self._is_chunked or version != "1.1":
                    self._fail(400, "edge/malformed", "A WebSocket handshake is a GET without a body")
                    return
                self._is_upgrade = True
                return
        if length or self._is_chunked:
            self._expect_body(length, self.loop.time())
        elif credentials is None and (method == "GET" or method == "HEAD") and path != b"/health":
            self._head = Head(
                path,
                worker.hot_key(path, self._query),
                coding=coding_for(facts.get(b"accept-encoding")),
                if_none_match=facts.get(b"if-none-match"),
                only_head=method == "HEAD",
                keep_alive=self._keep_alive,
            )

    def on_body(self, body: bytes) -> None:
        if self._failure is not None:
            return
        if self._body_left:
            self._body_left -= len(body)
        cycle = self._cycle
        self._input_bytes += len(body)
        if self._is_chunked:
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

    def _fail(self, status: int, because: str, safe_text: str) -> None:
        """The message is refused; said once the parser has returned."""
        if self._failure is None:
            self._failure = Refused(status, because, safe_text)

    def _take_target(self) -> bool:
        """Path and query of the request target; False when it cannot be one."""
        url = self.url
        if b"#" in url:
            url = url.partition(b"#")[0]
        if url[:1] == b"/":
            self._path, _, self._query = url.partition(b"?")
        elif url == b"*" and self._method == "OPTIONS":
            self._path, self._query = b"*", b""
        elif self._method == "CONNECT":
            self._path, self._query = b"", b""
            return True
        else:
            # Absolute form, as proxies are sent (RFC 9112, 3.2.2).
            try:
                parsed = httptools.parse_url(url)
            except httptools.HttpParserInvalidURLError:
                return False
            if parsed.schema is None or parsed.schema.lower() not in (b"http", b"https") or not parsed.host:
                return False
            self._path, self._query = parsed.path or b"/", parsed.query or b""
        return url.isascii() and b"%00" not in self._path

    def _expect_body(self, length: int, now: float) -> None:
        """A body follows: its limits, its deadline, and the word that it may come."""
        worker = self.worker
        config = worker.config
        limit = config.max_body_bytes
        if worker.body_limit is not None:
            limit = worker.body_limit(self._path)
        if length > limit:
            self._fail(413, "edge/body-too-large", "The request is too large")
            return
        self._body_left = length
        self._body_limit = limit
        self._received = 0
        more_s = (
            max(length, 0 if length else limit) / MIN_UPLOAD_BYTES_PER_S
            if limit > config.max_body_bytes
            else 0
        )
        self._body_end_s = now + config.body_timeout_s + more_s
        if self._version == "1.1" and self._facts.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # From a message to its answer

    def _dispatch(self) -> None:
        """A message may be answered: from memory, from the cache, or by the application."""
        self.ready = False
        self._outstanding = True
        now = self.loop.time()
        if self._path == b"/health" and self._method in ("GET", "HEAD"):
            head = Head(
                b"/health",
                None,
                coding=0,
                if_none_match=None,
                only_head=self._method == "HEAD",
                keep_alive=self._keep_alive,
            )
            self._answer_page(self.worker.health, head, now, cached=False)
            return
        head_or_none = self._head
        if head_or_none is None or head_or_none.key is None or not self._serve_hot(head_or_none, now):
            self._admit(now)

    def _serve_hot(self, head: Head, now: float) -> bool:
        """Answer from the cache or wait for a rendering in progress; False: this request renders."""
        cache = self.worker.cache
        assert head.key is not None
        page = cache.lookup(head.key, now)
        flight = cache.flights.get(head.key)
        if page is not None and (page.fresh_until_s > now or flight is not None):
            self._answer_page(page, head, now)
            return True
        if flight is not None and cache.wait(flight, self):
            self._flight = flight
            self._arm(_FLIGHT, now + LANES[3].deadline_s)
            return True
        return False

    def _answer_page(self, page: Page, head: Head, now: float, *, cached: bool = True) -> None:
        if cached and head.plain and not page.is_metered:
            self.transport.write(self._plain_wire(page, head.coding))
            self._answered(head.keep_alive)
            return
        worker = self.worker
        counts = worker.counts
        extra = b""
        if page.is_metered:
            limit = worker.gate.ceiling.rate_limit(self.stranger, now, epoch_s=worker.epoch_s(now))
            if limit is not None:
                extra = worker.refusals.rate_limit_lines(*limit)
        status, wire = page.answer(head, worker.second, worker.date, extra)
        if cached:
            counts.served_from_cache += 1
            if page.was_made:
                page.was_made = False
                worker.cache.touch(page)
            if status == 304:
                counts.not_modified += 1
        self.transport.write(wire)
        self._answered(head.keep_alive)

    def _admit(self, now: float, *, alone: bool = False) -> None:
        """To the application: now, later, or not. `alone`: without trying to render for others."""
        worker = self.worker
        visit = self._visit
        assert visit is not None
        gate = worker.gate
        identity = visit.identity
        head = self._head
        because = gate.spend(
            identity,
            token_hash=visit.token_hash,
            sign_in_path=self._path if self._method == "POST" else None,
            at_s=now,
        )
        if because:
            self._refuse(because, identity, head, now)
            return
        rule = classify(identity, method=self._method, path=self._path)
        ticket = Ticket(identity, rule.lane)
        scope = self._scope(visit)
        cycle = Cycle(
            self, worker, scope, ticket, keep_alive=self._keep_alive, only_head=self._method == "HEAD"
        )
        ticket.payload = cycle
        cycle.version_1_0 = self._version == "1.0"
        cycle.is_body_complete = self._clean
        cycle.is_upgrade = self._is_upgrade
        if self._body:
            cycle.body, self._body = self._body, bytearray()
        scope["release_slot"] = cycle.release
        if head is not None and head.key is not None:
            cycle.head = head
            cycle.hot = scope["hot"] = HotRender()
            scope["method"] = "GET"
            if not alone and head.key not in worker.cache.flights:
                cycle.stale = worker.cache.lookup(head.key, now)
                cycle.flight = worker.cache.begin(head.key, now)
        self._cycle = cycle
        scope["rate_limit"] = gate.ceiling.rate_limit(identity, now, epoch_s=worker.epoch_s(now))
        because = gate.ask(ticket, now)
        if because:
            self.refuse_cycle(cycle, because)
            return
        if ticket.state == RUNNING:
            cycle.start()
        else:
            self._settle()
            worker.settle()

    def _scope(self, visit: Visit) -> Scope:
        path = self._path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self._version,
            "server": self.server,
            "client": self.client,
            "scheme": self.worker.scheme,
            "method": self._method,
            "root_path": "",
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": self._path,
            "query_string": self._query,
            "headers": self.headers,
            "state": {},
            "visit": visit,
            "rate_limit": None,
        }

    def refuse_cycle(self, cycle: Cycle, because: str) -> None:
        """A request lost its place, or got none: an old page if there is one, else an honest no."""
        if self._cycle is not cycle:
            return
        self._cycle = None
        self._refuse(because, cycle.ticket.identity, cycle.head, self.loop.time())
        cycle.land(retry=True)
        self._feed_stash()

    def _refuse(self, because: str, identity: Identity, head: Head | None, now: float) -> None:
        """An old page if there is one, else an honest no."""
        if head is not None and head.key is not None:
            page = self.worker.cache.lookup(head.key, now)
            if page is not None:
                self._answer_page(page, head, now)
                return
        keep_alive = self._keep_alive and self._clean and not self.worker.is_draining
        self.transport.write(
            self._refusal(because, identity, self._path, keep_alive, self._method == "HEAD", now)
        )
        self._forget_input()
        if self._clean:
            self._answered(keep_alive)
        else:
            self._linger()

    def resume_from_flight(self, *, alone: bool) -> None:
        """The rendering this request waited for is over: take its page, or see to one oneself."""
        self._flight = None
        head = self._head
        if self._closing or head is None:
            return
        self._arm(_BUSY, NEVER)
        now = self.loop.time()
        if alone or not self._serve_hot(head, now):
            self._admit(now, alone=alone)
        self._feed_stash()

    def cycle_finished(self, cycle: Cycle) -> None:
        """The application's answer is complete."""
        if self._cycle is not cycle:
            return
        self._cycle = None
        self._outstanding = False
        self._forget_input()
        if self._closing:
            return
        if not self._clean:
            self._linger()
        elif not cycle.keep_alive or self._is_sealed or self.worker.is_draining:
            self._close()
        else:
            self._settle()
            self._feed_stash()

    def body_taken(self, size_bytes: int) -> None:
        """The application took so much of the body: more may come."""
        taken = min(size_bytes, self._input_bytes)
        self._input_bytes -= taken
        self.worker.input_bytes -= taken
        if self._is_in_body and not self._closing:
            self._resume_reading()
            self._progress()

    async def drained(self) -> None:
        """Return when the client has read enough for more to be written, or is gone."""
        if self.write_paused and not self._closing:
            waiter = self.loop.create_future()
            self._drain_waiters.append(waiter)
            await waiter

    def hand_over(self, cycle: Cycle) -> None:
        """A WebSocket handshake was admitted: the transport goes to its own protocol, and the caps with it."""
        worker = self.worker
        worker.counts.admitted += 1
        worker.counts.upgrades += 1
        lines = [b"GET ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        visit = cycle.scope["visit"]
        socket = EdgeWebSocket(
            self.config,
            self.server_state,
            self.app_state,
            self.loop,
            worker=worker,
            address=self.address,
            release=cycle.release,
            extras={"visit": visit, "rate_limit": cycle.scope["rate_limit"], "release_slot": cycle.release},
        )
        worker.wheel.disarm(self)
        worker.connections.discard(self)
        self._closing = True
        self._cycle = None
        # The parser holds this object's methods: without it the two would be garbage in a circle.
        self.parser = None  # type: ignore[assignment]
        stash, self._stash = self._stash, b""
        self._forget_input()
        socket.connection_made(self.transport)
        self.transport.set_protocol(socket)
        if self._reading_paused:
            self.transport.resume_reading()
        socket.data_received(b"".join(lines))
        if stash and not self.transport.is_closing():
            socket.data_received(stash)

    # Refusing input

    def _refuse_input(self, status: int, because: str, safe_text: str, *, linger: bool = True) -> None:
        """Say what is wrong with what came, and close: what follows cannot be understood any more."""
        worker = self.worker
        cycle = self._cycle
        if cycle is not None:
            # An upload that went wrong while it ran: what the application has begun to say cannot be taken back.
            self._cycle = None
            began = cycle.has_begun
            cycle.disconnect()
            if began:
                self.abort()
                return
        worker.counts.refused[because] += 1
        refused = Refused(status, because, safe_text, 2 if status == 503 else None)
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

    def _discard(self, size_bytes: int) -> None:
        if self._lingering_bytes >= 0:
            self._lingering_bytes += size_bytes
            if self._lingering_bytes > LINGER_BYTES:
                self.worker.counts.closed[_LINGER] += 1
                self.abort()

    # Keeping back, pausing, closing

    def _keep_back(self, data: bytes) -> None:
        """What came before its turn waits as bytes, and the client with it."""
        worker = self.worker
        self._stash = self._stash + data if self._stash else data
        self._input_bytes += len(data)
        worker.input_bytes += len(data)
        self.ready = False
        if worker.input_bytes > INPUT_MEMORY_BYTES:
            worker.counts.closed["memory"] += 1
            self.abort()
            return
        self._pause_reading()

    def _feed_stash(self) -> None:
        if self._closing:
            return
        if self._stash:
            if self._outstanding or self.write_paused:
                return
            data, self._stash = self._stash, b""
            self._input_bytes -= len(data)
            self.worker.input_bytes -= len(data)
            self._feed(data)
        if not self._stash:
            self._resume_reading()

    def _forget_input(self) -> None:
        """The input held for this connection's message is no longer held; what is kept back stays counted."""
        self.worker.input_bytes -= self._input_bytes - len(self._stash)
        self._input_bytes = len(self._stash)
        if self._body:
            self._body = bytearray()

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    def _answered(self, keep_alive: bool) -> None:  # noqa: FBT001 - private: the one thing left to say
        """An answer that needed no application was written."""
        self._outstanding = False
        if keep_alive and not self._is_sealed:
            self._settle()
        else:
            self._close()

    def _settle(self) -> None:
        """Which deadline holds now that something ended, and whether the next bytes may be answered at once."""
        if self._closing:
            return
        if self.write_paused:
            self._arm_write()
        elif self._flight is not None:
            pass
        elif self._outstanding:
            if self._clean:
                self._arm(_BUSY, NEVER)
            else:
                self._progress()
        elif self._clean:
            self.ready = not self.worker.is_draining
            self._arm(_IDLE, self.loop.time() + self.worker.config.keepalive_timeout_s)

    def _arm(self, kind: str, deadline_s: float) -> None:
        self._kind = kind
        self.worker.wheel.arm(self, deadline_s)

    def _arm_write(self) -> None:
        if self._kind != _WRITE:
            self._write_mark = self.transport.get_write_buffer_size()
            self._arm(_WRITE, self.loop.time() + self.worker.config.write_timeout_s)

    def _wake_drained(self) -> None:
        waiters, self._drain_waiters = self._drain_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _leave_flight(self) -> None:
        flight = self._flight
        if flight is not None:
            self._flight = None
            if self in flight.waiters:
                flight.waiters.remove(self)

    def _close(self) -> None:
        """Close once everything written was read; not later than the write deadline."""
        self._closing = True
        self.ready = False
        self.transport.close()
        self._arm(_CLOSING, self.loop.time() + self.worker.config.write_timeout_s)

    def _linger(self) -> None:
        """Close our side, and throw away what the client still sends: a reset would take the answer with it."""
        self._closing = True
        self.ready = False
        self._lingering_bytes = 0
        self._stash = b""
        self._forget_input()
        self._outstanding = False
        self._resume_reading()
        self._arm(_LINGER, self.loop.time() + LINGER_S)
        if not self.transport.is_closing():
            self.transport.write_eof()

    def abort(self) -> None:
        """Drop the connection, whatever is still to be written."""
        self._closing = True
        self.ready = False
        self.transport.abort()

    def drain(self) -> None:
        """No more requests: close when idle, else when the present one is answered."""
        self.ready = False
        if self._closing:
            return
        if self._cycle is not None:
            self._cycle.keep_alive = False
        elif self._clean and not self._outstanding and not self._stash:
            self._close()

    def on_deadline(self, at_s: float) -> None:
        """The wheel: the deadline has come."""
        kind = self._kind
        closed = self.worker.counts.closed
        if self.transport.is_closing() and kind not in (_CLOSING, _LINGER):
            return
        if kind == _WRITE:
            left = self.transport.get_write_buffer_size()
            if self._write_mark - left >= MIN_DRAIN_BYTES:
                self._write_mark = left
                self._arm(_WRITE, at_s + self.worker.config.write_timeout_s)
                return
            closed[_WRITE] += 1
            self.abort()
        elif kind == _IDLE:
            if self.transport.get_write_buffer_size():
                closed[_WRITE] += 1
                self.abort()
            else:
                closed[_IDLE] += 1
                self._close()
        elif kind == _HEADER:
            closed[_HEADER] += 1
            if self._clean:
                self._close()
            else:
                self._path = self.url.partition(b"?")[0]
                self._refuse_input(408, "edge/header-deadline", "The request took too long", linger=False)
        elif kind == _BODY:
            closed[_BODY] += 1
            self._refuse_input(408, "edge/body-deadline", "The request took too long", linger=False)
        elif kind == _FLIGHT:
            self._leave_flight()
            self._give_up_flight(at_s)
        elif kind in (_CLOSING, _LINGER):
            closed[kind] += 1
            self.abort()

    def _give_up_flight(self, at_s: float) -> None:
        """The rendering took too long to wait for."""
        self._refuse("queue/flight", self.stranger, self._head, at_s)
        self._feed_stash()
