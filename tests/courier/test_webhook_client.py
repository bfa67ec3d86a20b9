"""Calls of URLs that strangers chose: only public addresses, bounded in time and size, without redirects."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time

import pytest

from stormpetrel.courier import webhook_client
from stormpetrel.courier.name_resolver import NameResolver, system_addresses
from stormpetrel.courier.webhook_client import MAX_ANSWER_BYTES, CallFailed, call
from stormpetrel.model.status_subscription import webhook_target
from tests.ports import reserved_ports


@contextlib.contextmanager
def server(talk):
    """Run `talk(socket)` for each connection in a thread; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def one(peer):
        with peer, contextlib.suppress(OSError):
            talk(peer)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(peer,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (acceptor, *threads):
            thread.join(10)


def post(url, *, allows_private=True, body=b"{}", look_up=system_addresses):
    async def main():
        return await call(
            webhook_target(url, allows_private=True),
            body=body,
            headers={"X-Test": "1"},
            tls=ssl.create_default_context(),
            names=NameResolver(look_up),
            allows_private=allows_private,
        )

    return asyncio.run(main())


def answering(data, seen=None):
    def talk(peer):
        received = peer.recv(65_536)
        if seen is not None:
            seen.append(received)
        peer.sendall(data)

    return talk


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_an_answer_of_any_form_is_read(data, body):
    seen = []
    with server(answering(data, seen)) as port:
        answer = post(f"http://localhost:{port}/in?key=1")
    assert (answer.is_success, bytes(answer.body)) == (True, body)
    head, _, sent = seen[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [b"POST /in?key=1 HTTP/1.1", b"Host: localhost:%d" % port]
    assert b"\r\nX-Test: 1" in head
    assert sent == b"{}"


def test_a_redirect_is_not_followed():
    with server(
        answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    ) as port:
        answer = post(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.is_success) == (302, False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "the answer is not HTTP"),
        (b"", "no answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MAX_ANSWER_BYTES + 1), "the answer is too large"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MAX_ANSWER_BYTES + 1), "the answer is too large"),
    ],
)
def test_a_bad_answer_is_a_failure_with_its_reason(data, reason):
    with server(answering(data)) as port, pytest.raises(CallFailed) as failed:
        post(f"http://127.0.0.1:{port}/secret")
    assert failed.value.safe_text == reason


def test_a_server_that_sends_byte_by_byte_ends_in_time(monkeypatch):
    monkeypatch.setattr(webhook_client, "CALL_S", 0.3)

    def drip(peer):
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            time.sleep(0.02)
            peer.sendall(b"X: y\r\n")

    with server(drip) as port, pytest.raises(CallFailed, match="no answer in time"):
        post(f"http://127.0.0.1:{port}/")


def test_an_unreachable_host_is_a_failure():
    with reserved_ports(1) as (port,), pytest.raises(CallFailed, match="no connection"):
        post(f"http://127.0.0.1:{port}/")
    with pytest.raises(CallFailed, match="could not be resolved"):
        post("http://no-such-host.invalid/")


def test_a_server_without_a_trusted_certificate_gets_no_request():
    seen = []
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as port, pytest.raises(CallFailed, match="TLS"):
        post(f"https://127.0.0.1:{port}/")
    assert not any(b"POST" in one for one in seen)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]", "[::]"),
        *(
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
        ),
        *(
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::1]",
            "[fe80::1]",
            "[3fff::1]",
            "[fc00::1]",
            "[ff02::1]",
        ),
    ],
)
def test_addresses_that_are_not_public_are_not_called(host):
    seen = []
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as port, pytest.raises(CallFailed):
        post(f"https://{host}:{port}/", allows_private=False)
    assert seen == []


def test_a_name_with_a_private_address_among_public_ones_is_not_called():
    with pytest.raises(CallFailed, match="not public"):
        post(
            "https://hooks.example/",
            allows_private=False,
            look_up=lambda host: ["93.184.216.34", "127.0.0.1"],
        )
