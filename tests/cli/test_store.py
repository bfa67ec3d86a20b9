"""Every command in a directory without an instance reports that, and leaves the directory unchanged."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from stormpetrel.cli.instance import LEFT_BEHIND
from stormpetrel.cli.main import build_parser
from tests.instance import clean_environment
from tools.reference import commands

WORDS = {
    "audience": ([], 2),
    "backup": (["{elsewhere}/backup.tar.gz"], 2),
    "check": ([], 1),
    "completion": (["bash"], 0),
    "config": ([], 0),
    "guard": (["--port", "0"], 2),
    "incident list": ([], 2),
    "incident resolve": (["1", "--text", "It works."], 2),
    "incident show": (["1"], 2),
    "incident start": (["Apps get errors", "--text", "We look into it."], 2),
    "incident update": (["1", "--text", "A disk is full."], 2),
    "insight": ([], 2),
    "instance announce": (["Hello"], 2),
    "instance block-email-domain": (["example.org"], 2),
    "instance email-domains": ([], 2),
    "instance rules": ([], 2),
    "instance add-rule": (["Be kind"], 2),
    "instance remove-rule": (["1", "--yes"], 2),
    "instance set-text": (["terms_of_service"], 2),
    "instance text": (["terms_of_service"], 2),
    "instance unblock-email-domain": (["example.org"], 2),
    "instance withdraw": (["1", "--yes"], 2),
    "mail test": (["nino@example.org"], 2),
    "maintenance cancel": (["1"], 2),
    "maintenance end": (["1"], 2),
    "maintenance schedule": (["New disks", "--text", "Posting pauses.", "--in", "2h", "--for", "30m"], 2),
    "maintenance start": (["New disks", "--text", "Posting pauses."], 2),
    "migrate": ([], 2),
    "moderation delete-post": (["1", "--reason", "rule 2", "--yes"], 2),
    "moderation hide": (["1", "--reason", "rule 2"], 2),
    "moderation log": ([], 2),
    "moderation reports": ([], 2),
    "moderation resolve": (["1", "--reason", "rule 2"], 2),
    "moderation show": (["1"], 2),
    "moderation silence": (["Nino", "--reason", "rule 2"], 2),
    "moderation suspend": (["Nino", "--reason", "rule 2"], 2),
    "moderation unhide": (["1", "--reason", "rule 2"], 2),
    "moderation unsilence": (["Nino", "--reason", "rule 2"], 2),
    "moderation unsuspend": (["Nino", "--reason", "rule 2"], 2),
    "moderation warn": (["Nino", "--reason", "rule 2"], 2),
    "proxy": (["nginx", "--domain", "example.org"], 0),
    "restore": (["{elsewhere}/missing.tar.gz"], 2),
    "seed": (["--users", "1", "--posts", "1", "--follows", "0", "--seed", "1"], 2),
    "serve": ([], 2),
    "shield allow": (["@Nino"], 2),
    "shield deny": (["@Nino", "--reason", "scans"], 2),
    "shield journal": ([], 0),
    "shield pause": (["--for", "10m"], 3),
    "shield status": ([], 3),
    "shield why": (["@Nino"], 2),
    "sms code": (["Nino"], 2),
    "sms link": (["Nino", "+995599123456"], 2),
    "sms log": ([], 2),
    "sms pause": (["drop"], 2),
    "sms replay": (["i1"], 2),
    "sms resume": (["drop"], 2),
    "sms send": (["+995599123456", "hello"], 2),
    "sms show": (["+995599123456"], 2),
    "sms status": ([], 2),
    "sms unlink": (["+995599123456"], 2),
    "sms unlock": (["+995599123456"], 2),
    "status subscribers": ([], 2),
    "status unsubscribe": (["nino@example.org", "--yes"], 2),
    "token": (["Nino"], 2),
    "top": (["--once"], 3),
    "user add": (["Nino", "--email", "nino@example.org", "--password", "long enough"], 2),
    "user approve": (["Nino"], 2),
    "user delete": (["Nino", "--yes"], 2),
    "user list": ([], 2),
    "user password": (["Nino", "--password", "long enough"], 2),
    "user reject": (["Nino", "--yes"], 2),
    "user role": (["Nino", "member"], 2),
    "user second-factor": (["Nino"], 2),
    "user suspend": (["Nino"], 2),
    "user unsuspend": (["Nino"], 2),
}
"""The arguments for each command, and its expected exit code."""
MAKE_THEIR_OWN_PLACE = {"init", "drill"}


def test_every_command_is_tried():
    known = {name.removeprefix("stormpetrel ") for name, _ in commands(build_parser(), "stormpetrel")}
    assert known == set(WORDS) | MAKE_THEIR_OWN_PLACE


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
@pytest.mark.parametrize("command", WORDS)
def test_a_command_leaves_nothing_where_no_instance_is(
    run, data_dir, tmp_path, monkeypatch, command, is_there
):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    if is_there:
        data_dir.mkdir()
    words, code = WORDS[command]
    done = run(*command.split(), *(word.format(elsewhere=tmp_path) for word in words), expect=code)
    if code >= 2:
        assert done.complaint
    assert sorted(tmp_path.iterdir()) == ([data_dir] if is_there else [])
    assert not is_there or os.listdir(data_dir) == []


@pytest.mark.parametrize("command", ["serve", "migrate", "user list", "init"])
def test_a_file_of_another_program_gets_nothing_beside_it(run, data_dir, tmp_path, monkeypatch, command):
    import sqlite3

    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / "recipes.db") as recipes:
        recipes.execute("CREATE TABLE recipes (id INTEGER)")
    recipes.close()
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", f"sqlite:///{other / 'recipes.db'}")
    assert run(*command.split(), expect=2).complaint
    assert os.listdir(other) == ["recipes.db"]
    assert not data_dir.exists()


def test_serve_before_init_says_in_one_line_what_to_do_and_init_works_afterwards(data_dir):
    def stormpetrel(*words):
        return subprocess.run(
            [sys.executable, "-m", "stormpetrel", *words],
            env=clean_environment(data_dir=data_dir),
            capture_output=True,
            text=True,
            check=False,
        )

    served = stormpetrel("serve")
    assert (served.returncode, served.stdout) == (2, "")
    assert served.stderr == (
        f"stormpetrel: there is no instance yet ({data_dir / 'stormpetrel.db'} does not exist): "
        "run stormpetrel init\n"
    )
    assert not data_dir.exists()
    assert stormpetrel("init").returncode == 0


def test_serve_without_the_secret_leaves_nothing_either(run, data_dir, monkeypatch, database_url):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", database_url)
    assert "secret.key does not exist: run stormpetrel init" in run("serve", expect=2).complaint
    assert not data_dir.exists()


def test_a_secret_in_the_environment_does_not_make_an_instance(run, data_dir, monkeypatch):
    monkeypatch.setenv("STORMPETREL_SECRET_KEY", "as long as a secret has to be at the least")
    for words in (("serve",), ("mail", "test", "nino@example.org"), ("user", "list")):
        assert "run stormpetrel init" in run(*words, expect=2).complaint
    assert not data_dir.exists()


def test_init_works_beside_what_a_dead_server_left(run, data_dir):
    data_dir.mkdir()
    for name in (
        "serve-web.lock",
        "serve-watch.lock",
        "watch.sock",
        "guard.sock",
        "journal.sqlite",
        "attacks.sqlite-wal",
    ):
        (data_dir / name).write_bytes(b"")
    run("init")
    run("user", "list")


def test_what_a_dead_server_left_does_not_make_other_things_ours(run, data_dir):
    data_dir.mkdir()
    (data_dir / "serve-web.lock").write_text("4711\n")
    (data_dir / "holiday.jpg").write_bytes(b"beach")
    complaint = run("init", expect=2).complaint
    assert complaint == (
        f"data_dir {data_dir} contains other files (holiday.jpg) and no instance: name an empty directory"
    )
    assert sorted(os.listdir(data_dir)) == ["holiday.jpg", "serve-web.lock"]


def test_nothing_that_a_person_made_is_taken_for_left_behind():
    assert not {"stormpetrel.toml", "secret.key", "stormpetrel.db", "media", "mail"} & set(LEFT_BEHIND)
