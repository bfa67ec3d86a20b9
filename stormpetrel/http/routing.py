"""Routes: one line per URL, found in a tree of path segments (searching a list of 250 would cost 170 µs)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from stormpetrel.edge.heads import is_api_path
from stormpetrel.shield.percent import pairs, unquoted

if TYPE_CHECKING:
    from stormpetrel.http.request import Request
    from stormpetrel.http.response import Response

MAX_HOT_PARAMETERS = 100
"""No real client sends more: a request with more parameters bypasses the cache."""

Handler = Callable[["Request"], Awaitable["Response"]]


class Actor(Enum):
    """Who may call: any client, any valid token (an application's too), or an account's token or session."""

    ANYONE = "anyone"
    APPLICATION = "application"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One URL and method, with the data that other parts use (OpenAPI, docs, cache).

    - `path` has `{name}` for one segment, and `@{name}` for one that begins with @.
    - `scope`: the OAuth scope that a token needs.
    - `takes`, `gives`: msgspec types of input and response.
    - `statuses`: the codes of success; `refuses`: those of refusals that do not follow from the route's form
      (404 for a name in the query).
    - `hot`: not None if the anonymous GET may come from the hot-page cache; it names the query parameters
      that matter.
    - `paged`: the response has a Link header.
    - `unconfirmed`: also for accounts whose e-mail address is not confirmed yet.
    - `streams`: the response is an event stream that stays open.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    actor: Actor = Actor.ANYONE
    scope: str | None = None
    takes: type[msgspec.Struct] | None = None
    gives: Any = None
    statuses: tuple[int, ...] = (200,)
    refuses: tuple[int, ...] = ()
    hot: tuple[str, ...] | None = None
    paged: bool = False
    unconfirmed: bool = False
    streams: bool = False

    @property
    def is_api(self) -> bool:
        """True for the platform API (bearer token, JSON, CORS), False for a page."""
        return is_api_path(self.path)


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    handle: _Node | None = None
    handle_name: str = ""
    any: _Node | None = None
    any_name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


def path_text(path: bytes) -> str:
    """Return a raw path decoded for `find`. A path that cannot be decoded is returned unchanged."""
    try:
        return unquoted(path).decode("utf-8", "replace")
    except ValueError:
        return path.decode("latin-1")


class Router:
    """A tree of routes by path. Raises ValueError if two routes claim the same URL."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        self._exact: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.split("/")[1:]:
            if segment.startswith("@{"):
                node.handle = node.handle or _Node()
                node.handle_name = segment[2:-1]
                node = node.handle
            elif segment.startswith("{"):
                if node.any is not None and node.any_name != segment[1:-1]:
                    raise ValueError(f"{route.path}: this segment is called {{{node.any_name}}} elsewhere")
                node.any = node.any or _Node()
                node.any_name = segment[1:-1]
                node = node.any
            else:
                node = node.fixed.setdefault(segment, _Node())
        if route.method in node.routes:
            raise ValueError(f"{route.method} {route.path} is there twice")
        node.routes[route.method] = route
        if "{" not in route.path:
            self._exact[route.path] = node.routes

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """Return the routes of a path by method, and its parameters; ({}, {}) if there is no such path."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        if len(path) > 2 and path[-1] == "/":
            # Mastodon's router ignores a slash at the end. Links and apps use it: Mastodon.py requests
            # /api/v1/instance/.
            path = path[:-1]
            exact = self._exact.get(path)
            if exact is not None:
                return exact, {}
        parameters: dict[str, str] = {}
        node: _Node | None = self._root
        for segment in path.split("/")[1:]:
            assert node is not None
            inner = node.fixed.get(segment)
            if inner is None and node.handle is not None and len(segment) > 1 and segment[0] == "@":
                parameters[node.handle_name] = segment[1:]
                inner = node.handle
            if inner is None and node.any is not None and segment:
                parameters[node.any_name] = segment
                inner = node.any
            if inner is None:
                return {}, {}
            node = inner
        assert node is not None
        return node.routes, parameters

    def leads(self, path: bytes) -> bool:
        """Return True if there is a route at a raw path, even if its object does not exist."""
        return bool(self.find(path_text(path))[0])

    def hot_key(self, path: bytes, query: bytes) -> bytes | None:
        """Return the key of this target in the hot-page cache, or None if it is never cached.

        Parameters that the route does not name are dropped, so adding random ones finds the same page. In
        doubt, a request gets a key of its own: a page must never be cached under the key of a simpler
        request.
        """
        routes, _ = self.find(path_text(path))
        route = routes.get("GET")
        if route is None or route.hot is None:
            return None
        if not query or not route.hot:
            return path
        try:
            given = pairs(query, most=MAX_HOT_PARAMETERS)
        except ValueError:
            return None
        named = {name.partition("[")[0].encode() for name in route.hot}
        # `any[]=x`, `any[0]=x` and `any=x` all reach the handler. The order of values with the same name
        # matters.
        kept = sorted(
            ((name, value) for name, value in given if name.partition(b"[")[0] in named),
            key=itemgetter(0),
        )
        return path + b"?" + urlencode(kept).encode() if kept else path
