"""The machines that serve one instance share one secret."""

from __future__ import annotations

from contextlib import closing

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.slots import take_slot
from stormpetrel.storage.facts import fingerprint, require_same_secret, slot_key

FIRST, SECOND = b"a secret of 32 bytes, the first.", b"a secret of 32 bytes, the second"


def test_another_secret_is_refused_while_others_serve_and_noted_when_none_does(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    require_same_secret(database_url, FIRST)
    slot = take_slot(database_url)
    require_same_secret(database_url, FIRST)
    with pytest.raises(SetupError, match=r"copy their secret\.key"):
        require_same_secret(database_url, SECOND)
    slot.release()
    assert not caplog.records
    require_same_secret(database_url, SECOND)
    assert "was replaced" in caplog.text
    slot = take_slot(database_url)
    with pytest.raises(SetupError):
        require_same_secret(database_url, FIRST)
    slot.release()


def test_a_fingerprint_tells_secrets_apart_and_does_not_show_them() -> None:
    assert fingerprint(FIRST) != fingerprint(SECOND)
    assert len(fingerprint(FIRST)) == 32
    assert FIRST.hex()[:8] not in fingerprint(FIRST)


def test_the_key_of_slots_comes_with_the_secret(database_url: str) -> None:
    with closing(connect(database_url)) as connection:
        assert slot_key(connection) == b""
        keys = set()
        for secret in (FIRST, SECOND):
            require_same_secret(database_url, secret)
            keys.add(slot_key(connection))
        assert len(keys) == 2
        assert b"" not in keys
