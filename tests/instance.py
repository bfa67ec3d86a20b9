"""`stormpetrel serve` as operators run it: in its own process, with its roles, on its own ports."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from stormpetrel.cli.main import main
from tests.ports import reserved_ports
from tests.processes import children, is_running
from tests.server_process import ServerProcess, run_command
from tests.waiting import eventually

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = 120.0
STORMPETREL = (sys.executable, "-m", "stormpetrel")


def clean_environment(**settings: object) -> dict[str, str]:
    """Return this process's environment without STORMPETREL_* variables. `web_port=1` sets
    STORMPETREL_WEB_PORT.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")}
    return environ | {f"STORMPETREL_{name.upper()}": str(value) for name, value in settings.items()}


class Instance:
    """A running instance. Its methods time out with the log in the error, rather than hang."""

    def __init__(
        self,
        directory: Path,
        environ: dict[str, str],
        ports: list[int],
        *,
        canaries_every_s: float | None = None,
    ) -> None:
        self.directory = directory
        self.canaries_every_s = canaries_every_s
        self.environ = environ
        self.base_url, self.status_url, self.sms_url, self.courier_url = (
            f"http://127.0.0.1:{port}" for port in ports
        )
        self.log_path = directory / "serve.log"
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        """Return the supervisor's pid."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Return everything written to stdout and stderr, over all starts."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def run_cli(self, *arguments: str, expect_exit: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `stormpetrel *arguments` with this instance's settings. `expect_exit=None` accepts any exit
        code.
        """
        done = run_command(arguments, environ=self.environ, cwd=self.directory, timeout_s=COMMAND_TIMEOUT_S)
        if expect_exit is not None:
            assert done.returncode == expect_exit, (
                f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def initialise(self) -> None:
        """Run `stormpetrel init` within this process: starting another one takes half a second."""
        printed = io.StringIO()
        environ, umask = dict(os.environ), os.umask(0o077)
        os.environ.clear()
        os.environ.update(self.environ)
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                exit_code = main(["init"])
        finally:
            os.umask(umask)
            os.environ.clear()
            os.environ.update(environ)
        assert exit_code == 0, printed.getvalue()

    def start(self, *arguments: str) -> None:
        """Start `stormpetrel serve *arguments`. Return once web and watch, or the role of --role, are healthy."""
        self._process = ServerProcess(
            ("serve", *arguments),
            environ=self.environ,
            cwd=self.directory,
            log=self.log_path,
            canaries_every_s=self.canaries_every_s,
        )
        role = arguments[arguments.index("--role") + 1] if "--role" in arguments else "web"
        url = {
            "web": self.base_url,
            "watch": self.status_url,
            "sms": self.sms_url,
            "courier": self.courier_url,
        }
        try:
            self.wait_for_health(url[role])
            if "--role" not in arguments:
                # Commands may follow at once, and most of them ask the watch.
                self.wait_for_health(self.status_url)
        except BaseException:
            self.kill()
            raise

    def wait_for_health(self, url: str) -> None:
        """Wait until `url`/health answers 200. Fail with the log if the process ends or the time is up."""
        assert self._process is not None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        # Ignore the environment's proxies for loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            # URLError is an OSError: the server does not listen yet, or does not answer.
            with contextlib.suppress(OSError), opener.open(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
            exit_code = self._process.wait(0)
            assert exit_code is None, f"serve ended with {exit_code}:\n{self.log}"
            assert time.monotonic() < deadline_s, f"{url}/health is silent:\n{self.log}"
            time.sleep(0.02)

    def stop(self, *, expect_exit: int | None = 0) -> None:
        """Send SIGTERM and wait. Kill the process if it does not end. `expect_exit=None` accepts any exit
        code.
        """
        if self._process is None:
            return
        process = self._process
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        exit_code = process.wait(STOP_TIMEOUT_S)
        if exit_code is None:
            self.kill()
            raise AssertionError(f"serve did not end within {STOP_TIMEOUT_S:.0f} s:\n{self.log}")
        self.kill()
        assert expect_exit is None or exit_code == expect_exit, f"serve ended with {exit_code}:\n{self.log}"

    def kill(self) -> None:
        """Send SIGKILL to the supervisor and its remaining roles; return when their sockets are closed."""
        if self._process is None:
            return
        roles = children(self._process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # The roles are not our children. Until they have ended too, the next start finds their ports in use.
        eventually(lambda: [pid for pid in roles if is_running(pid)], lambda running: not running)
        self._process = None


@contextlib.contextmanager
def running_instance(
    directory: Path,
    database_url: str,
    *,
    expect_exit: int | None = 0,
    canaries_every_s: float | None = None,
    **settings: object,
) -> Iterator[Instance]:
    """Run an initialised instance in `directory`. When the block ends, it must drain and exit by itself.

    `settings` are configuration keys: `web_workers=1`, `shield_mode="off"`, `registration="closed"`.
    """
    with prepared_instance(
        directory, database_url, canaries_every_s=canaries_every_s, **settings
    ) as instance:
        instance.start()
        try:
            yield instance
        except BaseException:
            # Report the test's own failure, not one of stopping.
            instance.kill()
            raise
        instance.stop(expect_exit=expect_exit)


@contextlib.contextmanager
def prepared_instance(
    directory: Path, database_url: str, *, canaries_every_s: float | None = None, **settings: object
) -> Iterator[Instance]:
    """Yield an instance that is initialised but not started, for the command line and for tests of start and
    end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with reserved_ports(4) as ports:
        keys = ("web_port", "status_port", "sms_port", "courier_port")
        chosen = {
            "data_dir": directory / "data",
            "database_url": database_url,
            **dict(zip(keys, ports, strict=True)),
        }
        instance = Instance(
            directory,
            clean_environment(**(chosen | settings)),
            ports,
            canaries_every_s=canaries_every_s,
        )
        instance.initialise()
        try:
            yield instance
        finally:
            instance.kill()
