"""Lists that are paged by an id, newest first or upward from an id: two statements from one text."""

from __future__ import annotations

from typing import Any

from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import Statement, sql


class Paged:
    """A list that is paged by its first column, an id."""

    __slots__ = ("downward", "upward")

    def __init__(self, downward: Statement, upward: Statement) -> None:
        self.downward = downward
        self.upward = upward

    def run(self, connection: Connection, page: Page, **values: Any) -> list[Row]:
        """Return the page's rows, newest first."""
        values |= {"low_id": page.low, "high_id": page.max_id, "count": page.limit}
        if page.upward:
            return connection.all(self.upward, **values)[::-1]
        return connection.all(self.downward, **values)

    def ids(self, connection: Connection, page: Page, **values: Any) -> list[int]:
        """Return the first column of the page's rows."""
        return [row[0] for row in self.run(connection, page, **values)]


def paged(text: str, id_column: str) -> Paged:
    """Return a list from `text` (a SELECT with a WHERE, without ORDER BY), paged by `id_column`."""
    bounds = f" AND {id_column} > :low_id AND {id_column} < :high_id ORDER BY {id_column}"
    return Paged(sql(f"{text}{bounds} DESC LIMIT :count"), sql(f"{text}{bounds} LIMIT :count"))
