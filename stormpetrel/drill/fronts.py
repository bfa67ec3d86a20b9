"""Proxies in front of the instance: as operators put them in front of a server without a shield, for `--compare`,
and as in deploy/, for `--front`.

All are the distribution's packages. They run in a temporary directory on a free loopback port and are stopped by
pid. For `--compare`, nginx and HAProxy are configured as their makers advise; they pass the client's address in
X-Forwarded-For, and the server trusts it if its trusted proxy is 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stormpetrel.drill.place import free_ports
from stormpetrel.drill.tls import make_certificate
from stormpetrel.proxies.site import EDGE_SETTINGS, ProxiedSite
from stormpetrel.proxies.trial import ProxyTrial, environment
from stormpetrel.proxies.versions import program

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class FrontUnavailable(Exception):
    """The front is not installed or did not start. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Front:
    """A running front. `port`: where clients connect; `pid`: its main process, whose children do the work.

    `certificate`: path of its certificate; None without TLS.
    """

    name: str
    port: int
    pid: int
    certificate: Path | None = None

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far by it and its children; 0 for processes that ended."""
        return sum(_cpu_s(pid) for pid in (self.pid, *_children(self.pid)))


NGINX_CONFIGURATION = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
worker_processes auto;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  client_header_timeout 5s; client_body_timeout 5s;
  limit_req_zone $binary_remote_addr zone=requests:10m rate=10r/s;
  limit_conn_zone $binary_remote_addr zone=connections:10m;
  limit_req_status 429;
  limit_conn_status 429;
  map $http_upgrade $websocket_upgrade {{ default ''; '~*^websocket$' websocket; }}
  map $websocket_upgrade $connection_upgrade {{ default ''; websocket upgrade; }}
  upstream server {{ server 127.0.0.1:{upstream_port}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    limit_req zone=requests burst=20 nodelay;
    limit_conn connections 10;
    client_max_body_size 100m;
    location / {{
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $websocket_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
      proxy_read_timeout 90s;
    }}
  }}
}}
"""
"""nginx's own guide to rate limiting ("NGINX Rate Limiting", nginx.org) recommends 10 requests a second and a
burst of 20 for each address (the module's manual shows 1 a second). The manual of ngx_http_limit_conn_module
shows 10 connections for each address. 5 s for head and body is nginx's advice against slow clients."""

HAPROXY_CONFIGURATION = """\
global
  maxconn {connections}
  log stderr local0 alert

defaults
  mode http
  timeout connect 5s
  timeout client 90s
  timeout server 90s
  timeout http-request 5s
  timeout http-keep-alive 30s
  timeout tunnel 1h
  timeout queue 10s

frontend people
  bind 127.0.0.1:{port} backlog 4096
  stick-table type ip size 1m expire 30s store http_req_rate(10s),conn_cur
  tcp-request connection reject if {{ src_conn_cur ge 10 }}
  tcp-request connection track-sc0 src
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 20 }}
  http-request del-header X-Forwarded-For
  option forwardfor
  default_backend server

backend server
  server one 127.0.0.1:{upstream_port} maxconn 1000
"""
"""More than 20 requests in 10 s: refused. This is the sliding window of HAProxy's own guide to rate limiting
("Four Examples"); 10 connections for each address and 5 s for a head are its advice against connection floods
and slow clients ("Use a load balancer as a first row of defense")."""


@contextlib.contextmanager
def nginx(*, upstream_port: int) -> Iterator[Front]:
    """Run nginx with `limit_req` and `limit_conn` in front of `upstream_port` until the block ends.

    Raise FrontUnavailable if it is not installed or does not start.
    """
    program = _program("nginx")

    def command(directory: Path, port: int) -> list[str]:
        files = _files()
        (directory / "nginx.conf").write_text(
            NGINX_CONFIGURATION.format(
                directory=directory,
                port=port,
                upstream_port=upstream_port,
                files=files,
                connections=files - 256,
            ),
            encoding="utf-8",
        )
        # Without -e, nginx first tries its own log in /var, which only root may write.
        return [
            program,
            "-p",
            f"{directory}",
            "-c",
            f"{directory}/nginx.conf",
            "-e",
            f"{directory}/error.log",
        ]

    with _running("nginx", command) as front:
        yield front


@contextlib.contextmanager
def haproxy(*, upstream_port: int) -> Iterator[Front]:
    """Run HAProxy with stick tables in front of `upstream_port` until the block ends.

    Raise FrontUnavailable if it is not installed or does not start.
    """
    program = _program("haproxy")

    def command(directory: Path, port: int) -> list[str]:
        (directory / "haproxy.cfg").write_text(
            # Two files for each connection: the client's and the server's.
            HAPROXY_CONFIGURATION.format(
                port=port, upstream_port=upstream_port, connections=(_files() - 256) // 2
            ),
            encoding="utf-8",
        )
        return [program, "-db", "-f", f"{directory}/haproxy.cfg"]

    with _running("haproxy", command) as front:
        yield front


FRONTS: dict[str, Callable[..., contextlib.AbstractContextManager[Front]]] = {
    "nginx": nginx,
    "haproxy": haproxy,
}
"""Name that `--compare` prints → context manager. Each takes `upstream_port`."""


SHIPPED = tuple(EDGE_SETTINGS)
"""Names that `--front` takes."""
DOMAIN, STATUS_DOMAIN = "example.org", "status.example.org"
"""Names of the instance behind a shipped front; clients get them from the plan, and nothing resolves them."""


def settings_behind(name: str) -> dict[str, object]:
    """Return the settings that the shipped configuration of `name` requires of the instance."""
    edge = {f"edge_{key}": value for key, value in EDGE_SETTINGS[name].items()}
    return {"public_url": f"https://{DOMAIN}", "status_public_url": f"https://{STATUS_DOMAIN}", **edge}


@contextlib.contextmanager
def shipped(name: str, *, upstream_port: int, status_port: int) -> Iterator[Front]:
    """Run the front `name` of SHIPPED as in deploy/, with TLS, in front of the instance's two ports until the block
    ends.

    Raise FrontUnavailable if it is not installed or does not start.
    """
    _program(name)
    with (
        tempfile.TemporaryDirectory(prefix="stormpetrel-drill-certificate-") as kept,
        free_ports(1) as (plain_port,),
    ):
        certificate = Path(kept) / "front.pem"
        make_certificate(certificate, (DOMAIN, STATUS_DOMAIN))

        def command(directory: Path, port: int) -> list[str]:
            site = ProxiedSite(
                DOMAIN, STATUS_DOMAIN, f"127.0.0.1:{upstream_port}", f"127.0.0.1:{status_port}"
            )
            # Two files for each client: its own connection, and the server's.
            # All three read the key before they change to another user. Only this user can read it.
            trial = ProxyTrial(directory, site, port, plain_port, certificate, (_files() - 256) // 2)
            return trial.command(name)

        with _running(name, command) as front:
            yield replace(front, certificate=certificate)


def missing(name: str) -> str:
    """Return one line that says how to install the front `name`; "" if it is installed."""
    try:
        _program(name)
    except FrontUnavailable as error:
        return str(error)
    return ""


def _program(name: str) -> str:
    found = program(name)
    if found is None:
        raise FrontUnavailable(
            f"{name} is not installed; on Debian or Ubuntu: sudo apt-get install -y {name}"
        )
    return found


@contextlib.contextmanager
def _running(name: str, command: Callable[[Path, int], list[str]]) -> Iterator[Front]:
    directory = Path(tempfile.mkdtemp(prefix=f"stormpetrel-drill-{name}-"))
    # Started as root, nginx serves as another user, who must be able to reach its directories.
    directory.chmod(0o711)
    process: subprocess.Popen[bytes] | None = None
    try:
        with free_ports(1) as (port,), open(directory / "output", "wb") as output:
            process = subprocess.Popen(
                command(directory, port),
                cwd=directory,
                env=environment(directory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the drill, which then stops this process itself.
                start_new_session=True,
            )
            if not _is_listening(process, port):
                said = (directory / "output").read_text(encoding="utf-8", errors="replace").strip()
                last = said.splitlines()[-1] if said else "no output"
                raise FrontUnavailable(f"{name} did not start: {last}")
            yield Front(name, port, process.pid)
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(directory, ignore_errors=True)


def _is_listening(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return True
        except OSError:
            time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    children = _children(process.pid)
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        # A killed process could not stop its workers.
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


def _files() -> int:
    """Return how many files a process may open here, at most 65,536; this bounds its connections."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 65_536 if hard == resource.RLIM_INFINITY else max(1024, min(hard, 65_536))


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(part) for part in text.split()]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
