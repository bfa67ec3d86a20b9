"""Asks before a command destroys something that no other command brings back."""

from __future__ import annotations

import argparse
import sys

from stormpetrel.errors import SetupError


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Adds `--yes` to a command that calls `confirm`."""
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask for confirmation; required if standard input is not a terminal",
    )


def confirm(args: argparse.Namespace, *, name: str, what: str) -> None:
    """Returns once somebody at the terminal has typed `name` again, and at once with --yes.

    `what` says what follows, as in "deletes @Nino and all posts for good". Raises SetupError where something else
    is typed, and where there is neither a terminal nor --yes. Call it outside of any transaction: a person takes
    their time, and a server may wait for the store meanwhile.
    """
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise SetupError(f"this {what}: without a terminal, --yes is required; nothing was changed")
    print(f"This {what}.\nType {name} to confirm: ", end="", file=sys.stderr, flush=True)
    typed = sys.stdin.readline()
    if not typed.endswith("\n"):
        # Ctrl-D leaves the cursor behind the question.
        print(file=sys.stderr)
    if typed.strip().removeprefix("@").casefold() != name.casefold():
        raise SetupError(f"you did not type {name}; nothing was changed")
