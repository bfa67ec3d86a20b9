"""The command line in this process: `run("user", "list")` returns the exit code and the output."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stormpetrel.cli.main import main
from stormpetrel.storage.engine.connection import connect


@dataclass
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """Return the one line that a failed command wrote to standard error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("stormpetrel: ")
        return lines[0].removeprefix("stormpetrel: ")


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch, capsys) -> Run:
    """Return a function that runs a command without outside STORMPETREL_* variables and checks its exit code
    (`expect`).
    """
    for name in list(os.environ):
        if name.startswith("STORMPETREL_"):
            monkeypatch.delenv(name)

    def run_command(*arguments: str, expect: int | None = 0) -> Done:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        assert expect is None or code == expect, f"{arguments}: exit {code}\n{printed.out}{printed.err}"
        return Done(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def data_dir(run, monkeypatch, tmp_path) -> Path:
    """Return a directory path for an instance. The directory does not exist yet."""
    directory = tmp_path / "instance"
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(directory))
    return directory


@pytest.fixture
def place(run, data_dir, monkeypatch, sqlite_url) -> str:
    """Initialise an empty instance on SQLite and return its database URL."""
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", sqlite_url)
    run("init")
    return sqlite_url


@pytest.fixture
def either_place(run, data_dir, monkeypatch, database_url) -> str:
    """Like `place`, once per store: for commands that access the database in more than one way."""
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", database_url)
    run("init")
    return database_url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request, tmp_path_factory) -> Iterator[str]:
    """Yield the URL of a migrated database for a whole file of read-only tests, once per store."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        yield f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('shared') / 'stormpetrel.db')}"
        return
    template, admin = map(request.getfixturevalue, ("postgresql_template", "postgresql_admin"))
    name = f"shared_{secrets.token_hex(8)}"
    execute(admin("postgres"), f"CREATE DATABASE {name} TEMPLATE {template}")
    yield admin(name)
    execute(admin("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, statement: str) -> None:
    """Run a statement outside any transaction."""
    connection = connect(url, create=True)
    connection.raw.execute(statement)
    connection.close()


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query without parameters."""
    connection = connect(url, writes=False)
    try:
        return [tuple(row) for row in connection.raw.execute(query).fetchall()]
    finally:
        connection.close()
