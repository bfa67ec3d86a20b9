"""`stormpetrel serve`: all roles under one supervisor, or some of them. The only module that knows all roles.

Everything is imported, checked and opened here: the processes share that memory, a mistake gives one line and an
exit code, and sockets opened here outlive each process. Web workers are forked before the other roles are imported,
because visitors wait for them; a process that is started again runs the same code.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import hashlib
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import uvloop

from stormpetrel import __version__
from stormpetrel.bus.local import EVERYTHING, NOTHING, Bus, BusHub
from stormpetrel.config import Config
from stormpetrel.config_loader import LoadedConfig
from stormpetrel.errors import EnvironmentFailure, SetupError
from stormpetrel.extras import missing, require
from stormpetrel.model.event import Event, OutboxFilled, PostCreated, PostDeleted, ShieldPaused, ShieldRuled
from stormpetrel.process import cpu_worker as heavy
from stormpetrel.process import log, secret, supervisor
from stormpetrel.process.cpu_worker import Heavy, HeavyHub
from stormpetrel.process.listeners import SECTIONS, listen_as, lock_role, raise_open_file_limit, shown
from stormpetrel.process.supervisor import Child
from stormpetrel.storage.engine.capacity import shortage
from stormpetrel.storage.engine.connection import sqlite_path
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.storage.engine.migrate import require_current
from stormpetrel.storage.facts import require_same_secret

_log = logging.getLogger(__name__)

ROLES = ("web", "courier", "sms", "watch")
"""In the order of their start."""
MODULES = {"web": "roles.web", "courier": "courier.role", "sms": "gateway.role", "watch": "watch.role"}

WANTED_EVENTS: dict[str, frozenset[type[Event]]] = {
    "web": EVERYTHING,
    "courier": frozenset({OutboxFilled}),
    "sms": NOTHING,
    "watch": frozenset({ShieldRuled, ShieldPaused, PostCreated, PostDeleted}),
}
"""The events that each role receives on the bus; every role may publish."""

WEB_SWITCH_S = 0.0005
"""How soon a computing thread yields to the loop; Python's 5 ms made a hot page's p99 5 times higher."""


class WebWorker(Protocol):
    """Serves one web listener until `stop` is set."""

    def __call__(
        self,
        *,
        config: Config,
        sock: socket.socket,
        bus: Bus,
        heavy: Heavy,
        stop: asyncio.Event,
        secret: bytes,
    ) -> Awaitable[None]: ...


class RoleServer(Protocol):
    """Serves one of the other roles' listeners until `stop` is set."""

    def __call__(
        self, *, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event
    ) -> Awaitable[None]: ...


def serve(loaded: LoadedConfig, *, roles: frozenset[str], web: WebWorker | None = None) -> int:
    """Serve `roles` (of ROLES) until SIGTERM or Ctrl-C; return the exit code.

    0 after a clean end; 2 and 3 with one line on stderr for a SetupError or an EnvironmentFailure. `web` is
    the worker to run instead of web_worker.run.
    """
    blocked_before = supervisor.block_signals()
    # Imported modules stay, and the collector would look through them a hundred times meanwhile: 0.04 s.
    gc.disable()
    try:
        _serve(loaded.config, [role for role in ROLES if role in roles], web)
    except SetupError as error:
        sys.stderr.write(f"stormpetrel: {error.safe_text}\n")
        return 2
    except EnvironmentFailure as error:
        sys.stderr.write(f"stormpetrel: {error.safe_text}\n")
        return 3
    except OSError as error:
        sys.stderr.write(f"stormpetrel: system error: {error}\n")
        return 3
    finally:
        gc.enable()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
    return 0


@dataclass(slots=True)
class _Opened:
    """Resources that the supervisor holds for its children. Worker 2's listener is `listeners["web-2"]`."""

    config: Config
    listeners: dict[str, socket.socket]
    locks: list[int]
    bus: BusHub
    heavy: HeavyHub
    secret: bytes

    def keep_only(self, name: str, *, is_heavy: bool = False) -> None:
        """In a child: close the others' resources, so that none stays open after the supervisor's death."""
        for owner, listener in self.listeners.items():
            if owner != name:
                listener.close()
        for lock in self.locks:
            os.close(lock)
        self.bus.close_all_but(name)
        self.heavy.close_all_but(name, child=is_heavy)


def _serve(config: Config, roles: list[str], web: WebWorker | None) -> None:
    log.configure(config.log.level, role="supervisor")
    if not roles:
        raise SetupError("no role to run")
    for extra in missing(config):
        require(extra)
    # Check this first: without an instance, no files may be made that would get in the way of `init`.
    if roles != ["sms"]:
        require_current(config.database_url)
    secret_bytes = secret.load(config)
    _require_store(config, roles, secret_bytes)
    locks = [lock_role(config.data_dir, role) for role in roles]
    if "sms" in roles:
        # Imported only here: the other roles alone do without the providers.
        from stormpetrel.gateway.providers.registry import check

        check(config.sms.routes)
    if config.valkey.url:
        # Imported only if it is used: 5 MB and 0.15 s that most instances do not need.
        from stormpetrel.bus.valkey import require_url

        require_url(config.valkey.url)
    open_files = raise_open_file_limit()
    config, listeners = _listen(config, roles)
    workers = [name for name in listeners if name.startswith("web-")]
    opened = _Opened(
        config=config,
        listeners=listeners,
        locks=locks,
        bus=BusHub(
            {name: WANTED_EVENTS[name.partition("-")[0]] for name in listeners},
            valkey_url=config.valkey.url,
            channel=bus_channel(config),
        ),
        heavy=HeavyHub(workers),
        secret=secret_bytes,
    )
    children = [_child(opened, name, roles, web) for name in listeners]
    if workers:
        children.append(
            Child(
                "heavy",
                main=lambda: _heavy_main(opened),
                on_death=opened.heavy.announce_death,
                serves_others=True,
            )
        )

    def close_listeners() -> None:
        # A listener closes only when the worker's copy is closed too: then new connections are refused.
        for listener in listeners.values():
            listener.close()

    def started() -> None:
        gc.enable()
        _say_where(config, roles, children, open_files)

    supervisor.supervise(
        children,
        on_started=started,
        before_drain=close_listeners,
    )
    _log.info("stopped")
    for lock in locks:
        os.close(lock)


def _require_store(config: Config, roles: list[str], secret_bytes: bytes) -> None:
    """Raise SetupError or EnvironmentFailure unless the store can be used.

    The sms role alone starts without one that cannot be reached, or whose file is missing: it stores messages in
    its own spool, and checks the store when it is there.
    """
    url = config.database_url
    try:
        if roles == ["sms"] and url.startswith("sqlite:///") and not sqlite_path(url).exists():
            raise EnvironmentFailure(f"the database {sqlite_path(url)} does not exist")
        require_current(url)
        require_same_secret(url, secret_bytes)
        if lacking := shortage(url, web_workers=config.web.workers if "web" in roles else 0):
            _log.error("%s", lacking)
    except Exception as error:  # also a locked file, and a server that goes away meanwhile
        is_away = isinstance(error, EnvironmentFailure) or store_failed(error)
        if roles != ["sms"] or not is_away:
            raise
        _log.error("%s; texts are stored until it is there", getattr(error, "safe_text", error))


def bus_channel(config: Config) -> str:
    """Return the channel on Valkey: one per instance, so that several can share a Valkey server."""
    return f"stormpetrel:events:{hashlib.blake2b(config.domain.encode(), digest_size=8).hexdigest()}"


def _listen(config: Config, roles: list[str]) -> tuple[Config, dict[str, socket.socket]]:
    """Return all listeners by process name, and the configuration with their actual ports."""
    listeners: dict[str, socket.socket] = {}
    for role in roles:
        count = config.web.workers if role == "web" else 1
        opened = listen_as(config, role, count=count)
        names = [f"web-{number}" for number in range(count)] if role == "web" else [role]
        listeners.update(zip(names, opened, strict=True))
        port = opened[0].getsockname()[1]
        at: Any = getattr(config, SECTIONS[role])
        config = dataclasses.replace(config, **{SECTIONS[role]: dataclasses.replace(at, port=port)})
    return config, listeners


def _child(opened: _Opened, name: str, roles: list[str], web: WebWorker | None) -> Child:
    role = name.partition("-")[0]
    # The others together: after a fork, an import copies pages that the processes share.
    loaded = [role] if role == "web" else [each for each in roles if each != "web"]

    def load() -> None:
        for each in loaded:
            _run_of(each, web)
        # Imported modules stay for ever: keep the collector from scanning them, which would copy their pages.
        gc.freeze()

    return Child(
        name,
        main=lambda: _role_main(opened, name, _run_of(role, web)),
        on_death=lambda: opened.bus.announce_death(name),
        load=load,
    )


def _run_of(role: str, web: WebWorker | None) -> Callable[..., Awaitable[None]]:
    """Return the role's `run`; import its module if it is the first call."""
    if role == "web" and web is not None:
        return web
    found: Callable[..., Awaitable[None]] = importlib.import_module(f"stormpetrel.{MODULES[role]}").run
    return found


def _role_main(opened: _Opened, name: str, run: Callable[..., Awaitable[None]]) -> None:
    """Run one forked process until it ends."""
    gc.enable()
    opened.keep_only(name)
    log.configure(opened.config.log.level, role=name)
    is_web = name.startswith("web-")
    if is_web:
        sys.setswitchinterval(WEB_SWITCH_S)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        bus = opened.bus.bus(name)
        bus.attach(loop)
        given: dict[str, Any] = {
            "config": opened.config,
            "sock": opened.listeners[name],
            "bus": bus,
            "stop": stop,
        }
        try:
            if is_web:
                hasher = Heavy(opened.heavy.workers[name])
                hasher.attach(loop)
                try:
                    await run(**given, heavy=hasher, secret=opened.secret)
                finally:
                    hasher.close()
            else:
                await run(**given)
        finally:
            await bus.close()
        if not stop.is_set():
            raise RuntimeError("the process stopped unexpectedly")

    _log.info("started")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    _log.info("ended")


def _heavy_main(opened: _Opened) -> None:
    gc.enable()
    opened.keep_only("heavy", is_heavy=True)
    log.configure(opened.config.log.level, role="heavy")
    heavy.run_child(opened.heavy.child.values())


def _say_where(config: Config, roles: list[str], children: list[Child], open_files: int) -> None:
    """Print the facts that an operator needs, one plain line each."""
    lines = [f"Stormpetrel {__version__}: {config.title}"]
    at: dict[str, tuple[str, Any]] = {
        "web": ("web", config.web),
        "watch": ("status page", config.status),
        "sms": ("sms", config.sms),
        "courier": ("courier", config.courier),
    }
    for role in ("web", "watch", "sms", "courier"):
        if role in roles:
            label, section = at[role]
            lines.append(f"  {label:<12} http://{shown(section.host, section.port)}")
    if "web" in roles and config.base_url != f"http://{shown(config.web.host, config.web.port)}":
        lines.append(f"  {'public':<12} {config.base_url}")
    lines.append(f"  {'open files':<12} up to {open_files:,} per process")
    lines.append(f"  {'processes':<12} {len(children)} under process {os.getpid()}; press Ctrl-C to stop")
    try:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    except OSError:
        _log.warning("cannot write to standard output")
    for child in children:
        _log.info("process %d is %s", child.pid, child.name)
