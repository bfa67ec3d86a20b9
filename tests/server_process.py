"""Starts `stormpetrel serve` from a process that has imported the server already.

Importing takes most of a second of CPU time, and a run of the tests starts some hundred servers. Everything
else is as in a command of its own: arguments, environment, directory, session, output and exit code.
tests/roles/test_serve.py and the tests of installation start real commands.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
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


def _run(
    arguments: tuple[str, ...], environ: dict[str, str], cwd: Path, log: Path, canaries_every_s: float | None
) -> None:
    """Become the server. A session of its own, so that no worker outlives a supervisor that was killed."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
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
