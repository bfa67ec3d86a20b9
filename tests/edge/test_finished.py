"""Finished answers: in a real edge, and against a plain model however requests and changes interleave."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.audience.counter import KEY_BYTES, VisitorCounter
from stormpetrel.audience.periods import periods_at
from stormpetrel.edge.finished import AnswerKey, FinishedAnswers, FinishedOffer
from stormpetrel.shield.identify import TokenEntry
from stormpetrel.shield.paths import API, Family, PathFacts
from tests.edge.place import App, Place, a_place, get

HEADERS = [(b"content-type", b"application/json"), (b"x-request-id", b"one"), (b"x-ratelimit-limit", b"300")]
FACTS = range(4)
TOKENS = (b"ada", b"bob")


def offered(answers: FinishedAnswers, key: AnswerKey) -> FinishedOffer:
    """Return the offer for a request that came before."""
    offer = answers.offer(key) or answers.offer(key)
    assert offer is not None
    return offer


# Against a model -------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("begin"), st.sampled_from(TOKENS), st.frozensets(st.sampled_from(FACTS), max_size=3)
        ),
        st.tuples(st.just("end"), st.integers(0, 5), st.none()),
        st.tuples(st.just("changed"), st.frozensets(st.sampled_from(FACTS), min_size=1), st.none()),
        st.tuples(st.just("all"), st.none(), st.none()),
        st.tuples(st.just("ask"), st.sampled_from(TOKENS), st.none()),
    ),
    max_size=60,
)


@given(STEPS)
def test_an_answer_from_memory_is_the_one_that_the_application_would_give_now(steps: list[Any]) -> None:
    answers = FinishedAnswers()
    store = dict.fromkeys(FACTS, 0)
    shown: dict[bytes, frozenset[int]] = {}
    requests: list[tuple[Any, bytes, frozenset[int], bytes]] = []

    def body_of(token: bytes, facts: frozenset[int]) -> bytes:
        return b"%b sees %b" % (token, repr({fact: store[fact] for fact in sorted(facts)}).encode())

    for what, value, facts in steps:
        if what == "begin":
            requests.append((offered(answers, (value, b"/x", b"")), value, facts, body_of(value, facts)))
        elif what == "end" and requests:
            offer, token, facts, body = requests.pop(value % len(requests))
            offer.keep(facts)
            if answers.store(offer, HEADERS, body) is not None:
                shown[token] = facts
        elif what == "changed":
            for fact in value:
                store[fact] += 1
            answers.changed(value)
        elif what == "all":
            store = {fact: version + 1 for fact, version in store.items()}
            answers.all_changed()
            assert len(answers) == answers.size_bytes == 0
        elif what == "ask":
            answer = answers.find((value, b"/x", b""), 0.0)
            if answer is not None:
                assert answer.plain()[3] == body_of(value, shown[value])


def test_an_answer_ends_with_its_time_and_with_its_condition() -> None:
    answers = FinishedAnswers()
    holds = [True]
    key = (b"token", b"/x", b"")
    for until_s, condition in ((100.0, None), (1e9, lambda: holds[0])):
        holds[0] = True
        offer = offered(answers, key)
        offer.keep((), until_s=until_s, still_holds=condition)
        answers.store(offer, HEADERS, b"{}")
        assert answers.find(key, 99.9) is not None
        holds[0] = False
        assert answers.find(key, 100.0) is None
        assert len(answers) == 0


def test_the_table_is_bounded_by_weight_and_drops_what_was_used_longest_ago() -> None:
    answers = FinishedAnswers(capacity_bytes=40_000)
    kept = (b"kept", b"/x", b"")
    for number in range(100):
        for key in (kept, (b"%d" % number, b"/x", b"")):
            if answers.find(key, 0.0) is None:
                offer = offered(answers, key)
                offer.keep((1, 2, 3))
                answer = answers.store(offer, HEADERS, b"a" * 4_000)
                assert answer is not None
                answers.packed(answer)
        assert answers.size_bytes <= 40_000
    assert len(answers) > 3
    assert answers.find(kept, 0.0) is not None
    too_large = offered(answers, (b"large", b"/x", b""))
    too_large.keep(())
    assert answers.store(too_large, HEADERS, b"a" * 300_000) is None


def test_an_answer_that_sets_a_cookie_is_not_stored() -> None:
    answers = FinishedAnswers()
    offer = offered(answers, (b"token", b"/x", b""))
    offer.keep(())
    assert answers.store(offer, [*HEADERS, (b"set-cookie", b"a=b")], b"{}") is None


def test_the_changes_of_other_processes_are_applied_before_an_answer_is_used() -> None:
    answers = FinishedAnswers()
    offer = offered(answers, (b"token", b"/x", b""))
    offer.keep((7,))
    answers.store(offer, HEADERS, b"{}")
    answers.catch_up = lambda: answers.changed((7,))
    assert answers.find((b"token", b"/x", b""), 0.0) is None


# In an edge ------------------------------------------------------------------------------------------------


class Members(App):
    """Answers with a number that rises with each call, and lets the edge store it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.body = b"."

    async def named(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("send_finished") is not None and scope["send_finished"]():
            return
        self.calls += 1
        if "finished" in scope:
            scope["finished"].keep((1,))
        headers = [
            (b"content-type", b"application/json"),
            (b"link", b"<x>"),
            (b"x-request-id", b"%d" % self.calls),
            (b"x-ratelimit-limit", b"1"),
            (b"cache-control", b"private, no-store"),
        ]
        await self.answer(send, b"%d%b" % (self.calls, self.body), headers=headers)


def of_members(path: bytes) -> PathFacts:
    return PathFacts(
        exists=True, family=Family.API, kind=API, finished=() if path.startswith(b"/api/own") else None
    )


def bearer(token: str, *more: str, path: str = "/api/own", method: str = "GET") -> bytes:
    return get(path, f"Authorization: Bearer {token}", *more, method=method)


@contextmanager
def members(**keys: Any) -> Iterator[tuple[Place, Members]]:
    app = Members()
    with a_place(app=app, facts=of_members, **keys) as place:
        for number, token in enumerate(("ada", "bob", "eve"), 7):
            admit(place, token, number)
            for path, query in ((b"/api/own", b""), (b"/api/own", b"limit=1"), (b"/api/owner", b"")):
                # As if each had been requested before.
                place.server.finished.offer((digest_of(token), path, query))
        yield place, app


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def admit(place: Place, token: str, account_id: int, *, age_s: float = 0.0) -> None:
    def put() -> None:
        at_s = place.server.worker.loop.time() - age_s
        place.server.tokens.put(digest_of(token), TokenEntry(account_id, 1, at_s, None, application="Tusky"))

    place.call(put)


def test_a_token_gets_its_own_answer_again_until_a_fact_changes() -> None:
    with members() as (place, app), place.connect() as one, place.connect() as other:
        assert [one.ask(bearer("ada")).body, other.ask(bearer("ada")).body] == [b"1.", b"1."]
        # No other token, path or query gets it.
        assert other.ask(bearer("bob")).body == b"2."
        assert other.ask(bearer("ada", path="/api/own?limit=1")).body == b"3."
        assert other.ask(bearer("ada", path="/api/owner")).body == b"4."
        assert other.ask(bearer("ada")).body == b"1."
        place.call(lambda: place.server.finished.changed((1,)))
        assert [one.ask(bearer("ada")).body, other.ask(bearer("ada")).body] == [b"5.", b"5."]
        place.call(place.server.finished.all_changed)
        assert one.ask(bearer("ada")).body == b"6."
        assert app.calls == 6


def test_the_answer_to_a_request_that_came_once_is_not_stored() -> None:
    with members() as (place, app):
        assert [place.ask(bearer("ada", path="/api/own?max_id=1")).body for _ in range(4)] == [
            *(b"1.", b"2.", b"2.", b"2.")
        ]
        assert len(place.server.finished) == 1
        assert "finished" not in app.scopes[0]


@pytest.mark.parametrize("coding", ["", "Accept-Encoding: gzip", "Accept-Encoding: br;q=0.1, gzip"])
@pytest.mark.parametrize("length", [2, 5_000])
def test_the_bytes_are_those_of_the_application_but_for_the_request_id(coding: str, length: int) -> None:
    with members(shield={"requests_per_5min": 300}) as (place, app):
        app.body = b"a" * length
        headers = [coding] if coding else []
        first = place.ask(bearer("ada", *headers))
        second = place.ask(bearer("ada", *headers))
        assert app.calls == 1
        changing = ("date", "x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset")
        assert [name for name in first.names if name != "x-request-id"] == second.names
        for name in second.names:
            assert name in changing or first.headers[name] == second.headers[name]
        assert first.body == second.body
        assert ("content-encoding" in second.headers) == (bool(coding) and length > 2)
        left = [int(answer.headers["x-ratelimit-remaining"]) for answer in (first, second)]
        assert left[0] == left[1] + 1


def test_the_same_bytes_are_compressed_once() -> None:
    with members() as (place, app):
        app.body = b"a" * 5_000
        plain = place.ask(bearer("ada"))
        packed = [place.ask(bearer("ada", "Accept-Encoding: gzip")) for _ in range(2)]
        assert app.calls == 1
        assert len(packed[0].body) < len(plain.body)
        (answer,) = place.server.finished._answers.values()
        assert answer.packed()[3] is answer.packed()[3]
        assert packed[0].body == packed[1].body == answer.packed()[3]


def test_a_closing_client_a_head_and_a_body_get_what_they_ask_for() -> None:
    with members() as (place, app):
        assert place.ask(bearer("ada")).body == b"1."
        with place.connect() as client:
            closing = client.ask(bearer("ada", "Connection: close"))
            assert (closing.body, closing.headers["connection"]) == (b"1.", "close")
            assert client.more() == b""
        head = place.ask(bearer("ada", method="HEAD"))
        assert (head.body, head.headers["content-length"]) == (b"", "2")
        with place.connect() as client:
            client.send(bearer("ada", "Content-Length: 1") + b"x")
            assert client.answer().body == b"3."
        assert app.calls == 3


def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    with members() as (place, _), place.connect() as client:
        client.ask(bearer("ada"))
        client.send(bearer("ada") + bearer("bob") + bearer("ada") + bearer("bob"))
        assert [client.answer().body for _ in range(4)] == [b"1.", b"2.", b"1.", b"2."]


def test_an_answer_from_memory_is_counted_and_limited_like_one_of_the_application() -> None:
    with members(shield={"requests_per_5min": 3}) as (place, app):
        answers = [place.ask(bearer("ada")) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert app.calls == 1
        place.until(lambda: place.server.worker.gate.running == 0)
        report = place.call(place.server.worker.shield_report)
        assert report.applications == {"Tusky": {"served": 3, "refused": 1}}
        assert report.classes["K1"] == {"served": 3, "refused": 1}
        assert (place.server.counts.admitted, place.server.counts.finished) == (3, 2)


def test_each_answer_from_memory_is_counted_for_the_audience_also_in_the_next_period() -> None:
    visitors = VisitorCounter()
    visitors.begin(periods_at(time.time())[0], bytearray(KEY_BYTES))
    visitors.tick(time.time())
    with members(visitors=visitors) as (place, _), place.connect() as client:
        for _ in range(5):
            client.ask(bearer("ada", "DNT: 1"))
        client.ask(bearer("ada"))
        assert place.server.counts.finished == 5
        assert place.call(lambda: list(visitors.apart("opted_out"))) == [5]
        for _ in range(2):
            client.ask(bearer("ada", "DNT: 1"))
            place.call(place.server.worker.forget_visitors)
        assert place.call(lambda: list(visitors.apart("opted_out"))) == [7]


def test_a_token_that_must_be_looked_up_again_is_asked_of_the_application() -> None:
    with members() as (place, app):
        place.ask(bearer("ada"))
        admit(place, "ada", 7, age_s=120.0)
        scopes = len(app.scopes)
        assert place.ask(bearer("ada")).body == b"1."
        # The application was called: only it knows whether the token is still valid.
        assert len(app.scopes) == scopes + 1
        assert app.calls == 1


def test_a_request_that_waited_gets_the_finished_answer() -> None:
    with (
        members(shield={"running": 1}) as (place, app),
        place.connect() as busy,
        place.connect() as client,
    ):
        client.ask(bearer("ada"))
        busy.send(bearer("eve", path="/held"))
        place.until(lambda: place.server.worker.gate.running == 1)
        client.send(bearer("ada"))
        place.until(lambda: len(place.server.worker.gate.queue) == 1)
        assert app.gate is not None
        place.call(app.gate.set)
        assert client.answer().body == b"1."
        assert busy.answer().body == b"held"
        assert (app.calls, place.server.counts.finished) == (1, 1)


def test_a_token_in_the_query_or_a_canary_leaves_nothing_in_memory() -> None:
    with members() as (place, app):
        for _ in range(2):
            place.ask(get("/api/own?access_token=ada"))
            place.ask(bearer("ada", "X-Stormpetrel-Canary: x"))
        assert app.calls == 4
        assert len(place.server.finished) == 0
