"""Building blocks of tables: the shared metadata, and columns of our few kinds."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite stores a table in the order of its key only if the key is declared INTEGER (64 bits there).
Key = BigInteger().with_variant(Integer, "sqlite")


def id_column(name: str = "id") -> Column[int]:
    """Return a snowflake column that is the table's key."""
    return Column(name, Key, primary_key=True, autoincrement=False)


def ref(name: str, target: str, *, nullable: bool = False, ondelete: str = "CASCADE") -> Column[int]:
    """Return a reference to `target` (table.column); the row is deleted with it unless `ondelete` differs."""
    return Column(name, BigInteger, ForeignKey(target, ondelete=ondelete), nullable=nullable)


def number(name: str, default: int | None = None) -> Column[int]:
    """Return a column of whole numbers, never null."""
    server_default = text(str(default)) if default is not None else None
    return Column(name, BigInteger, nullable=False, server_default=server_default)


def flag(name: str, *, default: bool = False) -> Column[bool]:
    """Return a column of booleans, never null."""
    return Column(name, Boolean, nullable=False, server_default=text("TRUE" if default else "FALSE"))


# For look-ups by prefix: byte order on both stores, independent of the server's locale.
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")


def text_column(name: str, default: str | None = None) -> Column[str]:
    """Return a column of text, never null."""
    server_default = text(f"'{default}'") if default is not None else None
    return Column(name, Text, nullable=False, server_default=server_default)
