"""False alarms over real traffic: counts of requests per second, fed to the functions that name phases.

    python bench/calm_traces.py TRACE... [--seconds N] [--quick] [--json]

TRACE: a text of integers, one a second, also inside a .tar.bz2. The traces say how many requests came, not which:
each second gets that many requests of a usual mix (apps, members' browsers, visitors with files, feeds, sign-ins), so
that the noise of small numbers reaches every rule. Target: no second is called an attack or mixed. Beside it: the
alarms of a plain volume rule on the same counts, and on counts 20 times as high.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tarfile
import time
from collections import Counter, deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stormpetrel.model.attack import Moment  # noqa: E402
from stormpetrel.shield.evidence import MAX_SAMPLE  # noqa: E402
from stormpetrel.watch.phases.cohorts import Sampled  # noqa: E402
from stormpetrel.watch.phases.measures import Measurer  # noqa: E402
from stormpetrel.watch.phases.tracker import PhaseTracker  # noqa: E402
from stormpetrel.watch.phases.verdict import volume_rule  # noqa: E402
from tests.watch.phases.traffic import people  # noqa: E402

POOL = 20_000
"""Requests that are made once and then drawn from: making them anew would cost more than looking at them."""
LARGER_SITE = 20
MADE_UP = Path("made up")


def counts_of(path: Path) -> list[int]:
    """Return the requests of each second."""
    if path.name.endswith(".tar.bz2"):
        with tarfile.open(path) as archive:
            member = next(one for one in archive if one.isfile())
            file = archive.extractfile(member)
            assert file is not None
            return [int(one) for one in file.read().split()]
    return [int(one) for one in path.read_bytes().split()]


def made_up() -> list[int]:
    """Return an hour around 50 requests a second, whose level doubles and falls again."""
    rng = random.Random(1)
    levels = [50 * (1.5 - 0.5 * math.cos(second / 600)) for second in range(3_600)]
    return [max(0, round(rng.gauss(level, math.sqrt(level)))) for level in levels]


def follow(counts: list[int], *, seed: int = 1) -> dict[str, float]:
    """Feed a trace; return seconds and phases by verdict, and the alarms of the volume rule."""
    rng = random.Random(seed)
    pool = [people(rng) for _ in range(POOL)]
    measurer, tracker = Measurer(), PhaseTracker()
    verdicts: Counter[str] = Counter()
    named: Counter[str] = Counter()
    alarms: Counter[int] = Counter()
    recent: deque[float] = deque(maxlen=20)
    was: Counter[int] = Counter()
    for second, count in enumerate(counts):
        at = rng.randrange(POOL)
        rows = tuple(
            pool[at:] + pool[: max(0, at + count - POOL)] if at + count > POOL else pool[at : at + count]
        )
        rows = rows[:count][:MAX_SAMPLE]
        samples = (Sampled(count / len(rows), rows),) if rows else ()
        moment = Moment(
            second, 1.0, is_overloaded=False, requests=count, sampled=len(rows), connections={"opened": count}
        )
        seen = measurer.measure(moment, samples, at_s=float(second))
        tracked = tracker.step(seen, pages={}, onset_epoch_s=0.0, overload_epoch_s=0.0)
        if tracker.phase is not None:
            verdicts[tracker.phase.verdict] += 1
        if tracked.began is not None and tracked.began.verdict != "calm":
            named[tracked.began.verdict] += 1
        recent.append(float(count))
        for times in (1, LARGER_SITE):
            alarm = volume_rule([one * times for one in recent])
            alarms[times] += alarm and not was[times]
            was[times] = int(alarm)
    return {
        "seconds": len(counts),
        "days": round(len(counts) / 86_400, 1),
        "attack_seconds": verdicts["attack"] + verdicts["mixed"],
        "unknown_seconds": verdicts["unknown"],
        "crowd_seconds": verdicts["crowd"],
        "attack_phases": named["attack"] + named["mixed"],
        "crowd_phases": named["crowd"],
        "unknown_phases": named["unknown"],
        "volume_rule_alarms": alarms[1],
        "volume_rule_alarms_larger": alarms[LARGER_SITE],
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="*", type=Path, metavar="TRACE")
    parser.add_argument("--seconds", type=int, default=0, help="only the first N")
    parser.add_argument("--quick", action="store_true", help="an hour that is made up, if there is no trace")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.traces and not options.quick:
        parser.error("a trace is needed")
    for path in options.traces or [MADE_UP]:
        counts = made_up() if path == MADE_UP else counts_of(path)
        counts = counts[: options.seconds or len(counts)]
        began_s = time.process_time()
        found = follow(counts) | {"trace": path.name, "cpu_s": round(time.process_time() - began_s, 1)}
        if options.json:
            print(json.dumps(found))
            continue
        print(
            f"{path.name}: {found['days']} days, attack labels {found['attack_phases']}, "
            f"crowds {found['crowd_phases']}, not decided {found['unknown_phases']}; volume rule "
            f"{found['volume_rule_alarms']} alarms ({found['volume_rule_alarms_larger']} at {LARGER_SITE} times the "
            f"traffic); {found['cpu_s']} s of CPU"
        )


if __name__ == "__main__":
    main()
