"""Routes: one line per URL, found in a tree of path segments (searching a list of 250 would cost 170 µs).

Only a route and its area know the facts of a path: its family, its CORS headers, what it costs, the size of
its bodies and its cached answers. The router compiles them into the table that the edge and the shield use.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from stormpetrel.readers.facts import Fact
from stormpetrel.shield.paths import API, FEED, PAGE, STREAM, Family, PathFacts, PathTable
from stormpetrel.shield.percent import unquoted

if TYPE_CHECKING:
    from stormpetrel.http.request import Request
    from stormpetrel.http.response import Response

Handler = Callable[["Request"], Awaitable["Response"]]


class Actor(Enum):
    """The credential that a route requires: none, any valid token (also an application's), or an account's token or
    session."""

    ANYONE = "anyone"
    APPLICATION = "application"
    ACCOUNT = "account"


class BodySize(Enum):
    """The size of the largest body of a request with a credential. `body_bytes` in roles/web.py gives the bytes."""

    DEFAULT = "default"
    KEYWORDS = "keywords"
    TEXTS = "texts"
    PICTURES = "pictures"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Facts that all paths with a prefix or a suffix share, also those without a route.

    - `family`: the format of refusals and errors. A route may have another one.
    - `has_cors`: every answer, also a refusal, is readable from any origin.
    - `is_opened_by_apps`: web apps open its pages in a window and wait for its message.
    - `is_same_for_all`: static files; session cookies make no difference.
    """

    prefix: str = ""
    suffix: str = ""
    family: Family = Family.PAGE
    has_cors: bool = False
    is_opened_by_apps: bool = False
    is_same_for_all: bool = False

    def contains(self, path: str) -> bool:
        """Return True if a path, or a route's pattern, has the prefix and the suffix."""
        return path.startswith(self.prefix) and path.endswith(self.suffix)


AREAS = (
    Area(prefix="/api/", family=Family.API, has_cors=True),
    Area(prefix="/oauth/", family=Family.API, has_cors=True, is_opened_by_apps=True),
    Area(prefix="/.well-known/", family=Family.API, has_cors=True),
    Area(prefix="/nodeinfo/", family=Family.API, has_cors=True),
    # Web apps draw these on a canvas, or load them with `crossorigin`.
    Area(prefix="/assets/", has_cors=True, is_same_for_all=True),
    Area(prefix="/media/", has_cors=True),
    Area(prefix="/auth/", is_opened_by_apps=True),
    Area(suffix=".atom", family=Family.FEED, has_cors=True),
    Area(),
)
"""The first area that matches a path counts."""
_KINDS = {Family.PAGE: PAGE, Family.API: API, Family.FEED: FEED}
_READING = frozenset({"GET", "HEAD"})


def area_of(path: str) -> Area:
    """Return the area of a path or of a route's pattern."""
    return next(one for one in AREAS if one.contains(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One URL and method, with the data that other parts use (OpenAPI, docs, cache, shield, edge).

    - `path` has `{name}` for one segment, and `@{name}` for one that begins with @.
    - `scope`: the OAuth scope that a token needs.
    - `takes`, `gives`: msgspec types of input and response.
    - `statuses`: the codes of success; `refuses`: those of refusals that do not follow from the route's form
      (404 for a name in the query).
    - `hot`: not None if the anonymous GET may come from the hot-page cache; it names the query parameters
      that matter.
    - `finished`: not None if the answer to an account's token may be stored for its next request; it names the
      facts of the reader that the answer depends on. `Request.keep_finished` adds the posts and accounts in it.
    - `reads_home`: the answer shows the reader's home timeline.
    - `paged`: the response has a Link header.
    - `unconfirmed`: also for accounts whose e-mail address is not confirmed yet.
    - `streams`: the response is an event stream that stays open.
    - `media_type`: the type of an API's response, without its parameters.
    - `kind`: the shield's kind of request (shield/paths.py); None for that of the family.
    - `body`: the size of the largest body.
    - `own_family`: the format of refusals and errors, if it is not the area's. Only the API has CORS then.
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
    finished: tuple[Fact, ...] | None = None
    reads_home: bool = False
    paged: bool = False
    unconfirmed: bool = False
    streams: bool = False
    media_type: str = "application/json"
    kind: int | None = None
    body: BodySize = BodySize.DEFAULT
    own_family: Family | None = None

    @property
    def family(self) -> Family:
        """Return the format of refusals and errors: the area's, unless the route has its own."""
        return area_of(self.path).family if self.own_family is None else self.own_family

    @property
    def is_api(self) -> bool:
        """Return True for the API (bearer token, JSON, CORS), False for a page or a feed."""
        return self.family is Family.API

    @property
    def has_cors(self) -> bool:
        """Return True if every answer, also a refusal, is readable from any origin."""
        return area_of(self.path).has_cors if self.own_family is None else self.is_api

    @property
    def shield_kind(self) -> int:
        """Return the shield's kind of request."""
        if self.kind is not None:
            return self.kind
        return STREAM if self.streams else _KINDS[self.family]


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    handle: _Node | None = None
    handle_name: str = ""
    any: _Node | None = None
    any_name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)
    facts: PathFacts | None = None


def path_text(path: bytes) -> str:
    """Return a raw path decoded for `find`. A path that cannot be decoded is returned unchanged."""
    try:
        return unquoted(path).decode("utf-8", "replace")
    except ValueError:
        return path.decode("latin-1")


class Router:
    """A tree of routes by path, and the facts of every path. Raises ValueError if two routes claim the same URL.

    `sockets`: the paths of WebSockets. `body_bytes`: the largest body of each size; sizes that are not there have the
    edge's default. `facts`: the table for the edge and the shield.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        sockets: Iterable[str] = (),
        body_bytes: Mapping[BodySize, int] | None = None,
    ) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        self._exact: dict[str, _Node] = {}
        for route in self.routes:
            node = self._node(route.path)
            if route.method in node.routes:
                raise ValueError(f"{route.method} {route.path} is defined twice")
            node.routes[route.method] = route
            node.facts = _facts(node.routes.values(), body_bytes or {})
        for path in sockets:
            self._node(path).facts = _area_facts(area_of(path), kind=STREAM, exists=True)
        self.facts = PathTable(self._facts_of)

    def _node(self, path: str) -> _Node:
        """Return the node of a route's path, with the nodes on the way to it. Raise ValueError for a second name."""
        node = self._root
        for segment in path.split("/")[1:]:
            if segment.startswith("@{"):
                node.handle = node.handle or _Node()
                node.handle_name = segment[2:-1]
                node = node.handle
            elif segment.startswith("{"):
                if node.any is not None and node.any_name != segment[1:-1]:
                    raise ValueError(f"{path}: this segment is called {{{node.any_name}}} elsewhere")
                node.any = node.any or _Node()
                node.any_name = segment[1:-1]
                node = node.any
            else:
                node = node.fixed.setdefault(segment, _Node())
        if "{" not in path:
            self._exact[path] = node
        return node

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """Return the routes of a path by method, and its parameters; ({}, {}) if there is no such path."""
        node, parameters = self._find(path)
        return ({}, {}) if node is None else (node.routes, parameters)

    def _find(self, path: str) -> tuple[_Node | None, dict[str, str]]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        if len(path) > 2 and path[-1] == "/":
            # Mastodon's router ignores a slash at the end. Links and apps use it: Mastodon.py requests
            # /api/v1/instance/, and some apps /oauth/authorize/.
            path = path[:-1]
            exact = self._exact.get(path)
            if exact is not None:
                return exact, {}
        parameters: dict[str, str] = {}
        node = self._root
        for segment in path.split("/")[1:]:
            inner = node.fixed.get(segment)
            if inner is None and node.handle is not None and len(segment) > 1 and segment[0] == "@":
                parameters[node.handle_name] = segment[1:]
                inner = node.handle
            if inner is None and node.any is not None and segment:
                parameters[node.any_name] = segment
                inner = node.any
            if inner is None:
                return None, {}
            node = inner
        return node, parameters

    def _facts_of(self, path: bytes) -> PathFacts:
        """Return the facts of a raw path; of one without a route, those of its area."""
        text = path_text(path)
        node, _ = self._find(text)
        if node is not None and node.facts is not None:
            return node.facts
        return next(facts for area, facts in _WITHOUT_ROUTE if area.contains(text))


def _facts(routes: Collection[Route], body_bytes: Mapping[BodySize, int]) -> PathFacts:
    """Return the facts of the path of these routes. Raise ValueError if the routes disagree."""
    first = next(iter(routes))
    area = area_of(first.path)
    plain = _KINDS[first.family]
    reading = {one.shield_kind for one in routes if one.method in _READING} or {plain}
    changing = {one.shield_kind for one in routes if one.method not in _READING} or {plain}
    if len(reading) > 1 or len(changing) > 1 or any(one.family is not first.family for one in routes):
        raise ValueError(f"{first.path}: its routes have different kinds or families")
    hot = next((one.hot for one in routes if one.method == "GET"), None)
    finished = next((one.finished for one in routes if one.method == "GET"), None)
    return PathFacts(
        family=first.family,
        has_cors=first.has_cors,
        kind=reading.pop(),
        changing_kind=changing.pop(),
        exists=True,
        hot=None if hot is None else frozenset(name.partition("[")[0].encode() for name in hot),
        finished=finished,
        reads_home=any(one.reads_home for one in routes),
        is_same_for_all=area.is_same_for_all,
        is_opened_by_apps=area.is_opened_by_apps,
        body_bytes=max(body_bytes.get(one.body, 0) for one in routes),
    )


def _area_facts(area: Area, *, kind: int, exists: bool) -> PathFacts:
    return PathFacts(
        family=area.family,
        has_cors=area.has_cors,
        kind=kind,
        changing_kind=kind,
        exists=exists,
        is_same_for_all=area.is_same_for_all,
        is_opened_by_apps=area.is_opened_by_apps,
    )


_WITHOUT_ROUTE = tuple((area, _area_facts(area, kind=_KINDS[area.family], exists=False)) for area in AREAS)
