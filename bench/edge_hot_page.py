"""An anonymous page of 20 KB from the edge's cache, beside nginx serving the same bytes as a static file.

    python bench/edge_hot_page.py [--rounds 5] [--seconds 3] [--quick] [--json]

32 keep-alive connections, one worker on core 0, wrk on core 1, the ways interleaved. `cpu_us` is the server's
CPU time per request: on a shared machine this is the figure to judge by. Target: requests/s at least 0.9 of
nginx's. "all differ": each request has a different header, so that the memo never helps.
"""

from __future__ import annotations

import argparse
from typing import Any

import peers

from stormpetrel.shield.paths import PathFacts

LINE = b"<p>A storm petrel is a small seabird that lives through heavy weather, number %06d.</p>\n"
PAGE = b"".join(LINE % number for number in range(300))[:20480]
DIFFER = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", nil, {["X-Request"] = tostring(n)})
end
"""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send the page, and let the edge cache it if it offers to."""
    if "hot" in scope:
        scope["hot"].keep(["public"])
    headers = [(b"content-type", b"text/html"), (b"cache-control", b"public, max-age=0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    if options.serve:
        peers.serve(app, port=options.serve, facts=PathFacts(exists=True, hot=frozenset()))
        return
    ways: dict[str, list[peers.Run]] = {
        "nginx, static file": [],
        "edge, cached": [],
        "nginx, all differ": [],
        "edge, all differ": [],
    }
    with (
        peers.nginx(locations="") as (nginx_port, nginx_pid, html),
        peers.edge(script=__file__) as (port, pid),
    ):
        (html / "page.html").write_bytes(PAGE)
        for _ in range(options.rounds):
            for way, runs in ways.items():
                at = nginx_port if way.startswith("nginx") else port
                runs.append(
                    peers.wrk(
                        f"http://127.0.0.1:{at}/page.html",
                        pid=nginx_pid if way.startswith("nginx") else pid,
                        seconds=options.seconds,
                        script=DIFFER if "differ" in way else None,
                    )
                )
    rows = []
    for way, runs in ways.items():
        base = ways["nginx, all differ" if "differ" in way else "nginx, static file"]
        pairs = list(zip(runs, base, strict=True))
        rows.append(
            {
                "way": way,
                "requests_per_s": peers.spread([run.requests_per_s for run in runs]),
                "cpu_us": peers.spread([run.cpu_us for run in runs]),
                "of_nginx": peers.spread([run.requests_per_s / peer.requests_per_s for run, peer in pairs]),
                "cpu_of_nginx": peers.spread([run.cpu_us / peer.cpu_us for run, peer in pairs]),
                "errors": sum(run.refused for run in runs),
            }
        )
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
