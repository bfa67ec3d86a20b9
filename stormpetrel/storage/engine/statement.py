"""SQL text that runs on SQLite and on PostgreSQL.

One text serves both: values are `:name`, and a list is `IN :name[]` (ids) or `IN :name[text]`. A test
prepares every statement on both stores (tests/storage/engine/test_statement.py), so a typo or a keyword
that only one of them knows fails there. docs/decisions/0001-plain-sql.md explains why this is text
and not SQLAlchemy's expressions.
"""

from __future__ import annotations

import re

_LIST = re.compile(r"IN :(\w+)\[(\w*)\]")
_VALUE = re.compile(r"(?<![:\w]):([a-z_]\w*)")

ALL: list[Statement] = []
"""All statements of the program, for the test that prepares them."""


class Statement:
    """One statement in both dialects. `lists` names the values that are lists."""

    __slots__ = ("lists", "names", "postgresql", "postgresql_bytes", "sqlite", "text")

    def __init__(self, text: str, postgresql: str) -> None:
        self.text = text
        self.lists = frozenset(match[1] for match in _LIST.finditer(text))
        self.names = frozenset(match[1] for match in _VALUE.finditer(text))
        self.sqlite = _LIST.sub(r"IN (SELECT value FROM json_each(:\1))", text)
        escaped = postgresql.replace("%", "%%")
        with_lists = _LIST.sub(
            lambda match: f"= ANY(CAST(%({match[1]})s AS {match[2] or 'bigint'}[]))", escaped
        )
        self.postgresql = _VALUE.sub(r"%(\1)s", with_lists)
        self.postgresql_bytes = self.postgresql.encode()

    def __repr__(self) -> str:
        return f"Statement({self.text!r})"


def sql(text: str, *, postgresql: str = "") -> Statement:
    """Return the statement for a text; call it once, at import. `postgresql`: that store's own text."""
    statement = Statement(" ".join(text.split()), " ".join((postgresql or text).split()))
    ALL.append(statement)
    return statement
