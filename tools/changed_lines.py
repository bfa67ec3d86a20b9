"""Lists the changed lines of stormpetrel/ that no test runs: `tools/changed_lines.py BASE [TEST…]`.

BASE is a commit; the changes are those from BASE to the files in this checkout, also new ones. Without TEST it runs
the tests of the files whose code changed (tools/mirror.py); docstrings and comments are no code. PYTEST adds options
for pytest, as in `make test`. Exit 1 if a test fails, or if the tests miss more than MOST_MISSED percent of the
changed lines; exit 2 for wrong use.

It measures the test process and the processes that it starts: commands, servers, and the workers that they fork.
It cannot see a process that ends by SIGKILL, nor one whose environment is emptied (the decoder of uploads), and it
counts lines, not the branches within a line. Measured code is slower: tests that limit CPU time may fail here.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # also started as a file

from tools.mirror import covering_tests, known_tests  # noqa: E402

MOST_MISSED = 10.0
SETTINGS = f"""
[run]
source = {ROOT / "stormpetrel"}
parallel = true
patch = subprocess, fork, _exit
sigterm = true
disable_warnings = no-data-collected, module-not-imported, module-not-measured, trace-changed
"""

Lines = Mapping[str, Collection[int]]


def changed_lines(diff: str) -> dict[str, set[int]]:
    """Return the added or changed lines of each file, from a diff without context (`git diff --unified=0`)."""
    changed: dict[str, set[int]] = {}
    path = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            path = line.removeprefix("+++ b/")
        elif found := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(found[1]), int(found[2] or 1)
            changed.setdefault(path, set()).update(range(first, first + count))
    return {path: lines for path, lines in changed.items() if lines}


def code_lines(source: str) -> set[int]:
    """Return the lines of a file that belong to statements: not those of docstrings, comments and blank lines."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        # Of a statement with a body, only its head; the statements in the body are nodes of their own.
        body = getattr(node, "body", None)
        end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
        lines.update(range(node.lineno, max(node.lineno, end) + 1))
    return lines


def changes_since(base: str) -> dict[str, set[int]]:
    """Return the changed lines of code by file of stormpetrel/. A file that git does not know yet is new."""
    changed = changed_lines(output("diff", "--unified=0", "--no-ext-diff", base, "--", "stormpetrel/*.py"))
    for path in output("ls-files", "--others", "--exclude-standard", "stormpetrel/*.py").splitlines():
        changed[path] = set(range(1, len((ROOT / path).read_text(encoding="utf-8").splitlines()) + 1))
    of_code = {
        path: lines & code_lines((ROOT / path).read_text(encoding="utf-8")) for path, lines in changed.items()
    }
    return {path: lines for path, lines in of_code.items() if lines}


def spans(lines: Iterable[int]) -> str:
    """Return the lines in short form: "3-5, 9"."""
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in parts)


def report(changed: Lines, executed: Lines, missing: Lines) -> tuple[list[str], float]:
    """Return a line of text for each file with missed lines, then a summary; and the missed share in percent.

    Changed lines that are neither in `executed` nor in `missing` contain no code, and do not count.
    """
    texts = []
    missed_count = total = 0
    for path, lines in sorted(changed.items()):
        missed = set(lines) & set(missing.get(path, ()))
        total += len(missed) + len(set(lines) & set(executed.get(path, ())))
        missed_count += len(missed)
        if missed:
            texts.append(f"{path}: {spans(missed)}")
    share = 100 * missed_count / total if total else 0.0
    return [*texts, f"The tests miss {missed_count} of {total} changed lines ({share:.0f} %)."], share


def output(*command: str) -> str:
    """Return the standard output of a command of git in this checkout."""
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def measure(arguments: list[str]) -> tuple[bool, dict[str, list[int]], dict[str, list[int]]]:
    """Run pytest with the arguments. Return True if it passed, and the executed and missing lines by path."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory, "coveragerc")
        settings.write_text(f"{SETTINGS}data_file = {directory}/coverage\n", encoding="utf-8")
        coverage = [sys.executable, "-m", "coverage"]
        rcfile = f"--rcfile={settings}"
        done = subprocess.run([*coverage, "run", rcfile, "-m", "pytest", *arguments], cwd=ROOT, check=False)
        subprocess.run([*coverage, "combine", rcfile, "--quiet"], cwd=ROOT, check=True)
        result = Path(directory, "result.json")
        subprocess.run([*coverage, "json", rcfile, "--quiet", "-o", result], cwd=ROOT, check=True)
        files = json.loads(result.read_text(encoding="utf-8"))["files"]
    by_path = {(ROOT / name).relative_to(ROOT).as_posix(): lines for name, lines in files.items()}
    executed = {path: lines["executed_lines"] for path, lines in by_path.items()}
    return done.returncode == 0, executed, {path: lines["missing_lines"] for path, lines in by_path.items()}


def main(arguments: list[str]) -> int:
    """Report on the changes since the commit that the first argument names."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: changed_lines.py BASE [TEST…]", file=sys.stderr)
        return 2
    base, *tests = arguments
    try:
        changed = changes_since(base)
    except subprocess.CalledProcessError as error:
        print(f"changed_lines.py: {error.stderr.strip()}", file=sys.stderr)
        return 2
    if not changed:
        print(f"No code of stormpetrel/ changed since {base}.")
        return 0
    if not tests:
        known = known_tests()
        tests = sorted({test for path in changed for test in covering_tests(path, known)})
    if not tests:
        print(f"No test covers {', '.join(sorted(changed))}: name tests after {base}.", file=sys.stderr)
        return 2
    passed, executed, missing = measure(["-q", *shlex.split(os.environ.get("PYTEST", "")), *tests])
    texts, share = report(changed, executed, missing)
    print("\n".join(texts))
    return 0 if passed and share <= MOST_MISSED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
