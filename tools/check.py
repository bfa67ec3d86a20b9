"""Runs the checks of `make test`, `make lint`, `make prove` and `make bench`, and reports each.

Every check runs even if an earlier one failed, so that one run reports all problems. pytest comes last, so
that its summary closes the output. Exit 1 if any check failed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

MEMORY_DISK = Path("/dev/shm")
ROOM_BYTES = 4 * 1024**3
"""Memory that must be free for the tests' files; as much again must be available for the processes."""

PROCESSES = "5"
"""More than twice the two cores that we test on: most tests wait for a process or a deadline. 3 left 30 % of the CPU
idle; 5 take some 5 % less time than 4, although each process reads all tests, for 5 s of CPU time."""
CALM_PROCESSES = "2"
"""For the tests marked `calm`: drills without an attack, of which each takes a fifth of a core."""
BESIDE_OTHERS = "not prove and not alone and not calm"
"""The tests that run in PROCESSES at once, so on a machine that is busy."""
REPEATS = 3
MOST_REPEATED = 3
"""If more tests than this fail beside others, the machine was not the reason, and none is repeated."""

LINT = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy --strict", ["mypy"]),
    ("import rules", ["lint-imports"]),
)


def run(name: str, command: list[str]) -> bool:
    """Run one check with its output shown; return True if it passed."""
    return _passed(_status(name, command))


def _status(name: str, command: list[str]) -> int:
    print(f"\n== {name}", flush=True)
    started_at_s = time.monotonic()
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    result = "passed" if _passed(done.returncode) else "FAILED"
    print(f"   {result}: {time.monotonic() - started_at_s:.1f} s", flush=True)
    return done.returncode


def _passed(status: int) -> bool:
    # 5: none of the tests that PYTEST names is in this group.
    return status == 0 or (status == 5 and bool(os.environ.get("PYTEST")))


def run_beside_others(name: str, command: list[str]) -> bool:
    """Run pytest in several processes, and the few tests that fail there once more, without others beside them.

    A test that waits for the machine can fail because the others use it. At most MOST_REPEATED such tests are
    repeated; the check passes if they pass REPEATS times in a row. The output keeps the first failure, and its
    last line names the tests: see decision 0035.
    """
    with tempfile.TemporaryDirectory() as cache:
        status = _status(name, [*command, "-o", f"cache_dir={cache}"])
        failed = _failed_tests(Path(cache))
    if _passed(status):
        return True
    # 1: all tests ran, and some failed. Otherwise pytest was stopped, and nothing is known of the rest.
    if status != 1 or not 1 <= len(failed) <= MOST_REPEATED:
        return False
    for number in range(1, REPEATS + 1):
        if not run(
            f"pytest: what failed, by itself, {number} of {REPEATS}", ["python", "-m", "pytest", *failed]
        ):
            return False
    print(
        f"\nFailed beside other tests, passed {REPEATS} times in a row by themselves: {', '.join(failed)}",
        flush=True,
    )
    return True


def _failed_tests(cache: Path) -> list[str]:
    # pytest writes the file only if a test failed.
    path = cache / "v/cache/lastfailed"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def pytest(marked: str, *, processes: str = PROCESSES, files: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return the pytest check for tests `marked`, over so many processes; PYTEST adds options.

    `files`: all that have such tests, if they are known; PYTEST may name others.
    """
    more = os.environ.get("PYTEST", "")
    command = [
        "python",
        "-m",
        "pytest",
        # In their own order: otherwise files with few long tests would come last, and one process would wait.
        *(("-n", processes, "--dist", "loadfile", "--no-loadscope-reorder") if processes != "1" else ()),
        "-m",
        marked,
    ]
    return f"pytest: {marked}", [*command, *(shlex.split(more) if more else files)]


def begin_collecting() -> subprocess.Popen[bytes]:
    """Begin to read all tests, so that their bytecode is cached; return the process.

    In a fresh clone each of the PROCESSES would compile the same files, for 10 s of CPU time each. The checks before
    the tests leave a core idle. What fails here fails again in the tests, and is reported there.
    """
    return subprocess.Popen(
        [BIN / "python", "-m", "pytest", "--collect-only", "-q"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def files_with(mark: str) -> list[str]:
    """Return the files of tests with a mark. Importing all the others takes a quarter of a minute."""
    return [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob("tests/**/test_*.py"))
        if f"mark.{mark}" in path.read_text(encoding="utf-8")
    ]


def temporary_directory() -> Path | None:
    """Return a directory in memory for the tests' files; None if the machine has no room, or no such disk.

    The tests commit some hundred thousand times. On a disk, half of their time is waiting for it. A killed process
    loses nothing of a file in memory, so tests that kill prove the same; power failures they cannot test.
    """
    place = MEMORY_DISK / f"stormpetrel-tests-{os.getuid()}"
    try:
        room_bytes = min(shutil.disk_usage(MEMORY_DISK).free, _available_bytes() // 2)
        if room_bytes < ROOM_BYTES:
            return None
        place.mkdir(exist_ok=True)
        if place.is_symlink() or place.lstat().st_uid != os.getuid():
            return None
        # Servers run as other users, who may enter the directory but not list it.
        place.chmod(0o711)
        return place
    except (OSError, LookupError):
        return None


def _available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    facts = dict(line.split(":") for line in lines)
    return int(facts["MemAvailable"].removesuffix("kB")) * 1024


def benches() -> list[tuple[str, list[str]]]:
    """Return one quick run of each script in bench/ that can be started; BENCH selects some of them."""
    wanted = os.environ.get("BENCH", "").split()
    scripts = [
        path for path in sorted(ROOT.glob("bench/*.py")) if "__main__" in path.read_text(encoding="utf-8")
    ]
    return [
        (f"bench/{path.name}", ["python", str(path), "--quick"])
        for path in scripts
        if not wanted or path.stem in wanted
    ]


def main(arguments: list[str]) -> int:
    """Run the group of checks named by the only argument; return 2 for a wrong one."""
    groups = {
        "all": lambda: [
            *LINT,
            pytest("alone and not prove", processes="1", files=files_with("alone")),
            pytest("calm and not prove", processes=CALM_PROCESSES, files=files_with("calm")),
            pytest(BESIDE_OTHERS),
        ],
        "lint": lambda: list(LINT),
        "prove": lambda: [
            pytest("prove and alone", processes="1", files=files_with("alone")),
            pytest("prove and not alone"),
        ],
        "bench": benches,
    }
    if len(arguments) != 1 or arguments[0] not in groups:
        print(f"usage: check.py {'|'.join(groups)}", file=sys.stderr)
        return 2
    # The tests start Python some thousand times: without cached bytecode each start compiles 600 files.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if arguments[0] == "all" and "TMPDIR" not in os.environ and (place := temporary_directory()) is not None:
        os.environ["TMPDIR"] = str(place)
    collecting = begin_collecting() if arguments[0] == "all" and not os.environ.get("PYTEST") else None
    failed = []
    for name, command in groups[arguments[0]]():
        if collecting is not None and "pytest" in command:
            # Some tests want the machine for themselves.
            collecting.wait()
        run_check = run_beside_others if name == f"pytest: {BESIDE_OTHERS}" else run
        if not run_check(name, command):
            failed.append(name)
    if failed:
        print(f"\nFAILED: {', '.join(failed)} (see above)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
