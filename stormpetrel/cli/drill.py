"""`drill`: runs people and an attack side by side against a throw-away instance on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import Progress, print_json, print_table
from stormpetrel.cli.parser import Commands, add_command, whole_number
from stormpetrel.cli.proxy import PROXIES
from stormpetrel.errors import EnvironmentFailure, SetupError

if TYPE_CHECKING:
    from stormpetrel.drill.run import Result, RunProgress, Setting
    from stormpetrel.drill.scenario import Scenario
    from stormpetrel.drill.score import Scores

FELL_SHORT = 1
TERMINATED = 143
"""The code that shells report for a process ended by SIGTERM."""
SCENARIOS = ("smoke", "august-2009", "april-2026", "storm", "mixed", "cold", "only", "again")
FRONTS = ("none", *PROXIES)
MODES = ("full", "off", "per-address", "bounded", "overcompensate")
BEHIND = " behind "
"""Parts mode and front in the name of a column."""
WHOLE = 1000
"""Number of steps in the progress of a run."""
SEEDS = 3
MAX_SEEDS = 20
MAX_SCALE_PERCENT = 500
USERS = 3000
POSTS = 20_000
MANY_USERS = 11_000
"""Accounts, if one with 10,000 followers posts (A12)."""
MANY_FOLLOWERS = 10_000


def add_commands(commands: Commands[Any]) -> None:
    """Add `drill`."""
    parser = add_command(
        commands,
        "drill",
        _drill,
        about="Runs simulated users and an attack against a temporary instance on this machine, and reports "
        "which users were served. It sends to loopback only. Exits with 0 if every target was met, with 1 if not (or "
        "if the machine was too busy for a valid result).",
        example="stormpetrel drill smoke\n  stormpetrel drill only A3 A7 --mode off\n"
        "  stormpetrel drill august-2009 --seeds 3 --compare --report drill.html",
    )
    parser.add_argument(
        "scenario",
        metavar="SCENARIO",
        choices=SCENARIOS,
        help="smoke (1 minute), august-2009 (5 minutes), april-2026 (4 minutes), storm (every vector), "
        "mixed (vectors and rates that the seed draws), cold (a restart in the middle of a crowd and bots), "
        "only VECTOR …, or again: print the scores of --lines FILE again",
    )
    # Without a default, argparse reports it as missing together with SCENARIO.
    parser.add_argument(
        "vectors",
        metavar="VECTOR",
        nargs="*",
        default=[],
        help="with only: A1, A2 and so on (docs/attacks.md)",
    )
    parser.add_argument("--seed", type=whole_number(0, 65_535), default=1, metavar="S", help="the first seed")
    parser.add_argument(
        "--seeds",
        type=whole_number(1, MAX_SEEDS),
        default=1,
        metavar="N",
        help=f"number of runs, each with its own seed; {SEEDS} for published figures (default 1)",
    )
    parser.add_argument("--mode", choices=MODES, default="full", help="mode of the shield (default full)")
    parser.add_argument(
        "--front",
        choices=FRONTS,
        default="none",
        help="put this proxy in front of the instance, configured as in deploy/; all clients then speak TLS to it "
        "(default none)",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also run the drill, one seed each, in every other mode of the shield, without --front, and with nginx "
        "and HAProxy in front of mode off",
    )
    parser.add_argument(
        "--scale",
        type=whole_number(1, MAX_SCALE_PERCENT),
        default=100,
        metavar="PERCENT",
        help="rate of the attack, in percent of the rate for two cores (default 100)",
    )
    parser.add_argument("--report", metavar="FILE", default="", help="also write an HTML page with charts")
    parser.add_argument(
        "--lines", metavar="FILE", default="", help="also write every line as JSON; again reads this file"
    )
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def _drill(args: argparse.Namespace) -> int:
    if args.vectors and args.scenario == "again":
        raise SetupError(
            f"again reads the file of --lines: stormpetrel drill again --lines {args.vectors[0]}"
        )
    if args.vectors and args.scenario != "only":
        raise SetupError(f"{args.vectors[0]}: only the scenario `only` takes vectors")
    columns = _again(args) if args.scenario == "again" else _run_all(args)
    return _show(args, columns)


def _scenario(args: argparse.Namespace, seed: int) -> Scenario:
    from stormpetrel.drill import scenario

    scale = args.scale / 100
    match args.scenario:
        case "smoke":
            return scenario.smoke(scale=scale)
        case "august-2009":
            return scenario.august_2009(scale=scale)
        case "april-2026":
            return scenario.april_2026(scale=scale)
        case "storm":
            return scenario.storm(seed=seed, scale=scale)
        case "cold":
            return scenario.cold(scale=scale)
        case "mixed":
            return scenario.mixed(seed=seed, scale=scale)
    listed = f"there are: {', '.join(scenario.VECTORS)} (docs/attacks.md describes each)"
    if not args.vectors:
        raise SetupError(f'only needs vectors, for example "only A3 A7"; {listed}')
    try:
        return scenario.only([name.upper() for name in args.vectors], scale=scale)
    except ValueError as error:
        raise SetupError(f"unknown vector {error}; {listed}") from None


def _again(args: argparse.Namespace) -> list[tuple[str, list[Result]]]:
    from stormpetrel.drill.run import results

    if not args.lines:
        raise SetupError("again needs --lines FILE, written by an earlier drill")
    found: dict[str, list[Result]] = {}
    try:
        for one in results(Path(args.lines)):
            found.setdefault(one.run.column, []).append(one)
    except (ValueError, TypeError, KeyError) as error:
        raise SetupError(f"{args.lines} does not contain drill lines: {error}") from error
    if not found:
        raise SetupError(f"{args.lines} does not contain a complete run")
    return list(found.items())


def _run_all(args: argparse.Namespace) -> list[tuple[str, list[Result]]]:
    for path in filter(None, (args.lines, args.report)):
        # Check this now, not after five minutes.
        if not Path(path).absolute().parent.is_dir():
            raise SetupError(f"{path}: no such directory")
    _scenario(args, args.seed)
    names = [_first(args)]
    if args.compare:
        names += _others(names[0])
    if args.lines:
        Path(args.lines).write_text("", encoding="utf-8")
    # On SIGTERM, it still has to stop an instance and remove a directory.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    with tempfile.TemporaryDirectory(prefix="stormpetrel-drill-") as directory:
        base = Path(directory)
        setting = _prepare(args, base)

        def run(name: str, seed: int) -> Result:
            result = _run(args, setting, base / f"{name}-{seed}", name, seed)
            if args.lines:
                # Write after each run: a comparison takes half an hour, and finished runs must not be lost.
                with open(args.lines, "a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in result.to_lines())
            return result

        return side_by_side(names, range(args.seed, args.seed + args.seeds), run)


def side_by_side(
    names: Sequence[str], seeds: Sequence[int], run: Callable[[str, int], Result]
) -> list[tuple[str, list[Result]]]:
    """Run each name: the first one with every seed, the others, for comparison, with the first seed only,
    because they differ by far more than seeds do. Skip and report a failed name; raise EnvironmentFailure if
    the first one fails.
    """
    from stormpetrel.drill.fronts import FrontUnavailable
    from stormpetrel.drill.place import PlaceFailed
    from stormpetrel.drill.run import RunFailed

    found: list[tuple[str, list[Result]]] = []
    for name in names:
        try:
            found.append((name, [run(name, seed) for seed in (seeds[:1] if found else seeds)]))
        except (PlaceFailed, RunFailed, FrontUnavailable) as error:
            if not found:
                raise EnvironmentFailure(str(error)) from error
            print(f"stormpetrel: skipped: {name}: {error}", file=sys.stderr)
    return found


def _first(args: argparse.Namespace) -> str:
    """Return the name of the first column: the mode, and its front. Raise SetupError if that is not installed."""
    from stormpetrel.drill.fronts import missing

    if args.front == "none":
        return str(args.mode)
    if problem := missing(args.front):
        raise SetupError(problem)
    return f"{args.mode}{BEHIND}{args.front}"


def _others(first: str) -> list[str]:
    """Return every other mode and every installed front; report missing fronts."""
    from stormpetrel.drill.fronts import FRONTS, missing

    names = [name for name in MODES if name != first]
    for front in FRONTS:
        if problem := missing(front):
            print(f"stormpetrel: skipped: {problem}", file=sys.stderr)
        else:
            names.append(front)
    return names


def _prepare(args: argparse.Namespace, base: Path) -> Setting:
    from stormpetrel.cli import drill_community
    from stormpetrel.drill.run import Setting

    many = "A12" in map(str.upper, args.vectors) or args.scenario == "storm"
    with _progress("preparing") as progress:
        drill_community.prepare(
            base / "prepared",
            seed=args.seed,
            users=MANY_USERS if many else USERS,
            posts=POSTS,
            popular_followers=MANY_FOLLOWERS if many else USERS // 2,
            tell=lambda doing: progress.at(0, 0, doing),
        )
    return Setting(
        prepared=base / "prepared",
        community=base / "prepared" / drill_community.COMMUNITY_FILE,
        command=(sys.executable, "-m", "stormpetrel", "serve"),
        environment=drill_community.environment,
    )


def _run(args: argparse.Namespace, setting: Setting, directory: Path, name: str, seed: int) -> Result:
    from stormpetrel.drill.run import run

    mode, _, front = name.partition(BEHIND)
    has_tls = bool(front)
    if mode not in MODES:
        mode, front = "off", mode
    with _progress(f"drill {args.scenario}, {name}, seed {seed}") as progress:

        def tell(moment: RunProgress) -> None:
            kept = "" if moment.kept is None else f", {moment.kept * 100:.0f} % served"
            progress.at(int(moment.done * WHOLE), WHOLE, f"{moment.phase}{kept}")

        return run(
            setting,
            directory,
            scenario=_scenario(args, seed),
            mode=mode,
            front=front,
            has_tls=has_tls,
            seed=seed,
            scale=args.scale / 100,
            tell=tell,
        )


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    progress = Progress(what)
    try:
        yield progress
    finally:
        progress.end()


def _show(args: argparse.Namespace, columns: list[tuple[str, list[Result]]]) -> int:
    from stormpetrel.drill import table
    from stormpetrel.drill.margins import OWN_VECTORS, shortfalls

    scored = [
        (
            name,
            [one.scores() for one in runs],
        )
        for name, runs in columns
    ]
    if args.report:
        from stormpetrel.drill.report import write_report

        write_report(Path(args.report), columns)
    runs = scored[0][1]
    first = columns[0][1][0].run
    front = first.front if first.has_tls else ""
    vectors = {
        vector for one in columns[0][1] for phase in one.run.scenario.phases for vector, _ in phase.vectors
    }
    short = shortfalls(runs, strangers_attack=bool(vectors & OWN_VECTORS))
    invalid = table.invalid_lines(columns, scored)
    if args.json:
        print_json(
            {
                "valid": not invalid,
                "invalid": invalid,
                "scenario": columns[0][1][0].run.scenario.name,
                "front": front,
                "runs": {name: [table.as_json(one) for one in scores] for name, scores in scored},
                "fell_short": [f"{one.goal} {one.what}" for one in short],
                "kept": table.kept_line(runs, behind=front),
            }
        )
    else:
        _print(scored, front=front, short_lines=table.shortfall_lines(short), invalid=invalid)
    return FELL_SHORT if short or invalid else 0


def _print(
    scored: Sequence[tuple[str, Sequence[Scores]]],
    *,
    front: str,
    short_lines: Sequence[str],
    invalid: Sequence[str],
) -> None:
    from stormpetrel.drill import table

    for problem in invalid:
        print(f"not valid: {problem}")
    if invalid:
        print("Ignore the figures below, and run the drill again.\n")
    if len(scored) > 1:
        heads, cells = table.comparison(scored)
        print_table(heads, cells)
        print()
    name, runs = scored[0]
    print(f"mode {name}, under attack, {len(runs)} run{'s' if len(runs) > 1 else ''}:")
    print_table(table.HEADS, table.channel_rows(runs))
    print()
    print_table(("score", "value"), table.score_rows(runs))
    print()
    for line in short_lines:
        print(line)
    print(table.kept_line(runs, behind=front))
