"""The guard's process: follow the watch's list, and leave nothing in the kernel when the watch is gone."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from stormpetrel.config import Network
from stormpetrel.control import wire
from stormpetrel.control.guard_messages import SILENT_S, decode_list
from stormpetrel.errors import EnvironmentFailure
from stormpetrel.guard.drop_table import DropTable, NftFailed
from stormpetrel.guard.kernel_list import KernelList
from stormpetrel.guard.limits import ListLimits
from stormpetrel.guard.own_network import own_network

RETRY_S = 1.0
CAP_NET_ADMIN = 12
"""The number of the capability in capabilities(7)."""

log = logging.getLogger(__name__)


def require_net_admin() -> None:
    """Raise EnvironmentFailure without the capability to change the kernel's rules."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    if not int(effective, 16) >> CAP_NET_ADMIN & 1:
        raise EnvironmentFailure(
            "the guard needs the capability CAP_NET_ADMIN: start stormpetrel-guard.service, or run "
            ".venv/bin/stormpetrel as root (docs/guard.md)"
        )


def run(path: Path, table: DropTable, *, never: tuple[Network, ...]) -> None:
    """Follow the watch at the socket `path` until SIGTERM or Ctrl-C; then remove the table if it made one.

    Raise EnvironmentFailure if the kernel does not take the table.
    """
    signal.signal(signal.SIGTERM, _end)
    entries = KernelList(table, ListLimits((*never, *own_network())), clock_s=time.monotonic)
    reason = ""
    try:
        while True:
            before, reason = reason, _follow(path, entries, never)
            if reason and reason != before:
                log.warning("no list from the watch at %s: %s; trying again each second", path, reason)
            entries.clear()
            time.sleep(RETRY_S)
    except (KeyboardInterrupt, SystemExit):
        log.info("the guard ends, and removes its table")
    except NftFailed as error:
        # The entries end by themselves within ten minutes.
        raise EnvironmentFailure(f"the kernel does not take the guard's table: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(NftFailed):
            entries.end()


def _follow(path: Path, entries: KernelList, never: tuple[Network, ...]) -> str:
    """Apply what the watch sends until it is gone, or silent for SILENT_S.

    Return why it sent nothing at all; "" if it sent a list. Raise EnvironmentFailure if the socket is forbidden.
    """
    is_served = False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(SILENT_S)
            with wire.short_path(path.parent, path.name) as short:
                sock.connect(short)
            # Addresses may have changed since the start.
            entries.limits = ListLimits((*never, *own_network()))
            while True:
                changes = decode_list(wire.receive_blocking(sock))
                if not is_served:
                    is_served = True
                    # Not before: without a list from the watch, the table may be that of another guard.
                    entries.start()
                    log.info("following the watch at %s", path)
                sock.sendall(wire.framed(entries.take(changes)))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        return f"{error.strerror} (--socket sets another path)"
    except PermissionError as error:
        raise EnvironmentFailure(
            f"this user may not use {path}: run the guard as root, or with the socket's group as "
            "deploy/stormpetrel-guard.service does"
        ) from error
    except (OSError, wire.BrokenMessage, msgspec.DecodeError) as error:
        cause = str(error) or type(error).__name__
    if not is_served:
        return f"{cause} (it serves one guard only: is another one running?)"
    log.warning("the watch is gone, so its list ends: %s", cause)
    return ""


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit
