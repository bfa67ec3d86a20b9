"""The supervisor with real processes: start, death of each role, drain, and failures at the start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stormpetrel import config_loader
from stormpetrel.model.event import AllChanged
from stormpetrel.model.ids import IdMaker
from stormpetrel.process import secret
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.outbox import put_events
from tests.conftest import postgresql_execute
from tests.instance import clean_environment
from tests.ports import reserved_ports
from tests.processes import children, is_running
from tests.repository import ROOT
from tests.waiting import eventually

TIMEOUT_S = 20.0
KEYS = ("web_port", "status_port", "sms_port", "courier_port")


def ask(port, path="/health", timeout_s=TIMEOUT_S):
    """Return the body of a GET on its own connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as client:
        return finish_asking(begin_asking(client, path))


def begin_asking(client, path):
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    return client


def finish_asking(client):
    answer = b""
    while data := client.recv(65536):
        answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return body.decode()


class Server:
    """A `serve` with the stand-in web worker, in its own data directory."""

    def __init__(self, directory: Path, database_url: str, ports, **settings):
        self.directory = directory
        self.web, self.status, self.sms, self.courier = ports
        chosen = {"data_dir": directory, "database_url": database_url, **dict(zip(KEYS, ports, strict=True))}
        self.environ = clean_environment(**(chosen | settings))
        self.process = None

    def start(self, *roles, sighup=signal.SIG_DFL):
        """Start it; SIG_IGN for `sighup` is like nohup. Always set, because tests run under nohup would
        inherit SIG_IGN.
        """
        said = len(self.out) if (self.directory / "out").exists() else 0
        with open(self.directory / "out", "ab") as out, open(self.directory / "err", "ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "tests" / "standin_server.py", *roles],
                env=self.environ | {"PYTHONPATH": str(ROOT)},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, sighup),
            )
        eventually(lambda: "press Ctrl-C to stop\n" in self.out[said:] or self.process.poll() is not None)
        return self

    @property
    def out(self):
        return (self.directory / "out").read_text()

    @property
    def err(self):
        return (self.directory / "err").read_text()

    def children(self):
        """Return name → pid of the live processes."""
        return {name.removeprefix("petrel-"): pid for pid, name in children(self.process.pid).items()}

    def all_up(self, count):
        return eventually(self.children, lambda found: len(found) == count and "python" not in found)

    def send(self, number):
        os.kill(self.process.pid, number)

    def wait(self):
        return self.process.wait(30)

    def kill(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def server(tmp_path, sqlite_url):
    with reserved_ports(4) as ports:
        server = Server(tmp_path, sqlite_url, ports, web_workers=2)
        secret.create(config_loader.load(environ=server.environ).config)
        yield server
        server.kill()


def log_lines(server):
    return [json.loads(line) for line in server.err.splitlines()]


def test_every_role_answers_on_its_port_and_the_start_says_where(server):
    server.start()
    for port in (server.web, server.status, server.sms, server.courier):
        assert json.loads(ask(port)) == {"status": "ok"}
    for label, port in (
        ("web", server.web),
        ("status page", server.status),
        ("sms", server.sms),
        ("courier", server.courier),
    ):
        assert re.search(rf"^  {label} +http://127\.0\.0\.1:{port}$", server.out, re.MULTILINE)
    assert "open files" in server.out
    assert {line["role"] for line in log_lines(server)} >= {"supervisor", "web-0", "web-1", "courier"}
    assert set(server.all_up(6)) == {"web-0", "web-1", "courier", "sms", "watch", "heavy"}


def test_workers_have_the_instances_secret(server):
    server.start("web")
    assert ask(server.web, "/secret") == secret.load(config_loader.load(environ=server.environ).config).hex()


@pytest.mark.parametrize("name", ["web-0", "courier", "sms", "watch", "heavy"])
def test_a_role_that_is_killed_comes_back_and_the_others_never_notice(server, name):
    server.start()
    before = server.all_up(6)
    os.kill(before[name], signal.SIGKILL)
    after = eventually(
        server.children, lambda found: len(found) == 6 and found.get(name, before[name]) != before[name]
    )
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }
    for port in (server.web, server.status, server.sms, server.courier):
        assert json.loads(ask(port)) == {"status": "ok"}
    assert ask(server.web, "/hash") == "True"
    assert f"{name} died (signal SIGKILL)" in server.err


def test_a_connection_that_waits_for_a_dead_worker_is_served_by_its_successor(server):
    server.environ["STORMPETREL_WEB_WORKERS"] = "1"
    server.start("web")
    # While the worker is stopped and then killed, connections queue on its listener.
    worker = int(ask(server.web, "/pid"))
    os.kill(worker, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", server.web), timeout=TIMEOUT_S)
            clients.append(begin_asking(stack.enter_context(client), "/pid"))
        os.kill(worker, signal.SIGKILL)
        answers = {int(finish_asking(client)) for client in clients}
    assert answers == {server.children()["web-0"]}
    assert answers != {worker}


def test_a_worker_that_dies_again_and_again_is_started_again_with_pauses(server):
    server.environ["STORMPETREL_WEB_WORKERS"] = "1"
    server.start("web")
    for _ in range(4):
        with contextlib.suppress(OSError, AssertionError):
            ask(server.web, "/die")
    assert json.loads(ask(server.web)) == {"status": "ok"}
    pauses = re.findall(r"web-0 died \(exit 7\); restarting in ([\d.]+) s", server.err)
    assert pauses == ["0.0", "0.1", "0.2", "0.4"]


def test_what_one_worker_tells_the_other_hears_and_a_death_is_told_too(server):
    server.start("web")
    pids = eventually(lambda: {ask(server.web, "/pid") for _ in range(20)}, lambda found: len(found) == 2)
    assert ask(server.web, "/publish?5") == "told"
    heard = {}

    def look():
        for _ in range(20):
            pid, _, events = ask(server.web, "/heard").partition(" ")
            heard[pid] = events
        return set(heard)

    assert eventually(look, lambda found: found == pids)
    assert sorted(heard.values()) == ["", "PostChanged"]
    survivor = next(pid for pid in pids if heard[pid])
    noted = set()
    while noted != pids:
        # Both workers, as a client cannot choose: only the one that dies leaves its events to the other.
        noted.add(ask(server.web, "/note?6"))
    (victim,) = pids - {survivor}
    os.kill(int(victim), signal.SIGKILL)
    eventually(lambda: look() and heard[survivor], lambda events: "NotificationsRemoved" in events)
    assert "AllChanged" not in heard[survivor]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_running_request_is_finished_before_the_end(server, number):
    server.start()
    with socket.create_connection(("127.0.0.1", server.web), timeout=TIMEOUT_S) as client:
        begin_asking(client, "/slow")
        # A worker finishes only requests that it has begun: ask until each worker has answered one.
        eventually(lambda: {ask(server.web, "/pid") for _ in range(20)}, lambda found: len(found) == 2)
        server.send(number)
        assert finish_asking(client) == "slow but whole"
    assert server.wait() == 0
    assert "Traceback" not in server.err
    with pytest.raises(ConnectionRefusedError):
        ask(server.web)


def test_started_by_nohup_it_outlives_its_terminal_and_ends_when_told(server):
    server.start("web", sighup=signal.SIG_IGN)
    server.all_up(3)
    server.send(signal.SIGHUP)
    assert json.loads(ask(server.web)) == {"status": "ok"}
    assert len(server.children()) == 3
    server.send(signal.SIGTERM)
    assert server.wait() == 0


def test_ctrl_c_reaches_the_whole_group_and_ends_it_cleanly(server):
    server.start()
    server.all_up(6)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.wait() == 0
    assert "Traceback" not in server.err + server.out
    assert log_lines(server)[-1]["text"] == "stopped"


def test_a_second_ctrl_c_does_not_wait(server):
    server.start("web")
    server.all_up(3)
    with socket.create_connection(("127.0.0.1", server.web), timeout=TIMEOUT_S) as client:
        begin_asking(client, "/stuck")
        eventually((server.directory / "stuck").exists)
        server.send(signal.SIGINT)
        eventually(lambda: len(server.children()) < 3)
        server.send(signal.SIGINT)
        assert server.wait() == 0
    assert "did not stop in time" not in server.err


def test_nothing_outlives_a_supervisor_that_is_killed_and_the_port_is_free(server):
    server.start()
    roles = server.all_up(6)
    os.kill(server.process.pid, signal.SIGKILL)
    server.wait()
    eventually(lambda: not any(map(is_running, roles.values())))
    server.start()
    assert json.loads(ask(server.web)) == {"status": "ok"}


def test_a_role_alone_serves_its_port_only(server):
    server.start("sms")
    assert json.loads(ask(server.sms)) == {"status": "ok"}
    assert set(server.all_up(1)) == {"sms"}
    with pytest.raises(ConnectionRefusedError):
        ask(server.web)


def test_roles_of_one_data_directory_may_be_started_apart_but_none_twice(server, tmp_path):
    server.start("sms")
    (tmp_path / "other").mkdir()
    other = Server(tmp_path / "other", "", (server.web, server.status, server.sms, server.courier))
    other.environ = server.environ
    try:
        other.start("watch")
        assert json.loads(ask(server.status)) == {"status": "ok"}
    finally:
        other.kill()
    other.start("watch", "sms")
    assert other.wait() == 3
    last = other.err.splitlines()[-1]
    assert last == f"stormpetrel: {tmp_path} is already in use (role sms, process {server.process.pid})"


def fails_to_start(server, *roles):
    """Start the server, which must fail. Return its exit code and the one line on stderr."""
    server.start(*roles)
    exit_code = server.wait()
    (line,) = server.err.splitlines()
    assert line.startswith("stormpetrel: ")
    return exit_code, line


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_that_is_taken_is_one_line_and_exit_3(server, shares):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A program that would silently share its port with us is detected, too.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server.environ["STORMPETREL_WEB_PORT"] = str(port)
        exit_code, line = fails_to_start(server)
    assert exit_code == 3
    settings = "web.port or STORMPETREL_WEB_PORT sets it"
    assert line == (
        f"stormpetrel: cannot listen on 127.0.0.1:{port} ({settings}): address already in use; "
        "stop the program that has it, or choose another port"
    )


def test_an_address_that_this_machine_has_not_is_one_line_and_exit_3(server):
    server.environ["STORMPETREL_STATUS_HOST"] = "192.0.2.1"
    exit_code, line = fails_to_start(server)
    assert exit_code == 3
    assert "192.0.2.1" in line
    assert "status.port" in line


def test_a_database_that_cannot_be_reached_is_one_line_and_exit_3_without_its_password(server):
    with reserved_ports(1) as (port,):
        server.environ["STORMPETREL_DATABASE_URL"] = f"postgresql://u:geheim@127.0.0.1:{port}/x"
        exit_code, line = fails_to_start(server)
    assert exit_code == 3
    assert "database" in line
    assert "geheim" not in line


def test_no_instance_is_one_line_and_exit_2(server, tmp_path):
    (tmp_path / "empty").mkdir()
    server.environ["STORMPETREL_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty/none.db"
    exit_code, line = fails_to_start(server)
    assert exit_code == 2
    assert "stormpetrel init" in line


def test_no_secret_is_one_line_and_exit_2(server, tmp_path):
    (tmp_path / secret.FILE_NAME).unlink()
    exit_code, line = fails_to_start(server)
    assert exit_code == 2
    assert "secret" in line


def test_a_valkey_address_that_is_none_is_one_line_and_exit_2_without_its_password(server):
    server.environ["STORMPETREL_VALKEY_URL"] = "redis://:geheim@127.0.0.1:port/0"
    exit_code, line = fails_to_start(server)
    assert exit_code == 2
    assert "valkey.url" in line
    assert "geheim" not in line


def test_port_0_takes_a_free_one_that_all_workers_share(server):
    server.environ["STORMPETREL_WEB_PORT"] = "0"
    server.start("web")
    port = int(re.search(r"web +http://127\.0\.0\.1:(\d+)", server.out)[1])
    assert port
    eventually(lambda: {ask(port, "/pid") for _ in range(20)}, lambda found: len(found) == 2)


def test_it_serves_on_postgresql_too(tmp_path, postgresql_url):
    with reserved_ports(4) as ports:
        server = Server(tmp_path, postgresql_url, ports, web_workers=1)
        secret.create(config_loader.load(environ=server.environ).config)
        try:
            server.start()
            for port in ports:
                assert json.loads(ask(port)) == {"status": "ok"}
            server.send(signal.SIGTERM)
            assert server.wait() == 0
        finally:
            server.kill()


def test_the_courier_answers_while_the_database_is_away_and_goes_on_when_it_is_back(
    tmp_path, postgresql_url, postgresql_admin
):
    name = postgresql_url.rpartition("/")[2]

    def away(is_away):
        postgresql_execute(
            postgresql_admin("postgres"),
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS {'false' if is_away else 'true'}",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )

    def one_more_job():
        connection = connect(postgresql_url, ids=IdMaker(63))
        with transaction(connection):
            put_events(connection, [AllChanged()], time.time_ns() // 1_000_000)
        connection.close()

    def figures():
        return dict(line.split() for line in ask(server.courier, "/metrics").splitlines())

    with reserved_ports(4) as ports:
        server = Server(tmp_path, postgresql_url, ports)
        secret.create(config_loader.load(environ=server.environ).config)
        try:
            server.start("courier")
            one_more_job()
            eventually(lambda: figures().get("stormpetrel_outbox_done_total"), lambda done: done == "1")
            # The database is away during work: the courier continues by itself.
            away(True)
            assert json.loads(ask(server.courier)) == {"status": "ok"}
            away(False)
            one_more_job()
            eventually(lambda: figures().get("stormpetrel_outbox_done_total"), lambda done: done == "2")
            # The database is away during the courier's start.
            away(True)
            before = server.all_up(1)
            os.kill(before["courier"], signal.SIGKILL)
            assert json.loads(ask(server.courier)) == {"status": "ok"}
            assert figures() == {"stormpetrel_courier_drains": "0", "stormpetrel_clock_step_seconds": "0"}
            away(False)
            one_more_job()
            eventually(lambda: figures().get("stormpetrel_outbox_done_total"), lambda done: done == "1")
            server.send(signal.SIGTERM)
            assert server.wait() == 0
        finally:
            server.kill()
