"""`moderation`: reports, posts and accounts. Takes effect at once on a running server; the audit log names
"cli" as the actor."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.confirm import add_yes, change_if_confirmed
from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, add_command, add_group, whole_number
from stormpetrel.cli.store import open_store
from stormpetrel.cli.users import user_named

if TYPE_CHECKING:
    from stormpetrel.model.moderation import AuditEntry, Report
    from stormpetrel.storage.engine.connection import StoreConnection

MAX_LISTED = 1000
MAX_ID = (1 << 63) - 1
DELETES = "delete-post"
ON_REPORTS = (("resolve", "Closes a report."),)
ON_POSTS = (
    ("hide", "Hides a post from everyone except its author and moderators."),
    ("unhide", "Undoes hide."),
    (DELETES, "Deletes a post and its boosts permanently."),
)
ON_ACCOUNTS = (
    ("warn", "Sends an account a warning, without any restriction."),
    ("silence", "Hides an account's posts from people who do not follow it."),
    ("unsilence", "Undoes silence."),
    ("suspend", "Hides an account and ends its access at once; its data is deleted after 30 days."),
    ("unsuspend", "Undoes suspend."),
)


def add_commands(commands: Commands[Any]) -> None:
    """Add `moderation reports`, `show`, `log` and the acts."""
    group = add_group(commands, "moderation", about="Handles reports, posts and accounts.")
    parser = add_command(
        group, "reports", _reports, about="Lists reports.", example="stormpetrel moderation reports"
    )
    parser.add_argument("--resolved", action="store_true", help="list resolved reports, newest first")
    _listing(parser)
    parser = add_command(
        group,
        "show",
        _show,
        about="Shows a report.",
        example="stormpetrel moderation show 117340000000000000",
    )
    parser.add_argument("id", metavar="ID", type=whole_number(1, MAX_ID), help="the report's id")
    parser.add_argument("--json", action="store_true", help="as JSON")
    for kind, acts in (("report", ON_REPORTS), ("post", ON_POSTS)):
        for name, about in acts:
            parser = add_command(
                group,
                name,
                _act,
                about=about,
                example=f'stormpetrel moderation {name} 117340000000000000 --reason "rule 2"',
            )
            parser.add_argument("id", metavar="ID", type=whole_number(1, MAX_ID), help=f"the {kind}'s id")
            _reasoned(parser, name)
            if name == DELETES:
                add_yes(parser)
    for name, about in ON_ACCOUNTS:
        parser = add_command(
            group, name, _act, about=about, example=f'stormpetrel moderation {name} Nino --reason "rule 2"'
        )
        parser.add_argument("name", metavar="NAME", help="the username, in any capitalization")
        _reasoned(parser, name)
    parser = add_command(
        group,
        "log",
        _log,
        about="Shows moderation actions with their reasons, newest first.",
        example="stormpetrel moderation log --account Nino",
    )
    parser.add_argument("--account", metavar="NAME", help="only actions on this account")
    _listing(parser)


def _listing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number(1, MAX_LISTED),
        default=100,
        help="maximum number of entries (default 100)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _reasoned(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument(
        "--reason", metavar="TEXT", required=True, help="reason; shown to the account concerned"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(verb=verb)


def _act(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.moderation import COMMAND_LINE
    from stormpetrel.rules import moderation

    rule = getattr(moderation, args.verb.replace("-", "_"))

    def act(connection: StoreConnection, at_ms: int) -> tuple[dict[str, int], str]:
        target: dict[str, int]
        if hasattr(args, "name"):
            user = user_named(connection, args.name)
            target, shown = {"account_id": user.account_id}, user.username
        else:
            key = "report_id" if args.verb == "resolve" else "post_id"
            target, shown = {key: args.id}, str(args.id)
        rule(connection, COMMAND_LINE, reason=args.reason, now_ms=at_ms, **target)
        return target, shown

    url = load(args.config).config.database_url
    name, what = "", ""
    if args.verb == DELETES:
        name, what = str(args.id), f"deletes the post {args.id} and its boosts permanently"
    target, shown = change_if_confirmed(args, url, act, name=name, what=what)
    if args.json:
        print_json(
            {"act": args.verb.replace("-", "_"), **{key: str(value) for key, value in target.items()}}
            | {"reason": args.reason}
        )
    else:
        print(f"{args.verb} {shown}: done")
    return 0


def _reports(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.page import Page
    from stormpetrel.rules.accounts import names
    from stormpetrel.rules.moderation import open_reports, resolved_reports

    with open_store(load(args.config).config.database_url) as connection:
        if args.resolved:
            found = resolved_reports(connection, page=Page(limit=args.limit))
        else:
            found = open_reports(connection, after_id=0, limit=args.limit)
        known = names(connection, account_ids=[i for one in found for i in (one.account_id, one.reporter_id)])
    if args.json:
        print_json([_report_json(one, known) for one in found])
    else:
        print_table(
            ("ID", "ABOUT", "BY", "CATEGORY", "POSTS", "STATE", "COMMENT"),
            [
                (
                    str(one.id),
                    known.get(one.account_id, ""),
                    known.get(one.reporter_id, ""),
                    one.category.value,
                    str(len(one.post_ids)),
                    "resolved" if one.resolved_at_ms else "open",
                    one.comment,
                )
                for one in found
            ],
        )
    return 0


def _show(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.rules.accounts import names
    from stormpetrel.rules.moderation import report
    from stormpetrel.rules.posts import posts

    with open_store(load(args.config).config.database_url) as connection:
        found = report(connection, report_id=args.id)
        known = names(connection, account_ids=[found.account_id, found.reporter_id])
        said = posts(connection, post_ids=found.post_ids)
    about = _report_json(found, known) | {
        "posts": [{"id": str(post.id), "text": post.text, "hidden": post.hidden} for post in said]
    }
    if args.json:
        print_json(about)
    else:
        rows = [(name, str(value)) for name, value in about.items() if name not in ("posts", "post_ids")]
        rows += [(f"post {post.id}{' (hidden)' if post.hidden else ''}", post.text) for post in said]
        print_table(("WHAT", "VALUE"), rows)
    return 0


def _report_json(report: Report, known: dict[int, str]) -> dict[str, object]:
    return {
        "id": str(report.id),
        "account_id": str(report.account_id),
        "account": known.get(report.account_id, ""),
        "reporter": known.get(report.reporter_id, ""),
        "category": report.category.value,
        "comment": report.comment,
        "post_ids": [str(post_id) for post_id in report.post_ids],
        "state": "resolved" if report.resolved_at_ms else "open",
        "created_at_ms": report.created_at_ms,
    }


def _log(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.page import Page
    from stormpetrel.rules.moderation import log

    with open_store(load(args.config).config.database_url) as connection:
        account_id = None if args.account is None else user_named(connection, args.account).account_id
        found = log(connection, page=Page(limit=args.limit), account_id=account_id)
    if args.json:
        print_json([_entry_json(entry) for entry in found])
    else:
        print_table(
            ("WHEN (UTC)", "MODERATOR", "ACTION", "ACCOUNT", "POST", "REASON"),
            [
                (
                    _when(entry.created_at_ms),
                    entry.actor_name,
                    entry.act.value,
                    entry.account_name,
                    str(entry.post_id or ""),
                    entry.reason,
                )
                for entry in found
            ],
        )
    return 0


def _entry_json(entry: AuditEntry) -> dict[str, object]:
    return {
        "id": str(entry.id),
        "actor": entry.actor_name,
        "act": entry.act.value,
        "account": entry.account_name,
        "post_id": str(entry.post_id) if entry.post_id else None,
        "report_id": str(entry.report_id) if entry.report_id else None,
        "reason": entry.reason,
        "created_at_ms": entry.created_at_ms,
    }


def _when(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
