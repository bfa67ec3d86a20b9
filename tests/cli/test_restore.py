"""A restore recreates the same instance in an empty location, or fails without a trace."""

from __future__ import annotations

import json
import resource
import subprocess

import pytest

from stormpetrel.cli import archive
from tests.cli.conftest import execute, rows
from tests.cli.test_backup import KEY, add_media, fill, left_in, restored, with_manifest
from tests.instance import STORMPETREL, running_instance
from tests.people import place_of


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def test_a_restored_instance_is_the_one_that_was_backed_up(
    run, either_place, data_dir, kept, tmp_path, monkeypatch, request
):
    fill(either_place)
    add_media(data_dir)
    (data_dir / "stormpetrel.toml").write_text('title = "Kept"\n')
    run("backup", str(kept / "b.tar.gz"))
    before = {
        name: rows(either_place, f"SELECT * FROM {name} ORDER BY 1, 2")
        for name in ("accounts", "users", "posts", "notifications", "post_tags")
    }
    key = (data_dir / "secret.key").read_bytes()
    new_url = restored(run, kept / "b.tar.gz", either_place, tmp_path, monkeypatch, request)
    assert before == {name: rows(new_url, f"SELECT * FROM {name} ORDER BY 1, 2") for name in before}
    again = tmp_path / "again"
    assert (again / "secret.key").read_bytes() == key
    assert (again / "stormpetrel.toml").read_text() == 'title = "Kept"\n'
    assert [path.name for path in (again / "media").rglob("*.png")] == [KEY]
    assert again.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in again.rglob("*") if path.is_file()} == {0o600}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    # The restored database is up to date and ready to serve.
    assert "up to date" in run("migrate").out


def test_who_was_signed_in_still_is_after_a_restore(tmp_path, database_url, request, monkeypatch, kept):
    with (
        running_instance(tmp_path / "place", database_url, web_workers=1) as instance,
        place_of(instance, database_url) as place,
    ):
        ann = place.person("ann")
        said = ann.post("said before")
        instance.run_cli("backup", str(kept / "b.tar"))
        ann.post("said after")
    new_url = f"sqlite:///{tmp_path / 'again' / 'data' / 'stormpetrel.db'}"
    if not database_url.startswith("sqlite"):
        new_url = request.getfixturevalue("empty_postgresql_url")
    environment = instance.environ | {
        "STORMPETREL_DATA_DIR": str(tmp_path / "again" / "data"),
        "STORMPETREL_DATABASE_URL": new_url,
    }
    command = [*STORMPETREL, "restore", str(kept / "b.tar"), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["done"] == "restored"
    with (
        running_instance(tmp_path / "again", new_url, web_workers=1) as again,
        place_of(again, new_url) as place,
    ):
        home = place.client(ann.token).get("/api/v1/timelines/home").json()
        assert [status["id"] for status in home] == [said["id"]]


def test_nothing_that_is_there_is_written_over(run, either_place, data_dir, kept, tmp_path, monkeypatch):
    run("backup", str(kept / "b.tar"))
    assert "not empty" in run("restore", str(kept / "b.tar"), expect=2).complaint
    # Now an empty directory, but a database that is in use.
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    (tmp_path / "again").mkdir()
    complaint = run("restore", str(kept / "b.tar"), expect=2).complaint
    assert "never overwrites data" in complaint
    assert left_in(tmp_path / "again") == []
    assert sorted(path.name for path in tmp_path.iterdir() if "restore" in path.name) == []


def test_a_backup_goes_into_its_own_kind_of_database_only(run, place, kept, tmp_path, monkeypatch):
    run("backup", str(kept / "b.tar"))
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert "another kind" in run("restore", str(kept / "b.tar"), expect=2).complaint
    assert not (tmp_path / "again").exists()


def test_a_backup_in_a_newer_form_is_refused(run, place, kept, tmp_path, monkeypatch):
    run("backup", str(kept / "b.tar"))
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    monkeypatch.delenv("STORMPETREL_DATABASE_URL")
    newer_form = with_manifest(kept / "b.tar", format=2)
    assert "newer release" in run("restore", str(newer_form), expect=2).complaint


def test_a_backup_of_a_newer_release_is_refused_and_of_an_older_one_is_to_be_migrated(
    run, place, kept, tmp_path, monkeypatch
):
    head = rows(place, "SELECT version_num FROM alembic_version")[0][0]
    for migration in ("9999", "0001"):
        execute(place, f"UPDATE alembic_version SET version_num = '{migration}'")
        with monkeypatch.context() as other_release:
            other_release.setattr("stormpetrel.storage.engine.migrate.HEAD", migration)
            run("backup", str(kept / f"{migration}.tar"))
    assert head not in ("9999", "0001")
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    monkeypatch.delenv("STORMPETREL_DATABASE_URL")
    complaint = run("restore", str(kept / "9999.tar"), expect=2).complaint
    assert "newer release" in complaint
    assert "install that release" in complaint
    assert not (tmp_path / "again").exists()
    assert "stormpetrel migrate" in run("restore", str(kept / "0001.tar")).err


def test_a_manifest_that_says_other_things_than_the_database_is_noticed(run, place, kept):
    fill(place, posts=2)
    run("backup", str(kept / "b.tar"))
    rows_then = archive.read_archive(kept / "b.tar").rows
    wrong = with_manifest(kept / "b.tar", rows=rows_then | {"posts": 3})
    assert "rows of the database do not match" in run("backup", "--verify", str(wrong), expect=1).complaint


def test_a_restore_on_a_full_disk_leaves_nothing(run, place, data_dir, kept, tmp_path, monkeypatch):
    add_media(data_dir)
    run("backup", str(kept / "b.tar"))
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    monkeypatch.delenv("STORMPETREL_DATABASE_URL")
    done = subprocess.run(
        [*STORMPETREL, "restore", str(kept / "b.tar")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "again").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_named_configuration_file_is_kept_and_the_backups_is_not_used(
    run, place, kept, tmp_path, monkeypatch
):
    run("backup", str(kept / "b.tar"))
    own = tmp_path / "own.toml"
    own.write_text(f'data_dir = "{tmp_path / "again"}"\ntitle = "Own"\n')
    monkeypatch.delenv("STORMPETREL_DATABASE_URL")
    monkeypatch.delenv("STORMPETREL_DATA_DIR")
    run("restore", "--config", str(own), str(kept / "b.tar"))
    assert not (tmp_path / "again" / "stormpetrel.toml").exists()
    assert (tmp_path / "again" / "stormpetrel.db").exists()


def test_media_go_where_the_configuration_keeps_them(run, place, data_dir, kept, tmp_path, monkeypatch):
    add_media(data_dir)
    run("backup", str(kept / "b.tar"))
    monkeypatch.delenv("STORMPETREL_DATABASE_URL")
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "again"))
    monkeypatch.setenv("STORMPETREL_MEDIA_FOLDER", str(tmp_path / "pictures"))
    run("restore", str(kept / "b.tar"))
    assert [path.name for path in (tmp_path / "pictures").rglob("*.png")] == [KEY]
    assert not (tmp_path / "again" / "media").exists()
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "third"))
    assert "not empty" in run("restore", str(kept / "b.tar"), expect=2).complaint
    assert not (tmp_path / "third").exists()
