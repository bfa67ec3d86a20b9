"""Legitimate clients behave like real ones: nine in ten obey Retry-After. Clocks start at the wish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from stormpetrel.drill import client as clients
from stormpetrel.drill.client import IMPATIENT_RETRIES, Caller, Client, Course
from stormpetrel.drill.judge import ExpectedRequest, ResponseFamily
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.record import FAILED, LATE, OK, REFUSED, TIMEOUT, Line

GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BUSY = (
    b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: 14\r\n\r\n"
    b'{"error": "x"}'
)
COOKIE = b"HTTP/1.1 200 OK\r\nSet-Cookie: petrel=1; Path=/\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Answers each request with the next of `answers`, and repeats the last one. b"" closes, None stays
    silent.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer:
                    writer.write(answer)
                elif answer == b"":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def want(**more: Any) -> ExpectedRequest:
    fields: dict[str, Any] = {"patience_s": 5.0, "is_right": lambda answer: answer.status == 200} | more
    return ExpectedRequest("GET", "/x", "apps", ResponseFamily.API, **fields)


def live(
    server: Server,
    use: Callable[[Client], Coroutine[Any, Any, None]],
    *,
    impatient: bool = False,
    connections: int = 50,
) -> list[Line]:
    """Run the client's coroutine against the server and return the recorded lines."""
    lines: list[Line] = []

    async def go() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        course = Course(
            target=Address("127.0.0.1", listening.sockets[0].getsockname()[1]),
            host="here",
            start_s=time.monotonic(),
            budget=TrafficBudget.of(connections=connections, seconds=60),
            phase_at=lambda t: "calm",
            put=lines.append,
        )
        client = Client(
            course,
            Caller("own", "lena", "Tusky"),
            address="127.40.0.9",
            impatient=impatient,
            headers=(("X-A", "b"),),
        )
        try:
            await use(client)
        finally:
            client.close()
            listening.close()
            await asyncio.sleep(0.01)

    asyncio.run(go())
    return lines


def test_latency_counts_from_the_wish_and_lateness_is_the_clients_own() -> None:
    async def use(client: Client) -> None:
        assert await client.ask(want(), time.monotonic() - 0.5) is not None

    (line,) = live(Server(GOOD), use)
    assert line.outcome == OK
    assert line.ms >= line.late_ms >= 500


def test_an_answer_after_the_persons_patience_is_late() -> None:
    async def use(client: Client) -> None:
        assert await client.ask(want(patience_s=0.3), time.monotonic() - 0.4) is None

    assert live(Server(GOOD), use)[0].outcome in (LATE, TIMEOUT)


def test_a_kept_connection_is_used_again_and_one_that_the_server_closed_is_no_failure() -> None:
    async def use(client: Client) -> None:
        for _ in range(3):
            assert await client.ask(want(), time.monotonic()) is not None

    server = Server(GOOD, GOOD, b"", GOOD)
    assert [line.outcome for line in live(server, use)] == [OK, OK, OK]
    assert server.connections == 2


def test_cookies_are_kept_and_sent_as_a_browser_does() -> None:
    async def use(client: Client) -> None:
        await client.ask(want(), time.monotonic())
        await client.ask(want(), time.monotonic())

    server = Server(COOKIE)
    live(server, use)
    assert b"Cookie" not in server.requests[0]
    assert b"Cookie: petrel=1\r\n" in server.requests[1]
    assert b"X-A: b\r\n" in server.requests[1]


def test_retry_after_is_heeded_what_is_wanted_meanwhile_is_refused_and_the_retry_does_not_count_as_kept() -> (
    None
):
    async def use(client: Client) -> None:
        assert await client.ask(want(), time.monotonic()) is None
        assert await client.ask(want(), time.monotonic()) is None
        assert len(client._retrying) == 1
        await asyncio.gather(*client._retrying)

    server = Server(BUSY, GOOD)
    first, held, retry = live(server, use)
    assert len(server.requests) == 2
    assert (first.outcome, first.status, first.contract, first.retry_after) == (REFUSED, 503, True, 1.0)
    assert (held.outcome, held.status, held.contract) == (REFUSED, 0, None)
    assert (retry.outcome, retry.is_retry) == (OK, True)
    assert retry.t - first.t >= 1.0


def test_the_impatient_retry_three_times_at_once() -> None:
    async def use(client: Client) -> None:
        await client.ask(want(), time.monotonic())
        await asyncio.gather(*client._retrying)

    lines = live(Server(BUSY), use, impatient=True)
    assert [line.is_retry for line in lines] == [False, *[True] * IMPATIENT_RETRIES]
    assert max(line.t for line in lines) < 1.0


def test_what_must_not_be_sent_twice_is_not_retried() -> None:
    async def use(client: Client) -> None:
        await client.ask(want(safe=False), time.monotonic())
        assert not client._retrying

    assert len(live(Server(BUSY), use)) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(b"", FAILED), (None, TIMEOUT), (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", FAILED)],
)
def test_a_closed_connection_silence_and_an_error_are_told_apart(
    answer: bytes | None, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "RETRY_UNASKED_S", 60.0)

    async def use(client: Client) -> None:
        await client.ask(want(patience_s=0.2), time.monotonic())

    assert live(Server(answer), use)[0].outcome == outcome


def test_a_spent_budget_is_a_failure_and_not_a_crash() -> None:
    async def use(client: Client) -> None:
        assert await client.ask(want(safe=False), time.monotonic()) is None

    assert live(Server(GOOD), use, connections=0)[0].outcome == FAILED
