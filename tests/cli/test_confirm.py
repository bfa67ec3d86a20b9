"""Destructive commands ask for confirmation at a terminal, and need --yes elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stormpetrel.cli.main import build_parser
from stormpetrel.cli.store import change, open_store
from stormpetrel.model.post import Draft
from stormpetrel.model.status_subscription import SubscriptionKind
from stormpetrel.rules.accounts import user_by_login
from stormpetrel.rules.posts import create_post
from stormpetrel.storage import second_factors, status_subscriptions
from stormpetrel.storage.engine.statement import sql
from tests.cli.conftest import rows
from tests.instance import clean_environment
from tools.reference import commands

DESTROYING = {
    "instance remove-rule": ["{rule}"],
    "instance withdraw": ["{announcement}"],
    "moderation delete-post": ["{post}", "--reason", "rule 2"],
    "status unsubscribe": ["nino@example.org"],
    "user delete": ["Nino"],
    "user reject": ["Lomi"],
    "user second-factor": ["Nino", "--remove"],
}
"""The arguments of each command, for what the fixture `everything` makes."""
REFUSED = {
    "instance remove-rule": (["99"], "Rule not found: 99"),
    "instance withdraw": (["99"], "Announcement not found: 99"),
    "moderation delete-post": (["99", "--reason", "rule 2"], "Post not found: 99"),
    "status unsubscribe": (["lomi@example.org"], "no subscription of lomi@example.org"),
    "user delete": (["Nina"], "there is no account 'Nina' (see stormpetrel user list)"),
    "user reject": (["Nino"], "@Nino is not waiting for approval"),
    "user second-factor": (["Lomi", "--remove"], "This account does not use two-factor authentication"),
}
"""Arguments of each command with which it must be refused before the question, and the complaint."""
FINAL_WORDS = (
    "Deletes",
    "deletes its data",
    "Removes",
    "ermanently",
    "--remove",
    "Withdraws an announcement",
)
"""Phrases by which help texts mark an irreversible action."""


@pytest.fixture
def nino(run, place):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")


def at_a_terminal(data_dir, place, typed, *words):
    """Run the command with a pseudo-terminal as its standard input, into which `typed` is written."""
    ours, theirs = os.openpty()
    try:
        os.write(ours, typed.encode() if typed == "\x04" else f"{typed}\n".encode())
        return subprocess.run(
            [sys.executable, "-m", "stormpetrel", *words],
            env=clean_environment(data_dir=data_dir, database_url=place),
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)


def states(place):
    return rows(place, "SELECT username, state FROM accounts")


def test_every_command_that_destroys_something_takes_yes():
    takes, speaks = set(), set()
    for name, parser in commands(build_parser(), "stormpetrel"):
        short = name.removeprefix("stormpetrel ")
        if "--yes" in parser._option_string_actions:
            takes.add(short)
        if any(word in (parser.description or "") for word in FINAL_WORDS):
            speaks.add(short)
    assert takes == set(DESTROYING) == speaks


@pytest.fixture
def everything(run, place, nino):
    """Make something that each command of DESTROYING can destroy; return the ids that its arguments name."""
    run("user", "add", "Lomi", "--email", "lomi@example.org", "--password", "long enough")
    with open_store(place) as connection, change(connection) as at_ms:
        ids = {name: user_by_login(connection, login=name).account_id for name in ("Nino", "Lomi")}
        connection.run(sql("UPDATE accounts SET state = 'pending' WHERE id = :id"), id=ids["Lomi"])
        draft = Draft("Buy boats")
        post = create_post(
            connection,
            author_id=ids["Nino"],
            draft=draft,
            max_characters=500,
            domain="here.example",
            now_ms=at_ms,
        )
        second_factors.set_totp(connection, account_id=ids["Nino"], sealed="x", step=0, now_ms=at_ms)
        status_subscriptions.add(
            connection,
            kind=SubscriptionKind.EMAIL,
            target="nino@example.org",
            host="",
            channels=(),
            nonce="n",
            token_hash=b"h",
            now_ms=at_ms,
        )
    return {
        "rule": run("instance", "add-rule", "Be kind").out.strip(),
        "announcement": run("instance", "announce", "Hello").out.strip(),
        "post": str(post.post_id),
    }


def everything_stored(place):
    """Return the rows of all tables but those of the index of words, which follow the posts."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'post_words%'"
    tables = [name for (name,) in rows(place, query)]
    return {table: rows(place, f"SELECT * FROM {table}") for table in tables}


@pytest.mark.parametrize("command", DESTROYING)
def test_without_a_terminal_and_without_yes_nothing_is_done(run, place, everything, command):
    before = everything_stored(place)
    words = [word.format(**everything) for word in DESTROYING[command]]
    complaint = run(*command.split(), *words, expect=2).complaint
    assert complaint.endswith("without a terminal, --yes is required; nothing was changed")
    assert everything_stored(place) == before


@pytest.mark.parametrize("command", REFUSED)
def test_a_change_that_is_refused_is_refused_before_the_question(run, place, everything, command):
    before = everything_stored(place)
    words, complaint = REFUSED[command]
    assert run(*command.split(), *words, expect=2).complaint == complaint
    assert everything_stored(place) == before


@pytest.mark.parametrize("command", DESTROYING)
def test_with_yes_each_of_them_is_done(run, place, everything, command):
    before = everything_stored(place)
    run(*command.split(), *(word.format(**everything) for word in DESTROYING[command]), "--yes")
    assert everything_stored(place) != before


def test_at_a_terminal_the_name_has_to_be_typed_again(run, data_dir, place, nino):
    before = states(place)
    for typed in ("", "y", "yes", "Nin", "Nino Nino"):
        done = at_a_terminal(data_dir, place, typed, "user", "delete", "nino")
        assert done.returncode == 2
        assert "permanently deletes @Nino with all posts and files" in done.stderr
        assert done.stderr.endswith("stormpetrel: you did not type Nino; nothing was changed\n")
        assert (done.stdout, states(place)) == ("", before)
    done = at_a_terminal(data_dir, place, "@nino", "user", "delete", "nino")
    assert (done.returncode, done.stdout) == (
        0,
        "Nino is deleted; the server erases the posts while it runs\n",
    )
    assert states(place) != before


def test_the_end_of_input_is_no_answer(run, data_dir, place, nino):
    done = at_a_terminal(data_dir, place, "\x04", "user", "delete", "Nino")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "Type Nino to confirm: \nstormpetrel: you did not type Nino; nothing was changed\n"
    )


def test_with_yes_nothing_is_asked(run, data_dir, place, nino):
    done = at_a_terminal(data_dir, place, "no", "user", "delete", "Nino", "--yes")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_account_that_is_not_there_is_not_asked_about(run, data_dir, place):
    done = at_a_terminal(data_dir, place, "Nino", "user", "delete", "Nino")
    assert done.returncode == 2
    assert done.stderr.startswith("stormpetrel: there is no account 'Nino'")


def test_looking_at_second_factors_asks_nothing(run, place, nino):
    assert run("user", "second-factor", "Nino").out == "Nino has no second factor\n"
