"""The files of the audience, in `audience` in the data directory: a key and sketches for each period, and numbers.

No backup has them. A file with a key or sketches is always written in place, never through a log or a new file, so
that no older copy of it stays on the disk; before it is removed, it is overwritten. A sketch only rises, so a
write that a crash has cut short leaves a valid sketch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

FOLDER_NAME = "audience"
_KEY, _SKETCHES, _COUNTS = ".key", ".sketches", ".json"
ENDED = "ended"
"""The name of the file with the numbers of ended periods that the database does not have yet."""


class AudienceFolder:
    """The folder of one machine. Only the watch writes; the processes that count read the keys. Raises OSError."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FOLDER_NAME

    def make(self) -> None:
        """Create the folder, for its owner alone."""
        self.path.mkdir(mode=0o700, exist_ok=True)

    def periods(self) -> list[str]:
        """Return the names of the periods that have a key or sketches: a crash may have left one of them."""
        return sorted({path.stem for suffix in (_KEY, _SKETCHES) for path in self.path.glob(f"*{suffix}")})

    def has_key(self, period: str) -> bool:
        """Return whether the period has a key. Without one nothing more can be counted in it."""
        return (self.path / f"{period}{_KEY}").exists()

    def put_key(self, period: str, key: bytes | bytearray) -> None:
        """Store a new period's key before it is used."""
        self._write(self.path / f"{period}{_KEY}", [key])

    def read_key(self, period: str, key: bytearray) -> bool:
        """Read a period's key into `key`, without a copy; return False if there is none of that size."""
        try:
            handle = os.open(self.path / f"{period}{_KEY}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return os.readv(handle, [key]) == len(key)
        finally:
            os.close(handle)

    def put_sketches(self, period: str, packed: Sequence[bytes]) -> None:
        """Store the packed sketches of a period, each at its place."""
        self._write(self.path / f"{period}{_SKETCHES}", packed)

    def sketches(self, period: str, *, count: int, size: int) -> list[bytes] | None:
        """Return the packed sketches of a period, `count` of `size` bytes each; None if they are not complete."""
        try:
            data = (self.path / f"{period}{_SKETCHES}").read_bytes()
        except FileNotFoundError:
            return None
        if len(data) != count * size:
            return None
        return [data[at : at + size] for at in range(0, len(data), size)]

    def put_counts(self, name: str, counts: object) -> None:
        """Store plain numbers, as JSON. A crash leaves the old ones or the new ones."""
        path = self.path / f"{name}{_COUNTS}"
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        self._write(new, [json.dumps(counts).encode()])
        new.replace(path)

    def counts(self, name: str) -> object:
        """Return the numbers; None if there are none that can be read."""
        try:
            found: object = json.loads((self.path / f"{name}{_COUNTS}").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found

    def destroy(self, period: str) -> None:
        """Overwrite and remove the key and the sketches of a period, and remove its counts."""
        for suffix in (_KEY, _SKETCHES):
            path = self.path / f"{period}{suffix}"
            if path.exists():
                self._write(path, [bytes(path.stat().st_size)])
                path.unlink()
        (self.path / f"{period}{_COUNTS}").unlink(missing_ok=True)

    def _write(self, path: Path, parts: Sequence[bytes | bytearray]) -> None:
        """Write a file in place, and to the disk."""
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            at = 0
            for part in parts:
                # A local file takes a part whole; a full disk raises OSError.
                at += os.pwrite(handle, part, at)
            os.fdatasync(handle)
        finally:
            os.close(handle)
