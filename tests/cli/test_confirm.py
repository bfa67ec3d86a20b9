"""Destructive commands ask for confirmation at a terminal, and need --yes elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stormpetrel.cli.main import build_parser
from tests.cli.conftest import rows
from tests.instance import clean_environment
from tools.reference import commands

DESTROYING = {
    "instance remove-rule": ["1"],
    "instance withdraw": ["1"],
    "moderation delete-post": ["1", "--reason", "rule 2"],
    "status unsubscribe": ["nino@example.org"],
    "user delete": ["Nino"],
    "user reject": ["Nino"],
    "user second-factor": ["Nino", "--remove"],
}
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


@pytest.mark.parametrize("command", DESTROYING)
def test_without_a_terminal_and_without_yes_nothing_is_done(run, place, nino, command):
    before = states(place)
    complaint = run(*command.split(), *DESTROYING[command], expect=2).complaint
    assert complaint.endswith("without a terminal, --yes is required; nothing was changed")
    assert states(place) == before


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
