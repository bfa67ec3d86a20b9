"""How Alembic runs our migrations: one connection, one transaction, no file of settings."""

from __future__ import annotations

from alembic import context

from stormpetrel.storage.engine.migrate import engine
from stormpetrel.storage.tables.schema import metadata
from stormpetrel.storage.tables.search import WORD_INDEX_TABLES

with engine(context.config.attributes["url"]).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        include_name=lambda name, kind, _parents: kind != "table" or name not in WORD_INDEX_TABLES,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
