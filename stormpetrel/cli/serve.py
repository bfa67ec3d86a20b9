"""`serve`: the server itself."""

from __future__ import annotations

import argparse
from typing import Any

from stormpetrel.cli.parser import Commands, add_command

ROLES = ("web", "courier", "sms", "watch")


def add_commands(commands: Commands[Any]) -> None:
    """Add `serve`."""
    parser = add_command(
        commands,
        "serve",
        _serve,
        about="Starts the server. Ctrl-C or SIGTERM stops it after running requests have finished.",
        example="stormpetrel serve --role web --role courier",
    )
    parser.add_argument(
        "--role",
        action="append",
        choices=ROLES,
        help="run only this role, for several machines; can be repeated (default: all roles)",
    )


def _serve(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.roles.serve import serve

    return serve(load(args.config), roles=frozenset(args.role or ROLES))
