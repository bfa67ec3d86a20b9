"""Each route of the API, requested without a token, with an invalid token, and with too few scopes."""

from __future__ import annotations

import re

import httpx
import pytest

from stormpetrel.api.routes import ROUTES
from stormpetrel.http.routing import Actor, Route

TOO_FEW = "profile"
"""A scope that permits a single method, which has its own test."""


def call(http: httpx.Client, route: Route) -> httpx.Response:
    """Request the route with an id that does not exist. Of a stream, read only the head."""
    path = re.sub(r"\{(\w+)\}", lambda match: "2.0" if match[1] == "version" else "1", route.path)
    with http.stream(route.method, path) as answer:
        if not route.streams or answer.status_code != 200:
            answer.read()
        return answer


def check_refusal(route: Route, answer: httpx.Response, wanted: int) -> None:
    """Check the status, the JSON error, and the CORS headers without which a web app sees only a network
    error.
    """
    assert answer.status_code == wanted, answer.text
    assert answer.headers["content-type"].startswith("application/json"), route.path
    assert isinstance(answer.json()["error"], str)
    check_cors(answer)


def check_cors(answer: httpx.Response) -> None:
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def check_open(route: Route, answer: httpx.Response) -> None:
    """Check a route that needs no token: its answer must not complain about the token."""
    assert answer.status_code not in (401, 403) or route.path.startswith("/oauth/"), answer.text
    assert answer.status_code < 500, answer.text
    check_cors(answer)
    if answer.status_code >= 400:
        assert answer.json()["error"]


NAMES = [f"{route.method} {route.path}" for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_a_route_without_a_token(place, route):
    answer = call(place.visitor, route)
    if route.actor is Actor.ANYONE:
        check_open(route, answer)
    else:
        check_refusal(route, answer, 401)


@pytest.mark.parametrize("token", ["no-such-token", '\u00e9\u00e8 "{}', "x" * 4000, "a b"])
def test_each_route_with_a_token_that_is_none(place, token):
    http = place.client()
    http.headers = httpx.Headers([(b"authorization", f"Bearer {token}".encode())])
    for route in ROUTES:
        answer = call(http, route)
        # A public stream answers 401 for an invalid token, unless the token is too long to be a real one.
        if route.actor is Actor.ANYONE and not (route.streams and answer.status_code == 401):
            assert not route.streams or len(token) > 1000
            check_open(route, answer)
        else:
            check_refusal(route, answer, 401)


SCOPED = [route for route in ROUTES if route.scope not in (None, TOO_FEW)]


@pytest.mark.parametrize("route", SCOPED, ids=[f"{route.method} {route.path}" for route in SCOPED])
def test_a_route_with_a_token_of_too_few_scopes(place, few, route):
    check_refusal(route, call(few, route), 403)


@pytest.fixture(scope="module")
def few(place):
    """Return the client of an app whose token permits almost nothing."""
    return place.person("few", scopes=TOO_FEW).http


def test_a_preflight_is_answered_for_each_route(place):
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "1", route.path)
        answer = place.visitor.options(path, headers={"Origin": "https://app.example"})
        assert answer.status_code == 204, path
        check_cors(answer)
        assert route.method in answer.headers["access-control-allow-methods"]
