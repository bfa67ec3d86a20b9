"""Start the proxies with the configurations of deploy/, on the test's own ports."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stormpetrel.proxies.site import TEMPLATES, ProxiedSite
from stormpetrel.proxies.trial import ProxyTrial, environment
from tests.edge.place import Client
from tests.parts import require
from tests.ports import reserved_ports
from tests.repository import ROOT

NAME = "example.org"
STATUS_NAME = "status.example.org"
START_TIMEOUT_S = 20.0
NOTHING_LISTENS = 9
"""A port (discard), for tests that do not request the status page."""
DEPLOY = ROOT / "deploy"
PROXIES = tuple(TEMPLATES)


@dataclass(frozen=True, slots=True)
class Front:
    """A running proxy: its ports for https and http, and its certificate."""

    name: str
    port: int
    plain_port: int
    certificate: Path

    @property
    def trust(self) -> ssl.SSLContext:
        """Return a TLS context that trusts the certificate."""
        return ssl.create_default_context(cafile=self.certificate)

    def connect(self, *, source: str, name: str = NAME) -> SecureClient:
        """Return a client with one source address, connected to the server of that name."""
        return SecureClient(self, source, name)


class SecureClient(Client):
    """A `Client` over TLS that trusts the front's certificate."""

    def __init__(self, front: Front, source: str, name: str) -> None:
        super().__init__(front.port, source=source)
        self.socket = front.trust.wrap_socket(self.socket, server_hostname=name)


def make_certificate(directory: Path, names: tuple[str, str] = (NAME, STATUS_NAME)) -> Path:
    """Write a PEM file with a key and a certificate for both names, valid for a day. Return its path."""
    require("openssl")
    key, certificate, both = (directory / name for name in ("key.pem", "certificate.pem", "both.pem"))
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", key, "-out", certificate, "-days", "1", "-subj", f"/CN={names[0]}"),
            *("-addext", f"subjectAltName=DNS:{names[0]},DNS:{names[1]},IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


@contextlib.contextmanager
def a_front(
    name: str,
    directory: Path,
    *,
    edge_port: int,
    status_port: int = NOTHING_LISTENS,
    mark: tuple[str, str] | None = None,
    names: tuple[str, str] = (NAME, STATUS_NAME),
    connections: int = 512,
) -> Iterator[Front]:
    """Run the proxy `name` with its configuration of deploy/, in front of the servers on these two ports.

    `mark`: a pattern, and a line that is inserted after the line that matches it. `names`: of the site and of the
    status page. `connections`: at most so many clients.
    """
    require(name)
    directory.mkdir(parents=True, exist_ok=True)
    pem = make_certificate(directory, names)
    with reserved_ports(2) as (port, plain_port):
        site = ProxiedSite(*names, f"127.0.0.1:{edge_port}", f"127.0.0.1:{status_port}")
        trial = ProxyTrial(directory, site, port, plain_port, pem, connections)
        command = trial.command(name)
        if mark is not None:
            path = trial.file(name)
            text, count = re.subn(
                mark[0], rf"\g<0>{mark[1]}", path.read_text(encoding="utf-8"), flags=re.MULTILINE
            )
            assert count, f"{mark[0]} is not in the configuration"
            path.write_text(text, encoding="utf-8")
        log_path = directory / "front.log"
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment(directory),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            while not _listens(port):
                said = log_path.read_text(encoding="utf-8", errors="replace")
                assert process.poll() is None, f"{name} ended:\n{said}"
                assert time.monotonic() < deadline_s, f"{name} does not listen:\n{said}"
                time.sleep(0.02)
            yield Front(name, port, plain_port, pem)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
