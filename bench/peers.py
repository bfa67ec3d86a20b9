"""Peers and tools for the edge's benchmarks: nginx, HAProxy, wrk, CPU time per process, one edge worker.

All of them bind to 127.0.0.1 on ports from the system, use a temporary directory, and are stopped by pid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stormpetrel.shield.paths import PathFacts, PathTable

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SECRET = b"a secret for the benchmark only!"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def wait_for(port: int, *, within_s: float = 10.0) -> None:
    """Return when the port accepts connections; raise RuntimeError if it does not in time."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of wrk: requests per second, CPU microseconds of the server per request, p99 in milliseconds."""

    requests_per_s: float
    cpu_us: float
    p99_ms: float
    refused: int


def wrk(
    url: str,
    *,
    pid: int,
    seconds: int,
    connections: int = 32,
    core: int | None = 1,
    headers: Sequence[str] = (),
    script: str | None = None,
) -> Run:
    """Load `url` from one wrk thread on `core`; return its figures and the cost for process `pid`."""
    report = (
        "done = function(s, l, r) io.stderr:write(string.format("
        "'%d %d %d %d\\n', s.requests, s.duration, l:percentile(99), s.errors.status)) end\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write((script or "") + "\n" + report)
        lua.flush()
        pin = ["taskset", "-c", str(core)] if core is not None else []
        command = [*pin, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", lua.name]
        for header in headers:
            command += ["-H", header]
        before_s = cpu_s(pid)
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
        used_s = cpu_s(pid) - before_s
    requests, duration_us, p99_us, refused = map(int, done.stderr.split()[-4:])
    return Run(requests / duration_us * 1e6, used_s / max(requests, 1) * 1e6, p99_us / 1000, refused)


def whole_seconds(text: str) -> int:
    """Convert an argument to seconds for wrk, which reads whole ones only, and prints its help for others."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r}: wrk runs for whole seconds, 1 or more")
    return int(text)


def differing(run: int) -> str:
    """Return a script for wrk that adds a parameter without a meaning, different in each request of each `run`."""
    return f"""
local number = 0
request = function()
  number = number + 1
  local mark = string.find(wrk.path, "?", 1, true) and "&" or "?"
  return wrk.format("GET", wrk.path .. mark .. "run={run}." .. number)
end
"""


@contextmanager
def nginx(*, locations: str, http: str = "", core: int | None = 0) -> Iterator[tuple[int, int, Path]]:
    """Run one nginx worker on `core`; yield its port, the worker's pid, and the directory that it serves."""
    directory = Path(tempfile.mkdtemp(prefix="petrel-nginx-"))
    port = free_port()
    (directory / "html").mkdir()
    for made in (directory, directory / "html"):
        made.chmod(0o755)
    (directory / "nginx.conf").write_text(
        f"""worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=100 inactive=60s;
  keepalive_requests 100000000; keepalive_timeout 75s; etag on;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  types {{ text/html html; }}
  {http}
  server {{ listen 127.0.0.1:{port} backlog=2048; root {directory}/html; {locations} }}
}}
"""
    )
    process = subprocess.Popen(["nginx", "-c", str(directory / "nginx.conf"), "-p", str(directory)])
    try:
        wait_for(port)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        pin(int(children[0]), core)
        yield port, int(children[0]), directory / "html"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def haproxy(*, frontend: str, upstream_port: int, core: int | None = 0) -> Iterator[tuple[int, int]]:
    """Run one HAProxy with one thread on `core`, with these lines in its frontend; yield its port and pid."""
    directory = Path(tempfile.mkdtemp(prefix="petrel-haproxy-"))
    port = free_port()
    (directory / "haproxy.cfg").write_text(
        f"""global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend people
  bind 127.0.0.1:{port} backlog 2048{frontend}
  default_backend server
backend server
  server one 127.0.0.1:{upstream_port}
"""
    )
    process = subprocess.Popen(["haproxy", "-db", "-f", str(directory / "haproxy.cfg")])
    try:
        wait_for(port)
        pin(process.pid, core)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def edge(*, script: str, core: int | None = 0, arguments: Sequence[str] = ()) -> Iterator[tuple[int, int]]:
    """Run an edge worker with the app of `script` (a bench file with `--serve`); yield port and pid."""
    port = free_port()
    process = subprocess.Popen([sys.executable, script, "--serve", str(port), *arguments])
    try:
        wait_for(port)
        pin(process.pid, core)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def serve(
    app: Any, *, port: int, host: str = "127.0.0.1", facts: PathFacts | None = None, **keys: Mapping[str, Any]
) -> None:
    """Run the edge on a port until SIGTERM. It counts visitors, as an instance does by default.

    `facts`: those of every path; None for a page that is never cached. `keys`: non-default settings of `edge` and
    `shield`.
    """
    import uvloop

    from stormpetrel.audience.counter import KEY_BYTES, VisitorCounter
    from stormpetrel.audience.periods import periods_at
    from stormpetrel.config import EdgeConfig, ShieldConfig
    from stormpetrel.edge.server import EdgeServer
    from stormpetrel.edge.worker import EdgeParts

    visitors = VisitorCounter()
    for period in periods_at(time.time()):
        visitors.begin(period, bytearray(os.urandom(KEY_BYTES)))
    visitors.tick(time.time())

    async def main() -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        parts = EdgeParts(
            edge=EdgeConfig(**keys.get("edge", {})),
            shield=ShieldConfig(**keys.get("shield", {})),
            paths=PathTable(lambda path: facts or PathFacts(exists=True)),
            secret=SECRET,
            public_https=False,
            visitors=visitors,
        )
        server = EdgeServer(app, parts, sock=sock)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await server.start()
        await server.serve_until(stop)

    uvloop.run(main())


def pin(pid: int, core: int | None) -> None:
    """Pin a process to one core, if the machine has it."""
    if core is not None and core in os.sched_getaffinity(0):
        os.sched_setaffinity(pid, {core})


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def rows_of(ways: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """Return a row for each way: requests per second, CPU, p99 and errors of its runs."""
    return [
        {
            "way": way,
            "requests_per_s": spread([run.requests_per_s for run in runs]),
            "cpu_us": spread([run.cpu_us for run in runs]),
            "p99_ms": spread([run.p99_ms for run in runs]),
            "errors": sum(run.refused for run in runs),
        }
        for way, runs in ways.items()
    ]


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows as JSON, or as a table with a column for each key; a spread as `min / median / max`."""
    if as_json:
        print(json.dumps(list(rows), indent=1))
        return
    cells = [[_cell(row.get(name, "")) for name in rows[0]] for row in rows]
    titles = list(rows[0])
    widths = [max(len(line[i]) for line in [titles, *cells]) for i in range(len(titles))]
    for line in [titles, *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " / ".join(
            f"{value[key]:,.4g}" if value[key] < 1000 else f"{value[key]:,.0f}" for key in value
        )
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
