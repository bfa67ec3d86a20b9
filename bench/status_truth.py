"""How soon the status page turns after the truth, and back: every way of tests/broken_channels.py, several rounds.

    python bench/status_truth.py [--rounds 3] [--quick] [--json]

An instance with two web workers and a route of text messages. Seconds from breaking (and mending) it until exactly
those channels that fail are not operational, read from /api/v2/components.json ten times a second. Target: median at
most 6 s, worst 10 s.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.broken_channels import BREAKS, channels_not_green  # noqa: E402
from tests.gateway.phones import route_settings  # noqa: E402
from tests.instance import Instance, running_instance  # noqa: E402

LONGEST_S = 60.0


def until(instance: Instance, channels: frozenset[str]) -> tuple[float, set[str]]:
    """Return the seconds until exactly these channels are not green, and others that were not in between."""
    began_s, others = time.monotonic(), set()
    while time.monotonic() - began_s < LONGEST_S:
        found = set(channels_not_green(instance))
        if found == channels:
            return time.monotonic() - began_s, others
        others |= found - channels
        time.sleep(0.1)
    return float("inf"), others


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        settings = route_settings(place / "drop") | {"web_workers": 2}
        (place / "drop").mkdir()
        with running_instance(place, f"sqlite:///{place / 'stormpetrel.db'}", **settings) as instance:
            until(instance, frozenset())
            for broken in BREAKS:
                turns, backs, wrong = [], [], set()
                for _ in range(rounds):
                    # At any moment between two canaries.
                    time.sleep(random.uniform(1.0, 4.0))
                    with broken.begin(instance):
                        seconds, others = until(instance, broken.channels)
                        turns.append(seconds)
                        wrong |= others
                    before = channels_not_green(instance)
                    backs.append(until(instance, frozenset())[0] if before else 0.0)
                rows.append(
                    {"broken": broken.name, "turns_s": turns, "back_s": backs, "others": sorted(wrong)}
                )
    seconds = [one for row in rows for one in (*row["turns_s"], *row["back_s"])]
    figures = {
        "median_s": statistics.median(seconds),
        "worst_s": max(seconds),
        "count": len(seconds),
        "rows": rows,
    }
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for row in rows:
        turns, backs = (" ".join(f"{one:.1f}" for one in row[name]) for name in ("turns_s", "back_s"))
        print(f"{row['broken']}: turns {turns}, back {backs}; others: {', '.join(row['others']) or 'none'}")
    print(f"median {figures['median_s']:.1f} s, worst {figures['worst_s']:.1f} s of {len(seconds)}")


if __name__ == "__main__":
    main()
