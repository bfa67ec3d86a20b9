"""The store of media files: a folder, or an S3-compatible service. All calls block: run them in a thread.

A key is unguessable, names one file for ever, and ends in an extension of formats.SERVED_TYPES.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stormpetrel.errors import Busy
from stormpetrel.media.formats import SERVED_TYPES

KEY = re.compile(r"[0-9a-f]{32}\.(" + "|".join(SERVED_TYPES) + r")\Z")
FULL = "The file storage is full; nothing was stored. Please try again later"
SILENT = "The file storage is not responding; nothing was stored. Please try again later"


class StoreAway(Busy):
    """The store is remote, and does not answer or reports an error."""


class MediaStore(Protocol):
    """Stores files by key."""

    def put(self, path: Path, key: str) -> None:
        """Store a copy of the file; it is durable when this returns. Raise Busy; then nothing is stored."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete files, ignoring those that do not exist. Raise Busy."""

    def path(self, key: str) -> Path | None:
        """Return the file's path on this machine, or None."""

    def url(self, key: str) -> str:
        """Return the public address of the file if another server serves it, or ""."""

    def check(self) -> None:
        """Raise Busy if no file could be stored."""


def new_key(extension: str) -> str:
    """Return an unguessable key (128 bits)."""
    return f"{secrets.token_hex(16)}.{extension}"


def sync_directory(directory: Path) -> None:
    """Make the names in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
