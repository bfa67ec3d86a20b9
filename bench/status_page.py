"""The status page's documents from the watch's port: requests per second on one core, and their sizes.

    python bench/status_page.py [--rounds 5] [--seconds 3] [--quick] [--json]

A whole instance; the watch on core 0, wrk with 32 keep-alive connections on core 1. `cpu_us`: the watch's CPU time
per request, with its canaries, reports and journal in it. "all differ": each request has a different header, so that
no response is remembered. Target: at least 10,000 requests/s.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
import urllib.request
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.instance import running_instance  # noqa: E402
from tests.processes import named  # noqa: E402

PATHS = ("/", "/api/v2/summary.json", "/history.atom", "/badge/web.svg")
DIFFER = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", nil, {["X-Request"] = tostring(n)})
end
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        with running_instance(place, f"sqlite:///{place / 'stormpetrel.db'}", web_workers=1) as instance:
            (pid,) = named(instance.pid, "petrel-watch")
            os.sched_setaffinity(pid, {0})
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            for path in PATHS:
                url = f"{instance.status_url}{path}"
                body = opener.open(url, timeout=10).read()
                for way, script in (("same", None), ("all differ", DIFFER)):
                    runs = [
                        peers.wrk(url, pid=pid, seconds=options.seconds, script=script)
                        for _ in range(options.rounds)
                    ]
                    rows.append(
                        {
                            "way": f"{path} {way}",
                            "bytes": len(body),
                            "gzip_bytes": len(gzip.compress(body, 6)),
                            "requests_per_s": peers.spread([run.requests_per_s for run in runs]),
                            "cpu_us": peers.spread([run.cpu_us for run in runs]),
                            "p99_ms": peers.spread([run.p99_ms for run in runs]),
                            "errors": sum(run.refused for run in runs),
                        }
                    )
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
