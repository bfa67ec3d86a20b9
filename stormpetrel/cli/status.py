"""`status`: the subscribers of the status page in numbers, and the removal of one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.confirm import add_yes, change_if_confirmed
from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, add_command, add_group
from stormpetrel.cli.store import open_store
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import StoreConnection


def add_commands(commands: Commands[Any]) -> None:
    """Add `status subscribers` and `status unsubscribe`."""
    group = add_group(commands, "status", about="Manages subscriptions to the status page.")
    shown = add_command(
        group,
        "subscribers",
        _subscribers,
        about="Counts subscriptions by kind, state and channel. It lists no addresses.",
        example="stormpetrel status subscribers --json",
    )
    shown.add_argument("--json", action="store_true", help="as JSON")
    removed = add_command(
        group,
        "unsubscribe",
        _unsubscribe,
        about="Ends the subscription of an address or a webhook, and deletes its data.",
        example="stormpetrel status unsubscribe ann@example.org",
    )
    removed.add_argument("target", metavar="TARGET", help="e-mail address, or URL of a webhook")
    add_yes(removed)


def _subscribers(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.model.channel import CHANNEL_NAMES
    from stormpetrel.storage import status_subscriptions as stored

    config = load(args.config).config
    with open_store(config.database_url) as connection:
        counted = stored.counts(connection)
    channels = {
        channel: sum(count for chosen, count in counted.channels.items() if not chosen or channel in chosen)
        for channel in CHANNEL_NAMES
    }
    kinds = {
        kind: {state: counted.states.get((kind, state), 0) for state in ("active", "pending", "off")}
        for kind in ("email", "webhook")
    }
    most = config.status.max_subscriptions
    if args.json:
        print_json({**kinds, "channels": channels, "max": most})
        return 0
    print_table(
        ("KIND", "ACTIVE", "PENDING", "OFF"),
        [(kind, *(str(count) for count in states.values())) for kind, states in kinds.items()],
    )
    print()
    print_table(("CHANNEL", "SUBSCRIBERS"), [(name, str(count)) for name, count in channels.items()])
    total = sum(sum(states.values()) for states in kinds.values())
    print(f"\n{total:,} of at most {most:,} subscriptions.")
    return 0


def _unsubscribe(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.rules import status_subscriptions as rules

    def act(connection: StoreConnection, at_ms: int) -> None:
        if not rules.remove(connection, target=args.target):
            raise SetupError(f"no subscription of {args.target}")

    change_if_confirmed(
        args,
        load(args.config).config.database_url,
        act,
        name=args.target,
        what=f"ends the subscription of {args.target}",
    )
    print(f"subscription of {args.target} removed")
    return 0
