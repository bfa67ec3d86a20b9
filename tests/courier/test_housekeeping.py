"""Which rows each minute's cleaning removes and retains, for different values of [retention]."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
import uvloop

from stormpetrel.config import RetentionConfig
from stormpetrel.courier.housekeeping import BATCH, DAY_MS, FEW, Housekeeping, in_words
from stormpetrel.model.account import AccountState
from stormpetrel.model.event import AccessChanged
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.rules import moderation
from stormpetrel.rules.access import COMMAND_LINE_CLIENT_ID
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.statement import sql

APPLICATION = sql(
    """INSERT INTO applications (id, client_id, client_secret_hash, name, redirect_uris, scopes, created_at_ms)
    VALUES (:id, :client_id, :hash, 'app', 'u', 'read', 0)"""
)
APPLICATIONS = sql("SELECT client_id FROM applications ORDER BY id")
TOKEN = sql(
    """INSERT INTO tokens (id, token_hash, application_id, account_id, scopes, created_at_ms)
    VALUES (:id, :hash, :application_id, :account_id, 'read', 0)"""
)
TOKENS = sql("SELECT id FROM tokens ORDER BY id")
CODE = sql(
    """INSERT INTO oauth_codes (code_hash, application_id, account_id, redirect_uri, scopes, expires_at_ms)
    VALUES (:hash, :application_id, :account_id, 'u', 'read', :at_ms)"""
)
NOTIFICATION = sql(
    """INSERT INTO notifications (id, account_id, kind, from_account_id)
    VALUES (:id, :account_id, 'follow', :account_id)"""
)
NOTIFICATIONS = sql("SELECT id FROM notifications ORDER BY id")
SESSION = sql("INSERT INTO sessions (id, account_id, created_at_ms) VALUES (:id, :account_id, 0)")
SESSIONS = sql("SELECT id FROM sessions ORDER BY id")
DEAD = sql(
    """INSERT INTO outbox_dead (id, kind, payload, attempts, last_error, died_at_ms)
    VALUES (:id, 'x', '{}', 1, '', :at_ms)"""
)
DEAD_JOBS = sql("SELECT id FROM outbox_dead ORDER BY id")


def rounds(store, count=1, **retention):
    """Run so many rounds. Return the removed rows by kind, the events, and the metrics."""
    told = []

    async def main():
        db = Database(store.url, publish=told.extend)
        await db.open()
        try:
            house = Housekeeping(db, RetentionConfig(**retention))
            for _ in range(count):
                await house.round(now_ms=store.now_ms)
            return house
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        house = runner.run(main())
    return {kind: count for kind, count in house.removed.items() if count}, told, house.metrics()


def suspend(store, account_id):
    store.do(moderation.suspend, COMMAND_LINE, account_id=account_id, reason="spam", now_ms=store.now_ms)


def put(store, statement, **values):
    with transaction(store.connection):
        store.connection.run(statement, **values)


def ids_in(store, statement):
    return [row[0] for row in store.connection.all(statement)]


def aged(store, days, number=0):
    """Return an id that was created so many days ago."""
    return first_id_at(store.now_ms - days * DAY_MS) + number


def test_nothing_goes_before_its_time(store):
    ann = store.person("ann")
    put(store, APPLICATION, id=aged(store, 6), client_id="new", hash=b"1")
    put(store, TOKEN, id=aged(store, 89), hash=b"2", application_id=aged(store, 6), account_id=None)
    put(store, NOTIFICATION, id=aged(store, 364), account_id=ann)
    put(store, SESSION, id=aged(store, 29), account_id=ann)
    put(store, DEAD, id=1, at_ms=store.now_ms - 29 * DAY_MS)
    assert rounds(store)[0] == {}


def test_what_had_its_time_goes_and_is_counted(store):
    ann = store.person("ann")
    put(store, APPLICATION, id=aged(store, 91), client_id="old", hash=b"1")
    put(store, TOKEN, id=aged(store, 91), hash=b"2", application_id=aged(store, 91), account_id=None)
    for statement, days in ((NOTIFICATION, 366), (SESSION, 31)):
        put(store, statement, id=aged(store, days), account_id=ann)
        put(store, statement, id=aged(store, 1), account_id=ann)
    put(store, DEAD, id=1, at_ms=store.now_ms - 31 * DAY_MS)
    removed, told, metrics = rounds(store)
    # The app has no tokens left, so it is removed in the same round.
    assert removed == {"app_tokens": 1, "notifications": 1, "sessions": 1, "dead_jobs": 1, "applications": 1}
    # A worker may have the token cached.
    assert AccessChanged(account_id=0, token_hash=b"2") in told
    assert ids_in(store, NOTIFICATIONS) == ids_in(store, SESSIONS) == [aged(store, 1)]
    assert metrics['stormpetrel_cleared_rows_total{kind="dead_jobs"}'] == 1


def test_the_log_names_what_was_removed_but_not_quotas_alone():
    assert in_words(Counter(sessions=2, codes=1, quotas=7, files=0)) == "codes 1, sessions 2"
    assert in_words(Counter(quotas=7)) == ""


def test_0_means_for_ever(store):
    ann = store.person("ann")
    put(store, APPLICATION, id=1, client_id="old", hash=b"1")
    put(store, TOKEN, id=1, hash=b"2", application_id=1, account_id=None)
    put(store, NOTIFICATION, id=1, account_id=ann)
    put(store, DEAD, id=1, at_ms=0)
    forever = {
        f"{name}_days": 0
        for name in ("notifications", "suspended", "applications", "app_tokens", "dead_jobs")
    }
    assert rounds(store, **forever)[0] == {}


def test_an_app_that_somebody_uses_or_used_stays(store):
    ann = store.person("ann")
    old = aged(store, 1000)
    for number, name in enumerate(("unused", "token", "code", "posted", COMMAND_LINE_CLIENT_ID)):
        put(store, APPLICATION, id=old + number, client_id=name, hash=b"1")
    put(store, TOKEN, id=old, hash=b"2", application_id=old + 1, account_id=ann)
    put(store, CODE, hash=b"3", application_id=old + 2, account_id=ann, at_ms=store.now_ms)
    store.post(ann, "written with it", application_id=old + 3)
    assert rounds(store)[0] == {"applications": 1}
    assert ids_in(store, APPLICATIONS) == ["token", "code", "posted", COMMAND_LINE_CLIENT_ID]
    assert ids_in(store, TOKENS) == [old]


def test_apps_are_looked_at_a_few_at_a_time_and_in_the_end_all_of_them(store):
    ann = store.person("ann")
    old = aged(store, 1000)
    with transaction(store.connection) as connection:
        for number in range(2 * BATCH + 10):
            connection.run(APPLICATION, id=old + number, client_id=f"app{number}", hash=b"1")
            if number % 100:
                connection.run(
                    TOKEN, id=old + number, hash=b"%d" % number, application_id=old + number, account_id=ann
                )
    unused = {f"app{number}" for number in range(0, 2 * BATCH + 10, 100)}
    assert rounds(store)[0] == {"applications": 2}
    # Each process begins at the first id, and wraps around at the end.
    assert rounds(store, count=4)[0] == {"applications": len(unused) - 2}
    assert not unused & set(ids_in(store, APPLICATIONS))


def test_accounts_that_stay_suspended_are_deleted_a_few_at_a_time_and_their_names_stay_taken(store):
    people = [store.person("troll") for _ in range(FEW + 2)]
    spared = store.person("spared")
    for account_id in people:
        store.post(account_id, "something")
        suspend(store, account_id)
    store.now_ms += 29 * DAY_MS
    suspend(store, spared)
    assert "suspended" not in rounds(store)[0]
    store.now_ms += 2 * DAY_MS
    assert rounds(store, suspended_days=0)[0] == {}
    assert rounds(store)[0] == {"suspended": len(people)}
    states = dict(store.connection.all(sql("SELECT id, state FROM accounts")))
    assert {states[account_id] for account_id in people} == {AccountState.DELETED}
    assert states[spared] == AccountState.SUSPENDED
    # Their posts are erased later by jobs of the outbox.
    jobs = store.connection.all(sql("SELECT kind FROM outbox WHERE kind = 'erase_account'"))
    assert len(jobs) == len(people)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT id FROM tokens WHERE account_id IS NULL AND id < 5 ORDER BY id LIMIT 9",
            "ix_tokens_account_id",
        ),
        ("SELECT id FROM outbox_dead WHERE died_at_ms < 5 ORDER BY died_at_ms LIMIT 9", "died_at_ms"),
        ("SELECT id FROM notifications WHERE id < 5 ORDER BY id LIMIT 9", "PRIMARY KEY"),
        ("SELECT 1 FROM tokens t WHERE t.application_id = 5", "ix_tokens_application_id"),
        ("SELECT 1 FROM oauth_codes c WHERE c.application_id = 5", "ix_oauth_codes_application_id"),
    ],
)
def test_what_is_looked_for_is_found_by_an_index(sqlite_url, query, index):
    connection = connect(sqlite_url)
    plan = " ".join(row[3] for row in connection.raw.execute(f"EXPLAIN QUERY PLAN {query}").fetchall())
    connection.close()
    assert "SCAN" not in plan
    assert index in plan
