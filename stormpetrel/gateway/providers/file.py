"""A directory as a provider: for tests, drills and machines without a network.

`in/*.json` has messages {"id", "from", "to", "text"}, removed when they are stored; `out/ID.json` gets
{"id", "to", "from", "text", "segments"}, written whole. A file that is no message is moved to `in/bad/`. A writer
should rename its finished file into `in/`; one that writes there is given SETTLE_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from stormpetrel.config_sms import FileKeys, RouteConfig
from stormpetrel.gateway.fields import first_text, json_object, message_key, plain_text
from stormpetrel.gateway.polling import Poller
from stormpetrel.gateway.provider import (
    Accepted,
    Capabilities,
    Inbound,
    Incoming,
    LinkState,
    ProviderKind,
    SendResult,
    SubmitFailed,
    Unit,
    Unreadable,
)
from stormpetrel.gateway.route_checks import check_present, key_error

INTERVAL_S = 0.05
SETTLE_S = 1.0
"""A file that cannot be read may be half written until it is this old."""
MOST_FILE_BYTES = 65_536
BATCH = 64

_log = logging.getLogger("stormpetrel.sms")


class _Waiting(NamedTuple):
    path: Path
    incoming: Incoming


class FileProvider:
    """One directory."""

    def __init__(self, route: RouteConfig, directory: Path) -> None:
        self._name = route.name
        self._in = directory / "in"
        self._bad = self._in / "bad"
        self._out = directory / "out"
        self._inbound: Inbound | None = None
        self._poller = Poller(route.name, self._step, interval_s=INTERVAL_S)
        for each in (self._bad, self._out):
            each.mkdir(parents=True, exist_ok=True)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(window=32, has_receipts=False)

    @property
    def state(self) -> LinkState:
        return self._poller.state

    async def start(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._poller.start()

    async def send(self, unit: Unit) -> SendResult:
        message = {
            "id": unit.id,
            "to": unit.receiver,
            "from": unit.sender,
            "text": unit.text,
            "segments": unit.segments,
        }
        try:
            await asyncio.to_thread(self._write, quote(unit.id, safe=""), json.dumps(message).encode())
        except OSError as error:
            return SubmitFailed(f"the file could not be written: {error.strerror}")
        return Accepted(unit.id, unit.segments)

    async def stop(self) -> None:
        await self._poller.stop()

    # Everything below that touches files runs in a thread: the directory may be on a slow disk.

    async def _step(self) -> bool:
        assert self._inbound is not None
        waiting = await asyncio.to_thread(self._read)
        # All at once, in order, so that the gateway can commit them together.
        stored = await asyncio.gather(
            *(self._inbound.message(each.incoming) for each in waiting), return_exceptions=True
        )
        done = [
            each.path
            for each, result in zip(waiting, stored, strict=True)
            if not isinstance(result, BaseException)
        ]
        await asyncio.to_thread(_remove, done)
        for result in stored:
            if isinstance(result, BaseException):
                raise result
        return len(waiting) == BATCH

    def _read(self) -> list[_Waiting]:
        """Return up to BATCH messages, oldest first. Move files that are none to `in/bad/`."""
        with os.scandir(self._in) as entries:
            found = [entry for entry in entries if entry.name.endswith(".json") and entry.name[0] != "."]
        ages = []
        for entry in found:
            # Its writer may remove a file at any time.
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    ages.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
        waiting: list[_Waiting] = []
        for written_ns, name in sorted(ages):
            path = self._in / name
            try:
                waiting.append(_Waiting(path, _message_in(path)))
            except FileNotFoundError:
                continue
            except Unreadable as error:
                if abs(time.time() - written_ns / 1e9) >= SETTLE_S:
                    path.replace(self._bad / name)
                    _log.warning("SMS route %s: %s moved to in/bad: %s", self._name, name, error)
            if len(waiting) == BATCH:
                break
        return waiting

    def _write(self, name: str, content: bytes) -> None:
        unfinished = self._out / f".{name}.tmp"
        try:
            with open(unfinished, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._out / f"{name}.json")
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise


def _message_in(path: Path) -> Incoming:
    """Return the message in a file. Raise Unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        raise Unreadable("The file may not be read") from None
    with open(descriptor, "rb") as file:
        content = file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise Unreadable("The file is too large")
    fields = json_object(content)
    sender, text = first_text(fields, "from"), fields.get("text")
    if not sender or not isinstance(text, str):
        raise Unreadable("The message needs from and text")
    return Incoming(
        key=message_key(first_text(fields, "id")),
        sender=sender,
        receiver=first_text(fields, "to"),
        text=plain_text(text),
    )


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def make(route: RouteConfig) -> FileProvider:
    """Return the provider, with its directories created. Raise SetupError."""
    check_present(route, "directory")
    try:
        return FileProvider(route, Path(route.keys.directory))
    except OSError as error:
        raise key_error(route, "directory", f"cannot be used: {error.strerror}") from error


KIND = ProviderKind(FileKeys, make)
