"""Rows per second of `stormpetrel seed`, on SQLite and, if one is given, on PostgreSQL.

    python bench/seed.py [--quick] [--postgresql postgresql://…an empty database…] [--json]

Target: 20,000 rows/s on SQLite. The time includes the start of the program. "start, ms" is the CPU time of a seed of
one account: imports and the connection; "µs/row then" is the CPU time of a row without it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

PROGRAM = [sys.executable, "-m", "stormpetrel"]
SIZES = ((200, 10_000, 20), (2_000, 100_000, 126), (20_000, 400_000, 60))
"""Users, posts, mean follows."""
QUICK_SIZES = SIZES[:2]
STARTS = 5


def start_cpu_s(environ: dict[str, str]) -> float:
    """Return the CPU seconds of a seed of one account, the least of STARTS: its rows cost next to nothing."""
    return min(run(environ, 100 + number, 1, 0, 0)[2] for number in range(STARTS))


def run(environ: dict[str, str], seed: int, users: int, posts: int, follows: int) -> tuple[int, float, float]:
    """Seed a community; return its rows, and the wall and CPU seconds."""
    sizes = ["--users", str(users), "--posts", str(posts), "--follows", str(follows)]
    before = os.times()
    started_at_s = time.perf_counter()
    done = subprocess.run(
        [*PROGRAM, "seed", *sizes, "--seed", str(seed), "--json"],
        env=environ,
        check=True,
        capture_output=True,
    )
    took_s = time.perf_counter() - started_at_s
    after = os.times()
    rows = json.loads(done.stdout)["rows_total"]
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return rows, took_s, cpu_s


def measure(
    environ: dict[str, str], seed: int, users: int, posts: int, follows: int, *, start_s: float
) -> dict[str, object]:
    """Return one community's row of the table."""
    rows, took_s, cpu_s = run(environ, seed, users, posts, follows)
    return {
        "store": "PostgreSQL" if "STORMPETREL_DATABASE_URL" in environ else "SQLite",
        "users": users,
        "posts": posts,
        "follows": follows,
        "rows": rows,
        "took_s": round(took_s, 2),
        "rows_per_s": int(rows / took_s),
        "cpu_us_per_row": round(cpu_s / rows * 1_000_000, 1),
        "start_cpu_ms": round(start_s * 1000),
        "cpu_us_per_row_after_start": round((cpu_s - start_s) / rows * 1_000_000, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--postgresql", metavar="URL", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    table = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")}
    for url in filter(None, ("sqlite", options.postgresql)):
        with tempfile.TemporaryDirectory() as directory:
            environ = clean | {"STORMPETREL_DATA_DIR": f"{directory}/place"}
            if url != "sqlite":
                environ["STORMPETREL_DATABASE_URL"] = url
            subprocess.run([*PROGRAM, "init"], env=environ, check=True, capture_output=True)
            start_s = start_cpu_s(environ)
            for number, size in enumerate(QUICK_SIZES if options.quick else SIZES):
                table.append(measure(environ, number, *size, start_s=start_s))
    if options.json:
        print(json.dumps(table, indent=2))
        return
    print(
        f"{'store':<12}{'users':>8}{'posts':>10}{'follows':>9}{'rows':>12}{'s':>8}{'rows/s':>10}{'CPU µs/row':>12}"
        f"{'start, ms':>11}{'µs/row then':>13}"
    )
    for row in table:
        print(
            f"{row['store']:<12}{row['users']:>8,}{row['posts']:>10,}{row['follows']:>9}{row['rows']:>12,}"
            f"{row['took_s']:>8}{row['rows_per_s']:>10,}{row['cpu_us_per_row']:>12}"
            f"{row['start_cpu_ms']:>11}{row['cpu_us_per_row_after_start']:>13}"
        )


if __name__ == "__main__":
    main()
