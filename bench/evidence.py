"""The cost of evidence for naming attacks, in a worker and in the watch.

    python bench/evidence.py [--rounds 5] [--quick] [--json]

CPU time: of a look at one request (300 a second at most); of counting 1,000 open connections by state, once a second;
of the check whether a request is looked at, for each request from memory; of a second in the watch, with one worker's
300 sampled requests. Target: at most 0.5 % of a core at 20,000 requests a second.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stormpetrel.shield.evidence import MAX_SAMPLE  # noqa: E402
from stormpetrel.shield.identify import address_identity  # noqa: E402
from stormpetrel.watch.phases.measures import Measurer  # noqa: E402
from stormpetrel.watch.phases.tracker import PhaseTracker  # noqa: E402
from tests.edge.place import a_place, get  # noqa: E402
from tests.watch.phases.traffic import a_second, page_flood  # noqa: E402

CONNECTIONS = 1_000
REQUESTS_PER_S = 20_000
AGENT = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def timed_us(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of one call in µs."""
    began_s = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began_s) / times * 1e6


def in_worker() -> tuple[float, float, float]:
    """Return the time of a look, of counting the connections, and of the check, in µs."""
    with a_place() as place, place.connect() as client:
        for _ in range(2):
            client.ask(get("/hot/a", AGENT, "Referer: https://mail.example/inbox"))
        worker = place.server.worker
        (head,) = worker.memo.young.values()
        strangers = [address_identity(f"192.0.2.{n}") for n in range(250)]
        evidence = worker.evidence

        def look() -> None:
            evidence.see_head(head, random.choice(strangers), 0, epoch_s=worker.second)

        def check() -> bool:
            return worker.counts.requests >= worker.sampler.due

        def nothing() -> None:
            pass

        many = list(worker.connections) * CONNECTIONS
        looks = place.call(lambda: timed_us(look, 3_000))
        counted = place.call(lambda: timed_us(lambda: evidence.take(many, worker.loop.time() + 10), 20))
        checked = place.call(lambda: timed_us(check, 100_000) - timed_us(nothing, 100_000))
        return looks, counted, checked


def in_watch() -> float:
    """Return the time of a second in the watch, in µs."""
    rng = random.Random(1)
    seconds = [a_second(rng, at, (page_flood, 2_000)) for at in range(30)]
    measurer, tracker = Measurer(), PhaseTracker()
    times = iter(range(30))

    def second() -> None:
        at = next(times)
        seen = measurer.measure(*seconds[at], at_s=float(at))
        tracker.step(seen, pages={}, onset_epoch_s=0.0, overload_epoch_s=0.0)

    return timed_us(second, 30)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = [(*in_worker(), in_watch()) for _ in range(1 if options.quick else options.rounds)]
    looks, counted, checked, watched = (statistics.median(column) for column in zip(*rounds, strict=True))
    share = (looks * MAX_SAMPLE + counted + checked * REQUESTS_PER_S) / 1e4
    figures = {
        "look_us": round(looks, 1),
        "connections_us": round(counted, 1),
        "check_us": round(checked, 3),
        "watch_second_us": round(watched),
        "percent_of_a_core": round(share, 2),
    }
    if options.json:
        print(json.dumps(figures))
        return
    print(
        f"a look at a request {looks:.1f} µs, counting {CONNECTIONS:,} connections {counted:,.0f} µs, the check "
        f"{checked * 1000:.0f} ns: {share:.2f} % of a core at {REQUESTS_PER_S:,} requests a second; a second in the "
        f"watch {watched / 1000:.1f} ms"
    )


if __name__ == "__main__":
    main()
