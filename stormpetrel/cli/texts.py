"""`instance`: the instance's rules, texts and announcements, and e-mail domains that may not sign up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.confirm import add_yes, change_if_confirmed
from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, Parser, add_command, add_group, whole_number
from stormpetrel.cli.store import change, open_store

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import StoreConnection

MAX_ID = (1 << 63) - 1
NAMES = ("extended_description", "privacy_policy", "terms_of_service")


def add_commands(commands: Commands[Any]) -> None:
    """Add `instance rules`, `add-rule`, `remove-rule`, `text`, `set-text`, `announce`, `withdraw`,
    `email-domains`, `block-email-domain` and `unblock-email-domain`."""
    group = add_group(commands, "instance", about="Changes the instance's rules, texts and announcements.")

    def add(name: str, run: Callable[[argparse.Namespace], int], about: str, example: str = "") -> Parser:
        full = f"stormpetrel instance {name} {example}".rstrip()
        return add_command(group, name, run, about=about, example=full)

    parser = add("rules", _rules, "Lists the rules.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser = add("add-rule", _add_rule, "Adds a rule at the end.", '"No spam"')
    parser.add_argument("text", metavar="TEXT", help="the rule")
    parser.add_argument("--hint", metavar="TEXT", default="", help="explanation of the rule")
    parser = add("remove-rule", _remove_rule, "Removes a rule.", "117340000000000000")
    parser.add_argument("id", metavar="ID", type=whole_number(1, MAX_ID), help="the rule's id")
    add_yes(parser)
    parser = add("text", _text, "Prints a published text.", "privacy_policy")
    parser.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    about = "Publishes a text from stdin; empty input withdraws it."
    parser = add("set-text", _set_text, about, "privacy_policy < privacy.txt")
    parser.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    parser = add(
        "announce",
        _announce,
        "Publishes an announcement above Home and on the About page, and prints its id.",
        '"We move on Sunday"',
    )
    parser.add_argument("text", metavar="TEXT", help="the announcement")
    parser = add("withdraw", _withdraw, "Withdraws an announcement.", "117340000000000000")
    parser.add_argument("id", metavar="ID", type=whole_number(1, MAX_ID), help="the announcement's id")
    add_yes(parser)
    parser = add("email-domains", _domains, "Lists the e-mail domains that cannot sign up.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    for name, run, about in (
        ("block-email-domain", _block, "Blocks sign-ups with addresses of a domain and its subdomains."),
        ("unblock-email-domain", _unblock, "Unblocks a domain."),
    ):
        parser = add(name, run, about, "example.org")
        parser.add_argument("domain", metavar="DOMAIN", help="domain, the part after the @")


def _change(args: argparse.Namespace, rule: Any, **values: Any) -> Any:
    from stormpetrel.config_loader import load
    from stormpetrel.model.moderation import COMMAND_LINE

    with open_store(load(args.config).config.database_url) as connection, change(connection) as at_ms:
        return rule(connection, COMMAND_LINE, now_ms=at_ms, **values)


def _change_if_confirmed(args: argparse.Namespace, rule: Any, *, what: str, **values: Any) -> None:
    from stormpetrel.config_loader import load
    from stormpetrel.model.moderation import COMMAND_LINE

    def act(connection: StoreConnection, at_ms: int) -> None:
        rule(connection, COMMAND_LINE, now_ms=at_ms, **values)

    change_if_confirmed(args, load(args.config).config.database_url, act, name=str(args.id), what=what)


def _read(args: argparse.Namespace, rule: Any, **values: Any) -> Any:
    from stormpetrel.config_loader import load

    with open_store(load(args.config).config.database_url) as connection:
        return rule(connection, **values)


def _rules(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import rules

    found = _read(args, rules)
    if args.json:
        print_json([{"id": str(rule.id), "text": rule.text, "hint": rule.hint} for rule in found])
    else:
        print_table(("ID", "RULE", "HINT"), [(str(rule.id), rule.text, rule.hint) for rule in found])
    return 0


def _add_rule(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import add_rule

    print(_change(args, add_rule, text=args.text, hint=args.hint))
    return 0


def _remove_rule(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import remove_rule

    _change_if_confirmed(args, remove_rule, what=f"deletes the rule {args.id}", rule_id=args.id)
    print(f"{args.id} is removed")
    return 0


def _text(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import text

    print(_read(args, text, name=args.name).text)
    return 0


def _set_text(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import set_text

    written = sys.stdin.read()
    _change(args, set_text, name=args.name, text=written)
    print(f"{args.name} is {'published' if written.strip() else 'withdrawn'}")
    return 0


def _announce(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import announce

    print(_change(args, announce, text=args.text))
    return 0


def _withdraw(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import withdraw

    _change_if_confirmed(args, withdraw, what=f"deletes the announcement {args.id}", announcement_id=args.id)
    print(f"{args.id} is withdrawn")
    return 0


def _domains(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import email_domains

    found = _read(args, email_domains)
    if args.json:
        print_json(found)
    else:
        print_table(("DOMAIN",), [(domain,) for domain in found])
    return 0


def _block(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import block_email_domain

    _change(args, block_email_domain, domain=args.domain)
    print(f"{args.domain} is blocked")
    return 0


def _unblock(args: argparse.Namespace) -> int:
    from stormpetrel.rules.instance import unblock_email_domain

    _change(args, unblock_email_domain, domain=args.domain)
    print(f"{args.domain} is unblocked")
    return 0
