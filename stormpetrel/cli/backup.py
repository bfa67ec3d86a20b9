"""`backup`: writes a whole instance into one file while it serves."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

from stormpetrel.cli.output import Progress, print_json
from stormpetrel.cli.parser import Commands, add_command
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    import tarfile

    from stormpetrel.cli.archive import ArchiveWriter, Manifest
    from stormpetrel.config import Config
    from stormpetrel.config_loader import LoadedConfig
    from stormpetrel.storage.engine.snapshot import SnapshotContents

PIECE = 1024 * 1024
FELL_SHORT = 1


def add_commands(commands: Commands[Any]) -> None:
    """Add `backup`."""
    parser = add_command(
        commands,
        "backup",
        _backup,
        about="Saves the database, secret.key, stormpetrel.toml and media in one new file, while the server runs, "
        "and verifies the file. Anyone who has the file can sign in as any account: protect it like the instance. "
        "PostgreSQL needs pg_dump and pg_restore on this machine.",
        example="stormpetrel backup /srv/backup/stormpetrel-2026-01-31.tar.gz",
    )
    parser.add_argument(
        "path", metavar="PATH", help="the new file; compressed if its name ends in .gz or .tgz"
    )
    parser.add_argument(
        "--verify", action="store_true", help="write nothing; check that PATH is a complete, undamaged backup"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _backup(args: argparse.Namespace) -> int:
    from stormpetrel.storage.engine.snapshot import Damaged

    path = Path(args.path).expanduser().absolute()
    try:
        manifest = verify(path) if args.verify else make_backup(args.config, path)
    except Damaged as error:
        print(f"stormpetrel: {error.safe_text}", file=sys.stderr)
        return FELL_SHORT
    say(path, manifest, "sound" if args.verify else "written", as_json=args.json)
    return 0


def say(path: Path, manifest: Manifest, done: str, *, as_json: bool) -> None:
    """Print the result and the backup's contents."""
    posts = manifest.rows.get("posts", 0)
    accounts = manifest.rows.get("accounts", 0)
    if as_json:
        print_json(
            {
                "done": done,
                "path": str(path),
                "bytes": path.stat().st_size,
                "made_at": manifest.made_at,
                "version": manifest.version,
                "migration": manifest.migration,
                "database": manifest.database,
                "rows": manifest.rows,
                "media_files": manifest.media_count,
                "missing_media": len(manifest.missing_media),
            }
        )
        return
    print(f"{done}: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(
        f"holds:   {manifest.database} database with {accounts} accounts and {posts} posts, "
        f"{manifest.media_count} media files; of {manifest.made_at}, release {manifest.version}"
    )
    if manifest.missing_media:
        print(f"missing: {len(manifest.missing_media)} media files in the database were not found")


def make_backup(config_path: str | None, path: Path) -> Manifest:
    """Make and verify a new backup at `path`. Raise SetupError, EnvironmentFailure or Damaged on failure."""
    from stormpetrel.cli.archive import ArchiveWriter
    from stormpetrel.config_loader import load
    from stormpetrel.storage.engine.migrate import require_current

    loaded = load(config_path)
    # A store of another release may hold data that this release cannot back up.
    require_current(loaded.config.database_url)
    if not path.parent.is_dir():
        raise SetupError(f"{path.parent} is not a directory: create it first")
    with closing(ArchiveWriter(path)) as archive:
        manifest = _write(loaded, archive)
        _check(archive.partial, manifest)
        archive.publish()
    return manifest


def _write(loaded: LoadedConfig, archive: ArchiveWriter) -> Manifest:
    import msgspec

    import stormpetrel
    from stormpetrel.cli import archive as form

    config = loaded.config
    progress = Progress("backup")
    at = datetime.now(UTC)
    kind = "sqlite" if config.database_url.startswith("sqlite:///") else "postgresql"
    stored = _snapshot(config, kind, archive, progress)
    for name in (form.SECRET, form.LOGINS):
        archive.add(name, config.data_dir / name)
    if loaded.path is not None:
        archive.add(form.CONFIG, loaded.path)
    if config.secret_key:
        print(
            "note: secret_key is not in secret.key; back up the place where it is set, too", file=sys.stderr
        )
    # After the database: files that it refers to exist by now, and never change.
    elsewhere = config.media.store == "s3"
    if elsewhere:
        print(
            "note: media are in an S3 bucket, which is not backed up; turn on versioning there",
            file=sys.stderr,
        )
    else:
        _add_media(config.media_folder, archive, progress)
    manifest = form.Manifest(
        format=form.FORMAT,
        made_at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=stormpetrel.__version__,
        migration=stored.migration,
        database=kind,
        public_url=config.base_url,
        rows=stored.rows,
        files=archive.files,
        media_elsewhere=elsewhere,
    )
    manifest = msgspec.structs.replace(manifest, missing_media=tuple(manifest.lacks(stored.media_keys)))
    archive.finish(manifest, int(at.timestamp()))
    progress.end()
    return manifest


def _snapshot(config: Config, kind: str, archive: ArchiveWriter, progress: Progress) -> SnapshotContents:
    from stormpetrel.cli.archive import DATABASES
    from stormpetrel.storage.engine import snapshot

    file = archive.work / DATABASES[kind]
    if kind == "sqlite":
        snapshot.copy_sqlite(
            config.database_url, file, lambda done, total: progress.at(done, total, "pages of the database")
        )
        stored = snapshot.stored_in_sqlite(file)
    else:
        snapshot.require_postgresql_tools()
        stored = snapshot.dump_postgresql(config.database_url, file)
    archive.add(DATABASES[kind], file)
    if kind == "sqlite":
        # It was checked above; if disk space is short, the archive needs the room.
        file.unlink()
    return stored


def _add_media(folder: Path, archive: ArchiveWriter, progress: Progress) -> None:
    """Add every file below `folder`. A file that is still being written does no harm: housekeeping removes
    files without a row."""
    from stormpetrel.cli.archive import is_media_name

    added = 0
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            source = Path(directory, name)
            kept_as = f"media/{source.relative_to(folder).as_posix()}"
            if is_media_name(kept_as) and not source.is_symlink() and archive.add(kept_as, source):
                added += 1
                progress.at(added, 0, "media files")


def _check(file: Path, written: Manifest) -> None:
    """Read the new archive as a restore would. The database's snapshot was checked before it was added."""
    from stormpetrel.cli.archive import DATABASES, read_archive
    from stormpetrel.storage.engine.snapshot import Damaged, stored_in_dump

    if read_archive(file) != written:
        raise Damaged(f"{file} does not match the data that was written")
    dump = file.with_name(f"{file.name}-files") / DATABASES["postgresql"]
    if written.database == "postgresql":
        _compare(file, written, stored_in_dump(dump))


def verify(path: Path) -> Manifest:
    """Read the whole backup at `path`, open its database, and return the manifest. Raise Damaged."""
    from stormpetrel.cli.archive import DATABASES, read_archive
    from stormpetrel.storage.engine.snapshot import stored_in_dump, stored_in_sqlite

    if not path.is_file():
        raise SetupError(f"file not found: {path}")
    # Next to the backup: more likely to have room for the database than /tmp.
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    with TemporaryDirectory(prefix=".stormpetrel-verify-", dir=beside) as directory:

        def take(name: str, info: tarfile.TarInfo, file: IO[bytes]) -> None:
            if name in DATABASES.values():
                write_file(Path(directory, name), file)

        manifest = read_archive(path, take=take)
        snapshot = Path(directory, manifest.database_file)
        stored = stored_in_sqlite(snapshot) if manifest.database == "sqlite" else stored_in_dump(snapshot)
        _compare(path, manifest, stored)
    return manifest


def _compare(path: Path, manifest: Manifest, stored: SnapshotContents) -> None:
    from stormpetrel.storage.engine.snapshot import Damaged

    if stored.rows != manifest.rows or stored.migration != manifest.migration:
        raise Damaged(f"{path}: the rows of the database do not match the manifest")
    lost = set(manifest.lacks(stored.media_keys)) - set(manifest.missing_media)
    if lost:
        raise Damaged(f"{path}: {len(lost)} media files in the database are missing from the backup")


def write_file(target: Path, file: IO[bytes]) -> None:
    """Copy the rest of `file` into the new file `target`, readable only by its owner."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as writing:
        while piece := file.read(PIECE):
            writing.write(piece)
