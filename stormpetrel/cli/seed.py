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
"""The seed is the low 16 bits of every id (storage/seed.py has the same number; a test compares them)."""
UNTIL_MARGIN_MS = 60_000


def add_commands(commands: Commands[Any]) -> None:
    """Add `seed`."""
    parser = add_command(
        commands,
        "seed",
        _seed,
        about="Fills an instance with a synthetic community, beside what is there: the same numbers and seed give "
        "the same people, posts and ids. Works while the server runs. The same command goes on where an earlier one "
        "was stopped.",
        example="stormpetrel seed --users 2000 --posts 100000 --follows 126 --seed 1 --reader Lena",
    )
    parser.add_argument(
        "--users", type=whole_number(1, MAX_USERS), required=True, metavar="N", help="how many people"
    )
    parser.add_argument(
        "--posts",
        type=whole_number(0, MAX_POSTS),
        required=True,
        metavar="M",
        help="how many posts, with boosts",
    )
    parser.add_argument(
        "--follows",
        type=whole_number(0, MAX_FOLLOWS),
        required=True,
        metavar="K",
        help="how many others each follows, on average",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, MAX_SEED),
        required=True,
        metavar="S",
        help=f"which community, 0 to {MAX_SEED}; each only once in an instance",
    )
    parser.add_argument("--reader", metavar="NAME", default="", help="one account more, which only reads")
    parser.add_argument(
        "--reader-follows",
        type=whole_number(0, MAX_FOLLOWS),
        default=None,
        metavar="F",
        help="how many the reader follows, exactly (otherwise 200, or all if there are fewer)",
    )
    parser.add_argument(
        "--until",
        metavar="WHEN",
        default="",
        help="moment of the last post: now, or like 2026-03-01 (otherwise a fixed one in July 2025)",
    )
    parser.add_argument(
        "--password", metavar="P", default="", help="password of all of them (otherwise nobody can sign in)"
    )
    parser.add_argument("--json", action="store_true", help="the summary as JSON")


READER_FOLLOWS = 200


def _seed(args: argparse.Namespace) -> int:
    from stormpetrel.config import load
    from stormpetrel.model.account import username_problem
    from stormpetrel.model.password import password_problem
    from stormpetrel.storage.seed import UNUSABLE_PASSWORD, end_ms_of, seed
    from stormpetrel.storage.seed_plan import Size
    from stormpetrel.storage.seed_steps import unfinished

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
        from stormpetrel.heavy import hash_password_now

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
                "stormpetrel: the rows written so far stay; the same command goes on where it stopped",
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
        before = f", of which {seeded.rows_before:,} were there" if seeded.rows_before else ""
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
        raise SetupError(f"--until must be now or a date like 2026-03-01, not {text!r}") from error
    # A date without a zone is UTC: the same everywhere.
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
