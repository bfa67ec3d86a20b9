"""How soon a place answers again after kill -9 of its web workers.

    python bench/recovery.py [--rounds 5] [--quick] [--json]

`serve` with two workers; one of them, then both, are killed; from the kill to the next answer of an API read on a
new connection, asked every 5 ms. Target: 3 s.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

STORMPETREL = [sys.executable, "-m", "stormpetrel"]
GIVE_UP_S = 10.0


def workers(supervisor_pid: int) -> list[int]:
    """The web workers that are alive."""
    children = Path(f"/proc/{supervisor_pid}/task/{supervisor_pid}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("petrel-web-")]


def answers(port: int) -> bool:
    """Whether a new connection gets an answer of the application."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)
    try:
        connection.request("GET", "/api/v1/timelines/public")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def recovery_s(port: int, supervisor_pid: int, *, count: int) -> float:
    """Seconds from the kill of `count` workers until every one of eight new connections in a row is answered."""
    for pid in workers(supervisor_pid)[:count]:
        os.kill(pid, signal.SIGKILL)
    killed_s = time.monotonic()
    in_a_row = 0
    while in_a_row < 8:
        in_a_row = in_a_row + 1 if answers(port) else 0
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
    with tempfile.TemporaryDirectory() as directory:
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")
        } | {
            "STORMPETREL_DATA_DIR": directory,
            **{
                f"STORMPETREL_{role}_PORT": str(peers.free_port())
                for role in ("WEB", "STATUS", "SMS", "COURIER")
            },
        }
        port = int(environ["STORMPETREL_WEB_PORT"])
        quiet = subprocess.DEVNULL
        subprocess.run([*STORMPETREL, "init"], env=environ, check=True, stdout=quiet)
        process = subprocess.Popen([*STORMPETREL, "serve"], env=environ, stdout=quiet, stderr=quiet)
        try:
            peers.wait_for(port)
            rows = []
            for name, count in (("one of two workers", 1), ("both workers", 2)):
                found = []
                for _ in range(rounds):
                    # Sooner than the supervisor calls steady: the later rounds have its pause before a restart too.
                    time.sleep(6)
                    found.append(recovery_s(port, process.pid, count=count))
                rows.append({"killed": name, "back_s": peers.spread(found)})
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
