"""`restore`: makes an instance from a backup, where none exists. It checks everything before it puts anything
in place, and then does so at once."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, TYPE_CHECKING, Any

from stormpetrel.cli.backup import FELL_SHORT, say, verify, write_file
from stormpetrel.cli.output import Progress
from stormpetrel.cli.parser import Commands, add_command
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    import tarfile

    from stormpetrel.cli.archive import Manifest
    from stormpetrel.config import Config

STAGING_PREFIX = ".stormpetrel-restore-"


def add_commands(commands: Commands[Any]) -> None:
    """Add `restore`."""
    parser = add_command(
        commands,
        "restore",
        _restore,
        about="Restores an instance from a backup, into an empty or new data directory and an empty database. "
        "Never overwrites data. After restoring a backup of an older release, run `stormpetrel migrate`; a backup "
        "of a newer release is refused.",
        example="STORMPETREL_DATA_DIR=/srv/stormpetrel stormpetrel restore /srv/backup/stormpetrel.tar.gz",
    )
    parser.add_argument("path", metavar="PATH", help="the backup file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _restore(args: argparse.Namespace) -> int:
    from stormpetrel.storage.engine.migrate import HEAD
    from stormpetrel.storage.engine.snapshot import Damaged

    path = Path(args.path).expanduser().absolute()
    try:
        manifest = restore(args.config, path)
    except Damaged as error:
        print(f"stormpetrel: {error.safe_text}; nothing was restored", file=sys.stderr)
        return FELL_SHORT
    say(path, manifest, "restored", as_json=args.json)
    if manifest.migration < HEAD:
        print("next: stormpetrel migrate (the backup is from an older release)", file=sys.stderr)
    return 0


def restore(config_path: str | None, path: Path) -> Manifest:
    """Restore the backup at `path`. Raise SetupError if the target is not empty, or Damaged."""
    from stormpetrel.config_loader import load
    from stormpetrel.storage.engine.migrate import HEAD

    named = config_path or os.environ.get("STORMPETREL_CONFIG")
    here = load(config_path).config
    _require_empty_directory(here.data_dir)
    progress = Progress("restore")
    progress.at(0, 3, "checking the backup")
    manifest = verify(path)
    if manifest.migration > HEAD:
        raise SetupError(
            f"{path} is from a newer release ({manifest.version}, migration {manifest.migration}; this release "
            f"supports {HEAD}): install that release"
        )
    old_mask = os.umask(0o077)
    try:
        staging = _make_staging(here.data_dir)
        try:
            progress.at(1, 3, "unpacking")
            _unpack(path, staging, manifest, with_config=not named)
            config = _config_there(here, staging, named)
            progress.at(2, 3, "installing the files")
            _put_in_place(config, staging, manifest)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        os.umask(old_mask)
    progress.end()
    return manifest


def _require_empty_directory(directory: Path) -> None:
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise SetupError(f"data_dir {directory} is a file or below one: name a directory") from error
    if names:
        raise SetupError(
            f"data_dir {directory} is not empty, and restore never overwrites data: name or create an empty one"
        )


def _make_staging(data_dir: Path) -> Path:
    """Make a folder on the same file system: next to the data directory, or in it if only that works."""
    data_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.access(data_dir.parent, os.W_OK | os.X_OK) and not os.path.ismount(data_dir):
        return Path(mkdtemp(prefix=STAGING_PREFIX, dir=data_dir.parent))
    return Path(mkdtemp(prefix=STAGING_PREFIX, dir=data_dir))


def _unpack(path: Path, staging: Path, manifest: Manifest, *, with_config: bool) -> None:
    from stormpetrel.cli.archive import CONFIG, MANIFEST, SEAL, read_archive
    from stormpetrel.storage.engine.snapshot import Damaged

    skipped = {MANIFEST, SEAL} | (set() if with_config else {CONFIG})

    def take(name: str, info: tarfile.TarInfo, file: IO[bytes]) -> None:
        # The reader has checked the names: plain ones, and below media/ ones without leading dots.
        if name in skipped:
            return
        target = staging / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(target, file)

    if read_archive(path, take=take) != manifest:
        raise Damaged(f"{path} changed while it was being restored")


def _config_there(here: Config, staging: Path, named: str | None) -> Config:
    """Return the configuration after the restore: the backup's file, under this environment."""
    from stormpetrel.cli.archive import CONFIG
    from stormpetrel.config_loader import load

    file = staging / CONFIG
    if named or not file.exists():
        return here
    environment: Mapping[str, str] = {**os.environ, "STORMPETREL_DATA_DIR": str(here.data_dir)}
    return load(file, environment).config


def _put_in_place(config: Config, staging: Path, manifest: Manifest) -> None:
    from stormpetrel.cli.archive import sync_directory
    from stormpetrel.storage.engine.connection import sqlite_path
    from stormpetrel.storage.engine.snapshot import load_postgresql

    url, snapshot = config.database_url, staging / manifest.database_file
    if url.startswith("sqlite:///") != (manifest.database == "sqlite"):
        raise SetupError(
            f"the backup has a {manifest.database} database, but database.url names another kind: set "
            "STORMPETREL_DATABASE_URL"
        )
    if manifest.database == "sqlite":
        target = sqlite_path(url).absolute()
        if target.exists():
            raise SetupError(f"{target} already exists, and restore never overwrites data")
        if target.parent == config.data_dir:
            snapshot.rename(staging / target.name)
            os.sync()
        else:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = target.with_name(f"{target.name}.partial")
            shutil.copyfile(snapshot, beside)
            snapshot.unlink()
            os.sync()
            os.link(beside, target)
            beside.unlink()
    else:
        _require_empty_database(url)
        load_postgresql(url, snapshot)
        snapshot.unlink()
        os.sync()
    _place_media(config, staging)
    _move(staging, config.data_dir)
    sync_directory(config.data_dir)


def _place_media(config: Config, staging: Path) -> None:
    """If the configuration stores media outside the data directory, put them there first."""
    folder = config.media_folder.absolute()
    if config.media.store == "s3" or folder == config.data_dir / "media" or not (staging / "media").exists():
        return
    if folder.exists() and any(folder.iterdir()):
        raise SetupError(f"{folder} is not empty, and restore never overwrites data")
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(staging / "media", folder, dirs_exist_ok=True)
    shutil.rmtree(staging / "media")


def _require_empty_database(url: str) -> None:
    from stormpetrel.storage.engine.connection import connect
    from stormpetrel.storage.engine.contents import tables

    connection = connect(url)
    try:
        if tables(connection):
            raise SetupError("the database at database.url is not empty, and restore never overwrites data")
    finally:
        connection.close()


def _move(staging: Path, data_dir: Path) -> None:
    """Move the whole folder in one step; if it is in the data directory already, move the database last."""
    if staging.parent != data_dir:
        # The target does not exist, or is an empty directory.
        os.rename(staging, data_dir)
        return
    # `serve` refuses a directory without its database, so a half-moved one is no instance.
    for name in sorted(os.listdir(staging), key=lambda name: name.endswith(".db")):
        os.rename(staging / name, data_dir / name)
