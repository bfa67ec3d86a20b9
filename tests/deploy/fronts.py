"""Start the proxies with the configurations of deploy/, on the test's own ports."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.edge.place import Client
from tests.parts import SYSTEM_PATH, require
from tests.ports import reserved_ports
from tests.repository import ROOT

NAME = "example.org"
STATUS_NAME = "status.example.org"
START_TIMEOUT_S = 20.0
NOTHING_LISTENS = 9
"""A port (discard), for tests that do not request the status page."""
DEPLOY = ROOT / "deploy"


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


def make_certificate(directory: Path) -> Path:
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
            *("-keyout", key, "-out", certificate, "-days", "1", "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME},DNS:{STATUS_NAME},IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def _replaced(text: str, *changes: tuple[str, str]) -> str:
    """Return `text` with each pattern replaced. Every pattern must occur."""
    for pattern, by in changes:
        text, count = re.subn(pattern, by, text, flags=re.MULTILINE)
        assert count, f"{pattern} is not in the configuration"
    return text


@dataclass(frozen=True, slots=True)
class _Ports:
    """The ports of the proxy, and of the servers behind it."""

    https: int
    plain: int
    edge: int
    status: int


def _caddy(directory: Path, pem: Path, ports: _Ports) -> list[str | Path]:
    text = _replaced(
        (DEPLOY / "Caddyfile").read_text(encoding="utf-8"),
        (
            r"\A((?:#.*\n)*)\{\n",
            rf"\1{{\n\tadmin off\n\thttp_port {ports.plain}\n\thttps_port {ports.https}\n",
        ),
        (rf"^((?:status\.)?{re.escape(NAME)}) \{{\n", rf"\1 {{\n\ttls {pem} {pem}\n\tbind 127.0.0.1\n"),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{ports.edge}"),
        (r"127\.0\.0\.1:8001", f"127.0.0.1:{ports.status}"),
    )
    (directory / "Caddyfile").write_text(text, encoding="utf-8")
    return [_program("caddy"), "run", "--adapter", "caddyfile", "--config", directory / "Caddyfile"]


def _nginx(directory: Path, pem: Path, ports: _Ports) -> list[str | Path]:
    site = _replaced(
        (DEPLOY / "nginx.conf").read_text(encoding="utf-8"),
        (r"^ *listen \[::\]:.*\n", ""),
        (r"listen 80;", f"listen 127.0.0.1:{ports.plain};"),
        (r"listen 443 ", f"listen 127.0.0.1:{ports.https} "),
        (r"/etc/letsencrypt/live/example\.org/\w+\.pem", str(pem)),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{ports.edge}"),
        (r"127\.0\.0\.1:8001", f"127.0.0.1:{ports.status}"),
    )
    (directory / "site.conf").write_text(site, encoding="utf-8")
    temporary = "".join(
        f"{kind}_temp_path {directory / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = (
        f"daemon off;\nmaster_process off;\npid {directory / 'pid'};\nerror_log stderr;\n"
        f"events {{ worker_connections 512; }}\nhttp {{\n{temporary}include {directory / 'site.conf'};\n}}\n"
    )
    (directory / "nginx.conf").write_text(whole, encoding="utf-8")
    return [_program("nginx"), "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr"]


def _haproxy(directory: Path, pem: Path, ports: _Ports) -> list[str | Path]:
    changes = [
        (r"^ *log /dev/log .*\n", ""),
        (r"bind :80$", f"bind 127.0.0.1:{ports.plain}"),
        (r"bind :443 ", f"bind 127.0.0.1:{ports.https} "),
        (r"/etc/haproxy/example\.org\.pem", str(pem)),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{ports.edge}"),
        (r"127\.0\.0\.1:8001", f"127.0.0.1:{ports.status}"),
        (r"^ *maxconn .*\n", "    maxconn 500\n"),
    ]
    if os.geteuid() != 0:
        changes.append((r"^ *(user|group) .*\n", ""))
    text = _replaced((DEPLOY / "haproxy.cfg").read_text(encoding="utf-8"), *changes)
    (directory / "haproxy.cfg").write_text(text, encoding="utf-8")
    # -dW makes HAProxy exit on a warning about the configuration.
    return [_program("haproxy"), "-dW", "-db", "-f", directory / "haproxy.cfg"]


def _program(name: str) -> str:
    path = shutil.which(name, path=SYSTEM_PATH)
    assert path is not None
    return path


COMMANDS = {"caddy": _caddy, "nginx": _nginx, "haproxy": _haproxy}
FILES = {"caddy": "Caddyfile", "nginx": "site.conf", "haproxy": "haproxy.cfg"}
"""The file into which each command writes the site's configuration."""


@contextlib.contextmanager
def a_front(
    name: str,
    directory: Path,
    *,
    edge_port: int,
    status_port: int = NOTHING_LISTENS,
    mark: tuple[str, str] | None = None,
) -> Iterator[Front]:
    """Run the proxy `name` with its configuration of deploy/, in front of the servers on these two ports.

    `mark`: a pattern, and a line that is inserted after the line that matches it.
    """
    require(name)
    directory.mkdir(parents=True, exist_ok=True)
    pem = make_certificate(directory)
    with reserved_ports(2) as (port, plain_port):
        command = COMMANDS[name](directory, pem, _Ports(port, plain_port, edge_port, status_port))
        if mark is not None:
            path = directory / FILES[name]
            path.write_text(_replaced(path.read_text(encoding="utf-8"), (mark[0], rf"\g<0>{mark[1]}")))
        log_path = directory / "front.log"
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=os.environ
                | {
                    "HOME": str(directory),
                    "XDG_DATA_HOME": str(directory),
                    "XDG_CONFIG_HOME": str(directory),
                },
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
