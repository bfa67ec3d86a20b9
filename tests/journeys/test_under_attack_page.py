"""docs/under-attack.md: every command of the page, in order, beside a running server."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys

import pytest

from stormpetrel.cli.main import main
from stormpetrel.cli.shield import JOURNAL_KINDS
from tests.instance import running_instance
from tests.repository import ROOT
from tools import try_install

PAGE = (ROOT / "docs" / "under-attack.md").read_text(encoding="utf-8")
SECTIONS = try_install.commands(PAGE)
COMMANDS = [command for commands in SECTIONS.values() for _, command in commands]


def test_every_command_of_the_page_does_what_it_says(tmp_path, sqlite_url, monkeypatch, capsys):
    assert len(COMMANDS) >= 15
    assert {re.match(r"\S+(?: shield \w+)?", command)[0] for command in COMMANDS} >= {
        f"stormpetrel shield {name}" for name in ("status", "why", "allow", "deny", "pause", "journal")
    }
    with running_instance(tmp_path / "place", sqlite_url, web_workers=1) as instance:
        for name, value in instance.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(instance.directory)
        run(capsys, "stormpetrel user add Nino --email nino@example.org --password 'long enough'")
        token = run(capsys, "stormpetrel token Nino").splitlines()[-1]
        (instance.directory / "token.txt").write_text(f"{token}\n")
        for command in COMMANDS:
            said = run(capsys, command.replace("http://127.0.0.1:8001", instance.status_url))
            assert said.strip(), command
            assert token not in said
            if " why " in command:
                assert said.count("\n") == 1, command


def run(capsys, command):
    """Return the output of a command of the page. Our own run in this process, which is faster than 30
    processes.
    """
    words, _, file = command.partition(" < ")
    name, *arguments = shlex.split(words)
    if name != "stormpetrel":
        done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
        code, out = done.returncode, done.stdout
    else:
        capsys.readouterr()
        with contextlib.ExitStack() as stack:
            if file:
                stack.enter_context(pytest.MonkeyPatch.context()).setattr(
                    sys, "stdin", stack.enter_context(open(file, encoding="utf-8"))
                )
            code = main(arguments)
        out = capsys.readouterr().out
    assert code == 0, f"{command}: exit {code}\n{out}"
    return out


def test_the_page_names_every_kind_of_entry_there_is():
    assert [kind for kind in JOURNAL_KINDS if f"`{kind}`" not in PAGE] == []


def test_what_the_page_says_of_figures_is_what_the_code_has():
    from stormpetrel.shield import usage
    from stormpetrel.storage import journal
    from stormpetrel.watch import canaries, orders

    assert journal.ADDRESS_DAYS == 14
    assert (journal.MAX_ENTRIES, journal.MAX_BYTES) == (50_000, 32 * 1024 * 1024)
    assert orders.EXPIRY_S == 10.0
    assert canaries.EVERY_S == 3.0
    assert (usage.FIRST_DEMOTION_S, usage.LONGEST_DEMOTION_S) == (30.0, 600.0)


def test_every_figure_that_the_watch_gives_is_explained():
    from tests.watch.test_metrics import figures

    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    names = re.findall(r"^# TYPE stormpetrel_(\w+)", figures(), re.MULTILINE)
    assert len(names) > 20
    unexplained = [name for name in names if not re.search(rf"[_…]{name}\b", page)]
    assert unexplained == []
