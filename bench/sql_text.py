"""The cost of a query as prepared SQL text, and through SQLAlchemy Core (docs/decisions/0001-plain-sql.md).

Accounts by id from an SQLite file, as a timeline reads them: the same rows, both ways in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable

from sqlalchemy import bindparam, select

from stormpetrel.model.ids import IdMaker
from stormpetrel.storage import accounts
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.migrate import engine, upgrade
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.tables.accounts import accounts as table

ROWS = 20


def micros(run: Callable[[], object], calls: int) -> float:
    """Return the CPU microseconds of one call."""
    start_s = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - start_s) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    calls, rounds = (500, 3) if options.quick else (3_000, 9)
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/bench.db"
        upgrade(url)
        connection = connect(url, ids=IdMaker(0))
        ids = [connection.new_id(1_790_000_000_000) for _ in range(ROWS)]
        with transaction(connection):
            for number, account_id in enumerate(ids):
                accounts.insert_account(
                    connection,
                    account_id=account_id,
                    username=f"person{number}",
                    language="en",
                    state=accounts.AccountState.ACTIVE,
                    now_ms=1_790_000_000_000,
                )
        columns = ", ".join(f"a.{column.name}" for column in table.columns)
        text = sql(f"SELECT {columns} FROM accounts a WHERE a.id IN :account_ids[]")
        text_one = sql(f"SELECT {columns} FROM accounts a WHERE a.id = :account_id")
        one = select(table).where(table.c.id == bindparam("id"))
        statement = select(table).where(table.c.id.in_(bindparam("ids", expanding=True)))
        with engine(url).connect() as core:
            ways: dict[str, Callable[[], object]] = {
                "20 rows: SQL text": lambda: connection.all(text, account_ids=ids),
                "20 rows: SQLAlchemy Core, prebuilt": lambda: core.execute(
                    statement, {"ids": ids}
                ).fetchall(),
                "1 row: SQL text": lambda: connection.one(text_one, account_id=ids[0]),
                "1 row: SQLAlchemy Core, prebuilt": lambda: core.execute(one, {"id": ids[0]}).fetchone(),
            }
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, run in ways.items():
                    found[name].append(micros(run, calls))
        connection.close()
    if options.json:
        print(json.dumps(found))
        return
    print("Accounts by id, all columns, SQLite, CPU µs per call: median (min to max)")
    for name, values in found.items():
        print(f"  {name:45} {statistics.median(values):7.1f} ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
