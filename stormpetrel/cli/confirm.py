"""Asks for confirmation before a command destroys data that no other command can restore."""

from __future__ import annotations

import argparse
import sys

from stormpetrel.errors import SetupError


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add `--yes` to a command that calls `confirm`."""
    parser.add_argument(
        "--yes", action="store_true", help="do not ask; needed where standard input is no terminal"
    )


def confirm(args: argparse.Namespace, *, name: str, what: str) -> None:
    """Return once the person at the terminal has typed `name`, or at once with --yes.

    `what` describes the effect, as in "deletes @Nino and all posts for good". Raise SetupError if the name
    does not match, or if there is neither a terminal nor --yes. Call it outside of any transaction: the
    answer may take long, and a server may need the store meanwhile.
    """
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise SetupError(f"this {what}: without a terminal it needs --yes; nothing was changed")
    print(f"This {what}.\nType {name} to go on: ", end="", file=sys.stderr, flush=True)
    typed = sys.stdin.readline()
    if not typed.endswith("\n"):
        # Ctrl-D leaves the cursor after the question.
        print(file=sys.stderr)
    if typed.strip().removeprefix("@").casefold() != name.casefold():
        raise SetupError(f"{name} was not typed; nothing was changed")
