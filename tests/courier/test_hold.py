"""While the clock may be ahead, the courier deletes and publishes nothing, and ids never go back."""

from __future__ import annotations

import asyncio
from typing import Any

from stormpetrel.courier.hold import HELD_S, QUIET_MS, Hold
from stormpetrel.model.ids import IdMaker, first_id_at, time_ms
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.newest import newest_ms


def test_a_store_that_has_been_quiet_holds_deletion_and_publication_for_a_day(store: Any) -> None:
    store.person("nino")
    steady_s = [100.0]

    async def body() -> None:
        database = Database(store.url)
        await database.open()
        try:
            newest = await database.read(newest_ms)
            now_ms = newest + 400 * 86_400_000
            hold = Hold(database, clock_ms=lambda: now_ms, steady_s=lambda: steady_s[0])
            assert await hold.is_on()
            assert hold.trusted_ms() == newest
            now_ms = newest + QUIET_MS
            assert not await hold.is_on()
            assert hold.trusted_ms() == now_ms
            now_ms = newest + 400 * 86_400_000
            assert await hold.is_on()
            steady_s[0] += HELD_S
            assert not await hold.is_on()
            assert hold.trusted_ms() == now_ms
        finally:
            await database.close()

    asyncio.run(body())


def test_an_empty_store_holds_nothing(store: Any) -> None:
    async def body() -> None:
        database = Database(store.url)
        await database.open()
        try:
            assert not await Hold(database).is_on()
        finally:
            await database.close()

    asyncio.run(body())


def test_a_process_whose_clock_is_behind_makes_ids_after_the_newest_row(store: Any) -> None:
    account_id = store.person("nino")

    def make(connection: Connection) -> int:
        return connection.new_id(time_ms(account_id) - 86_400_000)

    async def body() -> int:
        database = Database(store.url)
        await database.open()
        try:
            return await database.write(make)
        finally:
            await database.close()

    assert asyncio.run(body()) > account_id


def test_ids_go_on_after_a_moment() -> None:
    maker = IdMaker(3)
    maker.go_on_after(5_000)
    assert maker.next(1_000) >= first_id_at(5_001)
    assert maker.next(9_000) >= first_id_at(9_000)
