"""The spool: uploads that wait for decoding, in a directory each on this machine's disk. All calls block.

An upload that was acknowledged before it was decoded is stored durably under its attachment's id, and this
machine's courier decodes it. Its job is in an outbox lane of this spool only, since the courier of another
machine could not read the file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import IO

from stormpetrel.config import Config
from stormpetrel.errors import Busy
from stormpetrel.media.job import NO_ROOM
from stormpetrel.media.store import FULL, sync_directory

UPLOAD = "upload"
THUMBNAIL = "upload-thumbnail"
"""Names of the files in an upload's directory."""
PLACE_SOONER_S = 23 * 3600.0
"""An upload that is unfinished after an hour has lost its worker; an acknowledged one is stored for a day."""
_LANE = "lane"
_FIRST_LANE = 1 << 20
"""Far above the lanes that storage/outbox.py names."""
_LANE_BITS = 48
_CHUNK_BYTES = 1024 * 1024


class Spool:
    """The spool of one machine, shared by its workers and its courier."""

    def __init__(self, config: Config) -> None:
        self.directory = config.data_dir / "media-spool"

    def lane(self) -> int:
        """Return the number of this spool's lane, chosen once. Raise Busy if it cannot be stored."""
        path = self.directory / _LANE
        try:
            if not path.exists():
                self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                chosen = _FIRST_LANE + secrets.randbits(_LANE_BITS)
                unfinished = self.directory / f"{_LANE}-{secrets.token_hex(8)}"
                try:
                    with unfinished.open("w", encoding="ascii") as file:
                        file.write(str(chosen))
                        file.flush()
                        os.fsync(file.fileno())
                    # Several processes may choose at once; the first number written wins for all of them.
                    with contextlib.suppress(FileExistsError):
                        os.link(unfinished, path)
                finally:
                    unfinished.unlink(missing_ok=True)
                sync_directory(self.directory)
                sync_directory(self.directory.parent)
            return int(path.read_text(encoding="ascii"))
        except OSError as error:
            raise Busy(FULL) from error

    def new_place(self) -> Path:
        """Create a directory for an upload. Raise Busy."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            return Path(tempfile.mkdtemp(dir=self.directory))
        except OSError as error:
            raise Busy(FULL) from error

    def keep(self, place: Path, media_id: int) -> None:
        """Make the upload in the place durable under the attachment's id. Raise Busy."""
        kept = self.kept(media_id)
        try:
            for name in (UPLOAD, THUMBNAIL):
                with contextlib.suppress(FileNotFoundError), (place / name).open("rb") as file:
                    os.fsync(file.fileno())
            sync_directory(place)
            place.rename(kept)
            sync_directory(self.directory)
        except OSError as error:
            raise Busy(FULL if error.errno in NO_ROOM else None) from error

    def kept(self, media_id: int) -> Path:
        """Return the directory of an acknowledged upload; it is missing when the upload is done or was lost."""
        return self.directory / str(media_id)

    def drop(self, media_id: int) -> None:
        """Delete the upload, which is no longer needed."""
        shutil.rmtree(self.kept(media_id), ignore_errors=True)

    def sweep(self, before_s: float) -> int:
        """Delete uploads that were last worked on before `before_s`, in seconds since
        1970; return their number.

        Uploads that were not acknowledged are deleted PLACE_SOONER_S earlier: their worker was killed.
        """
        if not self.directory.is_dir():
            return 0
        old = [
            entry
            for entry in self.directory.iterdir()
            if entry.name != _LANE
            and entry.lstat().st_mtime < (before_s if entry.name.isdigit() else before_s + PLACE_SOONER_S)
        ]
        for entry in old:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        return len(old)


def copy(source: IO[bytes], target: Path) -> None:
    """Write an upload to disk. Raise Busy when there is no room."""
    try:
        source.seek(0)
        with target.open("wb") as made:
            shutil.copyfileobj(source, made, _CHUNK_BYTES)
    except OSError as error:
        raise Busy(FULL if error.errno in NO_ROOM else None) from error
