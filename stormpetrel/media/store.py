"""Where files are kept: a folder, or a service that speaks S3. All calls block: they belong in a thread.

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
FULL = "There is no room for files at the moment; nothing was stored. Please try again later"
SILENT = "The place for files does not answer; nothing was stored. Please try again later"
_CHUNK_BYTES = 1024 * 1024
_ABANDONED = ".part"


class StoreAway(Busy):
    """The store is elsewhere, and does not answer or says that it cannot."""


class MediaStore(Protocol):
    """Keeps files by key."""

    def put(self, path: Path, key: str) -> None:
        """Keeps a copy of the file; it is durable when this returns. Raises Busy, and then nothing is kept."""

    def delete(self, keys: Sequence[str]) -> None:
        """Removes files; those that are not there are none to remove. Raises Busy."""

    def path(self, key: str) -> Path | None:
        """Where the file lies on this machine; None where it does not."""

    def url(self, key: str) -> str:
        """Where people read the file when that is not from us; "" when it is."""

    def check(self) -> None:
        """Raises Busy when nothing could be kept."""


def new_key(extension: str) -> str:
    """A key that nobody can guess (128 bits)."""
    return f"{secrets.token_hex(16)}.{extension}"


def open_store(config: Config) -> MediaStore:
    """The store that the configuration names."""
    if config.media.store == "s3":
        # Imported only where it is used: boto3 takes 20 MB and half a second.
        from stormpetrel.media.s3 import S3Store

        return S3Store(config.media)
    return FolderStore(config.media_folder)


class FolderStore:
    """A folder with a subfolder per first two digits of the key."""

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
            # The name, and the subfolder's own name, which may be new.
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
        # Looks and leaves nothing: the first upload makes the folder.
        place = self.folder if self.folder.exists() else self.folder.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise Busy(f"{self.folder} cannot be written")

    def keys_older_than(self, before_s: float, *, part: int) -> Iterator[str]:
        """The files in subfolder number `part` (0 to 255) that were written before then, for the sweep."""
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
    """The names in it are durable when this returns."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
