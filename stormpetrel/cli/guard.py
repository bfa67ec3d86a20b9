"""`guard`: the helper that drops the packets of listed sources in the kernel; its own process, optional."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.parser import Commands, add_command, whole_number

if TYPE_CHECKING:
    from stormpetrel.config import Network

PORTS = (80, 443)


def add_commands(commands: Commands[Any]) -> None:
    """Add `guard`."""
    parser = add_command(
        commands,
        "guard",
        _guard,
        about="Drops the packets of sources that the watch lists under attack, in the kernel; for root.",
        example="stormpetrel guard --port 80 --port 443",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        type=Path,
        default=Path("/run/stormpetrel/guard.sock"),
        help="the watch's socket (default %(default)s, where the service puts it; if you start the server without "
        "systemd, it is guard.sock in the data directory)",
    )
    parser.add_argument(
        "--port",
        metavar="N",
        dest="ports",
        action="append",
        type=whole_number(1, 65_535),
        help="a port on which people reach the instance; can be repeated (default: 80 and 443)",
    )
    parser.add_argument(
        "--never",
        metavar="NETWORK",
        action="append",
        type=_network,
        default=[],
        help="an address or network that must never be listed; can be repeated",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands for nft instead of running them"
    )


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither an address nor a network") from None


def _guard(args: argparse.Namespace) -> int:
    from stormpetrel.guard.drop_table import DropTable, nft_program, nft_shown
    from stormpetrel.guard.run import require_net_admin, run
    from stormpetrel.process import log

    if not args.dry_run:
        require_net_admin()
    nft = nft_shown if args.dry_run else nft_program()
    log.configure("info", role="guard")
    run(args.socket, DropTable(args.ports or PORTS, nft), never=tuple(args.never))
    return 0
