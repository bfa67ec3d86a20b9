"""A running instance for the tests of the attackers' requests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instance import running_instance
from tests.people import Place, place_of


@pytest.fixture(scope="module")
def quiet_place(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Place]:
    """Yield a running instance on SQLite, which is enough to test the attackers' requests."""
    directory = tmp_path_factory.mktemp("attacked")
    url = f"sqlite:///{shutil.copy(sqlite_template, directory / 'stormpetrel.db')}"
    with running_instance(directory, url, web_workers=1) as instance, place_of(instance, url) as place:
        yield place
