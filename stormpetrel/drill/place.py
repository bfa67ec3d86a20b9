"""A throw-away instance as a separate process: started as its operators start it, stopped by its pid.

It gets a copy of a prepared data directory and its own ports, and does not know about the drill.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stormpetrel.drill.loopback import Address, TrafficBudget, start_socket

START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 40.0
PORTS = ("web_port", "status_port", "sms_port", "courier_port")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class PlaceFailed(RuntimeError):
    """The instance did not start, or ended by itself. The text is the last line of its log."""


@dataclass(slots=True)
class Place:
    """A running instance. `command` starts it (`… serve`); `environ` holds all of its settings.

    `web`, `sms`, `status`: where these roles, and the status page, listen.
    """

    directory: Path
    web: Address
    command: Sequence[str]
    environ: Mapping[str, str]
    sms: Address
    status: Address
    _process: subprocess.Popen[bytes] | None = None
    _ended_cpu_s: float = 0.0
    _seen_cpu_s: dict[int, float] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Return the supervisor's pid."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> dict[str, int]:
        """Return name → pid of the processes that run now: `petrel-web-1`, `petrel-watch`."""
        found: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                with contextlib.suppress(OSError):
                    found[Path(f"/proc/{pid}/comm").read_text().strip()] = int(pid)
        return found

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes since the start; for dead ones, as last seen."""
        for pid in (self.pid, *self.children().values()):
            with contextlib.suppress(OSError):
                self._seen_cpu_s[pid] = cpu_s(pid)
        return sum(self._seen_cpu_s.values())

    def start(self) -> None:
        """Start the instance and return when its web role answers. Raise PlaceFailed if it does not."""
        with open(self.directory / "serve.log", "ab") as output:
            self._process = subprocess.Popen(
                [*self.command],
                env=dict(self.environ),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its own group: Ctrl-C is for the drill, and no process may outlive a killed supervisor.
                start_new_session=True,
            )
        self.wait_until_answers(self.web)

    def wait_until_answers(self, address: Address) -> None:
        """Return when the role at `address` answers. Raise PlaceFailed if it does not."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers(address):
            if self._process is None or self._process.poll() is not None:
                raise PlaceFailed(f"the instance stopped during start-up: {self.last_words()}")
            if time.monotonic() > deadline_s:
                raise PlaceFailed(f"the instance does not answer: {self.last_words()}")
            time.sleep(0.05)

    def _answers(self, address: Address) -> bool:
        budget = TrafficBudget.of(connections=1, seconds=10)
        with contextlib.suppress(OSError):
            sock, _ = start_socket(address, source="", budget=budget)
            with sock:
                sock.settimeout(5)
                sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return sock.recv(12).endswith(b" 200")
        return False

    def last_words(self) -> str:
        """Return the last line of its log."""
        with contextlib.suppress(OSError):
            lines = (self.directory / "serve.log").read_text(encoding="utf-8", errors="replace").splitlines()
            return lines[-1] if lines else "no output"
        return "no output"

    def is_running(self) -> bool:
        """Return False if it ended by itself or was stopped."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Send SIGTERM to the supervisor; when it ended or STOP_TIMEOUT_S passed, SIGKILL its group."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process has used. Raise OSError if it has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def busy_s() -> float:
    """Return the CPU seconds that this machine has spent since it started, and those that its host took from it.

    Source: proc(5), /proc/stat.
    """
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Yield ports that the system gives to no other process until the block ends.

    A bound socket that does not listen reserves each, on all addresses: attackers send from many of 127.0.0.0/8,
    and would get a port that is held on 127.0.0.1 alone. A server that sets SO_REUSEADDR or SO_REUSEPORT can bind
    the same port.
    """
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(("", 0))
            ports.append(int(holder.getsockname()[1]))
        yield ports


@contextmanager
def running(
    prepared: Path,
    directory: Path,
    *,
    command: Sequence[str],
    environment: Callable[..., dict[str, str]],
    settings: Mapping[str, object],
) -> Iterator[Place]:
    """Run an instance on a copy of `prepared` (its `data/`), served from `directory`; stop it at the end.

    `environment(directory, **settings)` returns its environment. Raise PlaceFailed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(prepared / "data", directory / "data", dirs_exist_ok=True)
    with free_ports(len(PORTS)) as ports:
        chosen = {**dict(zip(PORTS, ports, strict=True)), "web_host": "127.0.0.1", **settings}
        place = Place(
            directory,
            Address("127.0.0.1", ports[PORTS.index("web_port")]),
            command,
            environment(directory, **chosen),
            Address("127.0.0.1", ports[PORTS.index("sms_port")]),
            Address("127.0.0.1", ports[PORTS.index("status_port")]),
        )
        try:
            place.start()
            # The watch starts last. Then each role has a process, to be counted and killed.
            place.wait_until_answers(place.status)
            yield place
        finally:
            place.stop()
