"""The server that providers call, over real sockets: its answers, its limits, and hostile requests."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import resource
from collections import Counter
from pathlib import Path

import pytest

from stormpetrel.gateway import webhooks
from stormpetrel.gateway.providers.file import make as make_file
from stormpetrel.gateway.providers.kannel import make as make_kannel
from stormpetrel.gateway.webhooks import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_HEAD_BYTES
from tests.gateway.hostile_webhooks import hostile, providers
from tests.gateway.inbox import MemoryInbox, route, run, until
from tests.gateway.webhook_server import ask, exchange, request_bytes, serving

GOOD = "/sms/main?secret=s3cret&from=%2B15551234567&to=40404&text=hello+there&charset=UTF-8&coding=0&id=i1"


def kannel():
    return make_kannel(
        route(
            "kannel",
            send_url="http://127.0.0.1:1/cgi-bin/sendsms",
            webhook_url="https://example.org/sms/main",
            username="u",
            password="p",
            secret="s3cret",
        )
    )


def served(body, **more):
    """Run `body(port, inbox)` beside the server, with one route "main" of Kannel."""
    inbox = MemoryInbox()

    async def main():
        async with serving({"main": kannel()}, inbox, **more) as port:
            return await body(port, inbox)

    return run(main)


def test_a_message_is_answered_after_it_is_stored_and_once_only():
    async def body(port, inbox):
        first, again = await exchange(port, request_bytes(GOOD) * 2, count=2)
        assert (first.status, again.status) == (200, 200)
        assert "Connection: keep-alive" in first.head
        assert (inbox.texts, inbox.repeated) == (["hello there"], 1)
        posted = await ask(port, GOOD.replace("i1", "i2"), method="POST", body=b"x")
        assert posted.status == 200
        assert len(inbox.messages) == 2

    served(body)


def test_what_could_not_be_stored_is_503_and_may_be_sent_again():
    async def body(port, inbox):
        inbox.is_full = True
        refused = await ask(port, GOOD)
        assert refused.status == 503
        assert "\r\nRetry-After: 5\r\n" in refused.head
        inbox.is_full = False
        assert (await ask(port, GOOD)).status == 200
        assert len(inbox.messages) == 1

    served(body)


def test_a_store_that_hangs_is_503_after_a_while(monkeypatch):
    monkeypatch.setattr(webhooks, "ANSWER_TIMEOUT_S", 0.1)

    class HangingInbox(MemoryInbox):
        async def message(self, incoming):
            await asyncio.Event().wait()

    async def main():
        async with serving({"main": kannel()}, HangingInbox()) as port:
            assert (await ask(port, GOOD)).status == 503

    run(main)


def test_a_defect_is_500_and_the_connection_goes_on(caplog):
    class BrokenInbox(MemoryInbox):
        async def message(self, incoming):
            raise ZeroDivisionError

    async def main():
        async with serving({"main": kannel()}, BrokenInbox()) as port:
            answers = await exchange(port, request_bytes(GOOD) + request_bytes("/health"), count=2)
            assert [answer.status for answer in answers] == [500, 200]

    run(main)
    assert "webhook failed" in caplog.text


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        (GOOD.replace("s3cret", "secret"), {}, 403),
        (GOOD.replace("secret=s3cret&", ""), {}, 403),
        (GOOD.replace("from=", "fro="), {}, 400),
        (GOOD.replace("/main", "/other"), {}, 404),
        (GOOD.replace("/main", "/drop"), {}, 404),
        ("/sms/", {}, 404),
        ("/sms/main/", {}, 404),
        ("/", {}, 404),
        ("/metrics", {}, 404),
        (GOOD, {"method": "PUT"}, 405),
        (GOOD, {"method": "HEAD"}, 405),
        ("/health", {"method": "POST"}, 405),
        (GOOD, {"method": "POST", "body": b"x" * (MAX_BODY_BYTES + 1)}, 413),
        (GOOD, {"method": "POST", "headers": {"Transfer-Encoding": "gzip, chunked"}}, 400),
        ("/health", {"headers": {"X": "y" * MAX_HEAD_BYTES}}, 431),
        (f"/health?{'x' * 9000}", {}, 414),
    ],
)
def test_other_requests_are_refused_in_json_and_nothing_is_stored(tmp_path, path, more, status):
    inbox = MemoryInbox()

    async def main():
        drop = make_file(route("file", directory=str(tmp_path)))
        async with serving({"main": kannel(), "drop": drop}, inbox) as port:
            return await ask(port, path, **more)

    answer = run(main)
    assert answer.status == status
    if more.get("method") != "HEAD":
        assert json.loads(answer.body)["error"]
    assert ("\r\nAllow: " in answer.head) == (status == 405)
    assert inbox.messages == []


def test_a_body_in_chunks_is_read_up_to_the_limit():
    async def body(port, inbox):
        head = request_bytes(GOOD, method="POST", headers={"Transfer-Encoding": "chunked"})
        small = head + b"3\r\nabc\r\n0\r\n\r\n"
        assert [each.status for each in await exchange(port, small * 2, count=2)] == [200, 200]
        large = head + b"%x\r\n" % (MAX_BODY_BYTES + 1) + b"x" * (MAX_BODY_BYTES + 1) + b"\r\n0\r\n\r\n"
        assert [each.status for each in await exchange(port, large)] == [413]

    served(body)


def test_a_client_that_waits_for_100_continue_gets_it():
    async def body(port, inbox):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            request_bytes(GOOD, method="POST", headers={"Expect": "100-continue", "Content-Length": "1"})
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"x")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    served(body)


def test_health_and_metrics_are_answered_from_memory():
    async def body(port, inbox):
        health = await ask(port, "/health")
        assert (health.status, health.body) == (200, b'{"status":"ok"}')
        assert "\r\nContent-Length: 15\r\n" in (await ask(port, "/health", method="HEAD")).head
        assert (await ask(port, "/metrics")).body == b"sms_stored_total 3\n"

    served(body, metrics=lambda: {"sms_stored_total": 3})


def test_requests_sent_at_once_are_answered_in_order():
    async def body(port, inbox):
        sent = b"".join(request_bytes(GOOD.replace("i1", f"i{number}")) for number in range(300))
        answers = await exchange(port, sent, count=300)
        assert [answer.status for answer in answers] == [200] * 300
        assert [each.key for each in inbox.messages] == [f"i{number}" for number in range(300)]

    served(body)


def test_requests_before_the_end_of_the_stream_are_answered():
    async def body(port, inbox):
        sent = request_bytes(GOOD) + request_bytes("/health") + request_bytes(GOOD) + b"GET /sm"
        answers = await exchange(port, sent, count=9, is_last=True)
        assert [answer.status for answer in answers] == [200, 200, 200]

    served(body)


def test_silence_half_a_head_half_a_body_and_idling_end_at_their_deadlines(monkeypatch):
    for name in ("HEAD_TIMEOUT_S", "BODY_TIMEOUT_S", "IDLE_TIMEOUT_S"):
        monkeypatch.setattr(webhooks, name, 0.3)

    async def body(port, inbox):
        half = request_bytes(GOOD, method="POST", headers={"Content-Length": "9"}) + b"x"
        assert await exchange(port, b"") == []
        assert [each.status for each in await exchange(port, b"GET /hea", count=2)] == [408]
        assert [each.status for each in await exchange(port, half, count=2)] == [408]
        assert [each.status for each in await exchange(port, request_bytes("/health"), count=2)] == [200]

    served(body)


def test_connections_are_bounded_and_the_one_that_was_silent_for_longest_gives_way():
    async def body(port, inbox):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        for reader, writer in (pairs[-1], pairs[0]):
            writer.write(request_bytes("/health"))
            await reader.readuntil(b"}")
        (answer,) = await exchange(port, request_bytes(GOOD))
        assert answer.status == 200
        assert await pairs[1][0].read() == b""
        for reader, writer in (pairs[0], pairs[2]):
            writer.write(request_bytes("/health"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        for _, writer in pairs:
            writer.close()

    served(body)


def test_connections_whose_requests_are_in_progress_do_not_give_way(monkeypatch):
    monkeypatch.setattr(webhooks, "MAX_CONNECTIONS", 2)

    class SlowInbox(MemoryInbox):
        count = 0

        async def message(self, incoming):
            self.count += 1
            await until(lambda: self.is_full)
            return True

    inbox = SlowInbox()

    async def main():
        async with serving({"main": kannel()}, inbox) as port:
            asking = [asyncio.create_task(ask(port, GOOD)) for _ in range(2)]
            await until(lambda: inbox.count == 2)
            assert await exchange(port, request_bytes("/health")) == []
            inbox.is_full = True
            assert [(await each).status for each in asking] == [200, 200]

    run(main)


def test_a_request_in_progress_is_answered_when_the_server_stops():
    class SlowInbox(MemoryInbox):
        async def message(self, incoming):
            self.has_begun = True
            await asyncio.sleep(0.2)
            return await super().message(incoming)

    inbox = SlowInbox()
    inbox.has_begun = False

    async def main():
        async with serving({"main": kannel()}, inbox) as port:
            asking = asyncio.create_task(ask(port, GOOD))
            await until(lambda: inbox.has_begun)
        return await asking

    answer = run(main)
    assert answer.status == 200
    assert "Connection: close" in answer.head
    assert len(inbox.messages) == 1


async def attack(port, rng, count):
    """Send hostile requests, and return how often each status was the answer; 0 is a closed connection."""
    statuses = Counter()
    for _ in range(count):
        # A damaged head may still be incomplete: the end of the stream ends the request.
        answers = await exchange(port, hostile(rng), is_last=True)
        statuses[answers[0].status if answers else 0] += 1
    return statuses


def resident_kb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


@pytest.mark.parametrize(
    "count", [3000, pytest.param(100_000, marks=[pytest.mark.prove, pytest.mark.timeout(900)])]
)
def test_hostile_webhooks_are_no_defect_and_leave_nothing_behind(count, caplog):
    class CountingInbox(MemoryInbox):
        """Stores nothing, so that only the server can grow."""

        def __init__(self):
            super().__init__()
            self.count = 0

        async def message(self, incoming):
            assert (incoming.text is None) != (incoming.part is None)
            (incoming.text or "").encode()
            self.count += 1
            return True

        async def receipt(self, receipt):
            self.count += 1

    inbox = CountingInbox()
    rng = random.Random(count)
    sizes = []

    async def main():
        async with serving(providers(), inbox) as port:
            statuses = Counter()
            for _ in range(4):
                parts = await asyncio.gather(
                    *(attack(port, random.Random(rng.random()), count // 32) for _ in range(8))
                )
                statuses.update(sum(parts, Counter()))
                sizes.append(resident_kb())
            before = inbox.count
            assert (await ask(port, GOOD.replace("/main", "/kannel"))).status == 200
            assert inbox.count == before + 1
            return statuses

    statuses = run(main, within_s=800)
    assert {status for status in statuses if status >= 500} == set(), statuses
    assert {200, 400, 403} <= set(statuses)
    assert inbox.count > count // 5
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    # The first quarter fills the caches of the libraries.
    assert sizes[-1] - sizes[0] < 16_384
