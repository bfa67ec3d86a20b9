"""docs/install.md and the files that it installs: read here, and run completely by `make prove`
(tools/try_install.py).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.parts import require
from tests.repository import ROOT
from tools import try_install

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
SECTIONS = try_install.commands(PAGE)
COMMANDS = [command for commands in SECTIONS.values() for _, command in commands]
UNITS = (
    "stormpetrel.service",
    "stormpetrel-backup.service",
    "stormpetrel-backup.timer",
    "stormpetrel-guard.service",
)
SERVICES = ("stormpetrel.service", "stormpetrel-backup.service", "stormpetrel-guard.service")


def test_the_commands_of_a_page_are_found_by_section_and_kind():
    page = (
        "# T\n## A b\n```sh\none\ntwo\n```\ntext\n```toml\nx = 1\n```\n"
        "## C\n```sh postgresql\nthree\n```\n```\nshown\n```\n"
    )
    assert try_install.commands(page) == {
        "A b": [("", "one"), ("", "two")],
        "C": [("postgresql", "three")],
    }


def test_every_section_of_the_page_with_commands_is_followed_by_the_script():
    script = (ROOT / "tools" / "try_install.py").read_text(encoding="utf-8")
    assert len(COMMANDS) > 40
    assert [heading for heading in SECTIONS if f'"{heading}"' not in script] == []
    assert {kind for commands in SECTIONS.values() for kind, _ in commands} == {"", "postgresql"}


def test_what_the_script_does_in_place_of_a_command_is_for_one_that_the_page_has():
    assert set(try_install.INSTEAD) <= set(COMMANDS)
    assert "example.org" not in "".join(map(try_install.as_run, COMMANDS))


def test_replacing_the_domain_changes_no_name_of_another_machine():
    """A reader replaces `example.org` everywhere: the repository of the program must not have that name."""
    assert "Replace `example.org`" in PAGE
    clones = re.findall(r"https://(\S+)\.git\b", PAGE)
    assert len(clones) >= 2
    assert [one for one in clones if "example.org" in one] == []


def test_files_that_the_page_copies_are_there_and_those_that_are_there_are_copied():
    others = [
        try_install.commands((ROOT / "docs" / page).read_text(encoding="utf-8"))
        for page in ("proxies.md", "guard.md")
    ]
    commands = [*COMMANDS, *(one for page in others for inside in page.values() for _, one in inside)]
    named = {name for command in commands for name in re.findall(r"/opt/stormpetrel/deploy/(\S+)", command)}
    assert named == {path.name for path in DEPLOY.iterdir()}


def test_a_command_of_ours_is_one_that_there_is():
    from stormpetrel.cli.main import build_parser
    from tools.reference import commands

    known = {name for name, _ in commands(build_parser(), "stormpetrel")}
    used = [re.findall(r"(?:^|\s)(stormpetrel (?:user )?[a-z]+)(?:\s|$)", command) for command in COMMANDS]
    names = {name for found in used for name in found} - {"stormpetrel stormpetrel"}
    assert {"stormpetrel init", "stormpetrel user add", "stormpetrel restore"} <= names
    assert {name for name in names if name not in known} <= {"stormpetrel start", "stormpetrel user"}


def test_caddy_understands_its_file():
    require("caddy")
    done = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"],
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": "/nonexistent", "XDG_DATA_HOME": "/nonexistent"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def units(tmp_path):
    """Write the units with an existing program, because systemd checks for it. Return their directory."""
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(
            re.sub("/opt/stormpetrel/.venv/bin/stormpetrel (serve|guard)", r"/bin/true \1", text),
            encoding="utf-8",
        )
    return tmp_path


def test_systemd_understands_the_units(units):
    require("systemd")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(units / name for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "stormpetrel" in line]
    assert (done.returncode, said) == (0, [])
    # systemd-analyze does report a broken unit.
    broken = units / "stormpetrel.service"
    broken.write_text(broken.read_text().replace("Type=exec", "Type=nothing"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", broken], capture_output=True, text=True, check=False
    )
    assert "nothing" in done.stderr


def test_the_service_of_the_guard_bounds_the_time_of_its_packet_filter(units):
    assert "\nCPUQuota=10%\n" in (units / "stormpetrel-guard.service").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_the_services_confined(units, name):
    require("systemd")
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", units / name],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) <= (4.0 if name == "stormpetrel-backup.service" else try_install.MOST_EXPOSURE)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_who_follows_the_page_has_an_instance_behind_https_backups_and_a_way_back():
    require("machine")
    done = subprocess.run(
        [sys.executable, "-m", "tools.try_install"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Every command of docs/install.md worked" in done.stdout
    assert shutil.which("stormpetrel", path="/usr/local/bin") is None, "it leaked onto this machine"
