"""Home against a plain reading of its rule, in whatever small community hypothesis thinks of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from stormpetrel.rules import timelines
from tests.community import ACTIONS, Community
from tests.store import Store, store_at


def check(store: Store, actions: list[tuple[Any, ...]]) -> None:
    """Every reader's home, in every shape of page, is what the plain reading says."""
    community = Community(store).settle()
    for action in actions:
        community.act(action)
    for reader in community.people:
        for page in community.pages():
            found = timelines.home(store.connection, reader_id=reader, page=page, now_ms=store.now_ms)
            assert found == community.home(reader, page), (reader, page)


@pytest.fixture(scope="module")
def migrated(sqlite_template: Path) -> bytes:
    """A migrated SQLite file, to be written anew for each example."""
    return sqlite_template.read_bytes()


@given(actions=ACTIONS)
@settings(max_examples=30)
def test_home_is_what_the_rule_says_in_any_small_community(
    migrated: bytes, actions: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "community.db"
        path.write_bytes(migrated)
        with store_at(f"sqlite:///{path}") as store:
            check(store, actions)


@pytest.fixture
def postgresql_store(postgresql_url: str) -> Iterator[Store]:
    with store_at(postgresql_url) as store:
        yield store


@given(actions=ACTIONS)
# One database for all examples: the people of each are strangers to those before.
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_home_is_what_the_rule_says_on_postgresql_too(
    postgresql_store: Store, actions: list[tuple[Any, ...]]
) -> None:
    check(postgresql_store, actions)
