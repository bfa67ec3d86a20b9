"""Notes of which a writer adds many at once, for tests of the writers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from stormpetrel.model.event import AccountChanged
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.together import APART, Apart, together
from tests.storage.notes import INSERT, add

sizes: list[int] = []
"""How many calls each call of `add_several` got."""
before: list[Callable[[], None]] = []
"""Run once, before `add_several` adds its notes."""


def add_several(connection: Connection, calls: Sequence[dict[str, Any]]) -> list[int | Apart]:
    """Add the notes with numbers below 100."""
    sizes.append(len(calls))
    while before:
        before.pop()()
    for call in calls:
        if call["note_id"] < 100:
            connection.run_later(INSERT, id=call["note_id"], text="")
            connection.tell(AccountChanged(call["note_id"]))
    return [call["note_id"] if call["note_id"] < 100 else APART for call in calls]


@together(add_several)
def add_one(connection: Connection, *, note_id: int) -> int:
    """Add a note; many waiting calls are one transaction."""
    return add(connection, note_id=note_id)


async def written_together(database: Database, *note_ids: int) -> list[Any]:
    """Write notes that wait behind another write, and return the answers."""
    sizes.clear()
    go_on = threading.Event()
    held = asyncio.ensure_future(database.write(lambda connection: go_on.wait(10)))
    writes = [asyncio.ensure_future(database.write(add_one, note_id=note_id)) for note_id in note_ids]
    await asyncio.sleep(0)
    go_on.set()
    assert await held
    return await asyncio.gather(*writes, return_exceptions=True)
