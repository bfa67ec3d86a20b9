"""How a canary judges answers: real sockets, and servers that misbehave."""

from __future__ import annotations

import asyncio

import pytest

from stormpetrel.rules.canaries import credentials
from stormpetrel.watch import canaries as canaries_module
from stormpetrel.watch.canaries import ALARM_AFTER, Canaries
from stormpetrel.watch.probe_client import MAX_ANSWER_BYTES, NoAnswer, ProbeClient
from stormpetrel.watch.probes import Canary, ProbeFailed

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"


class Door:
    """A server that answers each connection with the next of `answers`, and repeats the last one."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.server = None

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    @property
    def front(self):
        return ProbeClient("127.0.0.1", self.server.sockets[0].getsockname()[1], "here.example")

    async def _connected(self, reader, writer):
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()


def made(front, notes=None, register=None):
    async def registered():
        return None

    return Canaries(
        Canary(
            front, credentials(b"x" * 32), lambda person: {"X-Stormpetrel-Canary": f"a mark of a {person}"}
        ),
        register=register or registered,
        note=(notes if notes is not None else []).append,
        now_epoch_s=lambda: 1_000.0,
    )


def outcome_of(answer, channel="web"):
    async def body():
        async with Door(answer) as door:
            canaries = made(door.front)
            await canaries.go(channel)
            return canaries.seen[channel].state

    state = asyncio.run(body())
    return state.outcome, state.detail


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (OK, "ok", ""),
        (b"HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n", "refused", "GET /public answered 429"),
        (b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "refused", "GET /public answered 503"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "failed", "GET /public answered 500"),
        (
            b"HTTP/1.1 302 Go\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            "failed",
            "GET /public answered 302",
        ),
        (b"", "failed", "the connection was closed before the response was complete"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[]", "failed", "the connection was closed before"),
        (b"SSH-2.0-x\r\n\r\n", "failed", "the response is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "failed", "the response is too large"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_ANSWER_BYTES + 1),
            "failed",
            "the response is too large",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * (MAX_ANSWER_BYTES + 1), "failed", "too large"),
    ],
)
def test_what_the_page_canary_meets(answer, outcome, detail):
    found = outcome_of(answer)
    assert found[0] == outcome
    assert detail in found[1]


@pytest.mark.parametrize(
    ("channel", "answer", "detail"),
    [
        ("apps", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "is not a list"),
        ("apps", b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<html>no</html>", "is not JSON"),
        ("posting", OK, "cannot read the token"),
        ("sign_in", OK, "the sign-in page has no form"),
        ("streaming", OK, "closed before"),
    ],
)
def test_an_answer_that_says_200_and_is_no_answer_is_not_well(channel, answer, detail):
    outcome, found = outcome_of(answer, channel)
    assert outcome == "failed"
    assert detail in found


def test_silence_is_a_timeout(monkeypatch):
    monkeypatch.setattr(canaries_module, "PATIENCE_S", 0.05)
    assert outcome_of(None)[0] == "timeout"


def test_nobody_at_the_door_is_a_failure():
    async def body():
        async with Door(OK) as door:
            front = door.front
        canaries = made(front)
        await canaries.go("feeds")
        return canaries.seen["feeds"].state

    state = asyncio.run(body())
    assert (state.outcome, state.failures) == ("failed", 1)
    assert "refused" in state.detail.lower() or "connect" in state.detail.lower()


def test_failures_are_written_down_once_when_they_last_and_once_when_they_end():
    notes = []
    busy = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"

    async def body():
        async with Door(busy, OK, *[busy] * 5, OK, OK) as door:
            canaries = made(door.front, notes)
            for _ in range(9):
                await canaries.go("web")
            return canaries.seen["web"].counts

    assert asyncio.run(body()) == {"refused": 6, "ok": 3}
    assert [(note.kind, note.channel, note.because) for note in notes] == [
        ("canary", "web", "refused"),
        ("canary", "web", "ok"),
    ]
    assert notes[1].text == "canary web succeeds again after 5 failures"
    assert ALARM_AFTER == 2


def test_credentials_that_were_cleared_away_are_made_again_without_an_alarm():
    unknown = b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"
    registered = []

    async def register():
        registered.append(1)

    async def body():
        async with Door(unknown, unknown, unknown, OK) as door:
            canaries = made(door.front, register=register)
            for _ in range(3):
                await canaries.go("apps")
            return canaries.seen["apps"].counts

    # A worker caches the absence of the token for a while, which harms no client.
    assert asyncio.run(body()) == {"failed": 1, "ok": 1}
    assert len(registered) == 1


def test_a_store_that_does_not_take_the_credentials_is_what_the_canary_reports():
    async def register():
        raise ProbeFailed("the canaries could not be registered: the database is away")

    async def body():
        async with Door(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n") as door:
            canaries = made(door.front, register=register)
            await canaries.go("apps")
            return canaries.seen["apps"].state

    state = asyncio.run(body())
    assert (state.outcome, state.detail.endswith("the database is away")) == ("failed", True)


def test_an_errand_carries_the_mark_the_public_name_and_ends_its_connection():
    async def body():
        async with Door(OK) as door:
            canaries = made(door.front)
            await canaries.go("web")
            return door.requests

    (head,) = asyncio.run(body())
    assert b"\r\nX-Stormpetrel-Canary: a mark of a member\r\n" in head
    assert b"\r\nHost: here.example\r\n" in head
    assert b"\r\nConnection: close\r\n" in head


def test_a_target_that_is_asked_has_a_whole_answer_or_a_reason():
    async def body():
        async with Door(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n") as door:
            front = door.front
            answer = await front.ask("GET", "/x", headers={})
            assert answer.status == 200
            assert answer.body == b"[]"
        with pytest.raises(NoAnswer):
            await front.ask("GET", "/x", headers={})

    asyncio.run(body())


@pytest.mark.parametrize("body", [b"", b"5\r\n[]\r\n0\r\n\r\n", b"2\r\n[]\r\n", b"x\r\n", b"-2\r\n[]\r\n"])
def test_a_chunked_answer_that_ends_early_is_no_answer(body):
    async def ask():
        async with Door(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body) as door:
            with pytest.raises(NoAnswer):
                await door.front.ask("GET", "/x", headers={})

    asyncio.run(ask())


def test_a_service_that_fails_now_and_then_is_found_unsteady_and_steady_again_when_it_stops():
    busy = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"

    async def body():
        async with Door(OK, busy, OK, busy, OK, OK, OK, OK) as door:
            canaries = made(door.front)
            found = []
            for _ in range(8):
                await canaries.go("web")
                state = canaries.seen["web"].state
                found.append((state.changes, state.in_row))
            return found

    assert asyncio.run(body()) == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (4, 2), (3, 3), (2, 4)]
