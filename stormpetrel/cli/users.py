"""`user`: manages accounts. All commands work while the server runs, and take effect at once."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.confirm import add_yes, change_if_confirmed
from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, Parser, add_command, add_group
from stormpetrel.cli.store import change, open_store
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.config import Config
    from stormpetrel.model.account import User
    from stormpetrel.storage.engine.connection import Connection, StoreConnection

MAX_LISTED = 1_000_000
ROLES = ("member", "moderator", "admin")
ASKS = {
    "delete": "permanently deletes @{name} with all posts and files",
    "reject": "permanently deletes the sign-up of @{name}",
}
"""Text of each command's confirmation."""
REASONED = ("suspend", "unsuspend")
BY_OPERATOR = "by the operator, at the command line"


def add_commands(commands: Commands[Any]) -> None:
    """Add the `user` commands."""
    group = add_group(commands, "user", about="Adds, lists, approves and suspends accounts.")
    parser = add_command(
        group,
        "add",
        _add,
        about="Adds an account that can sign in at once, regardless of the registration setting.",
        example="stormpetrel user add Nino --email nino@example.org --admin",
    )
    parser.add_argument("name", metavar="NAME", help="the username, stored with its capitalization")
    parser.add_argument("--email", metavar="E", required=True, help="e-mail address, also used to sign in")
    _add_password_options(parser)
    parser.add_argument(
        "--admin", action="store_true", help="make it an administrator, who can approve and suspend others"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser = add_command(
        group,
        "password",
        _set_password,
        about="Sets a password and signs the account out of every browser and app.",
        example="stormpetrel user password Nino",
    )
    parser.add_argument("name", metavar="NAME", help="the username, in any capitalization")
    _add_password_options(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    for name, run, about in (
        ("approve", _approve, "Approves a pending sign-up."),
        ("reject", _reject, "Deletes a pending sign-up."),
        (
            "suspend",
            _suspend,
            "Hides an account and ends its access at once; its data is deleted after 30 days.",
        ),
        ("delete", _delete, "Permanently deletes an account and its posts; the name stays taken."),
        ("unsuspend", _unsuspend, "Undoes suspend: restores the account and its access."),
    ):
        parser = add_command(group, name, run, about=about, example=f"stormpetrel user {name} Nino")
        parser.add_argument("name", metavar="NAME", help="the username, in any capitalization")
        if name in ASKS:
            add_yes(parser)
        if name in REASONED:
            _add_reason(parser)
        parser.add_argument("--json", action="store_true", help="as JSON")
    parser = add_command(
        group,
        "second-factor",
        _second_factor,
        about="Shows an account's second factors; --remove removes them if the member lost them.",
        example="stormpetrel user second-factor Nino --remove",
    )
    parser.add_argument("name", metavar="NAME", help="the username, in any capitalization")
    parser.add_argument("--remove", action="store_true", help="remove them; the owner is notified by mail")
    add_yes(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser = add_command(
        group,
        "role",
        _role,
        about="Changes an account's role.",
        example="stormpetrel user role Nino moderator",
    )
    parser.add_argument("name", metavar="NAME", help="the username, in any capitalization")
    parser.add_argument("role", metavar="ROLE", choices=ROLES, help="member, moderator or admin")
    parser.add_argument("--reason", metavar="TEXT", default=BY_OPERATOR, help="reason, for the audit log")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser = add_command(
        group, "list", _list, about="Lists accounts, oldest first.", example="stormpetrel user list --pending"
    )
    parser.add_argument("--pending", action="store_true", help="only accounts that await approval")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_reason(parser: Parser) -> None:
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        default=BY_OPERATOR,
        help='reason; shown to the account concerned (default: "%(default)s")',
    )


def _add_password_options(parser: Parser) -> None:
    password = parser.add_mutually_exclusive_group()
    password.add_argument(
        "--password", metavar="P", help="8 to 128 characters; if omitted, asked for or read from stdin"
    )
    password.add_argument(
        "--password-stdin", action="store_true", help="read the password from the first line of stdin"
    )


def _add(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.account import Role
    from stormpetrel.rules.accounts import invalid_fields, sign_up, user, wrong_names

    config = load(args.config).config
    with open_store(config.database_url) as connection:
        # Before the password: an operator should not enter it twice for a name that is taken.
        wrong = wrong_names(connection, username=args.name, email=args.email, by_operator=True)
        if wrong:
            raise invalid_fields(wrong)
    password_hash = _password_hash(args, config, username=args.name, email=args.email)
    with open_store(config.database_url) as connection:
        with change(connection) as at_ms:
            account = sign_up(
                connection,
                username=args.name,
                email=args.email,
                password_hash=password_hash,
                reason="",
                locale=config.languages.partition(",")[0].strip() or "en",
                registration=config.registration,
                now_ms=at_ms,
                role=Role.ADMIN if args.admin else Role.MEMBER,
                by_operator=True,
            )
        added = user(connection, account_id=account.id)
    _tell(added, args, f"{added.username} <{added.email}> is now {_article(added.role)}")
    return 0


def _password_hash(args: argparse.Namespace, config: Config, *, username: str, email: str) -> str:
    from stormpetrel.model.password import password_problem, password_weakness
    from stormpetrel.process.cpu_worker import hash_password_now

    password = _password(args)
    about = [username, email, config.title, config.domain]
    problem = password_problem(password) or password_weakness(password, about)
    if problem is not None:
        raise SetupError(f"password {problem}")
    return hash_password_now(password)


def _set_password(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.rules.mail import replace_password

    config = load(args.config).config
    with open_store(config.database_url) as connection:
        found = user_named(connection, args.name)
        password_hash = _password_hash(args, config, username=found.username, email=found.email)
        with change(connection) as at_ms:
            replace_password(
                connection, account_id=found.account_id, password_hash=password_hash, now_ms=at_ms
            )
    _tell(found, args, f"{found.username} has a new password and is signed out everywhere")
    return 0


def _second_factor(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.rules.second_factors import factors, remove_all

    def remove(connection: StoreConnection, at_ms: int) -> None:
        account_id = user_named(connection, args.name).account_id
        remove_all(connection, account_id=account_id, now_ms=at_ms)

    url = load(args.config).config.database_url
    if args.remove:
        name = _username(url, args.name)
        what = f"removes all second factors and recovery codes of @{name}"
        change_if_confirmed(args, url, remove, name=name, what=what)
    with open_store(url) as connection:
        found = user_named(connection, args.name)
        has = factors(connection, account_id=found.account_id)
    if args.json:
        print_json(
            {
                "username": found.username,
                "app": has.totp is not None,
                "passkeys": len(has.passkeys),
                "recovery_codes": has.recovery_codes,
            }
        )
    elif not has.any:
        print(f"{found.username} has no second factor")
    else:
        app = "an authenticator app, " if has.totp is not None else ""
        print(f"{found.username} has {app}{len(has.passkeys)} passkeys, {has.recovery_codes} recovery codes")
    return 0


def _delete(args: argparse.Namespace) -> int:
    from stormpetrel.rules.deletion import delete_account

    def rule(connection: Connection, by: Any, *, account_id: int, now_ms: int) -> None:
        delete_account(connection, account_id=account_id, now_ms=now_ms)

    return _decide(
        args,
        rule,
        "is deleted; the server erases the posts while it runs",
        gone="deleted",
        asks=ASKS["delete"],
    )


def _article(role: str) -> str:
    return {"admin": "an administrator", "moderator": "a moderator"}.get(role, "a member")


def _password(args: argparse.Namespace) -> str:
    """Return the password as given, entered or read; never show it."""
    if args.password is not None:
        return str(args.password)
    if not args.password_stdin and sys.stdin.isatty():
        import getpass

        password = getpass.getpass("Password: ")
        if getpass.getpass("Repeat password: ") != password:
            raise SetupError("the passwords do not match; nothing was changed")
        return password
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise SetupError("no password: use --password, or write the password to the first line of stdin")
    return password


def _approve(args: argparse.Namespace) -> int:
    from stormpetrel.rules.moderation import approve

    return _decide(args, approve, "can sign in now")


def _suspend(args: argparse.Namespace) -> int:
    from stormpetrel.rules.moderation import suspend

    return _decide(args, suspend, "is suspended", reason=args.reason)


def _unsuspend(args: argparse.Namespace) -> int:
    from stormpetrel.rules.moderation import unsuspend

    return _decide(args, unsuspend, "is active again", reason=args.reason)


def _role(args: argparse.Namespace) -> int:
    from stormpetrel.model.account import Role
    from stormpetrel.rules.moderation import set_role

    role = Role(args.role)
    return _decide(args, set_role, f"is now {_article(args.role)}", role=role, reason=args.reason)


def _reject(args: argparse.Namespace) -> int:
    from stormpetrel.rules.moderation import reject

    return _decide(args, reject, "was rejected; the sign-up is deleted", gone="rejected", asks=ASKS["reject"])


def _decide(
    args: argparse.Namespace, rule: Any, outcome: str, *, gone: str = "", asks: str = "", **more: Any
) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.moderation import COMMAND_LINE
    from stormpetrel.rules.accounts import user

    def act(connection: StoreConnection, at_ms: int) -> User:
        found = user_named(connection, args.name)
        rule(connection, COMMAND_LINE, account_id=found.account_id, now_ms=at_ms, **more)
        return found if gone else user(connection, account_id=found.account_id)

    url = load(args.config).config.database_url
    name = _username(url, args.name) if asks else ""
    decided = change_if_confirmed(args, url, act, name=name, what=asks.format(name=name))
    _tell(decided, args, f"{decided.username} {outcome}", state=gone or None)
    return 0


def _username(url: str, name: str) -> str:
    """Return the username as its owner writes it. Raise SetupError."""
    with open_store(url) as connection:
        return user_named(connection, name).username


def user_named(connection: Connection, name: str) -> User:
    from stormpetrel.rules.accounts import user_by_login

    found = user_by_login(connection, login=name.removeprefix("@"))
    if found is None:
        raise SetupError(f"there is no account {name!r} (see stormpetrel user list)")
    return found


def _list(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.rules.accounts import pending_users, users

    with open_store(load(args.config).config.database_url) as connection:
        found = (pending_users if args.pending else users)(connection, limit=MAX_LISTED)
    if args.json:
        print_json([_as_json(user) for user in found])
    else:
        print_table(
            ("NAME", "EMAIL", "ROLE", "STATE", "SINCE", *(("REASON",) if args.pending else ())),
            [
                (
                    user.username,
                    user.email,
                    user.role.value,
                    user.state.value,
                    _day(user.created_at_ms),
                    *((user.sign_up_reason,) if args.pending else ()),
                )
                for user in found
            ],
        )
    return 0


def _day(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


def _tell(user: User, args: argparse.Namespace, line: str, *, state: str | None = None) -> None:
    if args.json:
        print_json(_as_json(user) | ({"state": state} if state else {}))
    else:
        print(line)


def _as_json(user: User) -> dict[str, object]:
    return {
        "id": str(user.account_id),
        "username": user.username,
        "email": user.email,
        "role": user.role.value,
        "state": user.state.value,
        "sign_up_reason": user.sign_up_reason,
        "created_at_ms": user.created_at_ms,
    }
