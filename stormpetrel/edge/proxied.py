"""The edge behind a proxy: find the client of a connection, or of each of its requests.

Only a configured proxy is trusted: for the PROXY protocol's header before the first request, or for
`X-Forwarded-For` in each request. From any other address, both are bytes like any others. A proxy's
connection carries the requests of many clients, so the client is determined again for each request, and
nothing that is meant for one client only is repeated to the next.

An edge without `edge.trusted_proxies` never uses this module: its connections are plain `EdgeProtocol`s.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from uvicorn.config import Config
from uvicorn.server import ServerState

from stormpetrel.config import Network
from stormpetrel.edge.connection import IDLE
from stormpetrel.edge.cycle import Cycle
from stormpetrel.edge.heads import Head, HeadMemo
from stormpetrel.edge.protocol import EdgeProtocol
from stormpetrel.edge.proxy_header import plain_address, read_proxy_header
from stormpetrel.edge.websocket import EdgeWebSocket
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.identify import Identity, Visit, address_identity
from stormpetrel.shield.queues import GONE, Ticket

MAX_HOPS = 16
"""Up to this many proxies in a row are trusted; an honest chain has two or three."""
MAX_HOP_BYTES = 64
"""The longest address is 45 characters; some proxies add brackets and a port."""
MAX_SENDERS = 16_384
"""Senders cached by the text that names them; when full, all are dropped (making one again costs 10 µs)."""
_OVER = "ceiling/at-once"
_OVER_TEXT = "Too many requests at once"
_log = logging.getLogger("stormpetrel.edge")


class Sender(NamedTuple):
    """The client behind a request. `client` is in ASGI's form; its port is 0 if unknown."""

    address: str
    client: tuple[str, int] | None
    stranger: Identity
    nobody: Visit
    is_proxy: bool


class Proxies:
    """One worker's configured proxies, and the state its connections share. `speak_first`: PROXY protocol."""

    def __init__(self, networks: Sequence[Network], *, speak_first: bool) -> None:
        self.speak_first = speak_first
        # These heads know their senders, heads of direct connections do not: the same
        # bytes mean different things.
        self.memo = HeadMemo()
        self.has_warned = False
        self._networks = tuple(networks)
        self._senders: dict[bytes, Sender | None] = {}
        # Requests and streams in progress by client, for clients that have any.
        self.at_once: Counter[Identity] = Counter()

    def trusts(self, address: str) -> bool:
        """Return whether the address is a proxy's; False for anything but an IP address."""
        sender = self._hop(address.encode())
        return sender is not None and sender.is_proxy

    def sender(self, address: str, port: int) -> Sender:
        """Return the sender with an address. Raise ValueError if it is not an IP address."""
        address = plain_address(address)
        ip = ipaddress.ip_address(address)
        stranger = address_identity(address)
        is_proxy = any(ip in network for network in self._networks)
        return Sender(address, (address, port), stranger, Visit(stranger, address), is_proxy)

    def forwarded(self, headers: list[tuple[bytes, bytes]]) -> Sender | None:
        """Return the client by X-Forwarded-For: from the right, the first address that is no trusted proxy.

        Parts to the left of it were written by the client itself. Return None if the header is missing or its
        last part is invalid. If a part in between cannot be read, return the last proxy before it.
        """
        values = [value for name, value in headers if name == b"x-forwarded-for"]
        if not values:
            return None
        rest = values[0] if len(values) == 1 else b",".join(values)
        found: Sender | None = None
        for _ in range(MAX_HOPS):
            rest, comma, hop = rest.rpartition(b",")
            sender = self._hop(hop.strip())
            if sender is None:
                break
            found = sender
            if not comma or not sender.is_proxy:
                break
        return found

    def enter(self, who: Identity, most: int) -> bool:
        """Count a request of a client; return False if it already has `most` in progress."""
        if self.at_once[who] >= most:
            return False
        self.at_once[who] += 1
        return True

    def leave(self, who: Identity) -> None:
        """Stop counting a request that was counted."""
        self.at_once[who] -= 1
        if not self.at_once[who]:
            del self.at_once[who]

    def _hop(self, text: bytes) -> Sender | None:
        """Return the sender that a part of X-Forwarded-For names; None if it names none."""
        if text in self._senders:
            return self._senders[text]
        if len(text) > MAX_HOP_BYTES:
            return None
        try:
            sender: Sender | None = self.sender(_without_port(text.decode("ascii")), 0)
        except ValueError:
            sender = None
        if len(self._senders) >= MAX_SENDERS:
            self._senders.clear()
        self._senders[text] = sender
        return sender


def _without_port(hop: str) -> str:
    """Strip port and brackets of `192.0.2.1:80`, `[2001:db8::1]` or `[2001:db8::1]:80`. Raise ValueError."""
    if hop[:1] == "[":
        address, bracket, port = hop[1:].partition("]")
        if (
            not bracket
            or ":" not in address
            or not (port == "" or (port[:1] == ":" and port[1:].isdecimal()))
        ):
            raise ValueError("not an address in brackets")
        return address
    if hop.count(":") == 1:
        address, _, port = hop.partition(":")
        if not port.isdecimal():
            raise ValueError("not a port")
        return address
    return hop


class ProxiedProtocol(EdgeProtocol):
    """A connection of an edge with proxies in front: from one of them, or from any other client."""

    def __init__(
        self,
        proxies: Proxies,
        worker: EdgeWorker,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(worker, config, server_state, {}, loop)
        self._proxies = proxies
        # The sender of the connection itself, and the sender of the last message read.
        self._nearest: Sender = None  # type: ignore[assignment]
        self._sender: Sender = None  # type: ignore[assignment]
        self._reads_forwarded = False
        self._awaits_header = False
        self._preface = b""
        self._counted_as = ""
        self._at_once_as: Identity | None = None
        self._is_over = False
        self._refused_whom: Identity | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.address:
            return
        self._counted_as = self.address
        is_proxy = self._proxies.trusts(self.address)
        self._nearest = Sender(self.address, self.client, self.stranger, self._nobody, is_proxy)
        self._sender = self._nearest
        if is_proxy and self._proxies.speak_first:
            self._awaits_header = True
            self.ready = False
        elif is_proxy:
            self._believe()

    def connection_lost(self, exc: Exception | None) -> None:
        self._count_out()
        self.address = self._counted_as
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._awaits_header:
            self._read_header(data)
        else:
            super().data_received(data)

    def on_headers_complete(self) -> None:
        if not self._reads_forwarded:
            super().on_headers_complete()
            return
        sender = self._proxies.forwarded(self.headers)
        self._speak_for(sender or self._nearest)
        super().on_headers_complete()
        if self._head is not None:
            self._head.sender = sender
        if self._failure is None:
            self._count_in()

    def hand_over(self, cycle: Cycle) -> None:
        """Hand over as a plain connection does; the client stays counted until the WebSocket ends."""
        who, self._at_once_as = self._at_once_as, None
        self.address = self._counted_as
        super().hand_over(cycle)
        socket = self.transport.get_protocol()
        assert isinstance(socket, EdgeWebSocket)
        socket.stand_for(self.client, None if who is None else partial(self._proxies.leave, who))

    def _believe(self) -> None:
        """Trust the senders that this connection's requests name."""
        self._reads_forwarded = True
        self.memo = self._proxies.memo

    def _read_header(self, data: bytes) -> None:
        """Read the PROXY protocol's header as it arrives. The deadline of a request's head applies."""
        if self._closing:
            return
        data = self._preface + data
        try:
            header = read_proxy_header(data)
        except ValueError as error:
            self.worker.counts.closed["proxy-header"] += 1
            if not self._proxies.has_warned:
                self._proxies.has_warned = True
                text = "%s began a connection without a good PROXY protocol header (%s), and so may others"
                _log.warning(text, self.address, error)
            self.abort()
            return
        if header is None:
            self._preface = data
            return
        self._awaits_header = False
        self._preface = b""
        if header.source is not None:
            self._nearest = sender = self._proxies.sender(*header.source)
            if self.worker.caps.move(self._counted_as, sender.address):
                self._refuse_input(429, "edge/connections", _OVER_TEXT)
                return
            self._counted_as = sender.address
            self._speak_for(sender)
            if sender.is_proxy:
                self._believe()
        self.ready = not self.worker.is_draining
        rest = data[header.size_bytes :]
        if rest:
            self.data_received(rest)

    def _speak_for(self, sender: Sender) -> None:
        # An earlier visitor cookie on this connection may have gone to another
        # client, even at the same address.
        self._introduced = None
        if sender is not self._sender:
            self._sender = sender
            self.address, self.client, self.stranger, self._nobody, _ = sender

    def _answer_remembered(self, head: Head) -> bool:
        if self._reads_forwarded:
            self._speak_for(head.sender or self._nearest)
        return super()._answer_remembered(head)

    def _refusal(
        self,
        because: str,
        ticket: Ticket,
        path: bytes,
        keep_alive: bool,  # noqa: FBT001 - as in the class above
        only_head: bool,  # noqa: FBT001
        now: float,
    ) -> bytes:
        if ticket.identity != self._refused_whom:
            # One client's rate limit must not be sent to the next client on the same connection.
            self._refused_whom = ticket.identity
            self._refused_as = None
        return super()._refusal(because, ticket, path, keep_alive, only_head, now)

    def _count_in(self) -> None:
        """Count the request in its client's limit, which matches the connection cap of a direct client.

        Members are counted by account, as many of them may share an address (a school).
        """
        self._count_out()
        assert self._visit is not None
        who = self._visit.identity
        self._is_over = not self._proxies.enter(who, self.worker.caps.per_address)
        if not self._is_over:
            self._at_once_as = who
        elif self._body_left or self._is_chunked:
            # Refuse at once instead of waiting for its body.
            self._fail(429, "edge/at-once", _OVER_TEXT)

    def _count_out(self) -> None:
        who = self._at_once_as
        if who is not None:
            self._at_once_as = None
            self._proxies.leave(who)

    def _settle(self) -> None:
        super()._settle()
        if self._kind == IDLE:
            self._count_out()

    def _decide(self, visit: Visit, now: float) -> Ticket:
        ticket = super()._decide(visit, now)
        if self._is_over and ticket.state != GONE:
            # Hot pages were served before this point: they cost less than a refusal.
            ticket.state, ticket.because = GONE, _OVER
        return ticket
