"""How the watch describes the drill's attacks: first notice, phase boundaries, and the names of the means.

    python bench/phases.py [--seeds 3] [--vectors A1,A3] [--pairs] [--scale 100] [--keep DIR] [--quick] [--json]

For each seed: an instance, the drill's people, and each vector for 12 s with 10 s of calm between, in an order drawn
from the seed. Afterwards the judge reads only attacks.sqlite (sqlite3 and json) and the drill's own record: when each
attack was sent (its last requests may leave seconds after their time, if the server is slow). Target:
first notice at most 2 s, boundaries within 3 s, names right at least 95 %, wrong at most 1 %, else "unknown".
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stormpetrel.cli import drill_community
from stormpetrel.drill.phases import MEANS, result_of
from stormpetrel.drill.run import Setting, run
from stormpetrel.drill.scenario import Scenario, build

PAIRS = (("A3", "A5"), ("A2", "A8"), ("A4", "A12"), ("A6", "A11"), ("A1", "A4"))
CALM_FIRST_S, ATTACK_S, CALM_S = 40.0, 12.0, 10.0


@dataclass(frozen=True)
class Judged:
    """One attack of the timetable. Seconds; `names`: what the record says of it; `truth`: what was sent."""

    vectors: str
    notice_s: float | None
    began_s: float | None
    ended_s: float | None
    names: tuple[str, ...]
    truth: tuple[str, ...]
    verdict: str
    share: float

    @property
    def result(self) -> str:
        """Return right, wrong or unknown. A name that was not sent is wrong, a missing one is unknown."""
        return result_of(self.names, self.truth)


def scenario(groups: list[tuple[str, ...]], scale: float, *, attack_s: float) -> Scenario:
    """Return calm, and each group of vectors for `attack_s` with calm after it."""
    steps: list[Any] = [(CALM_FIRST_S, "calm", ())]
    for group in groups:
        steps.append((attack_s, "+".join(group), [(name, scale) for name in group]))
        steps.append((CALM_S, "calm", ()))
    return build("phases", *steps)


def sent(path: Path) -> dict[str, list[tuple[float, int]]]:
    """Return the requests that the attackers sent or had answered, by vector: pairs of second and number."""
    found: dict[str, list[tuple[float, int]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        # Requests that were answered were being sent, or waited in the server's queue of new connections.
        if count := one.get("sent", 0) + one.get("ok", 0) + one.get("refused", 0):
            found.setdefault(one["vector"], []).append((one["t"], count))
    return found


def true_end(
    times: dict[str, list[tuple[float, int]]], names: list[str], start_s: float, end_s: float
) -> float:
    """Return when the last of an attack was sent: the end of the last second with a tenth of its usual number."""
    last = start_s
    for name in names:
        here = [(t, count) for t, count in times.get(name, []) if start_s <= t < end_s + CALM_S]
        usual = statistics.median([count for _, count in here] or [0])
        last = max([last, *(t + 1.0 for t, count in here if count >= usual / 10)])
    return last if last > start_s else end_s


def judged(path: Path, attackers: Path, timetable: Scenario, begin_epoch_s: float) -> list[Judged]:
    """Compare the record with the timetable, which begins at `begin_epoch_s`."""
    times = sent(attackers)
    raw = sqlite3.connect(path)
    phases = [json.loads(row[0]) for row in raw.execute("SELECT body FROM phases ORDER BY number")]
    raw.close()
    found = []
    for phase in timetable.phases:
        if phase.is_calm:
            continue
        names_sent = [name for name, _ in phase.vectors]
        start_s = begin_epoch_s + phase.start_s
        end_s = begin_epoch_s + true_end(times, names_sent, phase.start_s, phase.end_s)
        middle_ms = (start_s + end_s) / 2 * 1000
        not_calm = [
            one
            for one in phases
            if one["verdict"] != "calm"
            and one["began_ms"] < end_s * 1000
            and (one["ended_ms"] or 10**15) > start_s * 1000 + 500
        ]
        here = max(
            (one for one in not_calm if one["began_ms"] <= middle_ms),
            key=lambda one: (
                min(one["ended_ms"] or 10**15, end_s * 1000) - max(one["began_ms"], start_s * 1000)
            ),
            default=None,
        )
        names: tuple[str, ...] = ()
        if here is not None:
            names = tuple(sorted(vector["name"] for vector in here["vectors"]))
            if here["verdict"] in ("crowd", "mixed"):
                names = (*names, "crowd")
        truth = tuple(sorted(MEANS[name] for name, _ in phase.vectors))
        first = min(not_calm, key=lambda one: one["noticed_ms"], default=None)
        last = max(not_calm, key=lambda one: one["ended_ms"] or 10**15, default=None)
        found.append(
            Judged(
                phase.name,
                None if first is None else first["noticed_ms"] / 1000 - start_s,
                None if first is None else first["began_ms"] / 1000 - start_s,
                None if last is None else (last["ended_ms"] / 1000 - end_s if last["ended_ms"] else None),
                names,
                truth,
                "" if here is None else here["verdict"],
                0.0 if here is None else here["attack_share"],
            )
        )
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--vectors", default="")
    parser.add_argument("--pairs", action="store_true", help="mixed pairs of vectors instead of single ones")
    parser.add_argument("--scale", type=int, default=100, help="percent of the drill's rates")
    parser.add_argument("--seconds", type=float, default=ATTACK_S)
    parser.add_argument("--keep", type=Path, help="keep the instances' files here")
    parser.add_argument("--quick", action="store_true", help="one seed of three vectors")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.vectors = 1, options.vectors or "A1,A3,A8"
    chosen = [tuple(one.split("+")) for one in options.vectors.split(",") if one]
    groups = chosen or list(PAIRS if options.pairs else [(name,) for name in MEANS])
    rows: list[Judged] = []
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            rows += one_run(base, groups, seed=seed, scale=options.scale / 100, attack_s=options.seconds)
            sys.stdout.flush()
    tell(rows, as_json=options.json)


def one_run(
    base: Path, groups: list[tuple[str, ...]], *, seed: int, scale: float, attack_s: float
) -> list[Judged]:
    """Run one seed and judge it."""
    prepared = base / "prepared"
    if not (prepared / drill_community.COMMUNITY_FILE).exists():
        drill_community.prepare(
            prepared, seed=1, users=3000, posts=20_000, popular_followers=1500, tell=lambda doing: None
        )
    order = list(groups)
    random.Random(f"phases {seed}").shuffle(order)
    timetable = scenario(order, scale, attack_s=attack_s)
    directory = base / f"seed-{seed}-{int(time.time())}"
    run(
        Setting(
            prepared,
            prepared / drill_community.COMMUNITY_FILE,
            (sys.executable, "-m", "stormpetrel", "serve"),
            drill_community.environment,
        ),
        directory,
        scenario=timetable,
        mode="full",
        seed=seed,
        scale=scale,
        tell=lambda moment: None,
    )
    start_s = json.loads((directory / "people.json").read_text(encoding="utf-8"))["start_s"]
    begin_epoch_s = time.time() - time.monotonic() + start_s
    (directory / "timetable.json").write_text(
        json.dumps([begin_epoch_s, [str(one) for one in timetable.phases]])
    )
    return judged(
        directory / "data" / "attacks.sqlite", directory / "attackers.jsonl", timetable, begin_epoch_s
    )


def tell(rows: list[Judged], *, as_json: bool) -> None:
    """Print a line for each attack, and the sums."""
    if as_json:
        print(json.dumps([one.__dict__ | {"result": one.result} for one in rows], indent=2))
        return

    def shown(value: float | None) -> str:
        return "   -" if value is None else f"{value:+.1f}"

    for one in sorted(rows, key=lambda row: (len(row.vectors), row.vectors)):
        print(
            f"{one.vectors:8} {one.result:8} notice {shown(one.notice_s)} began {shown(one.began_s)} "
            f"ended {shown(one.ended_s)} {one.verdict} {one.share:.2f} {', '.join(one.names)}"
        )
    count = len(rows)
    results = [one.result for one in rows]
    notices = [one.notice_s for one in rows if one.notice_s is not None]
    edges = [abs(edge) for one in rows for edge in (one.began_s, one.ended_s) if edge is not None]
    print(
        f"{count} attacks: right {results.count('right') / count:.1%}, wrong {results.count('wrong') / count:.1%}, "
        f"unknown {results.count('unknown') / count:.1%}"
    )
    if notices:
        print(
            f"first notice: median {statistics.median(notices):.1f} s, worst {max(notices):.1f} s, "
            f"within 2 s {sum(one <= 2.0 for one in notices) / count:.1%}"
        )
    if edges:
        print(
            f"boundaries: median error {statistics.median(edges):.1f} s, worst {max(edges):.1f} s, "
            f"within 3 s {sum(one <= 3.0 for one in edges) / len(edges):.1%}"
        )


if __name__ == "__main__":
    main()
