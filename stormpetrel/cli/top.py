"""`top`: the load, the channels and the defence in the terminal, live. It asks the watch, as `shield status` does."""

from __future__ import annotations

import argparse
import contextlib
import select
import shutil
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.parser import Commands, add_command, whole_number
from stormpetrel.cli.shield import ask_watch, status_json
from stormpetrel.cli.times import when
from stormpetrel.errors import EnvironmentFailure

if TYPE_CHECKING:
    from stormpetrel.control.messages import StatusMessage

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_KEYS = "q: quit"


def add_commands(commands: Commands[Any]) -> None:
    """Add `top`."""
    parser = add_command(
        commands,
        "top",
        _top,
        about="Shows load, channels, refusals, rules and the heaviest clients, live. Press q to quit.",
        example="stormpetrel top",
    )
    parser.add_argument(
        "--every",
        metavar="S",
        type=whole_number(1, 60),
        default=1,
        help="seconds between updates (default 1)",
    )
    parser.add_argument("--once", action="store_true", help="print the screen once, also without a terminal")
    parser.add_argument("--json", action="store_true", help="print one JSON object per update instead")


def _top(args: argparse.Namespace) -> int:
    if args.json:
        return _lines_of_json(args)
    if args.once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from stormpetrel.cli.top_screen import screen

        columns = shutil.get_terminal_size((160, 50)).columns
        print("\n".join(screen(_status(args), columns=columns, lines=200, now_s=time.time())).rstrip())
        return 0
    return _live(args)


def _live(args: argparse.Namespace) -> int:
    from stormpetrel.cli.output import fitted
    from stormpetrel.cli.top_screen import screen

    # The first question may fail: then the error stands in the terminal, not on a screen that is left.
    status: StatusMessage | None = _status(args)
    problem = ""
    with _whole_screen():
        while True:
            size, now_s = shutil.get_terminal_size(), time.time()
            head = f"stormpetrel top  {when(now_s)}  {_KEYS}"
            shown = [head, problem] if problem else [head]
            if status is not None:
                shown += screen(status, columns=size.columns, lines=size.lines - len(shown), now_s=now_s)
            lines = (fitted(line, size.columns) + _CLEAR_LINE for line in shown[: size.lines])
            sys.stdout.write(_HOME + "\n".join(lines) + _CLEAR_BELOW)
            sys.stdout.flush()
            if _key_within(args.every) in ("q", "Q"):
                return 0
            try:
                status, problem = _status(args), ""
            except EnvironmentFailure as error:
                # The figures before it are no longer true.
                status, problem = None, f"NO FIGURES: {error.safe_text}"


def _lines_of_json(args: argparse.Namespace) -> int:
    from stormpetrel.cli.output import json_text

    while True:
        facts = {"at_epoch_s": round(time.time(), 3), **status_json(_status(args))}
        print(json_text(facts), flush=True)
        if args.once:
            return 0
        time.sleep(args.every)


def _status(args: argparse.Namespace) -> StatusMessage:
    from stormpetrel.control.messages import AskStatus, StatusMessage

    status = ask_watch(args, AskStatus())
    assert isinstance(status, StatusMessage)
    return status


@contextlib.contextmanager
def _whole_screen() -> Iterator[None]:
    """Use the whole terminal, and read keys without Enter; restore both at the end."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write(_ENTER)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def _key_within(seconds: float) -> str:
    """Return the key that is pressed within this time, or ""."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return sys.stdin.read(1) if ready else ""
