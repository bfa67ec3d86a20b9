"""A 429 on a kept-alive connection: the edge's ceiling beside nginx's limit_req.

    python bench/edge_refusal.py [--rounds 5] [--seconds 3] [--quick] [--json]

32 connections, one worker on core 0, wrk on core 1, interleaved. `cpu_us` is the server's CPU time per
request. Target: at most 1.2 of nginx's.
"""

from __future__ import annotations

import argparse
from typing import Any

import peers
from edge_hot_page import DIFFER


async def app(scope: Any, receive: Any, send: Any) -> None:
    """A small answer, for the few that are admitted."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    if options.serve:
        peers.serve(
            app, port=options.serve, hot_key=lambda path, query: None, shield={"requests_per_5min": 60}
        )
        return
    ways: dict[str, list[peers.Run]] = {
        "nginx, limit_req 429": [],
        "edge, 429": [],
        "edge, 429, all differ": [],
    }
    with (
        peers.nginx(
            http="limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;",
            locations="location / { limit_req zone=one; limit_req_status 429; }",
        ) as (nginx_port, nginx_pid, html),
        peers.edge(script=__file__) as (port, pid),
    ):
        (html / "page.html").write_bytes(b"{}")
        for _ in range(options.rounds):
            for way, runs in ways.items():
                at = nginx_port if way.startswith("nginx") else port
                runs.append(
                    peers.wrk(
                        f"http://127.0.0.1:{at}/api/v1/timelines/home",
                        pid=nginx_pid if way.startswith("nginx") else pid,
                        seconds=options.seconds,
                        script=DIFFER if "differ" in way else None,
                    )
                )
    base = ways["nginx, limit_req 429"]
    rows = [
        {
            "way": way,
            "requests_per_s": peers.spread([run.requests_per_s for run in runs]),
            "cpu_us": peers.spread([run.cpu_us for run in runs]),
            "cpu_of_nginx": peers.spread(
                [run.cpu_us / peer.cpu_us for run, peer in zip(runs, base, strict=True)]
            ),
            "refused_share": sum(run.refused for run in runs)
            / sum(run.requests_per_s * options.seconds for run in runs),
        }
        for way, runs in ways.items()
    ]
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
