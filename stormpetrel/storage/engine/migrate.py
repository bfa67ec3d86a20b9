"""Upgrade a database to this release's tables.

Alembic and SQLAlchemy are imported only here, and only to migrate, so that the server and quick commands
(`user add`, `token`) start without them.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormpetrel.errors import CorruptStore, EnvironmentFailure, SetupError
from stormpetrel.model.search import search_words
from stormpetrel.storage.engine.connection import SqliteConnection, StoreConnection, connect, sqlite_path
from stormpetrel.storage.engine.failures import is_corrupt
from stormpetrel.storage.engine.slots import slots_in_use
from stormpetrel.storage.engine.statement import sql

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config as AlembicConfig

log = logging.getLogger(__name__)

HEAD = "0024"
"""The newest migration; a test compares it with the folder of migrations."""

_VERSION = sql("SELECT version_num FROM alembic_version")
_SQLITE_HAS_TABLE = sql("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
_POSTGRESQL_HAS_TABLE = sql("SELECT 1 FROM pg_tables WHERE tablename = 'alembic_version'")


def engine(url: str) -> sqlalchemy.Engine:
    """Return a SQLAlchemy engine for migrations and checks; ordinary queries do not use it."""
    import sqlalchemy

    if url.startswith("sqlite:///"):
        made = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)

        @sqlalchemy.event.listens_for(made, "connect")
        def functions(connection: Any, record: Any) -> None:
            # As in storage/engine/connection.py: a migration that changes posts fires their triggers.
            connection.create_function("search_words", 1, search_words, deterministic=True)

        return made
    return sqlalchemy.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sqlalchemy.NullPool
    )


def alembic_config(url: str) -> AlembicConfig:
    """Return Alembic's configuration for the store at `url`; there is no alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """Upgrade the store at `url` to HEAD; do nothing if it is there already.

    Raise EnvironmentFailure if it cannot be reached, SetupError if it belongs to a newer release or is in
    use.
    """
    import sqlalchemy
    from alembic import command

    if url.startswith("sqlite:///"):
        sqlite_path(url).parent.mkdir(parents=True, exist_ok=True)
    connection = connect(url, create=True)
    try:
        at = version(connection)
    finally:
        connection.close()
    if at == HEAD:
        return
    if at is not None and at > HEAD:
        raise SetupError(
            f"the database is from a newer release (migration {at}; this release supports {HEAD})"
        )
    if at is not None and (others := slots_in_use(url)):
        # An older release would continue to write rows without the new tables' data.
        raise SetupError(
            f"{others} Stormpetrel processes use this database: stop them on every machine, then migrate"
        )
    try:
        command.upgrade(alembic_config(url), "head")
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError) as error:
        raise EnvironmentFailure(f"the database cannot be migrated: {error.orig}") from error


def version(connection: StoreConnection) -> str | None:
    """Return the store's migration, or None if it has none."""
    has = _SQLITE_HAS_TABLE if connection.dialect == "sqlite" else _POSTGRESQL_HAS_TABLE
    try:
        if connection.one(has) is None:
            return None
        row = connection.one(_VERSION)
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error) or not isinstance(connection, SqliteConnection):
            raise
        raise CorruptStore(connection.path, error) from error
    return None if row is None else str(row[0])


def require_current(url: str) -> None:
    """Raise SetupError, with the command that helps, unless the store at `url` is at HEAD."""
    if url.startswith("sqlite:///") and not sqlite_path(url).exists():
        path = sqlite_path(url)
        if path.with_name(f"{path.name}.slots").exists():
            raise SetupError(
                f"the database {path} no longer exists: put the file back, or restore a backup "
                "(stormpetrel restore)"
            )
        raise SetupError(f"there is no instance yet ({path} does not exist): run stormpetrel init")
    # Open it read-only: a writer would create its lock file, even beside a file of another program.
    connection = connect(url, writes=False)
    try:
        at = version(connection)
    finally:
        connection.close()
    if at is None:
        raise SetupError("the database is empty: run stormpetrel init")
    if at < HEAD:
        raise SetupError(
            f"the database is at migration {at}, this release needs {HEAD}: run stormpetrel migrate"
        )
    if at > HEAD:
        raise SetupError(
            f"the database is from a newer release (migration {at}; this release supports {HEAD})"
        )
