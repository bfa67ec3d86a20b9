"""Which expired rows are removed. All others stay."""

from __future__ import annotations

import pytest

from stormpetrel.model.event import RelationshipChanged
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage import housekeeping
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.statement import sql

ACCOUNT = sql(
    "INSERT INTO accounts (id, username, username_lower, created_at_ms) VALUES (:id, :name, :name, 0)"
)
APPLICATION = sql(
    """INSERT INTO applications (id, client_id, client_secret_hash, name, redirect_uris, scopes, created_at_ms)
    VALUES (1, 'c', :hash, 'n', 'u', 'read', 0)"""
)
KEY = sql("INSERT INTO idempotency (account_id, key, post_id, created_at_ms) VALUES (1, :key, 5, :at_ms)")
KEYS = sql("SELECT key FROM idempotency ORDER BY key")
CODE = sql(
    """INSERT INTO oauth_codes (code_hash, application_id, account_id, redirect_uri, scopes, expires_at_ms)
    VALUES (:hash, 1, 1, 'u', 'read', :at_ms)"""
)
CODES = sql("SELECT code_hash FROM oauth_codes ORDER BY code_hash")
MUTE = sql(
    "INSERT INTO mutes (id, account_id, target_id, expires_at_ms) VALUES (:target, 1, :target, :at_ms)"
)
MUTES = sql("SELECT target_id FROM mutes ORDER BY target_id")


@pytest.fixture
def connection(database_url):
    connection = connect(database_url, ids=IdMaker(1))
    with transaction(connection):
        for number in range(1, 6):
            connection.run(ACCOUNT, id=number, name=f"n{number}")
        connection.run(APPLICATION, hash=b"h")
    yield connection
    connection.close()


def test_old_idempotency_keys_go_in_batches_oldest_first(connection):
    with transaction(connection):
        for number in range(5):
            connection.run(KEY, key=f"k{number}", at_ms=number)
        assert housekeeping.remove_old_idempotency_keys(connection, before_ms=4, count=3) == 3
        assert [key for (key,) in connection.all(KEYS)] == ["k3", "k4"]
        assert housekeeping.remove_old_idempotency_keys(connection, before_ms=4, count=3) == 1
        assert housekeeping.remove_old_idempotency_keys(connection, before_ms=4, count=3) == 0
        assert connection.all(KEYS) == [("k4",)]


def test_codes_go_when_they_expired_before_the_given_time(connection):
    with transaction(connection):
        for number in range(3):
            connection.run(CODE, hash=bytes([number]), at_ms=number)
        assert housekeeping.remove_old_codes(connection, before_ms=2, count=10) == 2
        assert [bytes(code) for (code,) in connection.all(CODES)] == [b"\x02"]


def test_mutes_end_when_they_are_over_and_both_sides_are_told(connection):
    with transaction(connection):
        for target, at_ms in ((2, 0), (3, 100), (4, 101)):
            connection.run(MUTE, target=target, at_ms=at_ms)
        assert housekeeping.end_expired_mutes(connection, now_ms=100, count=10) == 1
        assert connection.events == [RelationshipChanged(1, 3)]
        assert connection.all(MUTES) == [(2,), (4,)]
