"""Every refusal is in the client's language, readable across origins, has Retry-After, and is not stored."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re

import pytest

from stormpetrel.edge.refusals import RefusalWriter
from stormpetrel.http.routing import Router
from stormpetrel.roles.web import ROUTES
from stormpetrel.shield.answer import RateLimit, Refused
from tests.edge.place import Answer, a_place, get, post

API_PATHS = [
    "/api/v1/timelines/home",
    "/api/v2/instance",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/userinfo",
    "/.well-known/webfinger",
    "/nodeinfo/2.0",
]
PAGE_PATHS = ["/", "/@ana", "/auth/sign_in", "/oauth/authorize", "/oauth/authorize/"]
FILE_PATHS = ["/assets/style.css", "/media/0123.png"]
FEED_PATHS = ["/@ana/feed.atom", "/tags/cats/feed.atom"]
REFUSALS = [
    Refused(429, "ceiling/requests", "Too many requests", 7, RateLimit(300, 0, 1_700_000_000.5)),
    Refused(503, "queue/full", "The server is busy; nothing was stored. Please try again", 3),
    Refused(400, "edge/malformed", "The request could not be read"),
    Refused(413, "edge/body-too-large", "The request is too large"),
]


FACTS = Router(ROUTES).facts


def written(path: str, refused: Refused, method: str = "GET") -> Answer:
    writer = RefusalWriter(paths=FACTS, status_url="https://status.test/?a=1&b=2", public_https=True)
    data = writer.answer(
        refused, path=path.encode(), date=b"Thu, 01 Jan 1970 00:00:00 GMT", keep_alive=True, method=method
    )
    head, _, body = data.partition(b"\r\n\r\n")
    return Answer(head, body)


@pytest.mark.parametrize("refused", REFUSALS, ids=lambda refused: refused.because)
@pytest.mark.parametrize("path", API_PATHS + PAGE_PATHS + FEED_PATHS + FILE_PATHS)
def test_every_refusal_keeps_the_contract(path: str, refused: Refused) -> None:
    answer = written(path, refused)
    assert answer.status == refused.status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" in answer.headers
    assert len(answer.names) == len(set(answer.names))
    if refused.status in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    if refused.rate_limit:
        assert answer.headers["x-ratelimit-limit"] == "300"
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert answer.headers["x-ratelimit-reset"] == "2023-11-14T22:13:21.000Z"
    if path in PAGE_PATHS:
        assert "access-control-allow-origin" not in answer.headers
    else:
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"]
        for name in ("Link", "X-RateLimit-Reset", "X-Request-Id", "Retry-After"):
            assert name in exposed
    if path in API_PATHS:
        assert json.loads(answer.body) == {"error": refused.safe_text}
        assert answer.headers["content-type"].startswith("application/json")
    elif path in FEED_PATHS:
        assert answer.body.decode() == refused.safe_text + "\n"
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        assert answer.headers["content-type"].startswith("text/html")
        text = answer.body.decode()
        html.parser.HTMLParser().feed(text)
        assert 'href="https://status.test/?a=1&amp;b=2"' in text
        assert refused.safe_text in text
        assert not re.search(r"<script|http-equiv|src=", text)


def test_the_style_of_the_plain_page_is_the_one_its_policy_allows() -> None:
    answer = written("/", REFUSALS[0])
    style = re.search(r"<style>(.*?)</style>", answer.body.decode())
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("refused", REFUSALS[:2], ids=lambda refused: refused.because)
def test_a_page_asks_again_by_itself_after_the_time_to_wait_but_nothing_else_does(refused: Refused) -> None:
    for path in PAGE_PATHS:
        answer = written(path, refused)
        assert answer.headers["refresh"] == answer.headers["retry-after"]
        assert "tries again by itself" in answer.body.decode()
        # The browser would ask for the address of a form, and lose its text.
        form = written(path, refused, method="POST")
        assert "refresh" not in form.headers
        assert "You can reload this page" in form.body.decode()
    for path in API_PATHS + FEED_PATHS:
        assert "refresh" not in written(path, refused).headers
    assert "refresh" not in written(PAGE_PATHS[0], REFUSALS[2]).headers
    head = written(PAGE_PATHS[0], refused, method="HEAD")
    assert (head.body, "refresh" in head.headers) == (b"", False)


def test_over_the_ceiling_is_429_from_the_parser_and_from_the_memo_alike() -> None:
    with a_place(shield={"requests_per_5min": 3}) as place, place.connect() as client:
        request = get("/api/v1/statuses/1")
        statuses = [client.ask(request).status for _ in range(3)]
        assert statuses == [200] * 3
        for _ in range(4):
            answer = client.ask(request)
            assert answer.status == 429
            assert json.loads(answer.body) == {"error": "Too many requests"}
            assert answer.headers["x-ratelimit-remaining"] == "0"
            assert answer.headers["access-control-allow-origin"] == "*"
            assert 1 <= int(answer.headers["retry-after"]) <= 120
        assert client.ask(get("/hot/a")).status == 429
        assert client.ask(get("/health")).status == 200
        assert client.ask(post("/api/v1/statuses", b"{}")).status == 429
        assert client.ask(get("/@ana", method="HEAD")).body == b""
        assert len(place.app.scopes) == 3


def test_a_cached_page_is_served_to_whom_the_application_would_be_refused() -> None:
    with a_place(shield={"requests_per_5min": 1}) as place:
        for _ in range(5):
            assert place.ask(get("/hot/a")).status == 200
        assert place.ask(get("/other")).status == 429
        place.call(lambda: place.server.cache.invalidate("public"))
        assert place.ask(get("/hot/a")).status == 200


def test_ceilings_are_of_the_address_and_no_other_address_pays() -> None:
    with a_place(shield={"requests_per_5min": 1}) as place:
        assert place.ask(get("/x")).status == 200
        assert place.ask(get("/x")).status == 429
        assert place.ask(get("/x"), source="127.0.0.2").status == 200


def test_retry_after_rises_with_each_refusal_in_a_row() -> None:
    with a_place(shield={"requests_per_5min": 1}) as place:
        place.ask(get("/x"))
        first = int(place.ask(get("/x")).headers["retry-after"])
        for _ in range(10):
            last = int(place.ask(get("/x")).headers["retry-after"])
        assert 1 <= first <= last <= 120


def test_a_metered_answer_says_what_is_left_and_another_does_not() -> None:
    with a_place(shield={"requests_per_5min": 100}) as place:
        assert "x-ratelimit-limit" not in place.ask(get("/x")).headers
        assert place.app.scopes[0]["rate_limit"] == 100

        async def metered(scope, receive, send):  # type: ignore[no-untyped-def]
            headers = [(b"content-type", b"application/json"), (b"x-ratelimit-limit", b"100")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"[]"})

        place.server.worker.app = metered
        answers = [place.ask(get("/x")) for _ in range(2)]
        assert [answer.headers["x-ratelimit-limit"] for answer in answers] == ["100", "100"]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["98", "97"]
        assert all(answer.names.count("x-ratelimit-limit") == 1 for answer in answers)
        assert answers[0].headers["x-ratelimit-reset"].endswith(".000Z")


@pytest.mark.parametrize("path", ["/fails", "/splits"])
def test_a_failing_application_gives_500_in_the_right_shape_and_keeps_the_connection(path: str) -> None:
    with a_place() as place, place.connect() as client:
        answer = client.ask(get(path))
        assert answer.status == 500
        assert "set-cookie" not in answer.headers
        assert client.ask(get("/other")).status == 200
        assert place.server.counts.failed == 1
