"""Lock files, the package and the scripts: the installed code is the reviewed code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stormpetrel.extras import PACKAGES
from tests.repository import ROOT, files_of_the_repository

PACKAGE = ROOT / "stormpetrel"


def loose_lines(text: str) -> list[str]:
    """Return the lines of a lock file that pin nothing, pin without a hash, or name a download location."""
    joined = re.sub(r"\\\n\s*", "", text)
    pinned = re.compile(r"[a-z0-9-]+(\[[a-z,-]+\])?==\S+( ; [^#]+?)?\s*( ?--hash=sha256:[0-9a-f]{64})+")
    return [
        line
        for line in joined.splitlines()
        if not (line.strip() or "#").startswith("#") and not pinned.fullmatch(line)
    ]


def test_every_lock_pins_by_hash_and_names_no_registry():
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert [lock.stem for lock in locks] == sorted(path.stem for path in (ROOT / "requirements").glob("*.in"))
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert loose_lines(text) == [], lock
        assert "://" not in text, lock


@pytest.mark.parametrize(
    "sample",
    [
        "starlette==1.0.0",
        "starlette",
        "--index-url https://example.org/simple",
        "a @ https://example.org/a.whl",
        f"starlette>=1 --hash=sha256:{'0' * 64}",
    ],
)
def test_a_loose_line_in_a_lock_is_noticed(sample):
    assert loose_lines(f"# a comment\n{sample}\n") == [sample]


@pytest.mark.parametrize("lock", ["run", *PACKAGES])
def test_the_locks_satisfy_what_the_package_asks_for(lock):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))
    lines = project["dependencies"] if lock == "run" else project["optional-dependencies"][lock]
    wanted = {requirement.name: requirement for requirement in map(Requirement, lines)}
    for name, requirement in wanted.items():
        assert requirement.specifier.contains(pinned[name]), requirement
    asked = (ROOT / "requirements" / f"{lock}.in").read_text(encoding="utf-8")
    # A line that only narrows the version of a transitive dependency has a comment that says so.
    direct = set(re.findall(r"^([a-z0-9][a-z0-9-]*)(?!.*#)", asked, re.MULTILINE))
    assert direct == set(wanted)


def test_the_package_carries_every_file_of_its_folder(tmp_path):
    copy = tmp_path / "copy"
    files = [path.relative_to(ROOT) for path in files_of_the_repository() if path.is_relative_to(PACKAGE)]
    for file in [*files, Path("pyproject.toml"), Path("README.md"), Path("LICENSE")]:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "--wheel-dir", tmp_path, copy], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {str(file) for file in files} - set(archive.namelist()) == set()


def test_every_script_is_valid_and_can_be_started():
    scripts = [path for path in (ROOT / "tools").iterdir() if path.suffix == "" and path.is_file()]
    scripts.append(ROOT / ".ci" / "run")
    for script in scripts:
        assert os.access(script, os.X_OK), script
        assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n#"), script
        subprocess.run(["bash", "-n", script], check=True)
