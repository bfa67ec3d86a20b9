"""`sms log`: messages and texts with their states, as JSON lines."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import json_text
from stormpetrel.cli.parser import Commands, add_command, whole_number
from stormpetrel.cli.sms_numbers import cleaned
from stormpetrel.cli.store import now_ms

if TYPE_CHECKING:
    from stormpetrel.storage.sms_spool.file import SpoolDb

FOLLOW_EVERY_S = 0.2


def add_log(group: Commands[Any]) -> None:
    """Add `sms log`."""
    log = add_command(
        group,
        "log",
        _log,
        about="Prints messages and texts as JSON lines, oldest first.",
        example="stormpetrel sms log --direction in --follow",
    )
    log.add_argument("--direction", choices=("in", "out"), help="only messages from phones, or texts to them")
    log.add_argument("--number", metavar="NUMBER", help="only of this number")
    log.add_argument(
        "--limit",
        type=whole_number(1, 1_000_000),
        default=100,
        metavar="N",
        help="at most this many (default 100)",
    )
    log.add_argument("--follow", action="store_true", help="go on with each change, until Ctrl-C")
    log.add_argument("--json", action="store_true", help="JSON lines, which is the only format")


def _log(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.process import secret
    from stormpetrel.storage.sms_spool.file import open_spool

    config = load(args.config).config
    secret.load(config)  # without an instance, no file may be made
    number = None if args.number is None else cleaned(args.number)
    with open_spool(config.data_dir) as spool:
        printed: dict[str, str] = {}
        since_ms = 0
        limit = args.limit
        while True:
            records = _records(spool.raw, args.direction, number, since_ms, limit)
            for changed_ms, record in records:
                line = json_text(record)
                if printed.get(record["id"]) != line:
                    print(line)
                printed[record["id"]] = line
                since_ms = max(since_ms, changed_ms)
            if not args.follow:
                return 0
            sys.stdout.flush()
            limit = 1_000_000
            # Lines before this moment cannot be printed again.
            printed = {record["id"]: printed[record["id"]] for _, record in records}
            time.sleep(FOLLOW_EVERY_S)
            # After the clock was set back, changes have earlier times than the last one printed.
            since_ms = min(since_ms, now_ms())


def _records(
    db: SpoolDb, direction: str | None, number: str | None, since_ms: int, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    from stormpetrel.storage.sms_spool import state

    directions = [direction] if direction else ["in", "out"]
    found = [
        (at_ms, changed_ms, record)
        for each in directions
        for at_ms, changed_ms, record in state.log(
            db, direction=each, number=number, since_ms=since_ms, limit=limit
        )
    ]
    found.sort(key=lambda one: (one[0], one[2]["id"][0], int(one[2]["id"][1:])))
    return [(changed_ms, record) for _, changed_ms, record in found[-limit:]]
