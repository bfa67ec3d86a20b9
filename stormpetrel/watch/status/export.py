"""Writes the status page to a folder as static files, for a server that nothing of this instance can take down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stormpetrel.process.document import HTML
from stormpetrel.watch.status.site import paths, rendered
from stormpetrel.watch.status.view import StatusView

EVERY_S = 60.0
SUFFIX = ".html"
MAX_INCIDENTS = 500
"""Older incidents have no page of their own in an export; those written before stay."""

log = logging.getLogger(__name__)


def export(view: StatusView, folder: Path) -> int:
    """Write every document whose bytes changed; return how many. Raise OSError.

    Each file is replaced as a whole, so that a reader never finds half of one. All are readable for everyone.
    """
    shown = replace(view, suffix=SUFFIX, incidents=view.incidents[:MAX_INCIDENTS])
    written = 0
    for path in paths(shown):
        document = rendered(path, shown)
        assert document is not None, path
        name = path or "index"
        file = folder / (f"{name}{SUFFIX}" if document.content_type == HTML else name)
        if not _has(file, document.body):
            _write(file, document.body, folder)
            written += 1
    return written


async def keep_exported(view: Callable[[], StatusView], folder: Path, stop: asyncio.Event) -> None:
    """Export at once and then every EVERY_S, until `stop` is set. A failure is logged, and tried again."""
    while not stop.is_set():
        try:
            # In a thread: the folder may be on a slow or remote disk.
            await asyncio.to_thread(export, view(), folder)
        except OSError as error:
            log.warning("the status page cannot be written to %s: %s", folder, error.strerror or error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_S)


def _has(file: Path, body: bytes) -> bool:
    try:
        return file.read_bytes() == body
    except FileNotFoundError:
        return False


def _write(file: Path, body: bytes, folder: Path) -> None:
    for directory in reversed([file.parent, *file.parent.parents]):
        if directory == folder or folder in directory.parents:
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.write_bytes(body)
    unfinished.chmod(0o644)
    os.replace(unfinished, file)
