"""The spent part of each quota, and wrong passwords per account."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import Key, metadata, number, text_column

quotas = Table(  # buckets that are not full; a row whose time has passed has no effect and is removed
    "quotas",
    metadata,
    text_column("quota"),  # model/quota.py
    Column("slot", BigInteger, nullable=False),  # an account, or a keyed hash of a network or name
    number("full_at_ms"),  # when the whole quota is available again
    PrimaryKeyConstraint("quota", "slot"),
    sqlite_with_rowid=False,
)

wrong_passwords = Table(  # recent ones for an account, from devices unknown to it
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
    number("wrong", 0),  # checked and wrong
    number("refused", 0),  # not checked; a lower bound
)
