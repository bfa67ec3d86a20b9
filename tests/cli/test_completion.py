"""Completion in real shells: how Tab completes a line, and that every word of the parser is offered."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys

import pytest

from stormpetrel.cli.completion import SHELLS, levels_of
from stormpetrel.cli.main import build_parser
from tests.parts import require

LEVELS = list(levels_of(build_parser()))
LINES = [
    ("us", "user"),
    ("com", "completion"),
    ("user app", "user approve"),
    ("user add --ema", "user add --email"),
    ("user add --password-s", "user add --password-stdin"),
    ("user role Nino mod", "user role Nino moderator"),
    ("serve --role cou", "serve --role courier"),
    ("serve --role=cou", "serve --role=courier"),
    ("serve --role web --role cou", "serve --role web --role courier"),
    ("--config notes.toml mod", "--config notes.toml moderation"),
    ("--config=notes.toml mod", "--config=notes.toml moderation"),
    ("drill aug", "drill august-2009"),
    ("drill smoke --mode over", "drill smoke --mode overcompensate"),
    ("moderation hide 12 --rea", "moderation hide 12 --reason"),
    ("shield journal --kind over", "shield journal --kind overload"),
    ("completion fi", "completion fish"),
    # File names are completed where a file is expected, and nowhere else.
    ("backup --verify not", "backup --verify notes.toml"),
    ("--config not", "--config notes.toml"),
    ("user delete not", "user delete not"),
    ("user add --email not", "user add --email not"),
]
"""The line typed before Tab, and the arguments that the command then gets."""
PATIENCE_S = 60.0
INTERACTIVE = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {script}"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; source {script}"),
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Return a directory with each shell's script, as printed by the command, and a file to complete."""
    directory = tmp_path_factory.mktemp("completion")
    (directory / "notes.toml").touch()
    for shell in SHELLS:
        with open(directory / f"script.{shell}", "wb") as file:
            subprocess.run(
                [sys.executable, "-m", "stormpetrel", "completion", shell], stdout=file, check=True
            )
    return directory


def environment(directory):
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "TERM": "xterm", "LANG": "C.UTF-8"}


class Terminal:
    """A shell at a pseudo-terminal. `ask(line)` types the line, Tab and Enter, and returns the command's
    arguments.
    """

    def __init__(self, shell, directory):
        command, load = INTERACTIVE[shell]
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=directory,
            env=environment(directory),
            start_new_session=True,
        )
        os.close(theirs)
        # Replace the command by a function that prints its arguments. The quotes keep the shell's own echo of
        # these lines from looking like the answer.
        show = "stormpetrel() { printf '<%s''>' \"$*\"; }; printf 're''ady'"
        self._type(f"{load.format(script=directory / f'script.{shell}')}; {show}\n")
        self._until("ready")

    def ask(self, line):
        self._type(f"stormpetrel {line}\t\n")
        return self._until("<([^<>]*)>")[1]

    def _type(self, text):
        os.write(self._ours, text.encode())

    def _until(self, pattern):
        shown = ""
        while (found := re.search(pattern, shown)) is None:
            assert select.select([self._ours], [], [], PATIENCE_S)[0], f"{pattern} does not come:\n{shown}"
            shown += os.read(self._ours, 65536).decode()
        return found

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_tab_completes_what_the_parser_knows(shell, scripts):
    require(shell)
    terminal = Terminal(shell, scripts)
    try:
        assert [(line, terminal.ask(line)) for line, _ in LINES] == LINES
    finally:
        terminal.close()


def offered_by_fish(directory, lines):
    """Return the completions that fish offers for each of `lines`, without the descriptions."""
    ask = "; ".join(f'complete --do-complete "stormpetrel {line}"; echo ---' for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "--command", f"source {directory / 'script.fish'}; {ask}"],
        cwd=directory,
        env=environment(directory),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    answers = done.stdout.split("---\n")[:-1]
    return [sorted(line.partition("\t")[0] for line in answer.splitlines()) for answer in answers]


def test_fish_offers_the_same(scripts):
    require("fish")
    wanted = [[] if after == line else [after.split()[-1]] for line, after in LINES]
    assert offered_by_fish(scripts, [line for line, _ in LINES]) == wanted


def offered_by_bash(directory, lines):
    """Return the completions that bash offers. The completion function is called as bash itself calls it."""
    ask = "\n".join(
        f'COMP_WORDS=(stormpetrel {line} "{last}"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _stormpetrel; '
        'echo "${COMPREPLY[*]}"'
        for line, last in lines
    )
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", f"source {directory / 'script.bash'}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [sorted(line.split()) for line in done.stdout.splitlines()]


def test_every_command_and_option_of_the_parser_is_offered(scripts):
    groups = [level for level in LEVELS if level.commands]
    names = [sorted(name for name, _ in level.commands) for level in groups]
    options = [sorted(option.name for option in level.options) for level in LEVELS]
    assert len(LEVELS) > 40
    require("bash")
    assert offered_by_bash(scripts, [(level.at, "") for level in groups]) == names
    assert offered_by_bash(scripts, [(level.at, "--") for level in LEVELS]) == options
    require("fish")
    assert offered_by_fish(scripts, [f"{level.at} ".lstrip() for level in groups]) == names
    assert offered_by_fish(scripts, [f"{level.at} --".lstrip() for level in LEVELS]) == options


def test_a_shell_that_is_not_known_is_said(run):
    assert "unknown value 'csh'" in run("completion", "csh", expect=2).complaint


def test_a_script_needs_no_instance_and_is_the_same_each_time(run, data_dir):
    for shell in SHELLS:
        assert run("completion", shell).out == run("completion", shell).out != ""
    assert not data_dir.exists()
