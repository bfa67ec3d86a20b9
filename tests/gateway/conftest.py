"""An instance with a route of files, once per database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.phones import Texting, route_settings
from tests.people import Place


@pytest.fixture(scope="module")
def drop_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def place_settings(drop_directory: Path) -> dict[str, object]:
    return route_settings(drop_directory)


@pytest.fixture(scope="module")
def texting(place: Place, drop_directory: Path) -> Texting:
    return Texting(place, drop_directory)
