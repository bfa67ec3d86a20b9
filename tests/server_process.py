"""Starts `stormpetrel serve` and other commands from a process that has imported the server already.

Importing takes most of a second of CPU time, and a run of the tests starts some hundred of them. Everything
else is as in a command of its own: arguments, environment, directory, session, output and exit code.
tests/roles/test_serve.py and the tests of installation start real commands.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_PRELOADED = (
    "stormpetrel.cli.main",
    "stormpetrel.cli.serve",
    "stormpetrel.roles.serve",
    "stormpetrel.roles.web",
    "stormpetrel.courier.role",
    "stormpetrel.gateway.role",
    "stormpetrel.watch.role",
    "psycopg",
    "tests.server_process",
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(_PRELOADED))


class ServerProcess:
    """A server that was started with `arguments` (`serve`, …); its output is appended to `log`.

    `canaries_every_s`: how often the watch's canaries run; None: as in an instance of an operator.
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        *,
        environ: dict[str, str],
        cwd: Path,
        log: Path,
        canaries_every_s: float | None = None,
    ) -> None:
        # Daemonic: if the tests end without stopping it, it ends with them.
        self._process = _context.Process(
            target=_run, args=(arguments, environ, cwd, log, canaries_every_s), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until the process has ended; return its exit code, or None after `timeout_s`."""
        self._process.join(timeout_s)
        return self._process.exitcode


def run_command(
    arguments: tuple[str, ...], *, environ: dict[str, str], cwd: Path, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `stormpetrel *arguments` to its end in a process of its own, without input; return its result.

    Raise TimeoutExpired after `timeout_s`.
    """
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory) / "out", Path(directory) / "err"
        process = _context.Process(target=_run, args=(arguments, environ, cwd, out, None, err), daemon=True)
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s)
        printed = [path.read_text(encoding="utf-8") if path.exists() else "" for path in (out, err)]
        return subprocess.CompletedProcess(arguments, process.exitcode, *printed)


def _run(
    arguments: tuple[str, ...],
    environ: dict[str, str],
    cwd: Path,
    out: Path,
    canaries_every_s: float | None,
    err: Path | None = None,
) -> None:
    """Become the command. A session of its own, so that no worker outlives a supervisor that was killed."""
    os.setsid()
    for number, path in ((1, out), (2, err or out)):
        output = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(output, number)
        os.close(output)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["stormpetrel", *arguments]
    from stormpetrel.cli.main import main
    from stormpetrel.watch import canaries

    if canaries_every_s is not None:
        canaries.EVERY_S = canaries_every_s
    sys.exit(main(list(arguments)))
