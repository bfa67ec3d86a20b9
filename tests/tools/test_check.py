"""The promises of `make test`: every check runs, each failure counts, and pytest's summary comes last."""

from __future__ import annotations

import re
import stat
import subprocess
import sys

import pytest

from tools import check

PASSES = ("one that passes", ["python", "-c", "print('seen one')"])
FAILS = ("one that fails", ["python", "-c", "raise SystemExit(1)"])
TESTS = [
    "pytest: alone and not prove",
    "pytest: calm and not prove",
    "pytest: not prove and not alone and not calm",
]


def only(monkeypatch, *plugins):
    """Let the pytest that a test starts load these plugins alone: all of them take most of its CPU time."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", ",".join(plugins))


def test_every_check_runs_although_an_earlier_one_failed(monkeypatch, capfd):
    monkeypatch.setattr(check, "LINT", (FAILS, PASSES))
    assert check.main(["lint"]) == 1
    printed = capfd.readouterr().out
    assert "seen one" in printed
    assert printed.splitlines()[-1] == "FAILED: one that fails (see above)"


def test_it_passes_when_all_pass(monkeypatch):
    monkeypatch.setattr(check, "LINT", (PASSES, PASSES))
    assert check.main(["lint"]) == 0


def test_pytest_comes_last_so_that_its_summary_closes_the_output(monkeypatch):
    seen = []
    monkeypatch.setattr(check, "run", lambda name, command: not seen.append(name))
    monkeypatch.setattr(check, "run_beside_others", check.run)
    monkeypatch.setenv("PYTEST", "-k word")
    assert check.main(["all"]) == 0
    assert seen == ["ruff check", "ruff format", "mypy --strict", "import rules", *TESTS]


def test_all_tests_are_read_beside_the_checks_before_them_and_no_longer(monkeypatch):
    monkeypatch.delenv("PYTEST", raising=False)
    begun = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = {}

    def run(name, command):
        ended[name] = begun.poll() is not None
        if name == "import rules":
            begun.stdin.close()
        return True

    monkeypatch.setattr(check, "begin_collecting", lambda: begun)
    monkeypatch.setattr(check, "run", run)
    monkeypatch.setattr(check, "run_beside_others", run)
    assert check.main(["all"]) == 0
    assert [name for name, has_ended in ended.items() if has_ended] == TESTS


def test_reading_all_tests_caches_their_bytecode(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", str(check.ROOT / "tests/tools/test_slim.py"))
    only(monkeypatch, "pytest_timeout")
    assert check.begin_collecting().wait() == 0
    assert list(tmp_path.rglob("test_slim*-pytest-*.pyc"))


@pytest.mark.parametrize("kind", ["alone", "calm"])
def test_every_test_that_wants_an_idle_machine_is_in_the_files_of_its_run_unless_others_are_asked_for(
    monkeypatch, kind
):
    monkeypatch.delenv("PYTEST", raising=False)
    files = check.files_with(kind)
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", f"{kind} or prove", *files],
        cwd=check.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {line.partition("::")[0] for line in listed.splitlines() if "::" in line} >= set(files)
    # No other file imports the mark under another name.
    assert not [
        path
        for path in check.ROOT.glob("tests/**/*.py")
        if re.search(rf"from pytest import .*\bmark\b|\bmarkers?\(.{kind}", path.read_text(encoding="utf-8"))
    ]
    assert check.pytest(kind, files=files)[1][-len(files) :] == files
    monkeypatch.setenv("PYTEST", "tests/tools -k word")
    assert check.pytest(kind, files=files)[1][-3:] == ["tests/tools", "-k", "word"]


def test_no_test_of_that_name_is_a_failure_only_when_all_were_asked_for(monkeypatch):
    nothing = ("no test", ["python", "-c", "raise SystemExit(5)"])
    monkeypatch.delenv("PYTEST", raising=False)
    assert not check.run(*nothing)
    monkeypatch.setenv("PYTEST", "-k word")
    assert check.run(*nothing)


COUNTED = """
from pathlib import Path
import pytest

def runs(name):
    path = Path({folder!r}) / name
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    return len(path.read_text())

@pytest.mark.parametrize("number", range({tests}))
def test_one(number):
    assert runs(f"one-{{number}}") not in {fails}

def test_other():
    runs("other")
"""


@pytest.mark.parametrize(
    ("tests", "fails", "passes", "runs"),
    [
        pytest.param(1, (), True, 1, id="none fails"),
        pytest.param(3, (1,), True, 1 + check.REPEATS, id="fails beside others only"),
        pytest.param(1, (1, 3), False, 3, id="fails by itself too, if not at once"),
        pytest.param(check.MOST_REPEATED + 1, (1,), False, 1, id="too many fail"),
    ],
)
def test_the_few_tests_that_fail_beside_others_are_repeated_by_themselves(
    monkeypatch, tmp_path, capfd, tests, fails, passes, runs
):
    monkeypatch.delenv("PYTEST", raising=False)
    only(monkeypatch, "xdist.plugin")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(COUNTED.format(folder=str(tmp_path), tests=tests, fails=fails))
    assert check.run_beside_others(*check.pytest("not prove", processes="2")) is passes
    assert {len((tmp_path / f"one-{number}").read_text()) for number in range(tests)} == {runs}
    assert (tmp_path / "other").read_text() == "x"
    last = capfd.readouterr().out.splitlines()[-1]
    names = ", ".join(f"test_it.py::test_one[{number}]" for number in range(tests))
    was_repeated = f"Failed beside other tests, passed 3 times in a row by themselves: {names}"
    assert (last == was_repeated) is (passes and runs > 1)


@pytest.mark.parametrize("status", [2, 3])
def test_nothing_is_repeated_after_a_run_that_did_not_end(monkeypatch, status):
    seen = []
    monkeypatch.setattr(check, "_status", lambda name, command: seen.append(name) or status)
    monkeypatch.setattr(check, "_failed_tests", lambda cache: ["test_it.py::test_one"])
    assert not check.run_beside_others("tests", ["python"])
    assert seen == ["tests"]


def test_a_wrong_word_is_wrong_use():
    assert check.main(["everything"]) == 2
    assert check.main([]) == 2


def test_the_files_of_the_tests_are_in_memory_if_there_is_room(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "MEMORY_DISK", tmp_path)
    monkeypatch.setattr(check, "ROOM_BYTES", 1)
    place = check.temporary_directory()
    assert place is not None
    assert place.parent == tmp_path
    assert stat.S_IMODE(place.stat().st_mode) == 0o711
    assert check.temporary_directory() == place


def test_without_room_or_such_a_disk_they_are_where_temporary_files_are(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "MEMORY_DISK", tmp_path)
    monkeypatch.setattr(check, "ROOM_BYTES", 1 << 60)
    assert check.temporary_directory() is None
    monkeypatch.setattr(check, "ROOM_BYTES", 1)
    monkeypatch.setattr(check, "MEMORY_DISK", tmp_path / "missing")
    assert check.temporary_directory() is None


def test_a_link_in_its_place_is_not_followed(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "MEMORY_DISK", tmp_path)
    monkeypatch.setattr(check, "ROOM_BYTES", 1)
    place = check.temporary_directory()
    assert place is not None
    place.rmdir()
    place.symlink_to(tmp_path)
    assert check.temporary_directory() is None
