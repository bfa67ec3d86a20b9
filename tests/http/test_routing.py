"""Finding the route of a path, and the key under which its anonymous answer is cached."""

from __future__ import annotations

import itertools
import re
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stormpetrel.api.routes import SOCKETS
from stormpetrel.edge.heads import MAX_KEPT_BYTES, hot_key
from stormpetrel.errors import Refusal
from stormpetrel.http.parameters import struct
from stormpetrel.http.request import Request, _pairs
from stormpetrel.http.response import Response
from stormpetrel.http.routing import BodySize, Route, Router
from stormpetrel.roles.web import ROUTES
from stormpetrel.shield.paths import (
    API,
    APPS,
    FEED,
    PAGE,
    REMEMBERED,
    REMEMBERED_BYTES,
    SEARCH,
    SIGN_IN,
    SIGN_UP,
    STREAM,
    TAG,
    TOKEN,
    Family,
    PathFacts,
    PathTable,
    is_deep,
)
from stormpetrel.shield.percent import MAX_PARAMETERS, pairs


async def handler(request: Request) -> Response:
    return Response()


def route(path: str, method: str = "GET", **more: object) -> Route:
    return Route(method=method, path=path, handler=handler, summary=path, **more)  # type: ignore[arg-type]


ROUTER = Router(
    [
        route("/"),
        route("/api/v1/statuses", "POST"),
        route("/api/v1/statuses"),
        route("/api/v1/statuses/{id}", hot=()),
        route("/api/v1/statuses/{id}/context"),
        route("/api/v1/accounts/lookup", hot=("acct",)),
        route("/api/v1/accounts/{id}"),
        route("/@{name}", hot=("max_id",)),
        route("/@{name}/feed.atom"),
        route("/@{name}/{id}"),
        route("/tags/{name}", hot=("max_id", "min_id", "any[]", "limit")),
    ]
)


def key_of(path: bytes, query: bytes) -> bytes | None:
    """Return the key of a target in the hot-page cache."""
    return hot_key(ROUTER.facts[path], path, query)


@pytest.mark.parametrize(
    ("path", "found", "parameters"),
    [
        ("/", "/", {}),
        ("/api/v1/statuses", "/api/v1/statuses", {}),
        ("/api/v1/statuses/17", "/api/v1/statuses/{id}", {"id": "17"}),
        ("/api/v1/statuses/17/context", "/api/v1/statuses/{id}/context", {"id": "17"}),
        ("/api/v1/accounts/lookup", "/api/v1/accounts/lookup", {}),
        ("/api/v1/accounts/look", "/api/v1/accounts/{id}", {"id": "look"}),
        ("/@alice", "/@{name}", {"name": "alice"}),
        ("/@alice/feed.atom", "/@{name}/feed.atom", {"name": "alice"}),
        ("/@alice/17", "/@{name}/{id}", {"name": "alice", "id": "17"}),
        ("/@a@b.example", "/@{name}", {"name": "a@b.example"}),
        ("/tags/日本", "/tags/{name}", {"name": "日本"}),
        # Apps and people append a slash.
        ("/api/v1/statuses/", "/api/v1/statuses", {}),
        ("/api/v1/statuses/17/", "/api/v1/statuses/{id}", {"id": "17"}),
        ("/@alice/", "/@{name}", {"name": "alice"}),
        ("/@alice/17/", "/@{name}/{id}", {"name": "alice", "id": "17"}),
        *(
            (path, None, {})
            for path in (
                *("", "//", "/api", "/api/", "/api/v1/statuses//context", "/@", "/@/17"),
                *("/alice", "/@alice/17/x", "/tags/", "/tags/a/b", "/@alice//", "no/slash"),
                *("/api/v1/statuses//", "/api/v1/statuses/17//"),
            )
        ),
    ],
)
def test_which_route_a_path_has(path: str, found: str | None, parameters: dict[str, str]) -> None:
    routes, given_parameters = ROUTER.find(path)
    assert {one.path for one in routes.values()} == ({found} if found else set())
    if found:
        assert given_parameters == parameters


def test_a_path_knows_its_methods() -> None:
    assert set(ROUTER.find("/api/v1/statuses")[0]) == {"GET", "POST"}


@pytest.mark.parametrize("path", ["/api/v1/statuses", "/@{name}/{id}", "/"])
def test_the_same_url_twice_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        Router([route(path), route("/between"), route(path)])


def test_one_segment_has_one_name() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        Router([route("/x/{id}"), route("/x/{name}/y")])


@given(st.text())
def test_no_path_breaks_it(path: str) -> None:
    ROUTER.find(path)
    key_of(quote(path).encode(), b"")


# The key of the hot-page cache -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (b"/api/v1/statuses/17", b"/api/v1/statuses/17"),
        (b"/api/v1/statuses/17?x=1&y=2", b"/api/v1/statuses/17"),
        (b"/@alice?utm=1&max_id=7&b", b"/@alice?max_id=7"),
        (b"/@alice?max_id=7", b"/@alice?max_id=7"),
        (b"/@alice?m%61x_id=7", b"/@alice?max_id=7"),
        (b"/@alice?", b"/@alice"),
        (b"/@alice?MAX_ID=7", b"/@alice"),
        (b"/tags/a?min_id=2&max_id=1", b"/tags/a?max_id=1&min_id=2"),
        (b"/tags/a?any[]=x", b"/tags/a?any%5B%5D=x"),
        (b"/tags/a?any%5B0%5D=x", b"/tags/a?any%5B0%5D=x"),
        (b"/tags/a?any=x", b"/tags/a?any=x"),
        (b"/api/v1/statuses", None),
        (b"/nowhere", None),
        (b"/@alice/17", None),
        (b"/%40alice", b"/%40alice"),
        (b"/tags/%ff", b"/tags/%ff"),
    ],
)
def test_under_which_key_an_answer_is_kept(target: bytes, key: bytes | None) -> None:
    path, _, query = target.partition(b"?")
    assert key_of(path, query) == key


def test_the_order_of_parameters_makes_no_difference() -> None:
    parts = [b"max_id=1", b"min_id=2", b"x=3", b"any[]=4"]
    keys = {key_of(b"/tags/a", b"&".join(order)) for order in itertools.permutations(parts)}
    assert len(keys) == 1


def test_of_one_name_the_order_counts_as_it_does_in_the_answer() -> None:
    assert key_of(b"/@a", b"max_id=1&max_id=2") != key_of(b"/@a", b"max_id=2&max_id=1")


_FORMS = ["any", "an%79", "any[]", "any[0]", "any[00]", "any[1]", "limit", "limit[]", "x"]


@given(
    st.lists(st.tuples(st.sampled_from(_FORMS), st.sampled_from("12")), max_size=4).flatmap(
        lambda one: st.tuples(st.just(one), st.permutations(one))
    )
)
@example(([("any", "1"), ("any[]", "2")], [("any[]", "2"), ("any", "1")]))
def test_queries_that_share_an_answer_mean_the_same_to_the_application(
    queries: tuple[list[tuple[str, str]], list[tuple[str, str]]],
) -> None:
    first, second = ("&".join(f"{name}={value}" for name, value in one).encode() for one in queries)
    if key_of(b"/tags/a", first) == key_of(b"/tags/a", second):
        assert asked_for(first) == asked_for(second)


class TagQuery(msgspec.Struct):
    any: list[str] = []
    limit: int = 20


def asked_for(query: bytes) -> TagQuery | str:
    """Return the values that the application reads, or its refusal."""
    found = pairs(query, most=MAX_PARAMETERS)
    try:
        return struct(TagQuery, [(name.decode(), value.decode()) for name, value in found])
    except Refusal as refusal:
        return refusal.safe_text


def test_a_parameter_cannot_hide_behind_many_others() -> None:
    assert key_of(b"/@alice", b"x&" * MAX_PARAMETERS + b"max_id=7") is None
    assert key_of(b"/@alice", b"x&" * (MAX_PARAMETERS - 1) + b"max_id=7") == b"/@alice?max_id=7"


def test_a_page_with_long_parameters_is_not_shared() -> None:
    most = b"/" * (MAX_KEPT_BYTES - len("max_id"))
    assert key_of(b"/@alice", b"max_id=" + most + b"&x=" + b"y" * 5000) == b"/@alice?max_id=" + b"%2F" * len(
        most
    )
    assert key_of(b"/@alice", b"max_id=" + most + b"/") is None
    assert key_of(b"/@alice", b"x=" + b"y" * 8000) == b"/@alice"


_DEEP = re.compile(rb"(?:max_id|min_id|since_id|offset|page|before|after)=")
_NAMES = [b"max", b"min", b"since", b"_id", b"offset", b"page", b"before", b"after", b"=", b"&", b"x"]


@given(st.lists(st.sampled_from(_NAMES), max_size=8).map(b"".join))
def test_a_page_after_the_first_is_known_by_its_parameters(query: bytes) -> None:
    assert is_deep(query) == (_DEEP.search(query) is not None)


HOT = [one for one in ROUTES if one.hot is not None]


@pytest.mark.parametrize("one", HOT, ids=[one.path for one in HOT])
def test_every_parameter_that_a_hot_answer_depends_on_is_in_its_key(one: Route) -> None:
    if one.takes is None:
        return
    assert one.hot is not None
    named = {name.partition("[")[0] for name in one.hot}
    assert {field.encode_name for field in msgspec.structs.fields(one.takes)} <= named


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["max_id", "any", "any[]", "any[0]", "any[1]", "any[a]", "x", "max_id[]", "a[b]"]
            ),
            st.sampled_from(["1", "2", ""]),
        ),
        max_size=5,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["max_id", "any", "any[]", "any[0]", "any[1]", "any[a]", "x", "max_id[]", "a[b]"]
            ),
            st.sampled_from(["1", "2", ""]),
        ),
        max_size=5,
    ),
)
def test_two_questions_of_one_key_have_one_answer(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    class Query(msgspec.Struct):
        max_id: str | None = None
        any: list[str] = []

    def asked(pairs: list[tuple[str, str]]) -> tuple[bytes | None, object]:
        query = "&".join(f"{quote(name)}={value}" for name, value in pairs).encode()
        try:
            answer: object = struct(Query, list(_pairs(query)))
        except Exception as error:
            answer = type(error)
        return key_of(b"/tags/a", query), answer

    (key, answer), (other_key, other_answer) = asked(one), asked(other)
    assert key != other_key or answer == other_answer


# The facts of paths -------------------------------------------------------------------------------------------

FACTS = Router(ROUTES, sockets=SOCKETS, body_bytes={BodySize.FILES: 9_000_000, BodySize.TEXTS: 700_000}).facts


@pytest.mark.parametrize(
    ("path", "family"),
    [
        (b"/api/v1/statuses", Family.API),
        (b"/%61pi/v1/statuses", Family.API),
        (b"/oauth/token", Family.API),
        (b"/oauth/userinfo", Family.API),
        (b"/oauth/authorize", Family.PAGE),
        (b"/oauth/authorize/", Family.PAGE),
        (b"/.well-known/webfinger", Family.API),
        (b"/nodeinfo/2.0", Family.API),
        (b"/@a/feed.atom", Family.FEED),
        (b"/nowhere.atom", Family.FEED),
        (b"/", Family.PAGE),
        (b"/@api", Family.PAGE),
        (b"/apis", Family.PAGE),
        (b"/health", Family.PAGE),
    ],
)
def test_the_family_of_a_path(path: bytes, family: Family) -> None:
    assert FACTS[path].family is family


@pytest.mark.parametrize(
    ("path", "kind", "changing_kind"),
    [
        (b"/auth/sign_in", PAGE, SIGN_IN),
        (b"/auth/sign_in/", PAGE, SIGN_IN),
        (b"/auth/sign%5fin", PAGE, SIGN_IN),
        (b"/auth/sign_in/second", PAGE, SIGN_IN),
        (b"/auth/sign_in/link", PAGE, SIGN_IN),
        (b"/auth/sign_in/phone", PAGE, SIGN_IN),
        (b"/auth/sign_in/phone/code", PAGE, SIGN_IN),
        (b"/auth/sign_up", PAGE, SIGN_UP),
        (b"/oauth/token", API, TOKEN),
        (b"/oauth/token/", API, TOKEN),
        (b"/api/v1/accounts", API, SIGN_UP),
        (b"/api/v1/apps", API, APPS),
        (b"/search", SEARCH, PAGE),
        (b"/api/v2/search", SEARCH, API),
        (b"/api/v1/accounts/search", SEARCH, API),
        (b"/tags/storm", TAG, PAGE),
        (b"/api/v1/timelines/tag/storm", TAG, API),
        (b"/tags/storm/feed.atom", FEED, FEED),
        (b"/api/v1/streaming", STREAM, STREAM),
        (b"/api/v1/streaming/public", STREAM, API),
        (b"/api/v1/timelines/home", API, API),
        (b"/@ana", PAGE, PAGE),
        (b"/nowhere", PAGE, PAGE),
    ],
)
def test_what_a_request_costs_depends_on_its_path_and_on_whether_it_writes(
    path: bytes, kind: int, changing_kind: int
) -> None:
    assert (FACTS[path].kind, FACTS[path].changing_kind) == (kind, changing_kind)


@pytest.mark.parametrize(
    ("path", "body_bytes"),
    [
        (b"/api/v2/media", 9_000_000),
        (b"/api/v2/media/", 9_000_000),
        (b"/compose", 9_000_000),
        (b"/admin/texts/rules", 700_000),
        # A size that the configuration does not name, and a route without one.
        (b"/settings/profile", 0),
        (b"/api/v1/statuses", 0),
        (b"/nowhere", 0),
    ],
)
def test_the_largest_body_of_a_path(path: bytes, body_bytes: int) -> None:
    assert FACTS[path].body_bytes == body_bytes


def test_a_path_exists_if_there_is_a_route_or_a_socket() -> None:
    exist = {
        path
        for path in (b"/@a/1", b"/api/v1/streaming", b"/@a/1/x", b"/media", b"/api")
        if FACTS[path].exists
    }
    assert exist == {b"/@a/1", b"/api/v1/streaming"}


def test_only_static_files_are_the_same_for_all_and_apps_open_only_the_pages_for_signing_in() -> None:
    same = {route.path for route in ROUTES if FACTS[route.path.encode()].is_same_for_all}
    assert same == {"/assets/{name}"}
    opened = {route.path for route in ROUTES if FACTS[route.path.encode()].is_opened_by_apps}
    assert {path.split("/")[1] for path in opened} == {"auth", "oauth"}


def test_every_route_finds_its_own_facts() -> None:
    for one in ROUTES:
        facts = FACTS[one.path.encode()]
        assert facts.exists
        assert (facts.family, facts.has_cors) == (one.family, one.has_cors)
        assert one.shield_kind == (facts.kind if one.method == "GET" else facts.changing_kind), one
        assert one.method != "GET" or (facts.hot is None) == (one.hot is None)


@pytest.mark.parametrize("more", [{"kind": SEARCH}, {"own_family": Family.FEED}])
def test_routes_of_one_path_that_disagree_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="different kinds or families"):
        Router([route("/x", "POST"), route("/x", "PUT", **more)])


def test_the_table_of_facts_stays_small_whatever_is_asked_for() -> None:
    facts = Router([route("/x")]).facts
    for number in range(REMEMBERED * 2):
        assert not facts[b"/nowhere/%d" % number].exists
        assert len(facts) <= REMEMBERED
    facts.clear()
    assert facts[b"/x" + b"/" * REMEMBERED_BYTES].exists is False
    assert len(facts) == 0
    assert facts[b"/x"].exists


def test_one_requests_long_path_is_looked_up_once() -> None:
    looked_up = []

    def find(path: bytes) -> PathFacts:
        looked_up.append(path)
        return PathFacts(exists=path.endswith(b"a"))

    facts = PathTable(find)
    long = b"/" + b"%41" * REMEMBERED_BYTES
    assert [facts[long + b"a"].exists for _ in range(6)] == [True] * 6
    assert [facts[long + b"b"].exists for _ in range(6)] == [False] * 6
    assert facts[long + b"a"].exists
    assert looked_up == [long + b"a", long + b"b", long + b"a"]
