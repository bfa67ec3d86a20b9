"""nginx and HAProxy as people put them in front of a server that has no shield of its own, for `--compare`.

Both are the distribution's packages, configured as their makers advise, run in a temporary directory on a free
port of loopback, and are stopped by their pid. They tell the server the client's address in X-Forwarded-For,
which the server believes if it is told that its proxy is 127.0.0.1.
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
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where distributions put servers; not on every user's path."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class FrontUnavailable(Exception):
    """The front cannot be had here: not installed, or it did not start. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Front:
    """A running front. `port`: where clients go; `pid`: its first process, whose children do the work."""

    name: str
    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds that it and its children have used so far; 0 for those that are gone."""
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
"""10 requests a second and 20 at once for each address is what nginx's own guide to rate limiting recommends
("NGINX Rate Limiting", nginx.org; the module's manual shows 1 a second), 10 connections for each address what the
manual of ngx_http_limit_conn_module shows; 5 s for head and body is its advice against slow clients."""

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
"""More than 20 requests in 10 s: refused. That is the sliding window of HAProxy's own guide to rate limiting ("Four
Examples"); 10 connections for each address and 5 s for a head are its advice against connection floods and slow
clients ("Use a load balancer as a first row of defense")."""


@contextlib.contextmanager
def nginx(*, upstream_port: int) -> Iterator[Front]:
    """nginx with `limit_req` and `limit_conn` before the server on `upstream_port`, until the block ends.

    Raises FrontUnavailable when it is not installed or does not start.
    """
    program = _program("nginx", package="nginx")

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
        # -e: without it, it first tries its own log of /var, which only root may write.
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
    """HAProxy with stick tables before the server on `upstream_port`, until the block ends.

    Raises FrontUnavailable when it is not installed or does not start.
    """
    program = _program("haproxy", package="haproxy")

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
"""By the name that `--compare` prints. Each takes `upstream_port`."""


def missing(name: str) -> str:
    """One line that says how to get the front `name` of FRONTS; "" when it is installed."""
    try:
        _program(name, package=name)
    except FrontUnavailable as error:
        return str(error)
    return ""


def _program(name: str, *, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_SBIN)
    if found is None:
        raise FrontUnavailable(
            f"{name} is not installed, so it is not compared; "
            f"on Debian or Ubuntu: sudo apt-get install -y {package}"
        )
    return found


@contextlib.contextmanager
def _running(name: str, command: Callable[[Path, int], list[str]]) -> Iterator[Front]:
    directory = Path(tempfile.mkdtemp(prefix=f"stormpetrel-drill-{name}-"))
    # As root, nginx serves as another user, who must get at its own directories.
    directory.chmod(0o711)
    process: subprocess.Popen[bytes] | None = None
    try:
        with _reserved_port() as port, open(directory / "output", "wb") as output:
            process = subprocess.Popen(
                command(directory, port),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the drill, which then stops this one itself.
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
        # Killed, it could not take its workers with it.
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A free port of 127.0.0.1 that nobody is given until the block ends.

    It is held by a socket that is bound and does not listen; both fronts can bind beside it, for they set
    SO_REUSEADDR or SO_REUSEPORT, and "give me any free port" passes it by.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


def _files() -> int:
    """How many files a process may open here: what bounds its connections; at most 65,536 are asked for."""
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
