"""The real servers that tests run against: found on this machine, started in a directory of the run, stopped.

One run of pytest has one run directory, shared by its xdist workers. The first worker that needs a server
starts it there, and the others find it. The controlling process stops it at the end. A killed run leaves its
directory with the pid of its owner: the next run stops its servers.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import glob
import hashlib
import hmac
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.ports import reserved_ports

RUN_PREFIX = "stormpetrel-test-"
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
"""Debian installs some servers in directories that are only on root's PATH."""
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


# Programs of this machine ---------------------------------------------------------------------------------


def postgresql_bin() -> Path | None:
    """Return the directory with initdb and postgres, newest version first, or None if PostgreSQL is not
    installed.
    """
    found = sorted(
        glob.glob("/usr/lib/postgresql/*/bin/initdb"),
        key=lambda path: float(path.split("/")[4]),
        reverse=True,
    )
    path = found[0] if found else shutil.which("initdb")
    return Path(path).resolve().parent if path else None


def redis_program() -> str | None:
    """Return the path of Valkey or Redis, or None if neither is installed."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


def chromium_program() -> str | None:
    """Return the path of Chromium or Chrome ($CHROMIUM overrides it), or None if neither is installed.

    Chromium without windows comes first: two files of tests took a tenth and a third less CPU time with it.
    """
    names = (
        *(os.environ.get("CHROMIUM", ""), "chromium-headless-shell", "chromium"),
        *("google-chrome", "google-chrome-stable"),
    )
    return next((path for name in names if name and (path := shutil.which(name))), None)


NODE = Path(__file__).resolve().parent / "node"


def node_peers() -> Path | None:
    """Return the directory of the packages pinned in tests/node, or None without Node.js or before
    `tools/parts`.
    """
    packages = NODE / "node_modules"
    return packages if shutil.which("node") and (packages / ".stamp").is_file() else None


def throwaway_machine() -> str | None:
    """Return a program if root can boot another machine here (tools/try_install.py), else None."""
    if os.geteuid() != 0 or not shutil.which("caddy") or postgresql_bin() is None:
        return None
    return shutil.which("systemd-nspawn")


FAKESMSC = "/usr/lib/kannel/test/fakesmsc"
"""The phones of Kannel's fake SMSC, in Debian's package kannel-extras."""


def kannel_programs() -> str | None:
    """Return the path of Kannel's bearerbox, or None unless smsbox and fakesmsc are installed too."""
    names = ("bearerbox", "smsbox", FAKESMSC)
    found = [shutil.which(name, path=SYSTEM_PATH) for name in names]
    return found[0] if all(found) else None


def nftables() -> str | None:
    """Return the path of nft if root can make network namespaces with it here, else None."""
    if os.geteuid() != 0:
        return None
    programs = ("ip", "unshare", "nsenter", "nft")
    found = [shutil.which(name, path=SYSTEM_PATH) for name in programs]
    return found[-1] if all(found) and _unshares() else None


@cache
def _unshares() -> bool:
    """Return whether the kernel gives this process a network namespace; in some containers it does not."""
    return not subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode


SMSD_TABLES = Path("/usr/share/doc/gammu-smsd/examples/sqlite.sql")


def gammu_smsd() -> str | None:
    """Return the path of gammu-smsd, or None unless its tables and its driver for SQLite are installed too."""
    has_driver = glob.glob("/usr/lib/*/dbd/libdbdsqlite3.so")
    return shutil.which("gammu-smsd") if SMSD_TABLES.is_file() and has_driver else None


PARTS = {
    "postgresql": (postgresql_bin, "postgresql"),
    "pgbouncer": (lambda: shutil.which("pgbouncer", path=SYSTEM_PATH), "pgbouncer"),
    "redis": (redis_program, "redis-server"),
    "chromium": (chromium_program, "chromium-headless-shell"),
    "ffmpeg": (lambda: shutil.which("ffprobe") and shutil.which("ffmpeg"), "ffmpeg"),
    "tmux": (lambda: shutil.which("tmux"), "tmux"),
    "bash": (lambda: shutil.which("bash"), "bash"),
    "zsh": (lambda: shutil.which("zsh"), "zsh"),
    "fish": (lambda: shutil.which("fish"), "fish"),
    "openssl": (lambda: shutil.which("openssl"), "openssl"),
    "caddy": (lambda: shutil.which("caddy"), "caddy"),
    "nginx": (lambda: shutil.which("nginx", path=SYSTEM_PATH), "nginx"),
    "haproxy": (lambda: shutil.which("haproxy", path=SYSTEM_PATH), "haproxy"),
    "systemd": (lambda: shutil.which("systemd-analyze"), "systemd"),
    "machine": (throwaway_machine, "systemd-container caddy postgresql (and be root)"),
    "nftables": (nftables, "nftables iproute2 util-linux (and be root)"),
    "node": (node_peers, "nodejs npm"),
    "kannel": (kannel_programs, "kannel kannel-extras"),
    "gammu": (gammu_smsd, "gammu-smsd libdbd-sqlite3"),
}


def require(part: str) -> None:
    """Skip the calling test if `part` is not on this machine, with the command that installs it.

    With CI=true, fail instead: a run with skipped tests must not look like one that passed.
    """
    find, package = PARTS[part]
    if find() is not None:
        return
    reason = f"{part} is not on this machine; on Debian or Ubuntu: sudo apt-get install -y {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


# The run directory ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Process:
    """A process, identified by its pid and the clock tick of its start, because pids are reused."""

    pid: int
    started_at_ticks: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has `pid` now. Raise FileNotFoundError if there is none."""
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        # proc(5): field 22, counted from the end of the name, which may itself contain blanks and brackets.
        return cls(pid, int(stat.rpartition(")")[2].split()[19]))

    def is_running(self) -> bool:
        """Return True if this very process still exists and is not a zombie."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return int(stat[19]) == self.started_at_ticks and stat[0] != "Z"

    def stop(self, with_signal: int) -> None:
        """Send `with_signal`, then SIGKILL after STOP_TIMEOUT_S. Do nothing if the process has ended."""
        for attempt in (with_signal, signal.SIGKILL):
            deadline_s = time.monotonic() + STOP_TIMEOUT_S
            if not self.is_running():
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, attempt)
            while self.is_running() and time.monotonic() < deadline_s:
                with contextlib.suppress(ChildProcessError):  # it may be the child of another process
                    os.waitpid(self.pid, os.WNOHANG)
                time.sleep(0.02)


def make_run_directory() -> Path:
    """Create a directory for this run's servers. First stop the servers of killed runs."""
    for left in Path(tempfile.gettempdir()).glob(f"{RUN_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if left.stat().st_uid != os.getuid():
                continue
            owner = Process(**json.loads((left / "owner.json").read_text(encoding="utf-8")))
            if not owner.is_running():
                remove_run_directory(left)
    # The servers run as other users, who may enter the directory but not list it.
    directory = Path(tempfile.mkdtemp(prefix=RUN_PREFIX))
    directory.chmod(0o711)
    (directory / "owner.json").write_text(json.dumps(asdict(Process.of(os.getpid()))), encoding="utf-8")
    return directory


def remove_run_directory(directory: Path) -> None:
    """Stop every server that was started in `directory`, by its pid, and remove the directory."""
    for record in directory.glob("*.server.json"):
        server = Server(**json.loads(record.read_text(encoding="utf-8")))
        Process(server.pid, server.started_at_ticks).stop(signal.SIGINT)
    shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Server:
    """A server of this run. `secret` is the administrator's password, or empty."""

    pid: int
    started_at_ticks: int
    port: int
    secret: str


@contextlib.contextmanager
def once_in(run_directory: Path, name: str) -> Iterator[None]:
    """Let one process of the run enter at a time."""
    with open(run_directory / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def shared_postgresql(run_directory: Path) -> Server:
    """Return the run's PostgreSQL. The first call starts it."""
    return _shared(run_directory, "postgresql", _start_postgresql)


def shared_redis(run_directory: Path, *, user: str) -> Server:
    """Return the Redis or Valkey of `user`, an xdist worker. The worker's first call starts it."""
    return _shared(run_directory, f"redis-{user}", _start_redis)


def _shared(run_directory: Path, name: str, start: Callable[[Path, int], Server]) -> Server:
    record = run_directory / f"{name}.server.json"
    with once_in(run_directory, name):
        if not record.exists():
            with reserved_ports(1) as (port,):
                server = start(run_directory / name, port)
            record.write_text(json.dumps(asdict(server)), encoding="utf-8")
        return Server(**json.loads(record.read_text(encoding="utf-8")))


# PostgreSQL ----------------------------------------------------------------------------------------------


def _start_postgresql(directory: Path, port: int) -> Server:
    """Start a separate cluster in `directory`. The machine's default cluster is not touched."""
    bin_directory = postgresql_bin()
    assert bin_directory is not None
    user = _unprivileged_user()
    directory.mkdir(mode=0o700)
    password = secrets.token_hex(16)
    password_file = directory / "password"
    password_file.write_text(_scram_secret(password), encoding="utf-8")
    if user:
        for path in (directory, password_file):
            shutil.chown(path, user.pw_name, user.pw_gid)
    data = directory / "data"
    # Use a password even on loopback: PostgreSQL's superuser can run programs, and the machine may have other
    # users.
    made = subprocess.run(
        [
            *(bin_directory / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"),
        ],
        **_as_user(user, directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": directory,
        "max_connections": 200,
        "fsync": "on",
        "shared_buffers": "64MB",
        "autovacuum_naptime": "10min",
    }
    log = directory / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [
                bin_directory / "postgres",
                "-D",
                data,
                *(f"--{key}={value}" for key, value in settings.items()),
            ],
            **_as_user(user, directory),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(**asdict(Process.of(process.pid)), port=port, secret=password)
    _wait_until(process, log, lambda: "ready to accept connections" in log.read_text(encoding="utf-8"))
    return server


def _scram_secret(password: str) -> str:
    """Return what PostgreSQL stores of a random `password`, for one round of hashing instead of 4,096.

    RFC 5803. The rounds slow down guesses at words that people choose. Here they would be a third of the time
    of each connection, and a run of the tests opens more than ten thousand.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*(base64.b64encode(part).decode() for part in parts))


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Return the user to run PostgreSQL as (it refuses root), or None if this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("neither user postgres nor nobody exists: PostgreSQL cannot be started by root")


def _as_user(user: pwd.struct_passwd | None, directory: Path) -> dict[str, Any]:
    """Return options of subprocess: run as `user`, in `directory`, unaffected by the terminal's Ctrl-C."""
    options: dict[str, Any] = {"cwd": directory, "start_new_session": True}
    if user:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options


# Redis or Valkey -----------------------------------------------------------------------------------------


def _start_redis(directory: Path, port: int) -> Server:
    program = redis_program()
    assert program is not None
    directory.mkdir(mode=0o700)
    password = secrets.token_hex(16)
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "requirepass": password,
        "save": '""',
        "appendonly": "no",
        "dir": directory,
    }
    configuration = directory / "redis.conf"
    configuration.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
    log = directory / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [program, configuration],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(**asdict(Process.of(process.pid)), port=port, secret=password)
    _wait_until(process, log, lambda: _accepts(port))
    return server


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_until(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    """Wait until the server is ready. Fail with its log if it has ended, or is not ready within
    START_TIMEOUT_S.
    """
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline_s:
            process.kill()
            process.wait()
            pytest.fail(f"{process.args} did not start:\n{log.read_text(encoding='utf-8')}", pytrace=False)
        time.sleep(0.02)
    # The process outlives the worker that started it, and the run's owner ends it. Popen would warn about
    # that.
    process.returncode = 0
