"""`seed`: a synthetic community, for benches, drills and tests at size."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from typing import Any

from stormpetrel.cli.interrupt import ctrl_c_is_never_an_error_of_the_store
from stormpetrel.cli.output import Progress, print_json
from stormpetrel.cli.parser import Commands, add_command, whole_number
from stormpetrel.cli.store import now_ms, open_store
from stormpetrel.errors import SetupError

MAX_USERS = 10_000_000
MAX_POSTS = 100_000_000
MAX_FOLLOWS = 100_000
MAX_SEED = 65_535
"""The seed is the low 16 bits of every id (storage/seed/community.py has the same number; a test compares them)."""
UNTIL_MARGIN_MS = 60_000


def add_commands(commands: Commands[Any]) -> None:
    """Add `seed`."""
    parser = add_command(
        commands,
        "seed",
        _seed,
        about="Adds a synthetic community to an instance: the same numbers and seed give the same accounts, posts "
        "and ids. Works while the server runs. If it was stopped, the same command continues where it stopped.",
        example="stormpetrel seed --users 2000 --posts 100000 --follows 126 --seed 1 --reader Lena",
    )
    parser.add_argument(
        "--users", type=whole_number(1, MAX_USERS), required=True, metavar="N", help="number of accounts"
    )
    parser.add_argument(
        "--posts",
        type=whole_number(0, MAX_POSTS),
        required=True,
        metavar="M",
        help="number of posts, including boosts",
    )
    parser.add_argument(
        "--follows",
        type=whole_number(0, MAX_FOLLOWS),
        required=True,
        metavar="K",
        help="follows per account, on average",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, MAX_SEED),
        required=True,
        metavar="S",
        help=f"seed of the community, 0 to {MAX_SEED}; use each only once per instance",
    )
    parser.add_argument("--reader", metavar="NAME", default="", help="one more account that only reads")
    parser.add_argument(
        "--reader-follows",
        type=whole_number(0, MAX_FOLLOWS),
        default=None,
        metavar="F",
        help="exact number of accounts the reader follows (default 200, or all if there are fewer)",
    )
    parser.add_argument(
        "--until",
        metavar="WHEN",
        default="",
        help="time of the last post: now, or a date such as 2026-03-01 (default: a fixed time in July 2025)",
    )
    parser.add_argument(
        "--password",
        metavar="P",
        default="",
        help="password of all accounts (without it, they cannot sign in)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


READER_FOLLOWS = 200


def _seed(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.account import username_problem
    from stormpetrel.model.password import password_problem
    from stormpetrel.storage.seed.community import UNUSABLE_PASSWORD, end_ms_of, seed
    from stormpetrel.storage.seed.plan import Size
    from stormpetrel.storage.seed.steps import unfinished

    config = load(args.config).config
    if args.reader and (problem := username_problem(args.reader)):
        raise SetupError(f"--reader {problem}")
    if args.reader_follows is not None and not args.reader:
        raise SetupError("--reader-follows needs --reader NAME")
    if args.password and (problem := password_problem(args.password)):
        raise SetupError(f"--password {problem}")
    size = Size(
        users=args.users,
        posts=args.posts,
        follows=args.follows,
        seed=args.seed,
        end_ms=_until_ms(args.until) or end_ms_of(args.seed),
        reader=args.reader,
        reader_follows=_reader_follows(args),
    )
    password_hash = UNUSABLE_PASSWORD
    if args.password:
        from stormpetrel.process.cpu_worker import hash_password_now

        password_hash = hash_password_now(args.password)
    progress = Progress("seed")
    started_at_s = time.monotonic()
    with open_store(config.database_url) as connection:
        begun = unfinished(connection, size.seed)
        if begun is not None and args.until == "now":
            # "now" is the time of the first of these calls.
            size = dataclasses.replace(size, end_ms=begun.end_ms)
        try:
            with ctrl_c_is_never_an_error_of_the_store():
                seeded = seed(
                    connection, size, password_hash=password_hash, now_ms=now_ms(), tell=progress.at
                )
        except KeyboardInterrupt:
            progress.end()
            print(
                "stormpetrel: the rows written so far stay; run the same command again to continue",
                file=sys.stderr,
            )
            raise
        finally:
            progress.end()
    took_s = time.monotonic() - started_at_s
    rows_per_s = int((seeded.total - seeded.rows_before) / max(took_s, 0.001))
    if args.json:
        print_json(
            {
                "seed": args.seed,
                "rows": seeded.rows,
                "rows_total": seeded.total,
                "rows_before": seeded.rows_before,
                "took_s": round(took_s, 3),
                "rows_per_s": rows_per_s,
                "reader": seeded.reader or None,
            }
        )
    else:
        counts = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in seeded.rows.items())
        before = f", of which {seeded.rows_before:,} already existed" if seeded.rows_before else ""
        print(f"{seeded.total:,} rows{before}, in {took_s:.1f} s ({rows_per_s:,} rows/s): {counts}")
        if seeded.reader:
            print(f"reader: {seeded.reader} (stormpetrel token {seeded.reader} makes an access token)")
    return 0


def _reader_follows(args: argparse.Namespace) -> int:
    if not args.reader:
        return 0
    return min(READER_FOLLOWS, args.users) if args.reader_follows is None else int(args.reader_follows)


def _until_ms(text: str) -> int:
    """Return the milliseconds of `text`, or 0 if it is empty."""
    from datetime import UTC, datetime

    if not text:
        return 0
    if text == "now":
        return now_ms() - UNTIL_MARGIN_MS
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SetupError(f"--until must be now or a date such as 2026-03-01, not {text!r}") from error
    # A date without a zone is UTC: the same everywhere.
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
