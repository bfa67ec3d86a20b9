"""`audience`: the unique visitors by day, week or month, with their growth."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, add_command

if TYPE_CHECKING:
    from stormpetrel.model.audience import AudienceRow

KINDS = ("day", "week", "month")
SHOWN_DAYS = {"day": 14, "week": 12 * 7, "month": 13 * 31}
"""How far back the command looks without --from."""
BAR_CHARACTERS = 30


def add_commands(commands: Commands[Any]) -> None:
    """Add `audience`."""
    parser = add_command(
        commands,
        "audience",
        _audience,
        about="Shows unique visitors by period (UTC) and channel, and their growth. It reads the database, which "
        "has the numbers of the running periods as of the last minute.",
        example="stormpetrel audience --by day --from 2026-11-01",
    )
    parser.add_argument("--by", choices=KINDS, default="month", help="day, week or month (default month)")
    parser.add_argument(
        "--from", dest="first", metavar="DATE", type=_date, help="first day, such as 2026-11-01"
    )
    parser.add_argument("--to", dest="last", metavar="DATE", type=_date, help="last day (default: today)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON, with every number")
    form.add_argument("--csv", action="store_true", help="as CSV, with every number")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-01") from None


def _audience(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.audience import names_needed, periods_between, rows_of
    from stormpetrel.storage.audience import load_numbers
    from stormpetrel.storage.engine.migrate import require_current

    config = load(args.config).config
    now_s = time.time()
    last = args.last or datetime.fromtimestamp(now_s, UTC).date()
    first = args.first or last - timedelta(days=SHOWN_DAYS[args.by])
    periods = periods_between(args.by, from_s=_start_s(first), until_s=_start_s(last) + 86_400)
    require_current(config.database_url)
    stored = load_numbers(config.database_url, periods=names_needed(periods)) if periods else {}
    rows = rows_of(periods, stored, now_s=now_s)
    if args.json:
        print_json([_as_json(row) for row in rows])
    elif args.csv:
        _print_csv(rows)
    else:
        _print_rows(rows, is_enabled=config.audience.enabled)
    return 0


def _start_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _as_json(row: AudienceRow) -> dict[str, object]:
    return {
        "period": row.period.name,
        "running": row.is_running,
        "growth": row.growth or None,
        "year_growth": row.year_growth or None,
        "machines": row.machines,
        "numbers": dict(sorted(row.numbers.items())),
    }


def _print_csv(rows: list[AudienceRow]) -> None:
    names = sorted({name for row in rows for name in row.numbers})
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["period", "running", *names])
    for row in rows:
        writer.writerow(
            [row.period.name, str(row.is_running).lower(), *(row.numbers.get(n, 0) for n in names)]
        )


def _print_rows(rows: list[AudienceRow], *, is_enabled: bool) -> None:
    if not rows:
        print(
            "No visitors were counted in this time." + ("" if is_enabled else " audience.enabled is false.")
        )
        return
    from stormpetrel.model.audience import CHANNELS

    most = max(max(row.visitors() for row in rows), 1)
    print_table(
        ("PERIOD", "ALL", *(name.upper() for name in CHANNELS), "GROWTH", "GROWTH OVER A YEAR", ""),
        [
            (
                row.period.name + (" so far" if row.is_running else ""),
                f"{row.visitors():,}",
                *(f"{row.visitors(name):,}" for name in CHANNELS),
                row.growth,
                row.year_growth,
                "█" * round(row.visitors() / most * BAR_CHARACTERS),
            )
            for row in rows
        ],
    )
    last = rows[-1]
    print()
    for title, name in (("known by", "known_by"), ("came from", "from"), ("began at", "landing")):
        shares = last.share(name)
        if shares:
            print(f"{title:<10} {', '.join(f'{key} {share:.0%}' for key, share in shares.items())}")
    apart = {name.partition("/")[2]: n for name, n in last.numbers.items() if name.startswith("requests/")}
    if apart:
        print(
            f"{'not visits':<10} {', '.join(f'{n:,} requests of {key}' for key, n in sorted(apart.items()))}"
        )
    if announced := last.numbers.get("subscribers/announced"):
        print(f"{'feeds':<10} {announced:,} subscribers announced by feed services, not among the visitors")
    if last.is_running:
        print(f"{last.period.name} is not over: its numbers grow, and have no growth yet.")
    if last.machines > 1:
        print(f"Counted on {last.machines} machines, each alone: the numbers are the greatest of them.")
