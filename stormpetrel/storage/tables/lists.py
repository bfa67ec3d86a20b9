"""Lists of accounts."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import flag, id_column, metadata, ref, text_column

lists = Table(
    "lists",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),  # the list's owner
    text_column("title"),
    text_column("replies_policy", "list"),  # followed, list, none
    flag("exclusive"),  # its members' posts are left out of the home timeline
    Index(None, "account_id", "id"),
)

list_members = Table(
    "list_members",
    metadata,
    ref("list_id", "lists.id"),
    ref("account_id", "accounts.id"),
    PrimaryKeyConstraint("list_id", "account_id"),
    Index(None, "account_id"),
    sqlite_with_rowid=False,
)
