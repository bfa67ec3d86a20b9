"""Lists of accounts: only their owner knows of them, and only whom one follows (or oneself) can be in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stormpetrel.errors import BLANK, Invalid, NotFound
from stormpetrel.model import text as texts
from stormpetrel.model.characters import is_too_long
from stormpetrel.model.event import ListChanged
from stormpetrel.model.lists import MAX_LISTS, MAX_MEMBERS, MAX_TITLE, AccountList, Audience, RepliesPolicy
from stormpetrel.model.page import Page
from stormpetrel.storage import lists as stored
from stormpetrel.storage import relationships
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.hot import hot


def lists(connection: Connection, *, account_id: int) -> list[AccountList]:
    """The account's lists, oldest first."""
    return stored.lists(connection, account_id=account_id)


def lists_with(connection: Connection, *, account_id: int, member_id: int) -> list[AccountList]:
    """Those of the account's lists that `member_id` is in."""
    return stored.lists_with(connection, account_id=account_id, member_id=member_id)


@hot
def one_list(connection: Connection, *, account_id: int, list_id: int) -> AccountList:
    """One of the account's own. Raises NotFound for anybody else's."""
    found = stored.one_list(connection, account_id=account_id, list_id=list_id)
    if found is None:
        raise NotFound
    return found


def create_list(
    connection: Connection,
    *,
    account_id: int,
    title: str,
    replies_policy: str = RepliesPolicy.LIST,
    exclusive: bool = False,
    now_ms: int,
) -> AccountList:
    """A new list, empty. Raises Invalid for an empty title, an unknown policy, or one list too many."""
    if stored.count(connection, account_id=account_id) >= MAX_LISTS:
        raise Invalid(f"Validation failed: You have reached the maximum number of lists ({MAX_LISTS})")
    new = AccountList(
        connection.new_id(now_ms), account_id, _title(title), _replies_policy(replies_policy), exclusive
    )
    stored.insert(connection, new)
    connection.tell(ListChanged(account_id, new.id))
    return new


def change_list(
    connection: Connection,
    *,
    account_id: int,
    list_id: int,
    title: str | None = None,
    replies_policy: str | None = None,
    exclusive: bool | None = None,
) -> AccountList:
    """Changes what is given. Raises NotFound for anybody else's list, Invalid as `create_list`."""
    found = one_list(connection, account_id=account_id, list_id=list_id)
    changed = replace(
        found,
        title=found.title if title is None else _title(title),
        replies_policy=found.replies_policy if replies_policy is None else _replies_policy(replies_policy),
        exclusive=found.exclusive if exclusive is None else exclusive,
    )
    stored.update(connection, changed)
    connection.tell(ListChanged(account_id, list_id))
    return changed


def delete_list(connection: Connection, *, account_id: int, list_id: int) -> None:
    """Deletes one of the account's own. Raises NotFound for anybody else's."""
    one_list(connection, account_id=account_id, list_id=list_id)
    stored.delete(connection, list_id=list_id)
    connection.tell(ListChanged(account_id, list_id))


def members(connection: Connection, *, account_id: int, list_id: int, page: Page) -> list[int]:
    """Who is in the list, paged by account id. Raises NotFound for anybody else's list."""
    one_list(connection, account_id=account_id, list_id=list_id)
    return stored.members(connection, list_id=list_id, page=page)


def add_members(connection: Connection, *, account_id: int, list_id: int, member_ids: Sequence[int]) -> None:
    """Puts accounts into the list, all or none.

    Raises NotFound for anybody else's list and for whom one does not follow; Invalid for who is in it already.
    """
    one_list(connection, account_id=account_id, list_id=list_id)
    for member_id in member_ids:
        if member_id != account_id and not relationships.follows(
            connection, follower_id=account_id, followed_id=member_id
        ):
            raise NotFound
    known = stored.member_ids(connection, list_id=list_id)
    if known.intersection(member_ids):
        raise Invalid("Validation failed: Account has already been taken")
    if len(known) + len(member_ids) > MAX_MEMBERS:
        raise Invalid(f"Validation failed: A list holds at most {MAX_MEMBERS} accounts")
    stored.add_members(connection, list_id=list_id, member_ids=member_ids)
    connection.tell(ListChanged(account_id, list_id))


def remove_members(
    connection: Connection, *, account_id: int, list_id: int, member_ids: Sequence[int]
) -> None:
    """Takes accounts out of the list; who is not in it stays out. Raises NotFound for anybody else's list."""
    one_list(connection, account_id=account_id, list_id=list_id)
    stored.remove_members(connection, list_id=list_id, member_ids=member_ids)
    connection.tell(ListChanged(account_id, list_id))


def forget(connection: Connection, *, account_id: int, member_id: int) -> None:
    """Takes somebody whom the account follows no longer out of all its lists."""
    for list_id in stored.forget(connection, account_id=account_id, member_id=member_id):
        connection.tell(ListChanged(account_id, list_id))


def audience(connection: Connection, *, account_id: int, list_id: int) -> Audience:
    """What decides which posts belong in the list (model/timeline.py: `list_takes`). Raises NotFound as above."""
    found = one_list(connection, account_id=account_id, list_id=list_id)
    member_ids = stored.member_ids(connection, list_id=list_id)
    return Audience(list_id, account_id, frozenset(member_ids), found.replies_policy)


def _title(title: str) -> str:
    title = texts.one_line(title)
    if not title:
        raise Invalid("Validation failed: Title can't be blank", fields={"title": BLANK})
    if is_too_long(title, MAX_TITLE):
        raise Invalid(
            f"Validation failed: Title is too long (maximum is {MAX_TITLE} characters)",
            fields={"title": "is too long"},
        )
    return title


def _replies_policy(name: str) -> RepliesPolicy:
    try:
        return RepliesPolicy(name)
    except ValueError as error:
        raise Invalid(
            "Validation failed: Replies policy must be one of followed, list, none",
            fields={"replies_policy": "is not one of followed, list, none"},
        ) from error
