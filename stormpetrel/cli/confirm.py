"""Asks for confirmation before a command destroys data that no other command can restore."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from stormpetrel.cli.store import change, open_store, rehearse
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import StoreConnection

Result = TypeVar("Result")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add `--yes` to a command that calls `change_if_confirmed`."""
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask for confirmation; required if standard input is not a terminal",
    )


def change_if_confirmed(
    args: argparse.Namespace,
    url: str,
    act: Callable[[StoreConnection, int], Result],
    *,
    name: str,
    what: str,
) -> Result:
    """Return the result of `act(connection, now_ms)`, a change made once the person at the terminal has typed `name`.

    `what` describes the effect, as in "deletes @Nino and all posts for good"; "" is a change that needs no
    confirmation. With --yes there is no question either. Raise SetupError if the name does not match, or if there is
    neither a terminal nor --yes; and before the question, what `act` raises, so that no person confirms a change that
    is then refused.
    """
    if what and not args.yes:
        with open_store(url) as connection:
            rehearse(connection, act)
        # No connection is open while the person reads: the answer may take long.
        _confirm(name=name, what=what)
    with open_store(url) as connection, change(connection) as at_ms:
        return act(connection, at_ms)


def _confirm(*, name: str, what: str) -> None:
    if not sys.stdin.isatty():
        raise SetupError(f"this {what}: without a terminal, --yes is required; nothing was changed")
    print(f"This {what}.\nType {name} to confirm: ", end="", file=sys.stderr, flush=True)
    typed = sys.stdin.readline()
    if not typed.endswith("\n"):
        # Ctrl-D leaves the cursor after the question.
        print(file=sys.stderr)
    if typed.strip().removeprefix("@").casefold() != name.casefold():
        raise SetupError(f"you did not type {name}; nothing was changed")
