"""The sender of a request: the client of the connection, or the client that a proxy names.

Only a configured proxy is trusted: for the PROXY protocol's header before the first request, or for
`X-Forwarded-For` in each request. From any other address, both are bytes like any others. A proxy's
connection carries the requests of many clients, so the client is determined again for each request, and
nothing that is meant for one client only is repeated to the next.

An edge without `edge.trusted_proxies` has neither `Proxies` nor `ForwardedSenders`.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from stormpetrel.config import Network
from stormpetrel.edge.proxy_header import plain_address, read_proxy_header
from stormpetrel.shield.identify import Identity, Visit, address_identity

MAX_HOPS = 16
"""Up to this many proxies in a row are trusted; an honest chain has two or three."""
MAX_HOP_BYTES = 64
"""The longest address is 45 characters; some proxies add brackets and a port."""
MAX_SENDERS = 16_384
"""Senders cached by the text that names them; when full, all are dropped (making one again costs 10 µs)."""
_log = logging.getLogger("stormpetrel.edge")


class Sender(NamedTuple):
    """The client behind a request. `client` is in ASGI's form; its port is 0 if unknown.

    `anonymous_visit`: the visit of its requests without a credential.
    """

    address: str
    client: tuple[str, int] | None
    stranger: Identity
    anonymous_visit: Visit
    is_proxy: bool


def direct_sender(address: str, client: tuple[str, int] | None, *, is_proxy: bool = False) -> Sender:
    """Return the sender at the other side of a connection. `address`: its own, or "local" without one."""
    stranger = address_identity(address)
    return Sender(address, client, stranger, Visit(stranger, address), is_proxy)


class Proxies:
    """One worker's configured proxies, and the state its connections share. `speak_first`: PROXY protocol."""

    def __init__(self, networks: Sequence[Network], *, speak_first: bool) -> None:
        self.speak_first = speak_first
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
        is_proxy = any(ip in network for network in self._networks)
        return direct_sender(address, (address, port), is_proxy=is_proxy)

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

    def forget(self) -> None:
        """Drop the cached senders."""
        self._senders.clear()

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


class ForwardedSenders:
    """The clients that share one connection of a trusted proxy. The request in progress counts for one of them.

    `nearest`: the sender of requests that name none. Members are counted by account, as many of them may share an
    address (a school); `most` is a client's limit, which matches the connection cap of a direct client.
    `is_over`: the last request that entered is over it.
    """

    __slots__ = ("_counted", "_most", "_nearest", "_proxies", "is_over")

    def __init__(self, proxies: Proxies, nearest: Sender, *, most: int) -> None:
        self._proxies = proxies
        self._nearest = nearest
        self._most = most
        self._counted: Identity | None = None
        self.is_over = False

    def sender(self, named: Sender | None) -> Sender:
        """Return the sender of a request, which names `named` or, if that is None, no sender."""
        return named or self._nearest

    def named(self, headers: list[tuple[bytes, bytes]]) -> Sender | None:
        """Return the sender that a request's headers name; None if they name none."""
        return self._proxies.forwarded(headers)

    def enter(self, who: Identity) -> bool:
        """Count a request of this client; return False if the client has reached its limit."""
        self.leave()
        self.is_over = not self._proxies.enter(who, self._most)
        if not self.is_over:
            self._counted = who
        return not self.is_over

    def leave(self) -> None:
        """Stop counting the request, if it is counted."""
        who = self._counted
        if who is not None:
            self._counted = None
            self._proxies.leave(who)

    def pass_on(self) -> Callable[[], None] | None:
        """Return the function that stops counting the request, for the caller to call; None if it is not counted."""
        who, self._counted = self._counted, None
        return None if who is None else partial(self._proxies.leave, who)


class ProxyPreface:
    """The PROXY protocol's header of one connection, as it arrives."""

    __slots__ = ("_data", "proxies")

    def __init__(self, proxies: Proxies) -> None:
        self.proxies = proxies
        self._data = b""

    def read(self, data: bytes, address: str) -> tuple[Sender | None, bytes] | None:
        """Return the sender that the header names and the bytes after the header; None while it is incomplete.

        The sender is None if the proxy speaks for itself. Raise ValueError for other bytes, and log the first such
        connection with its `address`.
        """
        self._data += data
        try:
            header = read_proxy_header(self._data)
        except ValueError as error:
            if not self.proxies.has_warned:
                self.proxies.has_warned = True
                text = (
                    "%s opened a connection without a valid PROXY protocol header (%s); others are not logged"
                )
                _log.warning(text, address, error)
            raise
        if header is None:
            return None
        sender = None if header.source is None else self.proxies.sender(*header.source)
        return sender, self._data[header.size_bytes :]
