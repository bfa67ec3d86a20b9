"""Migrating: never while the database is in use."""

from __future__ import annotations

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.storage.engine.migrate import upgrade
from stormpetrel.storage.engine.slots import slots_in_use, take_slot


def test_a_database_in_use_is_not_migrated(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slots_in_use(database_url) == 0
    first, second = take_slot(database_url), take_slot(database_url)
    assert slots_in_use(database_url) == 2
    # Pretend that this release's migration is still pending.
    monkeypatch.setattr("stormpetrel.storage.engine.migrate.HEAD", "9999")
    with pytest.raises(SetupError, match="2 Stormpetrel processes use this database: stop them"):
        upgrade(database_url)
    first.release()
    second.release()
    assert slots_in_use(database_url) == 0
