"""Two network namespaces with a cable between them: a machine with a guard, and another with the clients."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.parts import SYSTEM_PATH, require
from tests.waiting import eventually

SERVER = "45.90.0.1"
SERVER_IPV6 = "2a0e:b107:1::1"
LISTED, OTHER = "45.90.1.10", "45.90.1.11"
LISTED_IPV6 = "2a0e:b107:0:1::10"
"""Addresses that are public elsewhere: the guard refuses private ones. No packet leaves the namespaces."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace, held by a process."""

    pid: int

    def command(self, arguments: Sequence[object]) -> list[str]:
        """Return the command line that runs a program in here."""
        return ["nsenter", "-t", str(self.pid), "-n", "--", *map(str, arguments)]

    def run(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program in here and return its result."""
        return subprocess.run(
            self.command(arguments),
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
            env=os.environ | {"PATH": SYSTEM_PATH},
        )

    def start(self, *arguments: object, **options: object) -> subprocess.Popen[str]:
        """Start a program in here."""
        return subprocess.Popen(
            self.command(arguments),
            text=True,
            **{"env": os.environ | {"PATH": SYSTEM_PATH}, **options},
        )


@contextlib.contextmanager
def two_machines(*, clients: Sequence[str] = (LISTED, OTHER)) -> Iterator[tuple[Namespace, Namespace]]:
    """Yield the namespaces of a server and of its clients. Skip the test without root or nftables."""
    require("nftables")
    with _namespace() as server, _namespace() as client:
        server.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", client.pid)
        _up(server, [f"{SERVER}/16", f"{SERVER_IPV6}/32"])
        _up(client, [*(f"{address}/16" for address in clients), f"{LISTED_IPV6}/32"])
        yield server, client


def _up(machine: Namespace, addresses: Sequence[str]) -> None:
    for address in addresses:
        machine.run("ip", "address", "add", address, "dev", "cable", *(["nodad"] if ":" in address else []))
    for device in ("lo", "cable"):
        machine.run("ip", "link", "set", device, "up")


@contextlib.contextmanager
def _namespace() -> Iterator[Namespace]:
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        own = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own)
        yield Namespace(holder.pid)
    finally:
        holder.kill()
        holder.wait()
