"""A backup is complete or absent: beside writers, killed, on a full disk, damaged; on both stores."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path

import msgspec
import pytest

from stormpetrel.cli import archive
from stormpetrel.errors import SetupError
from stormpetrel.model.ids import time_ms
from stormpetrel.storage.audience import load_numbers, store_numbers
from stormpetrel.storage.audience_folder import AudienceFolder
from stormpetrel.storage.engine.snapshot import Damaged
from tests.cli.conftest import execute, rows
from tests.instance import STORMPETREL
from tests.repository import ROOT
from tests.store import store_at

KEY = "ab" + "0" * 30 + ".png"
MEDIA = b"\x89PNG" + bytes(range(256)) * 40


def fill(url, posts=30):
    """Create two accounts with posts, replies and favourites. Return the ids of the accounts."""
    with store_at(url) as store:
        people = [store.person("ann"), store.person("bob")]
        last = None
        for number in range(posts):
            last = store.post(people[number % 2], f"post {number} #birds", in_reply_to_id=last)
    return people


def add_media(data_dir):
    folder = data_dir / "media" / "ab"
    folder.mkdir(parents=True)
    (folder / KEY).write_bytes(MEDIA)
    (folder / ".being-written").write_bytes(b"half")
    (folder / "elsewhere").symlink_to("/etc/passwd")


def left_in(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_a_backup_holds_everything_and_only_its_owner_may_read_it(run, either_place, data_dir, kept, name):
    fill(either_place)
    add_media(data_dir)
    done = run("backup", str(kept / name), "--json").json
    assert left_in(kept) == [name]
    assert stat.S_IMODE((kept / name).stat().st_mode) == 0o600
    assert done["rows"]["posts"] == 30
    assert done["media_files"] == 1
    with tarfile.open(kept / name) as tar:
        names = tar.getnames()
    snapshot = archive.DATABASES["sqlite" if "sqlite" in either_place else "postgresql"]
    assert names == [
        snapshot,
        "secret.key",
        "stormpetrel.toml",
        f"media/ab/{KEY}",
        "manifest.json",
        "archive.sha256",
    ]
    assert run("backup", "--verify", str(kept / name), "--json").json["done"] == "sound"


def test_a_backup_has_the_numbers_of_visitors_and_no_key_or_sketch(run, place, data_dir, kept, tmp_path):
    folder = AudienceFolder(data_dir)
    folder.make()
    folder.put_key("2026-11", bytes(range(32)))
    folder.put_sketches("2026-11", [b"a sketch of visitors"])
    folder.put_counts("2026-11", {})
    store_numbers(place, machine="a", numbers={"2026-10": {"visitors/all": 593}})
    run("backup", str(kept / "b.tar"))
    data = (kept / "b.tar").read_bytes()
    assert bytes(range(32)) not in data
    assert b"a sketch of visitors" not in data
    with tarfile.open(kept / "b.tar") as tar:
        assert not [name for name in tar.getnames() if "audience" in name]
        database = tar.extractfile(archive.DATABASES["sqlite"])
        assert database is not None
        (tmp_path / archive.DATABASES["sqlite"]).write_bytes(database.read())
    copy = f"sqlite:///{tmp_path / archive.DATABASES['sqlite']}"
    assert load_numbers(copy, periods=["2026-10"]) == {"2026-10": {"a": {"visitors/all": 593}}}


def test_nothing_secret_is_printed(run, either_place, data_dir, kept):
    key = (data_dir / "secret.key").read_text().strip()
    for arguments in (("backup", str(kept / "b.tar")), ("backup", "--verify", str(kept / "b.tar"))):
        for more in ((), ("--json",)):
            done = run(*arguments, *more, expect=None)
            printed = done.out + done.err
            assert key not in printed
            password = either_place.partition("://")[2].rpartition("@")[0].partition(":")[2]
            assert not password or password not in printed


def test_a_backup_beside_writers_has_all_that_was_acknowledged_before_and_is_consistent(
    run, either_place, data_dir, kept, tmp_path, monkeypatch, request
):
    with store_at(either_place) as store:
        people = [store.person() for _ in range(8)]
    writers = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "cli" / "posting_process.py", either_place, *map(str, people)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writers.stdout is not None
    try:
        acknowledged = [int(next(writers.stdout)) for _ in range(400)]
        run("backup", str(kept / "b.tar"))
        # The writers continued during the backup, so the store was not at rest. Posts of that time wait in the pipe.
        ended_ms = time.time() * 1000
        written = (int(line) for line in writers.stdout)
        later = list(itertools.islice((one for one in written if time_ms(one) > ended_ms), 100))
    finally:
        writers.kill()
        writers.communicate()
    new_url = restored(run, kept / "b.tar", either_place, tmp_path, monkeypatch, request)
    found = {row[0] for row in rows(new_url, "SELECT id FROM posts")}
    assert set(acknowledged) <= found
    assert not set(later) <= found
    for query in (
        "SELECT count(*) FROM accounts a WHERE posts_count != "
        "(SELECT count(*) FROM posts WHERE author_id = a.id)",
        "SELECT count(*) FROM posts p WHERE favourites_count != "
        "(SELECT count(*) FROM favourites WHERE post_id = p.id)",
        "SELECT count(*) FROM posts p WHERE replies_count != "
        "(SELECT count(*) FROM posts WHERE in_reply_to_id = p.id)",
    ):
        assert rows(new_url, query) == [(0,)], query


def restored(run, path, url, tmp_path, monkeypatch, request):
    """Restore the backup into a new database and return its URL."""
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    new_url = f"sqlite:///{tmp_path / 'again' / 'stormpetrel.db'}"
    if not url.startswith("sqlite"):
        new_url = request.getfixturevalue("empty_postgresql_url")
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", new_url)
    run("restore", str(path))
    return new_url


def test_a_file_that_exists_is_never_written_over(run, either_place, kept):
    (kept / "b.tar").write_text("precious")
    assert "exists already" in run("backup", str(kept / "b.tar"), expect=2).complaint
    assert (kept / "b.tar").read_text() == "precious"
    assert left_in(kept) == ["b.tar"]


def test_two_backups_into_one_file_are_not_written_at_once(run, place, kept):
    with contextlib.closing(archive.ArchiveWriter(kept / "b.tar")):
        assert "another process" in run("backup", str(kept / "b.tar"), expect=2).complaint
    assert left_in(kept) == []


def test_there_must_be_an_instance_and_a_directory(run, data_dir, tmp_path):
    assert "stormpetrel init" in run("backup", str(tmp_path / "b.tar"), expect=2).complaint
    run("init")
    assert "not a directory" in run("backup", str(tmp_path / "none" / "b.tar"), expect=2).complaint
    assert "file not found" in run("backup", "--verify", str(tmp_path / "b.tar"), expect=2).complaint


def test_a_backup_that_was_killed_leaves_nothing_that_looks_whole(run, either_place, data_dir, kept):
    fill(either_place, posts=200)
    (data_dir / "media").mkdir()
    (data_dir / "media" / "film.mp4").write_bytes(os.urandom(20_000_000))
    path = kept / "b.tar.gz"
    for size in (1, 10_000, 1_000_000):
        process = subprocess.Popen([*STORMPETREL, "backup", str(path)], stdin=subprocess.DEVNULL)
        partial = kept / "b.tar.gz.partial"
        while process.poll() is None and not (partial.exists() and partial.stat().st_size >= size):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if partial.exists():
            shutil.copy(partial, kept / "looks-whole.tar.gz")
            assert run("backup", "--verify", str(kept / "looks-whole.tar.gz"), expect=None).code == 1
            (kept / "looks-whole.tar.gz").unlink()
        assert not path.exists()
    # The next backup removes the leftovers of the failed one.
    run("backup", str(path))
    assert left_in(kept) == ["b.tar.gz"]


@pytest.mark.parametrize("bytes_left", [100_000, 700_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(either_place, data_dir, kept, bytes_left):
    fill(either_place)
    (data_dir / "media").mkdir()
    (data_dir / "media" / "film.mp4").write_bytes(os.urandom(1_000_000))
    done = subprocess.run(
        [*STORMPETREL, "backup", str(kept / "b.tar")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, bytes_left)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert left_in(kept) == []


def test_without_its_tools_a_postgresql_database_is_not_backed_up_and_the_line_says_what_helps(
    run, data_dir, monkeypatch, postgresql_url, kept
):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", postgresql_url)
    run("init")
    monkeypatch.setenv("PATH", str(kept))
    monkeypatch.setattr("stormpetrel.storage.engine.snapshot.TOOLS", str(kept / "{name}"))
    assert "install postgresql-client" in run("backup", str(kept / "b.tar"), expect=3).complaint
    assert left_in(kept) == []


# Damage


def with_manifest(path, **changed):
    """Return a copy of the archive at `path` with fields of its manifest changed."""
    manifest = archive.read_archive(path)
    other = path.with_name("other.tar")
    writer = archive.ArchiveWriter(other)
    with tarfile.open(path) as tar:
        for info in tar:
            if info.name not in (archive.MANIFEST, archive.SEAL):
                writer._tar.addfile(info, tar.extractfile(info))
    writer.finish(msgspec.structs.replace(manifest, **changed), 0)
    writer.publish()
    writer.close()
    return other


@pytest.fixture
def sound(run, place, data_dir, kept):
    fill(place, posts=3)
    add_media(data_dir)
    run("backup", str(kept / "b.tar"))
    run("backup", str(kept / "b.tar.gz"))
    return kept


def flipped(path, at):
    """Return a copy of the file with one bit of byte `at` flipped."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    damaged = path.with_name(f"damaged-{path.name}")
    damaged.write_bytes(content)
    return damaged


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_one_bit_that_flips_is_noticed_wherever_it_is(sound, name):
    path = sound / name
    size = path.stat().st_size
    # A sample of all bytes, denser at the start and at the end, which holds the manifest and the seal.
    places = {*range(0, size, 4099), *range(0, 600, 7), *range(size - 2600, size, 11)}
    harmless = 0
    for at in sorted(places):
        damaged = flipped(path, at)
        if name.endswith(".gz") and unpacked(damaged) == unpacked(path):
            # Bits without effect: the time of creation, the system, codes of bytes that do not occur.
            harmless += 1
            continue
        with pytest.raises((Damaged, SetupError)):
            archive.read_archive(damaged)
    assert harmless < len(places) / 20
    assert archive.read_archive(path).media_count == 1


def unpacked(path):
    """Return the decompressed content of a gzip file, or None if the file is corrupt."""
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):
        return None


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_a_backup_that_was_cut_short_or_goes_on_is_noticed(run, sound, name):
    content = (sound / name).read_bytes()
    damaged = sound / f"damaged-{name}"
    for wrong in (b"", content[:1], content[: len(content) // 2], content[:-12_000], content + content):
        damaged.write_bytes(wrong)
        done = run("backup", "--verify", str(damaged), expect=1)
        assert str(damaged) in done.complaint or "backup" in done.complaint


def test_a_file_that_is_no_backup_is_told_so(run, tmp_path):
    for content in (b"hello", os.urandom(50_000), b"\x1f\x8b" + os.urandom(5000)):
        (tmp_path / "x").write_bytes(content)
        run("backup", "--verify", str(tmp_path / "x"), expect=1)


def test_what_the_database_refers_to_must_be_there(run, place, data_dir, kept, monkeypatch):
    person, _ = fill(place, posts=1)
    execute(place, f"INSERT INTO media_files (key, account_id) VALUES ('{KEY}', {person})")
    assert "missing: 1 media files" in run("backup", str(kept / "without.tar")).out
    run("backup", "--verify", str(kept / "without.tar"))
    add_media(data_dir)
    assert "missing" not in run("backup", str(kept / "with.tar")).out
    # This manifest lists no missing file, but the archive lacks one.
    lying = with_manifest(kept / "without.tar", missing_media=())
    assert "missing from the backup" in run("backup", "--verify", str(lying), expect=1).complaint


def test_media_in_a_bucket_are_not_copied_and_that_is_said(run, place, data_dir, kept, monkeypatch):
    person, _ = fill(place, posts=1)
    add_media(data_dir)
    execute(place, f"INSERT INTO media_files (key, account_id) VALUES ('{KEY}', {person})")
    for name in ("endpoint", "bucket", "key", "secret"):
        monkeypatch.setenv(f"STORMPETREL_MEDIA_S3_{name.upper()}", "https://s3.example")
    monkeypatch.setenv("STORMPETREL_MEDIA_STORE", "s3")
    done = run("backup", str(kept / "b.tar"))
    assert "not backed up" in done.err
    assert "0 media files" in done.out
    assert "missing" not in done.out
    run("backup", "--verify", str(kept / "b.tar"))


# Archives made by others


def sealed(path: Path, members):
    """Return an archive with these members (TarInfo, bytes) and a correct seal."""
    writer = archive.ArchiveWriter(path)
    manifest = archive.Manifest(
        format=1,
        made_at="",
        version="",
        migration="",
        database="sqlite",
        public_url="",
        rows={},
        files=writer.files,
    )
    for info, content in members:
        info.size = len(content)
        writer._tar.addfile(info, io.BytesIO(content))
    writer.finish(manifest, 0)
    writer.publish()
    writer.close()
    return path


def link(name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "info",
    [
        tarfile.TarInfo("../escaped"),
        tarfile.TarInfo("/tmp/escaped"),
        tarfile.TarInfo("media/../../escaped"),
        tarfile.TarInfo("media//escaped"),
        tarfile.TarInfo("media/./escaped"),
        tarfile.TarInfo("media/.ssh/escaped"),
        tarfile.TarInfo("media/a\nb"),
        tarfile.TarInfo("other.txt"),
        link("media/escaped", tarfile.SYMTYPE, "/etc/passwd"),
        link("media/escaped", tarfile.LNKTYPE, "../escaped"),
        link("media/escaped", tarfile.FIFOTYPE, ""),
        link("media", tarfile.DIRTYPE, ""),
    ],
    ids=lambda info: repr(info.name),
)
def test_an_archive_with_anything_else_in_it_is_refused_and_nothing_is_unpacked(
    run, tmp_path, monkeypatch, info
):
    path = sealed(tmp_path / "evil.tar", [(info, b"" if info.type != tarfile.REGTYPE else b"evil")])
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "instance"))
    done = run("restore", str(path), expect=1)
    assert "nothing was restored" in done.complaint
    assert left_in(tmp_path) == ["evil.tar"]
