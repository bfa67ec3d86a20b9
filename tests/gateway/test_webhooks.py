"""The server that providers call, over real sockets: its answers, its limits, and hostile requests."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from stormpetrel.gateway import webhooks
from stormpetrel.gateway.providers.file import make as make_file
from stormpetrel.gateway.providers.kannel import make as make_kannel
from stormpetrel.gateway.webhooks import MAX_BODY_BYTES, MAX_CONNECTIONS, MAX_HEAD_BYTES
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


def test_silence_half_a_head_half_a_body_and_idling_end_at_their_deadlines(monkeypatch):
    for name in ("HEAD_TIMEOUT_S", "BODY_TIMEOUT_S", "IDLE_TIMEOUT_S"):
        monkeypatch.setattr(webhooks, name, 0.1)

    async def body(port, inbox):
        half = request_bytes(GOOD, method="POST", headers={"Content-Length": "9"}) + b"x"
        assert await exchange(port, b"") == []
        assert [each.status for each in await exchange(port, b"GET /hea", count=2)] == [408]
        assert [each.status for each in await exchange(port, half, count=2)] == [408]
        assert [each.status for each in await exchange(port, request_bytes("/health"), count=2)] == [200]

    served(body)


def test_connections_are_bounded():
    async def body(port, inbox):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        pairs[-1][1].write(request_bytes("/health"))
        await pairs[-1][0].readuntil(b"}")
        assert await exchange(port, request_bytes("/health")) == []
        for _, writer in pairs:
            writer.close()

    served(body)


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


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes of a request with some of them changed, lost, repeated or replaced."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(content) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(content):
            content[at] = rng.randrange(256)
        elif kind == 1:
            del content[at : at + rng.randrange(1, 9)]
        elif kind == 2:
            content[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            content[at:at] = content[at : at + rng.randrange(1, 40)]
        else:
            content[at:at] = rng.choice(
                (b"%", b"%zz", b"&", b"=", b"\0", b"%00", b"\xff", b"%ff%fe", b"\r\n")
            )
    return bytes(content)
