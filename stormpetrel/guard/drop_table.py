"""The guard's nftables table: sets of networks with timeouts, whose packets to the web's ports are dropped.

One table of its own, and no command that touches another. Prerouting at priority raw is before connection tracking,
so that a dropped packet costs the kernel less than a microsecond. The sets are hash sets, one for each mask: adding
to a set of intervals takes 181 ms. The program `nft` gets every command on standard input, without a shell, and
addresses only in the form that `ipaddress` writes.
"""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from stormpetrel.config import Network
from stormpetrel.errors import EnvironmentFailure
from stormpetrel.guard.limits import MASKS, MAX_ENTRIES

TABLE = "inet stormpetrel_guard"
NFT_S = 10.0
_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
_PACKETS = re.compile(r"packets (\d+)")
_AT_ONCE = 2_000
"""Networks in one command, whose line stays short."""

Nft = Callable[[str], str]
"""Runs commands as one transaction, and returns the output. Raises NftFailed; then nothing has changed."""


class NftFailed(Exception):
    """The program nft did not carry out its commands. The text is its first line."""


def nft_program() -> Nft:
    """Return a function that runs nft. Raise EnvironmentFailure if it is not installed."""
    program = shutil.which("nft", path=_PATH)
    if program is None:
        raise EnvironmentFailure(
            "the program nft is not installed; on Debian or Ubuntu: apt-get install nftables"
        )

    def run(commands: str) -> str:
        try:
            done = subprocess.run(
                [program, "-f", "-"],
                input=commands,
                capture_output=True,
                text=True,
                timeout=NFT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NftFailed(f"nft did not run: {error}") from error
        if done.returncode:
            raise NftFailed((done.stderr.strip().splitlines() or [f"nft ended with {done.returncode}"])[0])
        return done.stdout

    return run


def nft_shown(commands: str) -> str:
    """Print the commands instead of running them, for a trial."""
    sys.stdout.write(commands)
    sys.stdout.flush()
    return ""


class DropTable:
    """The table in the kernel. `packets`: dropped since the start. Every method raises NftFailed.

    `is_dry_run`: the commands are only printed, by `nft_shown`.
    """

    def __init__(self, ports: Sequence[int], nft: Nft) -> None:
        self.packets = 0
        self.is_dry_run = nft is nft_shown
        self._ports = ports
        self._nft = nft

    def create(self, entries: Mapping[Network, int]) -> None:
        """Replace the table by one with these entries: seconds by network."""
        self._nft(f"{_DELETE}{_definition(self._ports)}{_commands('add', entries)}")

    def change(self, *, add: Mapping[Network, int], drop: Iterable[Network]) -> None:
        """Add entries, seconds by network, and remove others, whether they are there or not."""
        # Deleting an element that has expired would be an error, so it is added first. Adding one that is still there
        # would leave its old end.
        gone = dict.fromkeys((*drop, *add), 0)
        commands = f"{_commands('add', gone)}{_commands('delete', gone)}{_commands('add', add)}"
        if commands:
            self._nft(commands)

    def count(self) -> None:
        """Add the packets dropped since the last call to `packets`."""
        # Listing a counter makes nft read all elements, 90 ms at 20,000 of them; resetting it takes 3 ms.
        found = _PACKETS.search(self._nft(f"reset counter {TABLE} dropped\n"))
        self.packets += int(found[1]) if found else 0

    def delete(self) -> None:
        """Remove the table, whether it is there or not."""
        self._nft(_DELETE)


# Deleting a table that does not exist would be an error, so it is added first.
_DELETE = f"add table {TABLE}\ndelete table {TABLE}\n"


def _set_of(version: int, bits: int) -> str:
    return f"ipv{version}_{bits}"


def _set_of_network(network: Network) -> str:
    return _set_of(network.version, network.prefixlen)


def _definition(ports: Sequence[int]) -> str:
    sets, rules = [], []
    for version, masks in MASKS.items():
        field, longest = ("ip saddr", 32) if version == 4 else ("ip6 saddr", 128)
        for bits in masks:
            name = _set_of(version, bits)
            sets.append(f"  set {name} {{ type ipv{version}_addr; flags timeout; size {MAX_ENTRIES}; }}\n")
            masked = field if bits == longest else f"{field} & {_mask(version, bits)}"
            rules.append(f"    {masked} @{name} counter name dropped drop\n")
    listed = ", ".join(map(str, sorted(set(ports))))
    return (
        f"table {TABLE} {{\n{''.join(sets)}  counter dropped {{ }}\n"
        f"  chain listed {{\n{''.join(rules)}  }}\n"
        "  chain arriving {\n    type filter hook prerouting priority raw; policy accept;\n"
        f"    meta l4proto {{ tcp, udp }} th dport {{ {listed} }} jump listed\n  }}\n}}\n"
    )


def _mask(version: int, bits: int) -> str:
    zero = "0.0.0.0" if version == 4 else "::"  # noqa: S104 - a mask
    return str(ipaddress.ip_network(f"{zero}/{bits}").netmask)


def _commands(verb: str, entries: Mapping[Network, int]) -> str:
    by_set: dict[str, list[str]] = {}
    for network, lasts_s in entries.items():
        timeout = f" timeout {lasts_s}s" if lasts_s else ""
        by_set.setdefault(_set_of_network(network), []).append(f"{network.network_address}{timeout}")
    lines = []
    for name, elements in by_set.items():
        for at in range(0, len(elements), _AT_ONCE):
            lines.append(f"{verb} element {TABLE} {name} {{ {', '.join(elements[at : at + _AT_ONCE])} }}\n")
    return "".join(lines)
