"""A process to be killed, with an SMPP provider and an inbox in SQLite.

python -m tests.gateway.smpp_receiver PORT FILE
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys

from stormpetrel.config_sms import RouteConfig, SmppKeys
from stormpetrel.gateway.providers.smpp import SmppProvider
from stormpetrel.sms.user_data import text_of
from tests.gateway.carrier import PASSWORD


class FileInbox:
    """An Inbound with group commits."""

    def __init__(self, path):
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(
            "PRAGMA journal_mode = WAL;"
            "CREATE TABLE IF NOT EXISTS message (key TEXT PRIMARY KEY, text TEXT);"
            "CREATE TABLE IF NOT EXISTS unsettled (key TEXT PRIMARY KEY)"
        )
        self._batch = []
        self._lock = asyncio.Lock()

    async def message(self, incoming):
        done = asyncio.get_running_loop().create_future()
        self._batch.append((incoming, done))
        async with self._lock:
            if not done.done():
                batch, self._batch = self._batch, []
                await asyncio.to_thread(self._store, [incoming for incoming, _ in batch])
                for _, stored in batch:
                    stored.set_result(True)
        return await done

    def _store(self, batch):
        self._connection.execute("BEGIN IMMEDIATE")
        for incoming in batch:
            self._connection.execute(
                "INSERT INTO message VALUES (?, ?)", (incoming.key, text_of([incoming.part]))
            )
            self._connection.execute("INSERT INTO unsettled VALUES (?)", (incoming.key,))
        self._connection.execute("COMMIT")

    async def receipt(self, receipt):
        pass

    async def unsettled(self):
        return [key for (key,) in self._connection.execute("SELECT key FROM unsettled")]

    async def settled(self, keys):
        async with self._lock:
            self._connection.executemany("DELETE FROM unsettled WHERE key = ?", [(key,) for key in keys])


def stored_texts(path):
    """Return the texts in the file, none if it is not there yet."""
    return _column(path, "SELECT text FROM message")


def unsettled_keys(path):
    return _column(path, "SELECT key FROM unsettled")


def _column(path, query):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            return [value for (value,) in connection.execute(query)]
        except sqlite3.OperationalError:
            return []


async def main():
    port, path = sys.argv[1:]
    keys = SmppKeys(host="127.0.0.1", port=int(port), system_id="storm", password=PASSWORD)
    await SmppProvider(RouteConfig(name="one", keys=keys)).start(FileInbox(path))
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
