"""Fixtures that several folders use: real stores, a real browser. Each test creates its own data."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.order import spread
from tests.parts import (
    chromium_program,
    make_run_directory,
    once_in,
    postgresql_bin,
    remove_run_directory,
    require,
    shared_postgresql,
    shared_redis,
)
from tests.people import Place, place_of
from tests.store import Store, store_at

# The same examples in every run, so that a failure repeats. `HYPOTHESIS_PROFILE=search` looks for new ones.
# No deadlines: on a shared machine they would measure other processes.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", derandomize=False, deadline=None, max_examples=2_000)
hypothesis.settings.load_profile(
    "fixed" if os.environ.get("CI") == "true" else os.environ.get("HYPOTHESIS_PROFILE", "fixed")
)

BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# The run directory: created and removed by the controlling process, known to every xdist worker -------------


RUN_DIRECTORY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[RUN_DIRECTORY] = Path(config.workerinput["run_directory"])
    else:
        config.stash[RUN_DIRECTORY] = make_run_directory()


@pytest.hookimpl(optionalhook=True)  # exists only with xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run_directory"] = str(node.config.stash[RUN_DIRECTORY])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and RUN_DIRECTORY in config.stash:
        remove_run_directory(config.stash[RUN_DIRECTORY])


@pytest.fixture(scope="session")
def run_directory(request: pytest.FixtureRequest) -> Path:
    """Return the directory of this run's servers and prepared databases, shared by all xdist workers."""
    return request.config.stash[RUN_DIRECTORY]


# Collecting: every process reads all tests, and runs a part of them -----------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    # Ten thousand tests and their modules: looking for garbage among them took 40 % of the time of reading them.
    gc.disable()
    try:
        return (yield)
    finally:
        # They stay until the end.
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = spread(items)


# Databases -----------------------------------------------------------------------------------------------


def migrate(url: str) -> None:
    """Migrate the database at `url` to the newest tables, as `stormpetrel migrate` does."""
    # Imported late: tests of parts without a database need no database layer.
    importlib.import_module("stormpetrel.storage.engine.migrate").upgrade(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of the test's own empty, migrated database. The test runs once per store."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def sqlite_template(run_directory: Path) -> Path:
    """Return the path of a migrated SQLite file that no process has open."""
    template = run_directory / "template.db"
    with once_in(run_directory, "sqlite-template"):
        if not template.exists():
            fresh = run_directory / "template-unfinished.db"
            migrate(f"sqlite:///{fresh}")
            connection = sqlite3.connect(fresh)
            # Move everything into the one file that is copied.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            fresh.rename(template)
    return template


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a new, empty, migrated SQLite database in the test's directory."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'stormpetrel.db')}"


@pytest.fixture(scope="session")
def postgresql_admin(run_directory: Path) -> Callable[[str], str]:
    """Return a function that maps a database name to its URL on the run's own PostgreSQL."""
    require("postgresql")
    server = shared_postgresql(run_directory)
    return lambda name: f"postgresql://postgres:{server.secret}@127.0.0.1:{server.port}/{name}"


@pytest.fixture(scope="session")
def postgresql_template(run_directory: Path, postgresql_admin: Callable[[str], str]) -> str:
    """Return the name of a migrated PostgreSQL database without connections."""
    done = run_directory / "postgresql-template-done"
    with once_in(run_directory, "postgresql-template"):
        if not done.exists():
            postgresql_execute(
                postgresql_admin("postgres"), "CREATE DATABASE template_migrated TEMPLATE template0"
            )
            migrate(postgresql_admin("template_migrated"))
            # A pool of the migration may linger. A template must not have connections, now or later.
            postgresql_execute(
                postgresql_admin("postgres"),
                "ALTER DATABASE template_migrated ALLOW_CONNECTIONS false",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'template_migrated'",
            )
            done.touch()
    return "template_migrated"


def postgresql_execute(url: str, *statements: str) -> None:
    """Run `statements` one by one in autocommit mode (CREATE DATABASE cannot run in a transaction)."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def empty_postgresql_url(postgresql_admin: Callable[[str], str]) -> Iterator[str]:
    """Yield the URL of a new PostgreSQL database without tables."""
    yield from _postgresql_database(postgresql_admin, "template0")


@pytest.fixture
def postgresql_url(postgresql_admin: Callable[[str], str], postgresql_template: str) -> Iterator[str]:
    """Yield the URL of a new, empty, migrated PostgreSQL database, which is dropped after the test."""
    yield from _postgresql_database(postgresql_admin, postgresql_template)


def _postgresql_database(admin: Callable[[str], str], template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    connection = _administration(admin("postgres"))
    # From 15 on, PostgreSQL writes each page into its log instead, which takes half as much CPU time again.
    strategy = "STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}".encode())
    yield admin(name)
    connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@cache
def _administration(url: str) -> Any:
    """Return the connection of this process that creates and drops databases, as long as the process runs.

    Some 2,000 tests have a database each, and connecting takes as long as dropping one.
    """
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    atexit.register(connection.close)
    return connection


@pytest.fixture
def own_postgresql() -> Iterator[Any]:
    """Yield (url, stop, start) of a PostgreSQL server of the test's own, which it may stop and start."""
    require("postgresql")
    directory = make_run_directory()
    server = shared_postgresql(directory)
    data = directory / "postgresql" / "data"
    program = postgresql_bin()
    assert program is not None

    def control(*what: str) -> None:
        subprocess.run(
            [program / "pg_ctl", "-D", data, "-w", "-l", data.parent / "control.log", *what],
            user=data.stat().st_uid,
            cwd=data,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    url = f"postgresql://postgres:{server.secret}@127.0.0.1:{server.port}/postgres"
    yield url, lambda: control("stop", "-m", "fast"), lambda: control("restart")
    if (data / "postmaster.pid").exists():
        control("stop", "-m", "immediate")
    remove_run_directory(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Yield a store on a new database, once per store, for a test of rules."""
    with store_at(database_url) as opened:
        yield opened


CANARIES_EVERY_S = 60.0
"""In the instance of a file, which has no use for them: some four run beside each other, and the canaries of each
took 3 % of a core. Tests of the status page start instances of their own."""


@pytest.fixture(scope="module")
def place_settings() -> dict[str, object]:
    """Return additional settings for a file's `place`. A file overrides this fixture to set them."""
    return {}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    place_settings: dict[str, object],
) -> Iterator[Place]:
    """Yield a running instance for a whole file, once per store. Tests create their own accounts in it."""
    from tests.instance import running_instance

    directory = tmp_path_factory.mktemp("place")
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        databases = iter([f"sqlite:///{shutil.copy(template, directory / 'stormpetrel.db')}"])
    else:
        databases = _postgresql_database(
            request.getfixturevalue("postgresql_admin"), request.getfixturevalue("postgresql_template")
        )
    url = next(databases)
    settings = {"web_workers": 2} | place_settings
    with (
        running_instance(directory, url, canaries_every_s=CANARIES_EVERY_S, **settings) as instance,
        place_of(instance, url) as running,
    ):
        yield running
    next(databases, None)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new database without tables, for tests of migrations. Once per store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("empty_postgresql_url"))


@pytest.fixture
def valkey_url(run_directory: Path) -> str:
    """Return the URL of an empty Redis or Valkey that no other test uses at the same time."""
    import redis

    require("redis")
    # One server per xdist worker: numbered databases separate keys, but not publications.
    server = shared_redis(run_directory, user=os.environ.get("PYTEST_XDIST_WORKER", "alone"))
    url = f"redis://:{server.secret}@127.0.0.1:{server.port}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


# Browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield a headless Chromium (playwright's Browser). Create a new context per test, with or without
    JavaScript.

    One per file, not per run: playwright's loop runs in this thread while it is open, and a later test could
    not run a loop of its own.
    """
    require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_program(), headless=True, args=BROWSER_FLAGS
        )
        yield browser
        browser.close()
