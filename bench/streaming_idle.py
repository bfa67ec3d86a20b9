"""The memory of an idle listener: WebSockets that receive no events, on one worker.

    python bench/streaming_idle.py [--listeners 10000] [--quick] [--json]

The worker's RSS and PSS before and with all listeners, divided by their number; clients in this process, from
200 addresses. Target: at most 32 KB each at 10,000.

public, visitors    no token: the connection alone
user, members       each a different member who follows 50 others: the connection and the member's home filter
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import listeners
import peers
import places

SETTLE_S = 3.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listeners", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="500 listeners")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count = 500 if options.quick else options.listeners
    listeners.allow_open_files()
    rows = []
    for way, stream in (("public, visitors", "public"), ("user, members", "user")):
        with (
            tempfile.TemporaryDirectory(prefix="petrel-idle-") as name,
            places.place(Path(name), places.seed(count + 100, 1_000, 50)) as place,
        ):
            tokens: Sequence[str | None] = [None] * count
            if stream == "user":
                tokens = listeners.members(Path(name), count)
            rows.append({"way": way, **_measure(place, stream, tokens)})
    peers.show(rows, as_json=options.json)


def _measure(place: places.Place, stream: str, tokens: Sequence[str | None]) -> dict[str, float | int]:
    (worker,) = place.workers()
    for connection in listeners.open_all(place.port, stream, tokens[:20]):
        connection.close()
    time.sleep(SETTLE_S)
    before = _memory(worker)
    began_s = time.monotonic()
    opened = listeners.open_all(place.port, stream, tokens)
    took_s = time.monotonic() - began_s
    time.sleep(SETTLE_S)
    after = _memory(worker)
    cpu_s = peers.cpu_s(worker)
    time.sleep(10 * SETTLE_S)
    idle_cpu = (peers.cpu_s(worker) - cpu_s) / (10 * SETTLE_S)
    for connection in opened:
        connection.close()
    return {
        "listeners": len(opened),
        "rss_kb_each": (after["Rss"] - before["Rss"]) / len(opened),
        "pss_kb_each": (after["Pss"] - before["Pss"]) / len(opened),
        "worker_mib": after["Rss"] / 1024,
        "opened_per_s": len(opened) / took_s,
        "idle_cpu_share": idle_cpu,
    }


def _memory(pid: int) -> dict[str, int]:
    """Return RSS and PSS in kB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(size) for name, size in re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE)}


if __name__ == "__main__":
    main()
