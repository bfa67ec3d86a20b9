"""The edge behind a proxy: whom a connection, or each of its requests, speaks for.

Only what comes from a configured proxy is believed: the PROXY protocol's header before the first request, or
`X-Forwarded-For` in each. From anybody else both are bytes like any other. A connection of a proxy carries the
requests of many clients, so who is asking is decided anew for each request, and nothing that was said to one
client is repeated to the next.

An edge without `edge.trusted_proxies` never comes here: its connections are plain `EdgeProtocol`s.
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
"""So many proxies in a row are believed; an honest chain has two or three."""
MAX_HOP_BYTES = 64
"""The longest address is 45 characters; some proxies add brackets and a port."""
MAX_SENDERS = 16_384
"""Senders remembered by what names them; when full, all are forgotten (one costs 10 µs to make again)."""
_OVER = "ceiling/at-once"
_OVER_TEXT = "Too many requests at once"
_log = logging.getLogger("stormpetrel.edge")


class Sender(NamedTuple):
    """Who stands behind a request. `client` as ASGI wants it; a port of 0 is one that nobody knows."""

    address: str
    client: tuple[str, int] | None
    stranger: Identity
    nobody: Visit
    is_proxy: bool


class Proxies:
    """The configured proxies of one worker, and what its connections share. `speak_first`: PROXY protocol."""

    def __init__(self, networks: Sequence[Network], *, speak_first: bool) -> None:
        self.speak_first = speak_first
        # Its heads know their senders, those of direct connections do not: the same bytes mean different things.
        self.memo = HeadMemo()
        self.has_warned = False
        self._networks = tuple(networks)
        self._senders: dict[bytes, Sender | None] = {}
        # Requests and streams at once by client, for those that have some
        self.at_once: Counter[Identity] = Counter()

    def trusts(self, address: str) -> bool:
        """Whether it is a proxy's; anything but an IP address is not."""
        sender = self._hop(address.encode())
        return sender is not None and sender.is_proxy

    def sender(self, address: str, port: int) -> Sender:
        """The sender with an address. Raises ValueError when it is none."""
        address = plain_address(address)
        ip = ipaddress.ip_address(address)
        stranger = address_identity(address)
        is_proxy = any(ip in network for network in self._networks)
        return Sender(address, (address, port), stranger, Visit(stranger, address), is_proxy)

    def forwarded(self, headers: list[tuple[bytes, bytes]]) -> Sender | None:
        """The client by X-Forwarded-For: from the right, the first that is no proxy of ours.

        What stands left of it is the client's own word. None: the header is missing or its last part says nothing.
        If a part in between cannot be read, the sender is the last proxy before it.
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
        """Count a request of a client in; False when it has `most` at once already."""
        if self.at_once[who] >= most:
            return False
        self.at_once[who] += 1
        return True

    def leave(self, who: Identity) -> None:
        """Count out one that was counted in."""
        self.at_once[who] -= 1
        if not self.at_once[who]:
            del self.at_once[who]

    def _hop(self, text: bytes) -> Sender | None:
        """The sender that a part of X-Forwarded-For names; None when it names none."""
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
    """`192.0.2.1:80`, `[2001:db8::1]` and `[2001:db8::1]:80` are in use too. Raises ValueError."""
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
    """A connection of an edge that has proxies in front: from one of them, or from anybody."""

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
        # Whom the connection itself speaks for, and the message that was read last
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
        """Whoever it is stays counted until the WebSocket ends."""
        who, self._at_once_as = self._at_once_as, None
        self.address = self._counted_as
        super().hand_over(cycle)
        socket = self.transport.get_protocol()
        assert isinstance(socket, EdgeWebSocket)
        socket.stand_for(self.client, None if who is None else partial(self._proxies.leave, who))

    def _believe(self) -> None:
        """What this connection says of its requests' senders is taken."""
        self._reads_forwarded = True
        self.memo = self._proxies.memo

    def _read_header(self, data: bytes) -> None:
        """The PROXY protocol's header, as much of it as has come. The deadline is that of a request's head."""
        if self._closing:
            return
        data = self._preface + data
        try:
            header = read_proxy_header(data)
        except ValueError as error:
            self.worker.counts.closed["proxy-header"] += 1
            if not self._proxies.has_warned:
                self._proxies.has_warned = True
                text = (
                    "%s opened a connection without a valid PROXY protocol header (%s); others are not logged"
                )
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
        # Whoever was given a visitor's cookie here may have been somebody else, also at the same address.
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
            # One client's rate limit is no business of the next one's on the same connection.
            self._refused_whom = ticket.identity
            self._refused_as = None
        return super()._refusal(because, ticket, path, keep_alive, only_head, now)

    def _count_in(self) -> None:
        """A client's share of the requests at once, as its connections would be counted if it came directly.

        Members are counted each for themselves: a school is one address.
        """
        self._count_out()
        assert self._visit is not None
        who = self._visit.identity
        self._is_over = not self._proxies.enter(who, self.worker.caps.per_address)
        if not self._is_over:
            self._at_once_as = who
        elif self._body_left or self._is_chunked:
            # Its body is not waited for.
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
            # Hot pages were given all the same: they cost less than this.
            ticket.state, ticket.because = GONE, _OVER
        return ticket
