"""How soon `stormpetrel serve` answers, and the memory of all its processes when idle.

    python bench/start_and_memory.py [--workers 2] [--runs 5] [--quick] [--json]

Start: from exec to the first 200 of /health on the web port, requested every 2 ms. Memory: proportional set
size (PSS, in which shared pages are divided among their users) of the supervisor and all its children,
summed, 3 s after each web worker has answered. CPU: used during these seconds, idle.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

SETTLE_S = 3.0
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
STORMPETREL = [sys.executable, "-m", "stormpetrel"]


def descendants(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += descendants(int(child))
    return found


def pss_bytes(pid: int) -> int:
    """Return the proportional set size."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


def cpu_s(pid: int) -> float:
    """Return the time on a core so far, of all its threads; exact, unlike the ticks in stat."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def one_run(directory: Path, workers: int) -> dict[str, Any]:
    """Start an instance, measure it, and end it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")} | {
        "STORMPETREL_DATA_DIR": str(directory),
        "STORMPETREL_WEB_WORKERS": str(workers),
        **{f"STORMPETREL_{role}_PORT": str(free_port()) for role in ("WEB", "STATUS", "SMS", "COURIER")},
    }
    if not (directory / "stormpetrel.db").exists():
        subprocess.run([*STORMPETREL, "init"], env=environ, check=True, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{environ['STORMPETREL_WEB_PORT']}/health"
    begun_at_s = time.monotonic()
    process = subprocess.Popen(
        [*STORMPETREL, "serve"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not answers(url):
            if process.poll() is not None or time.monotonic() - begun_at_s > 30:
                raise SystemExit(f"serve did not start (exit {process.poll()})")
            time.sleep(0.002)
        start_s = time.monotonic() - begun_at_s
        for _ in range(workers * 10):
            answers(url)
        # The watch starts last: then all processes are there.
        while not answers(f"http://127.0.0.1:{environ['STORMPETREL_STATUS_PORT']}/health"):
            time.sleep(0.01)
        pids = descendants(process.pid)
        before_s = sum(map(cpu_s, pids))
        time.sleep(SETTLE_S)
        names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids}
        return {
            "start_s": start_s,
            "idle_cpu_share": (sum(map(cpu_s, pids)) - before_s) / SETTLE_S,
            "pss_bytes": {
                "supervisor" if pid == process.pid else names[pid].removeprefix("petrel-"): pss_bytes(pid)
                for pid in pids
            },
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(url: str) -> bool:
    """Return True if a GET of it returns 200."""
    try:
        with OPENER.open(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_port() -> int:
    """Return a port that is free at this moment."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        runs = [
            one_run(Path(directory), options.workers) for _ in range(1 if options.quick else options.runs)
        ]
    starts_s = sorted(run["start_s"] for run in runs)
    totals = sorted(sum(run["pss_bytes"].values()) for run in runs)
    result = {
        "runs": len(runs),
        "web_workers": options.workers,
        "start_s": {"median": statistics.median(starts_s), "min": starts_s[0], "max": starts_s[-1]},
        "pss_bytes": {"median": statistics.median(totals), "min": totals[0], "max": totals[-1]},
        "idle_cpu_share": statistics.median(run["idle_cpu_share"] for run in runs),
        "pss_bytes_by_process": runs[-1]["pss_bytes"],
    }
    if options.json:
        print(json.dumps(result))
    else:
        mib = 1024 * 1024
        print(f"{'figure':<32} {'median':>8} {'min':>8} {'max':>8}   target")
        print(
            f"{'start to first answer, s':<32} {result['start_s']['median']:>8.2f} {starts_s[0]:>8.2f}"
            f" {starts_s[-1]:>8.2f}   <= 2"
        )
        print(
            f"{'summed PSS, MiB':<32} {result['pss_bytes']['median'] / mib:>8.1f} {totals[0] / mib:>8.1f}"
            f" {totals[-1] / mib:>8.1f}   <= 200"
        )
        print(f"{'idle, share of one core':<32} {result['idle_cpu_share']:>8.4f}")
        for name, size in result["pss_bytes_by_process"].items():
            print(f"  {name:<30} {size / mib:>8.1f}")
    met = result["start_s"]["median"] <= 2.0 and result["pss_bytes"]["median"] <= 200_000_000
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
