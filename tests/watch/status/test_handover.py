"""Updates wait in the watch's own file until the store has them, and the store takes each once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.status_history import FILE_NAME, MAX_NOTICES, StatusHistory
from stormpetrel.watch.status import handover
from stormpetrel.watch.status.book import StatusBook
from stormpetrel.watch.status.handover import hand_over
from tests.watch.status.viewing import an_incident

TAKEN = sql("SELECT update_id FROM status_updates ORDER BY id")


def waiting(directory):
    history = StatusHistory(directory / FILE_NAME)
    try:
        return [one.update_id for one in history.notices(count=MAX_NOTICES + 1)]
    finally:
        history.close()


def taken(url):
    connection = connect(url)
    try:
        return [row[0] for row in connection.all(TAKEN)]
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(handover, "EVERY_S", 0.01)
    monkeypatch.setattr(handover, "RETRY_MAX_S", 0.05)


def run(directory, url, body, *, is_enabled=True):
    async def main():
        book, stop = StatusBook(directory), asyncio.Event()
        task = asyncio.create_task(hand_over(book, stop, database_url=url, is_enabled=is_enabled))
        try:
            await asyncio.wait_for(body(book), 30)
        finally:
            stop.set()
            await task
            await book.close()

    asyncio.run(main())


async def until(is_so):
    while not is_so():
        await asyncio.sleep(0.01)


def test_each_new_update_is_handed_over_once(tmp_path, database_url):
    first = an_incident("It fails.")
    later = an_incident("It fails.", "It works.", status="resolved")

    async def body(book):
        await book.put_incidents([first])
        await until(lambda: taken(database_url) == [first.updates[0].id])
        await book.put_incidents([first])
        await book.put_incidents([later])
        await until(lambda: taken(database_url) == [one.id for one in later.updates])
        await until(lambda: not waiting(tmp_path))

    run(tmp_path, database_url, body)


def test_updates_wait_for_a_store_that_is_away(tmp_path, sqlite_url):
    path = tmp_path / "stormpetrel.db"
    away = path.with_suffix(".away")
    path.rename(away)
    incident = an_incident("It fails.", "It works.")

    async def body(book):
        assert await book.put_incidents([incident])
        await asyncio.sleep(0.1)
        assert waiting(tmp_path) == [one.id for one in incident.updates]
        away.rename(path)
        await until(lambda: taken(sqlite_url) == [one.id for one in incident.updates])

    run(tmp_path, sqlite_url, body)


def test_an_update_that_a_killed_watch_hands_over_again_is_taken_once(tmp_path, sqlite_url, monkeypatch):
    incident = an_incident("It fails.")
    forgets = StatusBook.drop_notices

    async def killed(self, notices):
        raise RuntimeError("killed after the store took them")

    async def body(book):
        await book.put_incidents([incident])
        await until(lambda: taken(sqlite_url) == [incident.updates[0].id])

    monkeypatch.setattr(StatusBook, "drop_notices", killed)
    with contextlib.suppress(RuntimeError):
        run(tmp_path, sqlite_url, body)
    assert waiting(tmp_path) == [incident.updates[0].id]
    monkeypatch.setattr(StatusBook, "drop_notices", forgets)

    async def again(book):
        await until(lambda: not waiting(tmp_path))

    run(tmp_path, sqlite_url, again)
    assert taken(sqlite_url) == [incident.updates[0].id]


def test_without_subscriptions_updates_are_dropped(tmp_path, sqlite_url):
    async def body(book):
        await book.put_incidents([an_incident("It fails.")])
        await until(lambda: not waiting(tmp_path))

    run(tmp_path, sqlite_url, body, is_enabled=False)
    assert taken(sqlite_url) == []


def test_an_update_that_was_replaced_before_it_was_handed_over_is_not_sent(tmp_path):
    history = StatusHistory(tmp_path / FILE_NAME)
    lost = an_incident("It fails.", "Replaced.")
    kept = replace(lost, updates=(lost.updates[0], replace(lost.updates[1], id="aaaaaaaaaaaa")))
    history.put_incidents([lost])
    history.put_incidents([kept])
    assert [one.update_id for one in history.notices(count=10)] == [one.id for one in kept.updates]
    history.close()


def test_the_updates_that_wait_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("stormpetrel.storage.status_history.MAX_NOTICES", 3)
    history = StatusHistory(tmp_path / FILE_NAME)
    for number in range(5):
        one = an_incident(f"{number}", id=f"{number:012x}")
        history.put_incidents([replace(one, updates=(replace(one.updates[0], id=one.id),))])
    assert [one.body for one in history.notices(count=10)] == ["2", "3", "4"]
    history.close()
