"""Queries about lists of accounts and their members."""

from __future__ import annotations

from collections.abc import Iterable

from stormpetrel.model.lists import AccountList, RepliesPolicy
from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

_COLUMNS = "l.id, l.account_id, l.title, l.replies_policy, l.exclusive"
_ALL = sql(f"SELECT {_COLUMNS} FROM lists l WHERE l.account_id = :account_id ORDER BY l.id")
_ONE = sql(f"SELECT {_COLUMNS} FROM lists l WHERE l.id = :list_id AND l.account_id = :account_id")
_WITH_MEMBER = sql(
    f"SELECT {_COLUMNS} FROM lists l JOIN list_members m ON m.list_id = l.id AND m.account_id = :member_id "
    "WHERE l.account_id = :account_id ORDER BY l.id"
)
_COUNT = sql("SELECT count(*) FROM lists WHERE account_id = :account_id")
_INSERT = sql(
    "INSERT INTO lists (id, account_id, title, replies_policy, exclusive) "
    "VALUES (:id, :account_id, :title, :replies_policy, :exclusive)"
)
_UPDATE = sql(
    "UPDATE lists SET title = :title, replies_policy = :replies_policy, exclusive = :exclusive WHERE id = :id"
)
_DELETE = sql("DELETE FROM lists WHERE id = :list_id")
_MEMBER_IDS = sql("SELECT account_id FROM list_members WHERE list_id = :list_id")
_ADD_MEMBER = sql("INSERT INTO list_members (list_id, account_id) VALUES (:list_id, :member_id)")
_REMOVE_MEMBER = sql("DELETE FROM list_members WHERE list_id = :list_id AND account_id = :member_id")
_FORGET = sql(
    "DELETE FROM list_members WHERE account_id = :member_id "
    "AND list_id IN (SELECT id FROM lists WHERE account_id = :account_id) RETURNING list_id"
)
_MEMBERS = paged(
    "SELECT m.account_id FROM list_members m JOIN accounts a ON a.id = m.account_id "
    "WHERE m.list_id = :list_id AND a.state = 'active'",
    "m.account_id",
)


def _list(row: Row) -> AccountList:
    return AccountList(row[0], row[1], row[2], RepliesPolicy(row[3]), bool(row[4]))


def lists(connection: Connection, *, account_id: int) -> list[AccountList]:
    """Return all lists of the account, oldest first."""
    return [_list(row) for row in connection.all(_ALL, account_id=account_id)]


def lists_with(connection: Connection, *, account_id: int, member_id: int) -> list[AccountList]:
    """Return those of the account's lists that contain the member, oldest first."""
    return [_list(row) for row in connection.all(_WITH_MEMBER, account_id=account_id, member_id=member_id)]


def one_list(connection: Connection, *, account_id: int, list_id: int) -> AccountList | None:
    """Return one of the account's own lists, or None."""
    row = connection.one(_ONE, account_id=account_id, list_id=list_id)
    return None if row is None else _list(row)


def count(connection: Connection, *, account_id: int) -> int:
    """Return how many lists the account has."""
    row = connection.one(_COUNT, account_id=account_id)
    return 0 if row is None else int(row[0])


def insert(connection: Connection, new: AccountList) -> None:
    """Insert a list."""
    connection.run(
        _INSERT,
        id=new.id,
        account_id=new.account_id,
        title=new.title,
        replies_policy=str(new.replies_policy),
        exclusive=new.exclusive,
    )


def update(connection: Connection, changed: AccountList) -> None:
    """Store a list's title and settings."""
    connection.run(
        _UPDATE,
        id=changed.id,
        title=changed.title,
        replies_policy=str(changed.replies_policy),
        exclusive=changed.exclusive,
    )


def delete(connection: Connection, *, list_id: int) -> None:
    """Delete the list and its memberships."""
    connection.run(_DELETE, list_id=list_id)


def member_ids(connection: Connection, *, list_id: int) -> set[int]:
    """Return all members of the list."""
    return {row[0] for row in connection.all(_MEMBER_IDS, list_id=list_id)}


def members(connection: Connection, *, list_id: int, page: Page) -> list[int]:
    """Return the list's active members, paged by account id, newest account first."""
    return _MEMBERS.ids(connection, page, list_id=list_id)


def add_members(connection: Connection, *, list_id: int, member_ids: Iterable[int]) -> None:
    """Add accounts to the list; one that is a member already violates the key."""
    for member_id in member_ids:
        connection.run(_ADD_MEMBER, list_id=list_id, member_id=member_id)


def remove_members(connection: Connection, *, list_id: int, member_ids: Iterable[int]) -> None:
    """Remove accounts from the list; those that are no members are skipped."""
    for member_id in member_ids:
        connection.run(_REMOVE_MEMBER, list_id=list_id, member_id=member_id)


def forget(connection: Connection, *, account_id: int, member_id: int) -> list[int]:
    """Remove the member from all lists of the account; return those lists."""
    return [row[0] for row in connection.all(_FORGET, account_id=account_id, member_id=member_id)]
