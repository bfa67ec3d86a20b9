"""The supervisor's resources of the machine: listening sockets, lock files, open files.

All are taken before the fork and stay with the supervisor: a restarted role gets its listener back, with the
connections that queued on it meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from contextlib import ExitStack
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormpetrel.config_loader import variable_of
from stormpetrel.errors import EnvironmentFailure

if TYPE_CHECKING:
    from stormpetrel.config import Config

SECTIONS = {"web": "web", "courier": "courier", "sms": "sms", "watch": "status"}
"""The section of the configuration that has each role's address."""

BACKLOG = 4096
"""Connections that may wait while a worker is busy or restarts; net.core.somaxconn may allow fewer."""


def listen(host: str, port: int, *, count: int, key: str) -> list[socket.socket]:
    """Return `count` listening sockets on one address, among which the kernel distributes the connections.

    Port 0: the first gets a free port and the others the same. Raise EnvironmentFailure with the
    configuration `key` when the port is taken, even by another instance that would share it silently.
    """
    family, address = _resolve(host, port, key)
    opened: list[socket.socket] = []
    try:
        if port:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        for _ in range(count):
            sock = socket.socket(family)
            opened.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # "::" includes IPv4, whatever net.ipv6.bindv6only says.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(address)
            address = (address[0], sock.getsockname()[1], *address[2:])
            sock.listen(BACKLOG)
            sock.settimeout(0)
    except OSError as error:
        for sock in opened:
            sock.close()
        todo = "; stop the program that has it, or choose another port" if error.errno == EADDRINUSE else ""
        raise EnvironmentFailure(
            f"cannot listen on {shown(host, port)} ({key}): {(error.strerror or str(error)).lower()}{todo}"
        ) from error
    return opened


def listen_as(config: Config, role: str, *, count: int = 1) -> list[socket.socket]:
    """Return `count` listening sockets at the address that the configuration gives the role. Raise as `listen`."""
    at: Any = getattr(config, SECTIONS[role])
    key = f"{SECTIONS[role]}.port"
    return listen(at.host, at.port, count=count, key=f"{key} or {variable_of(key)} sets it")


def require_ports(config: Config) -> None:
    """Raise EnvironmentFailure if a role could not listen, as `serve` would after its start."""
    with ExitStack() as opened:
        for role in SECTIONS:
            for sock in listen_as(config, role):
                opened.enter_context(sock)


def _resolve(host: str, port: int, key: str) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise EnvironmentFailure(f"cannot listen on {host} ({key}): {error.strerror}") from error
    # A name with both kinds, such as localhost, resolves to IPv4: that is what old clients try.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def shown(host: str, port: int) -> str:
    """Return host:port as in a URL; a wildcard address is shown as loopback."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def lock_role(data_dir: Path, role: str) -> int:
    """Lock the file that marks `role` of this data directory as served; return its descriptor.

    The lock ends with the process, however it dies. Raise EnvironmentFailure if another process has it.
    """
    path = data_dir / f"serve-{role}.lock"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFailure(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        raise EnvironmentFailure(
            f"{data_dir} is already in use (role {role}, process {owner or 'unknown'})"
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def is_served(data_dir: Path, role: str) -> bool:
    """Return True if a process serves `role` of this data directory on this machine."""
    try:
        handle = os.open(data_dir / f"serve-{role}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def raise_open_file_limit() -> int:
    """Raise this process's limit of open files to the hard limit; return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft
    return hard
