"""The store of media files in a folder of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from stormpetrel.errors import Busy
from stormpetrel.media.job import NO_ROOM
from stormpetrel.media.store import FULL, KEY, sync_directory

_CHUNK_BYTES = 1024 * 1024
_ABANDONED = ".part"


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
