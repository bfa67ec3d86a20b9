"""Every SQL statement of the program is prepared on both stores. A typo, or a keyword that only one store
knows, fails here.
"""

from __future__ import annotations

import importlib
import pkgutil

import stormpetrel.storage
from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.statement import ALL, sql


def _load_all() -> None:
    for module in pkgutil.walk_packages(stormpetrel.storage.__path__, "stormpetrel.storage."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)


def test_every_statement_is_understood_by_the_store(database_url: str) -> None:
    _load_all()
    assert len(ALL) > 100
    connection = connect(database_url)
    wrong = []
    for number, statement in enumerate(ALL):
        if connection.dialect == "sqlite":
            if "pg_" in statement.sqlite:
                continue
            values = {name: "[]" if name in statement.lists else 1 for name in statement.names}
            try:
                connection.raw.execute(f"EXPLAIN {statement.sqlite}", values)
            except Exception as error:  # every error is a finding
                wrong.append(f"{error}: {statement.sqlite}")
            continue
        if "sqlite_master" in statement.postgresql:
            continue
        text = statement.postgresql
        for position, name in enumerate(sorted(statement.names), 1):
            text = text.replace(f"%({name})s", f"${position}")
        text = text.replace("%%", "%")
        try:
            connection.raw.execute(f"PREPARE check_{number} AS {text}".encode())
        except Exception as error:  # every error is a finding
            wrong.append(f"{error}: {text}")
    connection.close()
    assert not wrong, "\n\n".join(wrong)


def test_lists_and_percent_signs_are_written_as_each_store_wants_them() -> None:
    statement = sql("SELECT 1 WHERE 'a%' LIKE :like AND 5 IN :ids[] AND 'x' IN :names[text]")
    ALL.remove(statement)
    assert statement.lists == {"ids", "names"}
    assert "IN (SELECT value FROM json_each(:ids))" in statement.sqlite
    assert "= ANY(CAST(%(ids)s AS bigint[]))" in statement.postgresql
    assert "= ANY(CAST(%(names)s AS text[]))" in statement.postgresql
    assert "'a%%' LIKE %(like)s" in statement.postgresql
