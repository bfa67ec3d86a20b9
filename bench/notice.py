"""How soon the watch notices an attack, by when its workers report, in simulated time: a busy machine is no matter.

    python bench/notice.py [--onsets 200] [--quick] [--json]

Two workers report generated people, and an attack from a random moment on, to the watch's own functions. `apart`:
each worker reports at its own time of a second, as until November 2026; `together`: all at the same. Target: 2 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stormpetrel.shield.evidence import MAX_SAMPLE, Evidence  # noqa: E402
from stormpetrel.watch.attack import Attack  # noqa: E402
from stormpetrel.watch.attack_book import AttackBook, FoundAttack  # noqa: E402
from stormpetrel.watch.attack_watch import AttackWatch  # noqa: E402
from stormpetrel.watch.moments import MomentBuilder  # noqa: E402
from tests.watch.phases import traffic  # noqa: E402
from tests.watch.reporting import a_report  # noqa: E402

WORKERS = 2
PEOPLE_PER_S = 70
CALM_S = 30.0
GIVE_UP_S = 10.0
ATTACKS = (
    ("page flood", traffic.page_flood, 1_000),
    ("few sources", traffic.few_sources, 1_500),
    ("expensive reads", traffic.expensive_reads, 300),
    ("sign-in flood", traffic.sign_in_flood, 60),
    ("write flood", traffic.write_flood, 100),
)
WAYS = (("apart", 0.2), ("together", 0.1))
"""When the workers report, and how often the watch looks if all have."""


def noticed_s(
    book: AttackBook, maker: traffic.Maker, per_s: int, rng: Random, *, way: str, turn_s: float
) -> float:
    """Return the time from the onset of one attack until the watch has a phase for it."""
    offsets = [rng.random() if way == "apart" else 0.0 for _ in range(WORKERS)]
    onset_s = CALM_S + rng.random()
    turn_at_s = rng.random() * turn_s
    watch = AttackWatch(MomentBuilder(), book, FoundAttack(), at_s=0.0)
    names = [f"web-{number}" for number in range(WORKERS)]
    reported_s = [offset - 1.0 for offset in offsets]
    while turn_at_s < onset_s + GIVE_UP_S:
        for number, name in enumerate(names):
            while (until_s := reported_s[number] + 1.0) <= turn_at_s:
                attacked_s = max(0.0, until_s - max(reported_s[number], onset_s))
                rows = [traffic.people(rng) for _ in range(PEOPLE_PER_S // WORKERS)]
                rows += [maker(rng) for _ in range(round(per_s * attacked_s / WORKERS))]
                rng.shuffle(rows)
                evidence = Evidence(requests=len(rows), sample=tuple(rows[:MAX_SAMPLE]))
                watch.builder.add(name, a_report(worker=number, evidence=evidence))
                reported_s[number] = until_s
        watch.turn(names, Attack(), now_epoch_s=turn_at_s)
        if turn_at_s > onset_s and watch.tracker.phase is not None:
            return turn_at_s - onset_s
        turn_at_s += turn_s
    return GIVE_UP_S


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onsets", type=int, default=200, help="of each attack")
    parser.add_argument("--quick", action="store_true", help="five onsets of each attack")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    onsets = 5 if options.quick else options.onsets
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(1) as thread:
        book = AttackBook(Path(directory), thread)
        for name, maker, per_s in ATTACKS:
            for way, turn_s in WAYS:
                rng = Random(f"{name} {onsets}")
                delays = [noticed_s(book, maker, per_s, rng, way=way, turn_s=turn_s) for _ in range(onsets)]
                results.setdefault(name, {})[way] = delays
    if options.json:
        print(json.dumps(results))
        return
    for name, ways in results.items():
        for way, delays in ways.items():
            within = sum(delay <= 2.0 for delay in delays) / len(delays)
            print(
                f"{name:16} {way:9} median {statistics.median(delays):.2f} s, worst {max(delays):.2f} s, "
                f"within 2 s {within:.1%}"
            )


if __name__ == "__main__":
    main()
