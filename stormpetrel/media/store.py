"""The store of media files: a folder, or an S3-compatible service. All calls block: run them in a thread.

A key is unguessable, names one file for ever, and ends in an extension of formats.SERVED_TYPES.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from stormpetrel.config import Config
from stormpetrel.errors import Busy
from stormpetrel.media.formats import SERVED_TYPES
from stormpetrel.media.job import NO_ROOM

KEY = re.compile(r"[0-9a-f]{32}\.(" + "|".join(SERVED_TYPES) + r")\Z")
FULL = "The file storage is full; nothing was stored. Please try again later"
SILENT = "The file storage is not responding; nothing was stored. Please try again later"
_CHUNK_BYTES = 1024 * 1024
_ABANDONED = ".part"


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


def open_store(config: Config) -> MediaStore:
    """Return the store that the configuration names."""
    if config.media.store == "s3":
        # Imported only if it is used: boto3 takes 20 MB and half a second.
        from stormpetrel.media.s3 import S3Store

        return S3Store(config.media)
    return FolderStore(config.media_folder)


class FolderStore:
    """A folder with a subfolder for each value of a key's first two digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: Path, key: str) -> None:
        target = self._place(key)
        unfinished = target.with_name(target.name + _ABANDONED)
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("rb") as source, unfinished.open("wb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            unfinished.rename(target)
            # Sync the name of the file and that of the subfolder, which may be new.
            sync_directory(target.parent)
            sync_directory(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise Busy(FULL if error.errno in NO_ROOM else None) from error

    def delete(self, keys: Sequence[str]) -> None:
        try:
            for key in keys:
                self._place(key).unlink(missing_ok=True)
        except OSError as error:
            raise Busy from error

    def path(self, key: str) -> Path | None:
        place = self._place(key)
        return place if place.is_file() else None

    def url(self, key: str) -> str:
        return ""

    def check(self) -> None:
        # Only check: the first upload creates the folder.
        place = self.folder if self.folder.exists() else self.folder.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise Busy(f"{self.folder} cannot be written")

    def keys_older_than(self, before_s: float, *, part: int) -> Iterator[str]:
        """Yield the files in subfolder `part` (0 to 255) written before `before_s`, for the sweep."""
        folder = self.folder / f"{part:02x}"
        if not folder.is_dir():
            return
        for entry in os.scandir(folder):
            if entry.stat().st_mtime >= before_s:
                continue
            if entry.name.endswith(_ABANDONED):
                Path(entry.path).unlink(missing_ok=True)
            elif KEY.match(entry.name):
                yield entry.name

    def _place(self, key: str) -> Path:
        if KEY.match(key) is None:
            raise ValueError("this is no key")
        return self.folder / key[:2] / key


def sync_directory(directory: Path) -> None:
    """Make the names in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
