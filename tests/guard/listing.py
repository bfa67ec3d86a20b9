"""A watch that sends lists to a guard, and a guard that runs as its own process in a namespace."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from stormpetrel.control import wire
from stormpetrel.control.guard_messages import FILE_NAME, GuardList, GuardReport, decode_report
from tests.guard.networks import Namespace
from tests.waiting import eventually

PORT = 8080
TABLE = ("inet", "stormpetrel_guard")


class ListServer:
    """A socket at which one guard may connect. `say` sends changes and returns the guard's answer."""

    def __init__(self, folder: Path) -> None:
        self._server = wire.listen(folder, FILE_NAME)
        self._server.settimeout(30)
        self._guard: socket.socket | None = None

    def accept(self) -> None:
        """Wait for a guard."""
        self.leave()
        self._guard, _ = self._server.accept()
        self._guard.settimeout(30)

    def say(
        self, *listed: tuple[str, int], dropped: tuple[str, ...] = (), is_all: bool = False
    ) -> GuardReport:
        """Send changes; return the guard's report."""
        assert self._guard is not None
        self._guard.sendall(wire.framed(GuardList(listed, dropped, is_all)))
        return decode_report(wire.receive_blocking(self._guard))

    def leave(self) -> None:
        """Close the connection to the guard."""
        if self._guard is not None:
            self._guard.close()

    def close(self) -> None:
        """Close everything."""
        self.leave()
        self._server.close()


@contextlib.contextmanager
def a_list_server(folder: Path) -> Iterator[ListServer]:
    """Yield a watch's socket for guards in `folder`."""
    server = ListServer(folder)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def a_guard(
    machine: Namespace, folder: Path, *arguments: object, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Run `stormpetrel guard` in a namespace, by the command `before`; stop it with SIGTERM at the end."""
    log = folder / "guard.log"
    with open(log, "w", encoding="utf-8") as output:
        process = machine.start(
            *before,
            *(sys.executable, "-m", "stormpetrel", "guard", "--socket", folder / FILE_NAME, "--port", PORT),
            *arguments,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(log.read_text(encoding="utf-8")) from None


@contextlib.contextmanager
def a_listener(machine: Namespace) -> Iterator[None]:
    """Accept connections at PORT in a namespace, and close each at once."""
    code = (
        "import socket\n"
        f"server = socket.create_server(('::', {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)\n"
        "print('ready', flush=True)\n"
        "while True: server.accept()[0].close()\n"
    )
    process = machine.start(sys.executable, "-c", code, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


def connects(client: Namespace, source: str, target: str, *, port: int = PORT) -> bool:
    """Return whether a connection from `source` is accepted within half a second."""
    code = (
        "import socket, sys\n"
        "source, target, port = sys.argv[1:]\n"
        "try: socket.create_connection((target, int(port)), 0.5, (source, 0)).close()\n"
        "except TimeoutError: sys.exit(7)\n"
    )
    done = client.run(sys.executable, "-c", code, source, target, port, check=False)
    assert done.returncode in (0, 7), done.stderr
    return done.returncode == 0


def table(machine: Namespace) -> str:
    """Return the guard's table as nft prints it; "" if there is none."""
    done = machine.run("nft", "list", "table", *TABLE, check=False)
    return done.stdout


def until_table(machine: Namespace, text: str) -> None:
    """Wait until the table contains a text; for "", until there is no table."""
    eventually(lambda: table(machine), lambda found: text in found if text else not found)
