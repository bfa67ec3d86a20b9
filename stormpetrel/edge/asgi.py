"""The types of ASGI, and the scopes of a request and a WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from stormpetrel.edge.message import RequestMessage
from stormpetrel.shield.identify import Visit
from stormpetrel.shield.queues import Ticket

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[AsgiMessage]], Callable[[AsgiMessage], Awaitable[None]]], Awaitable[None]
]
_ASGI = {"version": "3.0", "spec_version": "2.4"}


class HotRender:
    """`scope["hot"]`: the application uses it to say that its answer may be shared by all visitors."""

    __slots__ = ("tags", "ttl_s")

    def __init__(self) -> None:
        self.tags: tuple[str, ...] | None = None
        self.ttl_s: float | None = None

    def keep(self, tags: Iterable[str], *, ttl_s: float | None = None) -> None:
        """Store this request's 200 answer under these tags ("account:12", "post:34", "public", …).

        `ttl_s`: how long it is fresh; None for the configured time. An answer that sets a cookie, or whose
        Cache-Control has `private` or `no-store`, is never stored.
        """
        self.tags = tuple(tags)
        self.ttl_s = ttl_s


def http_scope(
    message: RequestMessage,
    visit: Visit,
    ticket: Ticket,
    *,
    client: tuple[str, int] | None,
    server: tuple[str, int] | None,
    scheme: str,
    rate_limit: int,
) -> dict[str, Any]:
    """Return the ASGI scope of a message, with the entries of the edge: `visit`, `rate_limit`, and the ticket's."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": message.version,
        "server": server,
        "client": client,
        "scheme": scheme,
        "method": message.method,
        "root_path": "",
        "path": message.path_text,
        "raw_path": message.path,
        "query_string": message.query,
        "headers": message.headers,
        "state": {},
        "visit": visit,
        "rate_limit": rate_limit,
        "lane": ticket.lane,
        "is_near": ticket.is_neighbour,
        "is_canary": ticket.identity.kind == "canary",
    }


def websocket_scope(scope: Mapping[str, Any], release: Callable[[], None]) -> dict[str, Any]:
    """Return a WebSocket's scope, from that of the request that asked for it."""
    kept = ("client", "path", "raw_path", "query_string", "headers", "visit")
    return {**{name: scope[name] for name in kept}, "release_slot": release}
