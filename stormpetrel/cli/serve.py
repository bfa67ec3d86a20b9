"""`serve`: the server itself."""

from __future__ import annotations

import argparse
from typing import Any

from stormpetrel.cli.parser import Commands, add_command
from stormpetrel.errors import SetupError

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
    parser.add_argument(
        "--of",
        metavar="URL",
        help="with --role watch: measure the instance at URL from this machine, which needs no database",
    )


def _serve(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load

    if args.of is not None:
        from stormpetrel.roles.outside import serve_outside

        if args.role != ["watch"]:
            raise SetupError("--of needs --role watch, and no other role")
        return serve_outside(load(args.config), of=args.of)
    from stormpetrel.roles.serve import serve

    return serve(load(args.config), roles=frozenset(args.role or ROLES))
