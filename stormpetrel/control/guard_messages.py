"""Messages between the watch and the guard, on a UNIX socket of their own: framed as in wire.py.

The guard connects, the watch sends `GuardList` each second, and the guard answers each with `GuardReport`.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

FILE_NAME = "guard.sock"
SILENT_S = 10.0
"""A side that has heard nothing for this long takes the other for gone."""


class GuardList(msgspec.Struct, frozen=True, tag="guard-list"):
    """What changes in the list. `listed`: (network, seconds) to add; `dropped`: networks to remove.

    `is_all`: the list is empty before, as after a new connection or when the watch withdraws everything.
    """

    listed: tuple[tuple[str, int], ...] = ()
    dropped: tuple[str, ...] = ()
    is_all: bool = False


class GuardReport(msgspec.Struct, frozen=True, tag="guard-report"):
    """The guard's state. `packets`: dropped since it started. `refused`: entries beyond its limits, since then.

    `problem`: why the kernel does not have the list; "" if it has. `is_dry_run`: the guard only prints its commands.
    """

    listed: int
    packets: int
    refused: int
    problem: str = ""
    is_dry_run: bool = False


decode_list = msgspec.msgpack.Decoder(GuardList).decode
decode_report = msgspec.msgpack.Decoder(GuardReport).decode


def socket_folder(data_dir: Path) -> Path:
    """Return the directory of the watch's socket for the guard: systemd's, or else the data directory."""
    # systemd separates several directories with a colon; the unit has one.
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime) if runtime else data_dir
