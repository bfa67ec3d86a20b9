"""The shield in a real edge: cookies for visitors, reports to the watch, and directions from it."""

from __future__ import annotations

import hashlib
import math
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from stormpetrel.shield.classify import K1, K1_COLD
from stormpetrel.shield.concurrency import Concurrency
from stormpetrel.shield.held import clients_held
from stormpetrel.shield.identify import Identity, TokenEntry
from stormpetrel.shield.marks import VISITOR_COOKIE, marks_of
from stormpetrel.shield.paths import PathFacts
from stormpetrel.shield.queues import Ticket
from stormpetrel.shield.reports import Directions, OperatorEntry
from tests.edge.place import SECRET, Answer, Place, a_place, facts_of, get


def head_of(answer: Answer) -> str:
    return answer.raw.partition(b"\r\n\r\n")[0].decode()


def visitor_cookies(answer: Answer) -> list[str]:
    return re.findall(rf"(?m)^set-cookie: ({VISITOR_COOKIE}=[^;]+)(?=;)", head_of(answer), re.IGNORECASE)


def test_a_new_visitor_gets_one_cookie_per_connection_and_the_kept_page_has_none() -> None:
    with a_place() as place, place.connect() as client, place.connect() as other:
        rendered = client.ask(get("/hot/a"))
        again = client.ask(get("/hot/a"))
        kept = other.ask(get("/hot/a"))
        kept_again = other.ask(get("/hot/a"))
        assert place.app.renders == 1
        assert [len(visitor_cookies(a)) for a in (rendered, again, kept, kept_again)] == [1, 0, 1, 0]
        assert visitor_cookies(rendered) != visitor_cookies(kept)
        assert again.body == kept.body == rendered.body
        wires = [wire for page in place.server.cache.pages.values() for wire in page.wires if wire]
        assert wires
        assert not any(b"set-cookie" in wire for wire in wires)
        marks = marks_of(SECRET, visitor_cookies(kept)[0].encode(), epoch_s=time.time())
        assert marks.visitor is not None
        # An intermediary must not give this cookie to other clients.
        assert 'private="set-cookie"' in head_of(kept)
        line = next(line for line in head_of(kept).splitlines() if VISITOR_COOKIE in line)
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))


def test_where_people_come_by_https_the_cookie_does_so_only() -> None:
    with a_place(public_https=True) as place:
        line = next(line for line in head_of(place.ask(get("/hot/a"))).splitlines() if VISITOR_COOKIE in line)
        assert "Secure" in line.split("; ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/hot/a", f"Cookie: {VISITOR_COOKIE}=anything"),
        get("/hot/a", "If-None-Match: *"),
        get("/hot/a", method="HEAD"),
        get("/plain"),
    ],
    ids=["it has one", "it has the page", "it does not want it", "it is no public page"],
)
def test_others_get_no_cookie(request_bytes: bytes) -> None:
    with a_place() as place:
        place.ask(get("/hot/a"))
        with place.connect() as client:
            assert visitor_cookies(client.ask(request_bytes)) == []


@pytest.mark.parametrize("shield", [{"visitor_cookies": "off"}, {"mode": "off"}, {"mode": "bounded"}])
def test_nobody_gets_a_cookie_where_it_is_switched_off(shield: dict[str, Any]) -> None:
    with a_place(shield=shield) as place:
        assert visitor_cookies(place.ask(get("/hot/a"))) == []


def test_under_overload_pages_stay_fresh_longer() -> None:
    with a_place() as place:
        worker = place.server.worker

        def overload() -> None:
            # As after half a second of overload.
            for _ in range(10):
                worker.shield.overload.turn(at_s=worker.loop.time(), epoch_s=time.time(), lag_s=1.0)

        place.call(overload)
        place.until(lambda: worker.cache.least_ttl_s == 10.0)
        place.ask(get("/hot/a"))
        page = next(iter(worker.cache.pages.values()))
        assert page.fresh_until_s > place.call(worker.loop.time) + 5.0
        place.until(lambda: worker.cache.least_ttl_s == 0.0)


def directions(place: Place, **keys: Any) -> None:
    place.call(lambda: place.server.worker.direct(Directions(1, time.time() + 60.0, **keys)))


def test_who_is_denied_is_told_so_in_its_language_and_when_to_ask_again() -> None:
    with a_place() as place:
        directions(place, denied=(OperatorEntry("address", "127.0.0.0/16", time.time() + 60.0, "a test"),))
        for path, kind in (
            ("/x", "text/html"),
            ("/api/v1/x", "application/json"),
            ("/@a.atom", "text/plain"),
        ):
            answer = place.ask(get(path))
            assert answer.status == 429
            assert answer.headers["content-type"].startswith(kind)
            assert int(answer.headers["retry-after"]) >= 1
        report = place.call(place.server.worker.shield_report)
        assert report.because == {"deny/address": 3}
        assert report.channels["feeds"] == {"refused": 1}
        assert report.directions_version == 1


def test_a_report_tells_of_members_by_application_and_of_pages_from_memory() -> None:
    with a_place() as place:
        digest = hashlib.sha256(b"token").digest()

        def remember() -> None:
            at_s = place.server.worker.loop.time()
            place.server.tokens.put(digest, TokenEntry(7, 1, at_s, None, application="Tusky"))

        place.call(remember)
        assert place.ask(get("/api/v1/timelines/home", "Authorization: Bearer token")).status == 200
        for _ in range(3):
            place.ask(get("/hot/a"))
        place.until(lambda: place.server.worker.gate.running == 0)
        report = place.call(place.server.worker.shield_report)
        assert report.applications == {"Tusky": {"served": 1}}
        assert report.classes["K1"] == {"served": 1}
        assert report.classes["K3"] == {"served": 1, "cached": 2}
        assert report.prefixes[0][0] == "127.0.0.0/24"
        assert place.call(place.server.worker.shield_report).classes == {}


def test_a_report_tells_how_many_members_wait_after_a_refusal() -> None:
    with a_place() as place:
        worker = place.server.worker

        def refuse() -> None:
            ticket = Ticket(Identity("account", 7), K1, None, "", "streaming", "Tusky", True, False)
            assert worker.refusal("queue/full", ticket, worker.loop.time()).retry_after_s

        place.call(refuse)
        place.call(refuse)
        assert clients_held([place.call(worker.shield_report).held["streaming"]]) == 1
        # It is no count of a period: the member still waits in the next second.
        assert clients_held([place.call(worker.shield_report).held["streaming"]]) == 1


def test_members_whose_home_is_not_in_memory_wait_in_a_part_of_their_class() -> None:
    homes: set[int] = set()

    def facts(path: bytes) -> PathFacts:
        return replace(facts_of(path), reads_home=path.endswith(b"/home"))

    with a_place(has_home=homes.__contains__, facts=facts) as place:
        digest = hashlib.sha256(b"token").digest()

        def remember() -> None:
            at_s = place.server.worker.loop.time()
            place.server.tokens.put(digest, TokenEntry(7, 1, at_s, None))

        place.call(remember)
        for path in ("/api/v1/timelines/home", "/api/v1/notifications", "/api/v1/timelines/home"):
            assert place.ask(get(path, "Authorization: Bearer token")).status == 200
            homes.add(7)
        assert [scope["lane"] for scope in place.app.scopes] == [K1_COLD, K1, K1]
        place.until(lambda: place.server.worker.gate.running == 0)
        assert place.call(place.server.worker.shield_report).classes["K1"] == {"served": 3}


def test_a_report_counts_each_request_that_the_application_had_no_capacity_for() -> None:
    with a_place() as place:
        for _ in range(3):
            assert place.ask(get("/hot/busy")).status == 503
        place.until(lambda: place.server.worker.gate.running == 0)
        assert place.call(place.server.worker.shield_report).because == {"application/busy": 3}


def test_mode_overcompensate_gives_everybody_a_page_even_applications() -> None:
    with a_place(shield={"mode": "overcompensate"}) as place:
        worker = place.server.worker
        assert place.ask(get("/api/v1/x")).headers["content-type"] == "text/plain"

        def overload() -> None:
            for _ in range(10):
                worker.shield.overload.turn(at_s=worker.loop.time(), epoch_s=time.time(), lag_s=1.0)

        place.call(overload)
        place.until(lambda: worker.shield.cutoff_epoch_s != 0.0)
        for path in ("/api/v1/x", "/x", "/@a.atom"):
            answer = place.ask(get(path))
            assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        passed = place.ask(get("/x")).headers["set-cookie"].partition(";")[0]
        assert place.ask(get("/x", f"Cookie: {passed}")).headers["content-type"] == "text/plain"
        assert (
            place.ask(get("/api/v1/x", f"Cookie: {passed}")).headers["content-type"].startswith("text/html")
        )


class RecordedConcurrency(Concurrency):
    """Slots that note the CPU time of each window."""

    __slots__ = ("seen",)

    def __init__(self, base: int) -> None:
        super().__init__(base)
        self.seen: list[float] = []

    def turn(
        self, *, lag_s: float, used_s: float, passed_s: float, known_wait: bool, loop_s: float = math.inf
    ) -> None:
        # Without the loop's CPU time it was not the worker that called.
        if 0.0 < loop_s < math.inf:
            self.seen.append(used_s)
        super().turn(lag_s=lag_s, used_s=used_s, passed_s=passed_s, known_wait=known_wait, loop_s=loop_s)


def test_the_slots_are_chosen_by_the_cpu_time_of_requests_that_still_run() -> None:
    with a_place() as place:
        gate = place.server.worker.gate
        slots = gate.concurrency = RecordedConcurrency(4)
        with place.connect() as client:
            client.send(get("/held"))
            place.until(lambda: any(slots.seen))
            assert place.call(lambda: place.app.gate.is_set()) is False
            place.call(place.app.gate.set)
            assert client.answer().status == 200
