"""TLS of the drill's clients: a certificate made for the run, verified by each client, and resumed sessions."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import cast

VALID_DAYS = 2
"""A run lasts minutes; the days allow for clocks and time zones."""


def make_certificate(path: Path, names: Sequence[str]) -> None:
    """Write a PEM file with a new certificate for `names` and 127.0.0.1, and its key (NIST P-256)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=VALID_DAYS))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.touch(mode=0o600)
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


HANDSHAKES_PER_S = 250.0
"""Limit of the attackers' new TLS connections, about a fifth of a core: attack requests that would need more are
skipped. Measured on 2026-11-30 with Python's ssl and OpenSSL 3: 800 µs for a connection with one request, resumed or
not, and 430 µs (nginx) to 700 µs (Caddy) of the front's."""
_HANDSHAKE_BURST = 25.0


class HandshakeBudget:
    """A token bucket of TLS handshakes."""

    def __init__(self) -> None:
        self._left = _HANDSHAKE_BURST
        self._at_s = 0.0

    def take(self, at_s: float) -> bool:
        """Take one handshake at a time of the run, in seconds. Return False if none is left."""
        self._left = min(_HANDSHAKE_BURST, self._left + (at_s - self._at_s) * HANDSHAKES_PER_S)
        self._at_s = at_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


def client_hello(name: str) -> bytes:
    """Return the first message of a new client to a server called `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


class TlsName:
    """The front's name, and two contexts that trust the run's certificate only.

    `context`: for clients that speak HTTP/1.1; `http2_context`: for those that speak HTTP/2 if the front does.
    """

    def __init__(self, certificate: Path, name: str) -> None:
        self.name = name
        self.context = ssl.create_default_context(cafile=certificate)
        self.context.set_alpn_protocols(["http/1.1"])
        self.http2_context = ssl.create_default_context(cafile=certificate)
        self.http2_context.set_alpn_protocols(["h2", "http/1.1"])

    def client(self) -> TlsClient:
        """Return the memory of a client that has not connected yet."""
        return TlsClient(self)


class TlsClient:
    """What one client remembers between connections: its last session, which the next one resumes as browsers do.

    It stands in for an SSLContext where the event loop wraps a connection, because the loop passes no session.
    """

    __slots__ = ("_last", "_name")

    def __init__(self, name: TlsName) -> None:
        self._name = name
        self._last: ssl.SSLObject | None = None

    @property
    def name(self) -> str:
        """Return the name that the certificate must have."""
        return self._name.name

    @property
    def as_context(self) -> ssl.SSLContext:
        """Return itself, for `create_connection(ssl=…)`."""
        return cast(ssl.SSLContext, self)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the signature of SSLContext.wrap_bio
        server_hostname: str | None = None,
    ) -> ssl.SSLObject:
        """Return the TLS side of a new connection. The session is read from the last one: with TLS 1.3 it comes
        after the handshake.
        """
        session = _session_of(self._last)
        self._last = self._name.context.wrap_bio(
            incoming, outgoing, server_side=server_side, server_hostname=server_hostname, session=session
        )
        return self._last


def _session_of(last: ssl.SSLObject | None) -> ssl.SSLSession | None:
    """Return the session of a connection; None if its handshake did not end, as on a front that is overloaded."""
    try:
        return last.session if last is not None else None
    except ValueError:
        # "i2d() failed": Python copies the session, and one without a cipher cannot be copied.
        return None
