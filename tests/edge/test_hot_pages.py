"""The hot-page cache through the socket: one rendering for many, conditional answers, codings, invalidation."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time

import brotli
import pytest

from stormpetrel.audience.counter import KEY_BYTES, VisitorCounter
from stormpetrel.audience.periods import periods_at
from stormpetrel.shield import cookies
from tests.edge.place import PAGE, SECRET, Place, a_place, get


def test_one_rendering_serves_everybody_who_waits_for_it() -> None:
    with a_place() as place, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(place.connect()) for _ in range(30)]
        for client in clients:
            client.send(get("/hot/held"))
        place.until(lambda: sum(len(f.waiters) for f in place.server.cache.flights.values()) == 29)
        place.call(place.app.gate.set)
        assert {client.answer().body for client in clients} == {PAGE}
        assert place.app.renders == 1
        assert place.server.cache.flights == {}


def test_a_second_later_one_renders_and_the_others_have_the_old_page_meanwhile() -> None:
    with a_place() as place:
        place.call(place.app.gate.set)
        assert place.ask(get("/hot/held")).status == 200
        place.call(place.app.gate.clear)
        place.call(lambda: place.server.cache.invalidate("public"))
        with place.connect() as leader, place.connect() as other:
            leader.send(get("/hot/held"))
            place.until(lambda: place.app.renders == 2)
            assert other.ask(get("/hot/held")).body == PAGE
            place.app.page = PAGE + b"new"
            place.call(place.app.gate.set)
            assert leader.answer().status == 200
        assert place.app.renders == 2


def test_a_purged_page_is_served_to_nobody_any_more() -> None:
    with a_place() as place:
        assert place.ask(get("/hot/a")).body == PAGE
        place.app.page = b"changed"
        place.call(lambda: place.server.cache.purge("path:/hot/a"))
        assert place.ask(get("/hot/a")).body == b"changed"


def test_a_rendering_that_began_before_its_purge_is_not_given_to_those_who_wait() -> None:
    with a_place() as place, place.connect() as leader, place.connect() as waiter:
        place.app.tags = lambda path: ["post:1"]
        leader.send(get("/hot/held"))
        place.until(lambda: place.app.renders == 1)
        waiter.send(get("/hot/held"))
        place.until(lambda: [len(f.waiters) for f in place.server.cache.flights.values()] == [1])
        place.call(lambda: place.server.cache.purge("post:1"))
        place.call(place.app.gate.set)
        assert leader.answer().status == waiter.answer().status == 200
        assert place.app.renders == 2


@pytest.mark.parametrize("is_purged", [False, True])
def test_a_failed_rendering_is_answered_by_the_old_page_unless_it_was_purged(is_purged: bool) -> None:
    with a_place() as place, place.connect() as leader:
        place.call(place.app.gate.set)
        assert place.ask(get("/hot/held")).status == 200
        place.call(place.app.gate.clear)
        place.call(lambda: place.server.cache.invalidate("public"))
        leader.send(get("/hot/held"))
        place.until(lambda: place.app.renders == 2)
        if is_purged:
            place.call(lambda: place.server.cache.purge("public"))
        place.app.is_broken = True
        place.call(place.app.gate.set)
        answer = leader.answer()
        assert (answer.status, answer.body == PAGE) == ((500, False) if is_purged else (200, True))


@pytest.mark.parametrize("path", ["/hot/missing/held", "/hot/private", "/hot/fails"])
def test_what_is_not_kept_is_rendered_for_each(path: str) -> None:
    with a_place() as place:
        for _ in range(3):
            assert place.ask(get(path)).status in (200, 404, 500)
        assert place.app.renders == 3
        assert len(place.server.cache) == 0
        assert place.server.cache.flights == {}


def test_those_who_wait_for_a_page_that_is_not_kept_go_to_the_application_themselves() -> None:
    with a_place() as place, contextlib.ExitStack() as stack:
        place.app.cookie = True
        clients = [stack.enter_context(place.connect()) for _ in range(5)]
        for client in clients:
            client.send(get("/hot/held"))
        place.until(lambda: sum(len(f.waiters) for f in place.server.cache.flights.values()) == 4)
        place.call(place.app.gate.set)
        assert {client.answer().status for client in clients} == {200}
        assert place.app.renders == 5


def test_an_answer_that_sets_a_cookie_is_never_kept() -> None:
    with a_place() as place:
        place.app.cookie = True
        assert place.ask(get("/hot/a")).headers["set-cookie"] == "a=b"
        assert len(place.server.cache) == 0


def test_when_the_leader_goes_away_another_one_renders() -> None:
    with a_place(shield={"running": 1}) as place, place.connect() as blocker, place.connect() as waiter:
        blocker.send(get("/held"))
        place.until(lambda: place.server.worker.gate.running == 1)
        with place.connect() as leader:
            leader.send(get("/hot/a"))
            place.until(lambda: place.server.cache.flights)
            waiter.send(get("/hot/a"))
            place.until(lambda: [len(f.waiters) for f in place.server.cache.flights.values()] == [1])
        place.until(lambda: place.server.counts.gone_while_waiting == 1)
        place.call(place.app.gate.set)
        assert waiter.answer().body == PAGE


def test_when_the_leader_loses_its_place_those_who_wait_for_it_hear_at_once() -> None:
    with a_place(shield={"running": 1, "waiting": 1}) as place, contextlib.ExitStack() as stack:
        blocker, leader, waiter, member = (stack.enter_context(place.connect()) for _ in range(4))
        blocker.send(get("/held"))
        place.until(lambda: place.server.worker.gate.running == 1)
        leader.send(get("/hot/a"))
        place.until(lambda: place.server.cache.flights)
        waiter.send(get("/hot/a"))
        place.until(lambda: [len(f.waiters) for f in place.server.cache.flights.values()] == [1])
        cookie = cookies.mint(SECRET, session_id=1, account_id=2, issued_at_s=3)
        member.send(get("/other", f"Cookie: stormpetrel_session={cookie}"))
        assert leader.answer().status == waiter.answer().status == 503
        assert place.call(lambda: len(place.server.cache.flights)) == 0
        place.call(place.app.gate.set)
        assert member.answer().status == 200


@pytest.mark.parametrize(
    "credential",
    [
        "Authorization: Bearer something",
        "Authorization: Basic abc",
        "Cookie: a=b; stormpetrel_session=" + cookies.mint(SECRET, session_id=1, account_id=2, issued_at_s=3),
    ],
)
def test_a_request_with_a_credential_never_touches_the_cache(credential: str) -> None:
    with a_place() as place:
        assert place.ask(get("/hot/a", credential)).status == 200
        assert "hot" not in place.app.scopes[0]
        place.ask(get("/hot/a"))
        place.ask(get("/hot/a", credential))
        assert place.app.renders == 3


def test_a_forged_session_gets_what_anybody_gets_from_memory() -> None:
    with a_place() as place:
        for n in range(5):
            assert place.ask(get("/hot/a", f"Cookie: stormpetrel_session=forged{n}")).status == 200
        assert place.app.renders == 1
        assert place.app.scopes[0]["visit"].session is None


def test_the_files_of_pages_come_from_memory_for_the_signed_in_too() -> None:
    cookie = "Cookie: stormpetrel_session=" + cookies.mint(SECRET, session_id=1, account_id=2, issued_at_s=3)
    with a_place() as place:
        for _ in range(3):
            assert place.ask(get("/assets/a.css", cookie)).status == 200
        assert place.app.renders == 1
        assert place.app.scopes[0]["visit"].session is None


def test_unknown_parameters_do_not_bust_the_cache() -> None:
    with a_place() as place:
        for n in range(5):
            place.ask(get(f"/hot/a?cachebuster={n}"))
        place.ask(get("/hot/a?page=2&x=1"))
        assert place.app.renders == 2


def ask_twice(place: Place, *headers: str, method: str = "GET") -> list[tuple[int, str, bytes]]:
    """Return status, entity tag and body of four requests, answered from the parser and from the memo."""
    with place.connect() as client:
        answers = [client.ask(get("/hot/a", *headers, method=method)) for _ in range(4)]
    return [(answer.status, answer.headers["etag"], answer.body) for answer in answers]


def test_each_coding_has_its_own_strong_tag_and_the_same_content() -> None:
    with a_place() as place:
        plain = ask_twice(place)
        zipped = ask_twice(place, "Accept-Encoding: gzip")
        small = ask_twice(place, "Accept-Encoding: gzip, br")
        assert len({tag for _, tag, _ in plain + zipped + small}) == 3
        assert {body for _, _, body in plain} == {PAGE}
        assert {gzip.decompress(body) for _, _, body in zipped} == {PAGE}
        assert {brotli.decompress(body) for _, _, body in small} == {PAGE}
        assert place.app.renders == 1
        for accept, tag in (("identity", plain[0][1]), ("gzip", zipped[0][1]), ("br", small[0][1])):
            for condition in (tag, "W/" + tag, f'"other", {tag}', "*"):
                fit = ask_twice(place, f"Accept-Encoding: {accept}", f"If-None-Match: {condition}")
                assert fit == [(304, tag, b"")] * 4
            assert ask_twice(place, f"Accept-Encoding: {accept}", 'If-None-Match: "x"')[0][0] == 200


def test_head_has_the_headers_of_get_and_no_body() -> None:
    with a_place() as place, place.connect() as client:
        for _ in range(3):
            head = client.ask(get("/hot/a", method="HEAD"))
            assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PAGE)))
        assert client.ask(get("/hot/a")).body == PAGE
        assert place.app.renders == 1
        assert place.app.scopes[0]["method"] == "GET"


def test_a_cached_answer_varies_by_encoding_and_has_one_date() -> None:
    with a_place() as place:
        for _ in range(2):
            answer = place.ask(get("/hot/a"))
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.names.count("date") == 1
            assert answer.headers["date"].endswith(" GMT")


def test_http_1_0_and_connection_close_are_honoured_from_the_cache() -> None:
    with a_place() as place:
        place.ask(get("/hot/a"))
        for request in (get("/hot/a", version="1.0"), get("/hot/a", "Connection: close")) * 2:
            with place.connect() as client:
                answer = client.ask(request)
                assert (answer.body, answer.headers["connection"]) == (PAGE, "close")
                assert client.is_closed()


def test_too_large_a_page_is_answered_and_not_kept() -> None:
    with a_place() as place:
        place.app.page = b"x" * 3_000_000
        assert len(place.ask(get("/hot/a")).body) == 3_000_000
        assert len(place.server.cache) == 0


def test_many_at_once_get_whole_answers() -> None:
    with a_place() as place:
        bodies: list[bytes] = []

        def visit(n: int) -> None:
            with place.connect() as client:
                for i in range(40):
                    accept = ("identity", "gzip", "br")[(n + i) % 3]
                    answer = client.ask(get(f"/hot/{i % 4}", f"Accept-Encoding: {accept}"))
                    body = answer.body
                    if accept == "gzip":
                        body = gzip.decompress(body)
                    elif accept == "br":
                        body = brotli.decompress(body)
                    bodies.append(body)

        threads = [threading.Thread(target=visit, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bodies) == 320
        assert set(bodies) == {PAGE}


def test_metered_pages_tell_each_visitor_their_own_limit() -> None:
    with a_place(shield={"requests_per_5min": 100}) as place:

        async def api(scope, receive, send):  # type: ignore[no-untyped-def]
            scope["hot"].keep(["public"])
            limit = str(scope["rate_limit"]).encode()
            headers = [(b"content-type", b"application/json"), (b"x-ratelimit-limit", limit)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"[]"})

        place.server.worker.app = api
        left = []
        with place.connect() as client:
            for _ in range(3):
                answer = client.ask(get("/hot/api"))
                assert answer.names.count("x-ratelimit-limit") == 1
                assert answer.headers["x-ratelimit-reset"].endswith("Z")
                left.append(answer.headers["x-ratelimit-remaining"])
        assert left == ["99", "99", "99"]


@pytest.mark.parametrize("path", ["/hot/a", "/hot/b"])
def test_a_visitor_whose_connection_is_older_than_the_period_is_counted_in_it(path: str) -> None:
    # The watch's key may come after the first visitors, and a connection may be open at midnight.
    visitors = VisitorCounter()
    with a_place(visitors=visitors) as place, place.connect() as client:
        assert place.ask(get("/hot/b")).status == 200
        for _ in range(3):
            client.ask(get("/hot/a", "User-Agent: Mozilla/5.0 (X11; Linux) Firefox/140.0"))
        place.call(lambda: visitors.begin(periods_at(time.time())[0], bytearray(KEY_BYTES)))
        assert place.call(lambda: visitors.tick(time.time()))
        place.call(place.server.worker.forget_visitors)
        for _ in range(3):
            client.ask(get(path, "User-Agent: Mozilla/5.0 (X11; Linux) Firefox/140.0"))
        assert place.call(visitors.take).counts["known_by/address"] == 1
