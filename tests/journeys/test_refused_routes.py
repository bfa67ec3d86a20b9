"""A refused request is answered in the format, and with the CORS headers, of the route that it asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stormpetrel.api.routes import SOCKETS
from stormpetrel.edge.refusals import RefusalWriter
from stormpetrel.http.routing import Router
from stormpetrel.roles.web import ROUTES
from stormpetrel.shield.answer import Refused
from tests.instance import running_instance
from tests.people import Place

UNKNOWN = (
    "/nowhere",
    "/api/v1/nowhere",
    "/oauth/nowhere",
    "/.well-known/nowhere",
    "/nodeinfo/9",
    "/assets/nowhere.css",
    "/media/nowhere.png",
    "/nowhere/feed.atom",
    "/auth/nowhere",
    "/apis",
    "/nodeinfos",
)
NO_METHOD = "PROPFIND"
"""No route has it, so the application refuses it on every path."""
PATHS = (*dict.fromkeys(re.sub(r"\{\w+\}", "1", route.path) for route in ROUTES), *SOCKETS, *UNKNOWN)


FACTS = Router(ROUTES, sockets=SOCKETS).facts


def look(answer: httpx.Response) -> tuple[str, list[str]]:
    """Return the type of the body, and who may read it."""
    return answer.headers["content-type"], answer.headers.get_list("access-control-allow-origin")


def refusal(path: str, status: int) -> httpx.Response:
    """Return the shield's refusal of a path, with the facts that the server gives it."""
    writer = RefusalWriter(paths=FACTS, status_url="", public_https=True)
    wire = writer.answer(
        Refused(status, "queue/full", "Busy", 3),
        path=path.encode(),
        date=b"x",
        keep_alive=True,
        method="GET",
    )
    head, _, body = wire.partition(b"\r\n\r\n")
    lines = [tuple(line.split(b": ", 1)) for line in head.splitlines()[1:]]
    return httpx.Response(status, headers=lines, content=body)


def test_every_path_is_refused_by_the_shield_as_the_application_would(place: Place) -> None:
    wrong = []
    for path in PATHS:
        served = place.visitor.request(NO_METHOD, path)
        assert served.status_code in (404, 405), path
        for status in (429, 503):
            if look(served) != look(refusal(path, status)):
                wrong.append((path, look(served), look(refusal(path, status))))
    assert wrong == []


def test_every_spelling_of_a_path_has_the_same_facts() -> None:
    """A slash at the end and percent-encoding reach the same route."""
    for path in PATHS:
        last = path[-1]
        spellings = [f"{path[:-1]}%{ord(last):02x}"]
        if FACTS[path.encode()].exists and path != "/":
            spellings.append(f"{path}/")
        for spelling in spellings:
            assert FACTS[spelling.encode()] == FACTS[path.encode()], spelling


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of an instance whose shield refuses every request after the first."""
    directory: Path = tmp_path_factory.mktemp("refusing")
    url = f"sqlite:///{directory / 'x.db'}"
    with (
        running_instance(directory, url, web_workers=1, shield_requests_per_5min=1) as instance,
        httpx.Client(base_url=instance.base_url, trust_env=False, timeout=20) as http,
    ):
        http.get("/nowhere")
        yield http


@pytest.mark.parametrize(
    ("path", "kind", "origins"),
    [
        ("/oauth/userinfo", "application/json; charset=utf-8", ["*"]),
        ("/oauth/authorize", "text/html; charset=utf-8", []),
        ("/oauth/authorize/", "text/html; charset=utf-8", []),
        ("/%61pi/v1/statuses", "application/json; charset=utf-8", ["*"]),
        ("/@ana/feed.atom", "text/plain; charset=utf-8", ["*"]),
        ("/nowhere", "text/html; charset=utf-8", []),
    ],
)
def test_how_a_running_server_refuses_some_paths(
    path: str, kind: str, origins: list[str], refusing: httpx.Client
) -> None:
    answer = refusing.get(path)
    assert (answer.status_code, *look(answer)) == (429, kind, origins)
