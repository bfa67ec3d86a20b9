"""The contents of a store, for setup: whether it is ours, is empty, and has an admin."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.storage.engine.connection import Connection, StoreConnection
from stormpetrel.storage.engine.statement import sql

# Each store has its own catalogue: these run on one of them only, so they are not `sql()` statements.
_SQLITE_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
_POSTGRESQL_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = ANY(current_schemas(false)) ORDER BY tablename"
)

_ANY_ACCOUNT = sql("SELECT id FROM accounts LIMIT 1")
_USERS = sql("SELECT COUNT(*) FROM users")
_PENDING = sql(
    "SELECT COUNT(*) FROM users JOIN accounts ON accounts.id = users.account_id WHERE accounts.state = 'pending'"
)
_ADMINS = sql(
    """SELECT COUNT(*) FROM users JOIN accounts ON accounts.id = users.account_id
    WHERE users.role = 'admin' AND accounts.state = 'active'"""
)
_NEWEST_POST = sql("SELECT MAX(id) FROM posts")
_DEAD = sql("SELECT COUNT(*) FROM outbox_dead")


@dataclass(frozen=True, slots=True)
class Contents:
    """Numbers about a store. `newest_post_id` is 0 if there is no post."""

    users: int
    pending: int
    admins: int
    newest_post_id: int
    dead_deliveries: int


def tables(connection: StoreConnection) -> list[str]:
    """Return the names of all tables, ours or not."""
    if connection.dialect == "sqlite":
        return [str(row[0]) for row in connection.raw.execute(_SQLITE_TABLES).fetchall()]
    return [str(row[0]) for row in connection.raw.execute(_POSTGRESQL_TABLES).fetchall()]


def is_empty(connection: Connection) -> bool:
    """Return whether there is no account yet."""
    return connection.one(_ANY_ACCOUNT) is None


def contents(connection: Connection) -> Contents:
    """Return numbers that show whether an instance is maintained."""

    def number(statement_row: tuple[object, ...] | None) -> int:
        value = statement_row[0] if statement_row else 0
        return value if isinstance(value, int) else 0

    return Contents(
        users=number(connection.one(_USERS)),
        pending=number(connection.one(_PENDING)),
        admins=number(connection.one(_ADMINS)),
        newest_post_id=number(connection.one(_NEWEST_POST)),
        dead_deliveries=number(connection.one(_DEAD)),
    )
