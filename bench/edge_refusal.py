"""The cost of a refusal: the edge beside nginx's limit_req and HAProxy's stick table (the drill's G6).

    python bench/edge_refusal.py [--rounds 5] [--seconds 3] [--quick] [--json]

One worker on core 0, wrk on core 1, interleaved. On 32 keep-alive connections: over the ceiling (429), with
nginx's limit_req. On a new connection for each request, 128 at a time: over the ceiling, and by the shield's
full queue when all slots are taken, with HAProxy's stick table. `cpu_us` is the server's CPU time per
request. Targets: at most 15 µs and 1.5 of nginx's with keep-alive, at most 90 µs and 2.5 of HAProxy's for new
connections.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any

import peers
from edge_hot_page import DIFFER

CEILING = {"requests_per_5min": 60}
# No ceiling, and all slots taken: the shield itself refuses each request that finds no room in the queue.
QUEUE = {"requests_per_5min": 0}
PATH = "/api/v1/timelines/home"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send a small answer, for the few admitted requests."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def app_that_hangs(scope: Any, receive: Any, send: Any) -> None:
    """Hold the slot for as long as the benchmark runs."""
    await asyncio.sleep(3600)


def row(way: str, runs: Sequence[peers.Run], peer: Sequence[peers.Run], *, seconds: float) -> dict[str, Any]:
    """Return one way compared with its peer, round by round."""
    return {
        "way": way,
        "requests_per_s": peers.spread([run.requests_per_s for run in runs]),
        "cpu_us": peers.spread([run.cpu_us for run in runs]),
        "cpu_of_peer": peers.spread(
            [run.cpu_us / other.cpu_us for run, other in zip(runs, peer, strict=True)]
        ),
        "refused_share": sum(run.refused for run in runs) / sum(run.requests_per_s * seconds for run in runs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("refusing", nargs="?", default="ceiling", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    if options.serve:
        by_ceiling = options.refusing == "ceiling"
        peers.serve(
            app if by_ceiling else app_that_hangs,
            port=options.serve,
            shield=CEILING if by_ceiling else QUEUE,
        )
        return
    limit_req = {
        "http": "limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;",
        "locations": "location / { limit_req zone=one; limit_req_status 429; }",
    }
    stick_table = """
  stick-table type ip size 1m expire 30s store http_req_rate(10s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }"""
    with (
        peers.nginx(**limit_req) as (nginx_port, nginx_pid, html),
        peers.haproxy(frontend=stick_table, upstream_port=nginx_port) as (haproxy_port, haproxy_pid),
        peers.edge(script=__file__) as (port, pid),
        peers.edge(script=__file__, arguments=["queue"]) as (queue_port, queue_pid),
    ):
        (html / "page.html").write_bytes(b"{}")
        new: dict[str, Any] = {"connections": 128, "headers": ["Connection: close"]}
        # Way → (port, pid, options of wrk, the peer for comparison).
        ways: dict[str, tuple[int, int, dict[str, Any], str]] = {}
        kept, fresh = "nginx, limit_req, kept alive", "haproxy, stick table, new connection"
        ways[kept] = (nginx_port, nginx_pid, {}, kept)
        ways["edge, ceiling, kept alive"] = (port, pid, {}, kept)
        ways["edge, ceiling, kept alive, all differ"] = (port, pid, {"script": DIFFER}, kept)
        ways[fresh] = (haproxy_port, haproxy_pid, new, fresh)
        ways["edge, ceiling, new connection"] = (port, pid, new, fresh)
        ways["edge, the queue is full, new connection"] = (queue_port, queue_pid, new, fresh)
        # A client that ignores its Retry-After is demoted, and may first fill its part of the lowest class
        # too.
        peers.wrk(f"http://127.0.0.1:{queue_port}{PATH}", pid=queue_pid, seconds=1, **new)
        runs: dict[str, list[peers.Run]] = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, (at, of, how, _peer) in ways.items():
                url = f"http://127.0.0.1:{at}{PATH}"
                runs[way].append(peers.wrk(url, pid=of, seconds=options.seconds, **how))
    peers.show(
        [row(way, runs[way], runs[ways[way][3]], seconds=options.seconds) for way in ways],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
