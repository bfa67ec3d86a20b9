"""`token`: makes an access token, for scripts and for trying the API."""

from __future__ import annotations

import argparse
from typing import Any

from stormpetrel.cli.output import print_json
from stormpetrel.cli.parser import Commands, add_command, near_or_all
from stormpetrel.cli.store import change, open_store
from stormpetrel.errors import SetupError

DEFAULT_SCOPES = "read write follow push"
TOKEN_BYTES = 32


def add_commands(commands: Commands[Any]) -> None:
    """Add `token`."""
    parser = add_command(
        commands,
        "token",
        _token,
        about="Creates an access token for an account; it is alone on the last line of standard output, "
        "valid at once, and shown only now.",
        example='curl -H "Authorization: Bearer $(stormpetrel token Nino --scopes read | tail -n 1)" …',
    )
    parser.add_argument("name", metavar="NAME", help="the username, in any capitalization")
    parser.add_argument(
        "--scopes",
        metavar="SCOPES",
        default=DEFAULT_SCOPES,
        help='scopes, separated by spaces (default "%(default)s")',
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _token(args: argparse.Namespace) -> int:
    import secrets

    from stormpetrel.config_loader import load
    from stormpetrel.model.access import new_token, secret_hash
    from stormpetrel.rules.access import create_token
    from stormpetrel.rules.accounts import user_by_login

    scopes = _scopes(args.scopes)
    token = new_token(lambda: secrets.token_urlsafe(TOKEN_BYTES))
    with (
        open_store(load(args.config).config.database_url) as connection,
        change(connection) as at_ms,
    ):
        owner = user_by_login(connection, login=args.name.removeprefix("@"))
        if owner is None:
            raise SetupError(f"there is no account {args.name!r} (see stormpetrel user list)")
        create_token(
            connection,
            account_id=owner.account_id,
            application_id=None,
            scopes=scopes,
            token_hash=secret_hash(token),
            now_ms=at_ms,
        )
    if args.json:
        print_json(
            {
                "access_token": token,
                "token_type": "Bearer",
                "scope": " ".join(scopes),
                "created_at": at_ms // 1000,
                "username": owner.username,
                "account_id": str(owner.account_id),
            }
        )
    else:
        print(token)
    return 0


def _scopes(text: str) -> tuple[str, ...]:
    from stormpetrel.model.access import SCOPES, parse_scopes

    scopes = parse_scopes(text)
    if scopes is None:
        unknown = next(scope for scope in text.replace("+", " ").split() if scope not in SCOPES)
        raise SetupError(f"unknown scope {unknown!r}{near_or_all(unknown, SCOPES)}")
    if not scopes:
        raise SetupError('--scopes must name at least one scope, such as "read write"')
    return scopes
