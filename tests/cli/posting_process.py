"""Eight accounts that post, reply and favourite without a pause until they are stopped. Runs beside a backup.

posting_process.py URL ID…      prints the id of each post once it is acknowledged
"""

from __future__ import annotations

import asyncio
import sys
import time

from stormpetrel.model.post import Draft, Visibility
from stormpetrel.rules import posts, reactions
from stormpetrel.storage.engine.database import Database


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def post_on(database: Database, account_id: int) -> None:
    last_id = None
    while True:
        draft = Draft(text="x" * 300, visibility=Visibility.PUBLIC, in_reply_to_id=last_id)
        created = await database.write(
            posts.create_post,
            author_id=account_id,
            draft=draft,
            max_characters=500,
            domain="here.example",
            now_ms=now_ms(),
        )
        last_id = created.post_id
        print(last_id, flush=True)
        await database.write(reactions.favourite, account_id=account_id, post_id=last_id, now_ms=now_ms())


async def main() -> None:
    url, *ids = sys.argv[1:]
    database = Database(url)
    await database.open()
    await asyncio.gather(*(post_on(database, int(account_id)) for account_id in ids))


if __name__ == "__main__":
    asyncio.run(main())
