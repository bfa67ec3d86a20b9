"""The search for posts after a run, at a server that is still defending itself."""

from __future__ import annotations

import asyncio
import http.server
import io
import json
import threading
from collections.abc import Iterator

import pytest

from stormpetrel.drill import search
from stormpetrel.drill.client import Course
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.search import look_for
from tests.drill.attacked import member

POSTS = json.dumps([{"id": "9", "content": "<p>drill-1 <b>here</b></p>"}, {"id": "8", "content": "drill-2"}])


class Defended(http.server.BaseHTTPRequestHandler):
    """Answers the first request with a challenge page and 200, refuses the second, and serves the third."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status, kind, body = {
            1: (200, "text/html", "<html>Are you a robot?</html>"),
            2: (429, "application/json", '{"error": "later"}'),
        }.get(self.asked, (200, "application/json; charset=utf-8", POSTS))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Defended) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_challenge_and_a_refusal_are_no_answer_and_the_posts_are_asked_for_again(port, monkeypatch):
    monkeypatch.setattr(Defended, "asked", 0)
    monkeypatch.setattr(search, "AGAIN_S", 0.01)
    course = Course(
        Address("127.0.0.1", port),
        "place.example",
        0.0,
        TrafficBudget.of(connections=10, seconds=60),
        lambda t: "calm",
        lambda line: None,
    )
    out = io.StringIO()
    ann = member("own", 1)
    asyncio.run(look_for(course, {"drill-1 here": ann, "drill-2": ann, "drill-3": ann}, out))
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert found == [
        {"found": "drill-1 here", "times": 1},
        {"found": "drill-2", "times": 1},
        {"found": "drill-3", "times": 0},
    ]
    assert Defended.asked == 3
