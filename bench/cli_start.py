"""Wall and CPU time of the commands that must answer at once, compared with the start of Python itself.

    python bench/cli_start.py [--rounds 10] [--quick] [--json]

Each round runs every command once, in turn, on a fresh instance on SQLite. Target: `user add` and `token`
under 0.5 s each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

PROGRAM = [sys.executable, "-m", "stormpetrel"]


def measured(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """Return (wall ms, CPU ms) of one run."""
    before = os.times()
    started_at_s = time.perf_counter()
    subprocess.run(command, env=environ, check=True, capture_output=True)
    wall_s = time.perf_counter() - started_at_s
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return wall_s * 1000, cpu_s * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    runs: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")}
        environ["STORMPETREL_DATA_DIR"] = f"{directory}/place"
        subprocess.run([*PROGRAM, "init"], env=environ, check=True, capture_output=True)
        for number in range(rounds):
            name = f"Nino_{number}"
            add = ["user", "add", name, "--email", f"{name}@example.org", "--password", "long enough"]
            ways = {
                "python -c pass": [sys.executable, "-c", "pass"],
                "user add": [*PROGRAM, *add],
                "token": [*PROGRAM, "token", name],
                "user list": [*PROGRAM, "user", "list"],
                "config": [*PROGRAM, "config"],
                "--help": [*PROGRAM, "--help"],
            }
            for way, command in ways.items():
                runs.setdefault(way, []).append(measured(command, environ))
    table = {
        way: {
            "wall_ms": round(median(wall for wall, _ in figures)),
            "worst_ms": round(max(wall for wall, _ in figures)),
            "cpu_ms": round(median(cpu for _, cpu in figures)),
        }
        for way, figures in runs.items()
    }
    if options.json:
        print(json.dumps(table, indent=2))
        return
    print(f"{'command':<16}{'wall, median ms':>18}{'worst':>8}{'CPU ms':>8}")
    for way, row in table.items():
        print(f"{way:<16}{row['wall_ms']:>18}{row['worst_ms']:>8}{row['cpu_ms']:>8}")


if __name__ == "__main__":
    main()
