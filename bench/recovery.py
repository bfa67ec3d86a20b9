"""How soon an instance answers again after kill -9 of its web workers.

    python bench/recovery.py [--rounds 5] [--quick] [--json]

`serve` with two workers; one of them, then both, are killed. Measured: from the kill to the next answers of
an API read on new connections, requested every 5 ms. Target: 3 s.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import tempfile
import time
from pathlib import Path

import peers
import places

GIVE_UP_S = 10.0


def answers(port: int) -> bool:
    """Return True if a new connection gets an answer of the application."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)
    try:
        connection.request("GET", "/api/v1/timelines/public")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def recovery_s(place: places.Place, *, count: int) -> float:
    """Kill `count` workers; return the seconds until eight new connections in a row are answered."""
    for pid in place.workers()[:count]:
        os.kill(pid, signal.SIGKILL)
    killed_s = time.monotonic()
    in_a_row = 0
    while in_a_row < 8:
        in_a_row = in_a_row + 1 if answers(place.port) else 0
        if time.monotonic() - killed_s > GIVE_UP_S:
            raise RuntimeError("the place did not come back")
        time.sleep(0.005)
    return time.monotonic() - killed_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    rows = []
    with (
        tempfile.TemporaryDirectory() as directory,
        places.place(Path(directory), workers=2, only_web=False) as place,
    ):
        for name, count in (("one of two workers", 1), ("both workers", 2)):
            found = []
            for _ in range(rounds):
                # Shorter than the supervisor's STEADY_S, so the later rounds include its delay before a
                # restart.
                time.sleep(6)
                found.append(recovery_s(place, count=count))
            rows.append({"killed": name, "back_s": peers.spread(found)})
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
