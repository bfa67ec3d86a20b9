"""A backup's file: a tar (gzipped if its name ends so) with a manifest and a seal at its end.

    database.sqlite or database.pgdump, secret.key, stormpetrel.toml, media/…   the backed-up files
    manifest.json    versions, rows by table, size and SHA-256 of each file
    archive.sha256   SHA-256 of all bytes before it: detects any changed byte

The file is written under another name (PATH.partial) and gets its final name once it is complete and
verified. A program that ends before that leaves nothing that looks like a backup.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import msgspec

from stormpetrel.errors import EnvironmentFailure, SetupError
from stormpetrel.storage.engine.snapshot import Damaged

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "archive.sha256"
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
SECRET, CONFIG, LOGINS = "secret.key", "stormpetrel.toml", "demo-logins.txt"
MEDIA = "media/"
MAX_MANIFEST_BYTES = 512 * 1024 * 1024
"""Enough for two million media files; a file of unknown origin must not take more memory than this."""
_PIECE = 1024 * 1024
_PLAIN_NAMES = frozenset({*DATABASES.values(), SECRET, CONFIG, LOGINS, MANIFEST, SEAL})
_MEDIA_NAME = re.compile(r"media(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+\Z")
_UNREADABLE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, msgspec.MsgspecError)


class FileEntry(msgspec.Struct, frozen=True):
    """A file of the backup."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """A backup's description of itself.

    `missing_media`: keys whose files were missing when it was made. `media_elsewhere`: the files are in an S3
    bucket, so they are not part of the backup.
    """

    format: int
    made_at: str
    version: str
    migration: str
    database: str
    public_url: str
    rows: dict[str, int]
    files: dict[str, FileEntry]
    missing_media: tuple[str, ...] = ()
    media_elsewhere: bool = False

    @property
    def database_file(self) -> str:
        """Return the name of the database's snapshot in the archive."""
        return DATABASES[self.database]

    @property
    def media_count(self) -> int:
        """Return the number of media files."""
        return sum(name.startswith(MEDIA) for name in self.files)

    def lacks(self, media_keys: Iterable[str]) -> list[str]:
        """Return the keys whose files should be in the archive but are not. A key is a file's name."""
        if self.media_elsewhere:
            return []
        kept = {name.rpartition("/")[2] for name in self.files if name.startswith(MEDIA)}
        return sorted(set(media_keys) - kept)


class _Format(msgspec.Struct):
    """The part of the manifest that is the same in all releases."""

    format: int


class _Hashing:
    """A file that is written sequentially, with the hash of the written bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._position = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.digest.update(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position


def _packing(raw: IO[bytes]) -> gzip.GzipFile:
    """Return a gzip writer by ISA-L: 4 s of CPU per gigabyte of database, reduced to 31 % of its size.

    The standard library takes 41 s for 29 % at level 6, and 99 s at its default level 9.
    """
    from isal import igzip

    packing: gzip.GzipFile = igzip.IGzipFile(  # type: ignore[no-untyped-call]  # its types are only half there
        filename="", fileobj=raw, mode="wb", compresslevel=3, mtime=0
    )
    return packing


class ArchiveWriter:
    """A backup being written. `work`: a folder next to it for temporary files.

    Raises SetupError if the file exists already, or if another process is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, FileEntry] = {}
        if path.exists():
            raise SetupError(f"{path} exists already: name a new file")
        self.partial = path.with_name(f"{path.name}.partial")
        self.work = path.with_name(f"{path.name}.partial-files")
        handle = os.open(self.partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._raw: IO[bytes] = os.fdopen(handle, "r+b")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._raw.close()
            raise SetupError(f"{self.partial} is being written by another process") from error
        # Remove the leftovers of a killed process: the lock proves that no process is using them.
        os.fchmod(handle, 0o600)
        self._raw.truncate(0)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(mode=0o700)
        packed = path.name.endswith((".gz", ".tgz"))
        self._packed = _packing(self._raw) if packed else None
        stream: Any = self._packed or self._raw
        self._stream = _Hashing(stream)
        # Closed in `finish`; a tar without an end is invalid.
        self._tar = tarfile.TarFile(fileobj=self._stream, mode="w", format=tarfile.PAX_FORMAT)  # type: ignore[arg-type]  # it only writes and tells

    def add(self, name: str, source: Path) -> bool:
        """Add a file; return False if it does not exist (any more) or is not a regular file."""
        try:
            handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, IsADirectoryError):
            return False
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                return False
            self.files[name] = self._put(name, file, found.st_size, int(found.st_mtime))
        return True

    def _put(self, name: str, file: IO[bytes], size: int, at_s: int) -> FileEntry:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, at_s
        reading = _HashingReader(file)
        try:
            self._tar.addfile(info, reading)
        except OSError as error:
            if error.errno is None:
                raise EnvironmentFailure(f"{name} was truncated while it was being read") from error
            raise
        return FileEntry(size, reading.digest.hexdigest())

    def finish(self, manifest: Manifest, at_s: int) -> None:
        """Write manifest and seal, and sync all of it to disk. The file keeps its temporary name."""
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self._put(MANIFEST, io.BytesIO(text), len(text), at_s)
        seal = self._stream.digest.hexdigest().encode() + b"\n"
        self._put(SEAL, io.BytesIO(seal), len(seal), at_s)
        self._tar.close()
        if self._packed is not None:
            self._packed.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())

    def publish(self) -> None:
        """Give the file its final name. Raise SetupError if another file took the name meanwhile."""
        try:
            os.link(self.partial, self.path)
        except FileExistsError as error:
            raise SetupError(f"{self.path} exists already: name a new file") from error
        except OSError:
            # The file system has no hard links.
            os.rename(self.partial, self.path)
        sync_directory(self.path.parent)

    def close(self) -> None:
        """Remove the temporary files."""
        shutil.rmtree(self.work, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.partial.unlink()
        self._raw.close()


class _HashingReader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


Take = Callable[[str, tarfile.TarInfo, IO[bytes]], None]
"""(name, its entry in the archive, its bytes): handles a file while it is checked."""


def read_archive(path: Path, *, take: Take | None = None) -> Manifest:
    """Return the manifest of the backup at `path`, after reading and comparing every byte.

    `take` gets each file, to read to its end or not at all; its results are valid only once this returns.
    Raise Damaged for anything that `backup` would not have written.
    """
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]  # it reads and seeks
        try:
            return _read(path, file, take)
        except _UNREADABLE as error:
            raise Damaged(f"{path} is not a backup, or is damaged: {error}") from error


def _read(path: Path, file: IO[bytes], take: Take | None) -> Manifest:
    found: dict[str, FileEntry] = {}
    manifest_text = b""
    seal, sealed_bytes, end = b"", 0, 0
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for info in tar:
            name = info.name
            if seal:
                raise Damaged(f"{path} has extra data after its end ({name!r})")
            if name not in _PLAIN_NAMES and not _MEDIA_NAME.match(name):
                raise Damaged(f"{path} contains a file that is not part of a backup ({name!r})")
            if name in found or not info.isreg() or info.issparse():
                raise Damaged(f"{path} contains {name!r} twice, or not as a plain file")
            content = tar.extractfile(info)
            assert content is not None
            reading = _HashingReader(content)
            if name in (MANIFEST, SEAL):
                if info.size > MAX_MANIFEST_BYTES:
                    raise Damaged(f"{path} has a {name} of {info.size} bytes")
                text = reading.read(info.size)
                if name == SEAL:
                    seal, sealed_bytes = text, info.offset
                else:
                    manifest_text = text
            elif take is not None:
                take(name, info, reading)  # type: ignore[arg-type]  # it only reads
            while reading.read(_PIECE):
                pass
            found[name] = FileEntry(info.size, reading.digest.hexdigest())
            end = info.offset_data + info.size
    if not seal or not manifest_text:
        raise Damaged(f"{path} is incomplete: its end is missing")
    _require_seal(path, file, seal, sealed_bytes, end)
    made_as = msgspec.json.decode(manifest_text, type=_Format).format
    if made_as != FORMAT:
        raise SetupError(f"{path} is from a newer release (format {made_as}; this release supports {FORMAT})")
    manifest = msgspec.json.decode(manifest_text, type=Manifest)
    del found[MANIFEST], found[SEAL]
    if manifest.files != found or manifest.database not in DATABASES or manifest.database_file not in found:
        raise Damaged(f"{path} does not match its manifest")
    return manifest


def _require_seal(path: Path, file: IO[bytes], seal: bytes, sealed_bytes: int, end: int) -> None:
    """Check the seal against every byte before it, and that only zeros follow."""
    file.seek(0)
    digest = hashlib.sha256()
    left = sealed_bytes
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise Damaged(f"{path} is incomplete")
        digest.update(piece)
        left -= len(piece)
    if digest.hexdigest().encode() + b"\n" != seal:
        raise Damaged(f"{path} is damaged: its checksum does not match")
    file.seek(end)
    while piece := file.read(_PIECE):
        if piece.strip(b"\0"):
            raise Damaged(f"{path} has extra data after its end")


def is_media_name(name: str) -> bool:
    """Return True if a file may have this name: below media/, and nowhere else once it is unpacked."""
    return _MEDIA_NAME.match(name) is not None


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
