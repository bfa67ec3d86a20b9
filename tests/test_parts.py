"""The real servers that the tests rely on. Because their promises are tested here, no other test has to."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests import parts
from tests.ports import reserved_ports


def test_a_reserved_port_can_be_listened_on_and_is_given_to_nobody_else():
    with reserved_ports(2) as (port, other):
        assert port != other
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))
            server.listen()
            with socket.create_connection(("127.0.0.1", port)):
                pass
        with socket.socket() as careless, pytest.raises(OSError, match="in use"):
            careless.bind(("127.0.0.1", other))


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_has_a_migrated_database_to_itself(turn, database_url):
    engine = importlib.import_module("stormpetrel.storage.engine.migrate").engine(database_url)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar_one() == 1
        connection.exec_driver_sql("CREATE TABLE left_by_a_test (id integer)")


def test_the_postgresql_of_the_tests_is_durable_and_asks_for_its_password(empty_postgresql_url):
    with psycopg.connect(empty_postgresql_url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("on",)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(empty_postgresql_url, password="guessed")


def test_the_valkey_of_the_tests_is_empty_and_asks_for_its_password(valkey_url):
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
    port = client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.mark.parametrize("with_javascript", [True, False])
def test_the_browser_runs_javascript_only_where_it_is_told_to(browser, with_javascript):
    with browser.new_context(java_script_enabled=with_javascript) as context:
        page = context.new_page()
        page.set_content("<p>plain</p><script>document.querySelector('p').textContent = 'scripted'</script>")
        assert page.locator("p").inner_text() == ("scripted" if with_javascript else "plain")


def test_a_missing_part_is_a_skip_that_says_what_to_do_and_a_failure_in_continuous_integration(monkeypatch):
    monkeypatch.setitem(parts.PARTS, "redis", (lambda: None, "redis-server"))
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="sudo apt-get install -y redis-server"):
        parts.require("redis")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="nothing may be skipped"):
        parts.require("redis")


def test_what_a_killed_run_left_running_is_stopped_by_the_next(tmp_path, monkeypatch):
    parts.require("redis")
    monkeypatch.setattr(parts.tempfile, "tempdir", str(tmp_path))
    start = """
from tests import parts
run = parts.make_run_directory()
print(parts.shared_redis(run, user="somebody").pid, run)
"""
    killed = subprocess.run(
        [sys.executable, "-c", start],
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    pid, left = killed.stdout.split()
    server = parts.Process.of(int(pid))
    assert server.is_running()
    fresh = parts.make_run_directory()
    assert not server.is_running()
    assert not Path(left).exists()
    parts.remove_run_directory(fresh)
