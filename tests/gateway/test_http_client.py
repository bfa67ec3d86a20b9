"""The client for providers' APIs, against servers on loopback that answer well, badly, late and not at all."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stormpetrel.gateway import http_client
from stormpetrel.gateway.http_client import (
    MAX_ANSWER_BYTES,
    ProviderClient,
    ProviderResponse,
    ProviderUnreachable,
    failed_send,
)
from stormpetrel.gateway.provider import Rejected, SubmitFailed, Throttled
from tests.gateway.api_server import api_server, fixed
from tests.gateway.inbox import run

SECRET = "s3cret"


def ask(url, **limits):
    """Return the response to a POST with secrets everywhere."""

    async def main():
        client = ProviderClient(**limits)
        try:
            return await client.request(
                "POST", url + f"/a?password={SECRET}", headers={"Authorization": SECRET}, body=SECRET.encode()
            )
        finally:
            client.close()

    return run(main)


def refused(url, **limits):
    """Return why there was no answer; it has no secret in it."""
    with pytest.raises(ProviderUnreachable) as caught:
        ask(url, **limits)
    assert SECRET not in repr(caught.value)
    # A log with the traceback would have the error of the library in it, and the URL.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@contextlib.contextmanager
def raw_server(serve):
    """Yield the URL of a server whose connections are given to `serve(connection)`, in a thread."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def body():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                serve(connection)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    thread.join(10)


def test_a_response_has_status_headers_and_body():
    with api_server(fixed(201, {"sid": "SM1"}, X_Trace="7")) as api:
        response = ask(api.url)
    assert (response.status, response.json(), response.headers["x-trace"]) == (201, {"sid": "SM1"}, "7")
    (request,) = api.requests
    assert (request.method, request.body) == ("POST", SECRET.encode())


def test_a_redirect_is_an_answer_and_not_followed():
    with api_server(fixed(302, Location="http://127.0.0.1:1/")) as api:
        assert ask(api.url).status == 302


def test_json_that_is_none_is_an_empty_object():
    for body in (b"", b"<html>", b"[]", b"[" * 50_000):
        assert ProviderResponse(200, {}, body).json() == {}


def test_an_answer_is_read_up_to_a_limit():
    with api_server(fixed(200, b"x" * MAX_ANSWER_BYTES)) as api:
        assert len(ask(api.url).body) == MAX_ANSWER_BYTES
    with api_server(fixed(200, b"x" * (MAX_ANSWER_BYTES + 1))) as api:
        assert refused(api.url) == "the answer is too large"


def test_a_server_that_is_away_silent_or_breaks_off_is_no_answer():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert refused(f"http://127.0.0.1:{closed.getsockname()[1]}") == "no connection"
    with raw_server(lambda connection: time.sleep(0.5)) as url:
        assert refused(url, answer_s=0.1) == "no answer in time"
    with raw_server(lambda connection: None) as url:
        assert refused(url) == "the connection broke"
    with raw_server(lambda connection: connection.sendall(b"\x00\x01 nonsense\r\n\r\n")) as url:
        assert refused(url) == "the connection broke"
    with raw_server(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")) as url:
        assert refused(url) == "the connection broke"


def test_an_answer_byte_by_byte_meets_the_deadline(monkeypatch):
    monkeypatch.setattr(http_client, "DEADLINE_MARGIN_S", 0.1)

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.02)

    with raw_server(drip) as url:
        assert refused(url, connect_s=0.2, answer_s=0.6) == "the answer took too long"

    def drip_head(connection):
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.02)

    with raw_server(drip_head) as url:
        assert refused(url, connect_s=0.2, answer_s=0.6) == "no answer in time"


def test_a_certificate_of_an_unknown_authority_is_not_accepted(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    with api_server(fixed(200), tls=tls) as api:
        assert refused(api.url) == "the certificate was not accepted, or TLS failed"
        assert api.requests == []


def test_requests_at_once_are_bounded():
    at_once = [0]
    most = [0]
    lock = threading.Lock()

    def answer(request):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.05)
        with lock:
            at_once[0] -= 1
        return 200, {}, b""

    async def main():
        client = ProviderClient(threads=3)
        await asyncio.gather(*(client.request("GET", api.url) for _ in range(12)))
        client.close()

    with api_server(answer) as api:
        run(main)
    assert most == [3]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {"retry-after": "7"}, Throttled(7.0)),
        (429, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, Throttled(1.0)),
        (429, {"retry-after": "99999"}, Throttled(300.0)),
        (503, {"retry-after": "9"}, SubmitFailed("503 why", 9.0)),
        (500, {}, SubmitFailed("500 why", 5.0)),
        (408, {}, SubmitFailed("408 why", 5.0)),
        (302, {}, SubmitFailed("302 why", 30.0)),
        (401, {}, SubmitFailed("401 why", 30.0)),
        (403, {}, SubmitFailed("403 why", 30.0)),
        (400, {}, Rejected("400 why")),
        (422, {}, Rejected("422 why")),
    ],
)
def test_an_error_means_later_or_never(status, headers, expected):
    assert failed_send(ProviderResponse(status, headers, b""), "why") == expected
