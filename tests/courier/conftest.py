"""The store that the tests of the courier write to, beside the courier."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stormpetrel.model.ids import IdMaker
from stormpetrel.storage.engine.connection import StoreConnection, connect


@pytest.fixture
def store(database_url: str) -> Iterator[StoreConnection]:
    """Yield a connection to the test's database, in place of the `Store` of other folders."""
    connection = connect(database_url, ids=IdMaker(63))
    yield connection
    connection.close()
