"""How much of each quota is spent, and wrong passwords per account."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import Key, metadata, number, text_column

quotas = Table(  # buckets that are not full; a row whose time has passed says nothing and is removed
    "quotas",
    metadata,
    text_column("quota"),  # model/quota.py
    Column("slot", BigInteger, nullable=False),  # an account, or a keyed hash of a network or name
    number("full_at_ms"),  # when all of it is back
    PrimaryKeyConstraint("quota", "slot"),
    sqlite_with_rowid=False,
)

wrong_passwords = Table(  # of an account, lately, by devices that are not known to it
    "wrong_passwords",
    metadata,
    Column(
        "account_id",
        Key,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    number("since_ms"),
    number("last_at_ms"),
    number("wrong", 0),  # checked, and not right
    number("refused", 0),  # not checked; a lower bound
)
