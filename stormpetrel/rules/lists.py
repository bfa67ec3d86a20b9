"""Lists of accounts: only their owner sees them; members must be followed by the owner, or be the owner."""

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
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot


def lists(connection: Connection, *, account_id: int) -> list[AccountList]:
    """Return the account's lists, oldest first."""
    return stored.lists(connection, account_id=account_id)


def lists_with(connection: Connection, *, account_id: int, member_id: int) -> list[AccountList]:
    """Return those of the account's lists that have `member_id` as a member."""
    return stored.lists_with(connection, account_id=account_id, member_id=member_id)


@hot
def one_list(connection: Connection, *, account_id: int, list_id: int) -> AccountList:
    """Return one of the account's lists. Raise NotFound for those of other accounts."""
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
    """Create an empty list. Raise Invalid for an empty title, an unknown policy, or above MAX_LISTS."""
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
    """Change the given values. Raise NotFound for other accounts' lists, Invalid as `create_list` does."""
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
    """Delete one of the account's lists. Raise NotFound for those of other accounts."""
    one_list(connection, account_id=account_id, list_id=list_id)
    stored.delete(connection, list_id=list_id)
    connection.tell(ListChanged(account_id, list_id))


def members(connection: Connection, *, account_id: int, list_id: int, page: Page) -> list[int]:
    """Return the members of the list, paged by account id. Raise NotFound for other accounts' lists."""
    one_list(connection, account_id=account_id, list_id=list_id)
    return stored.members(connection, list_id=list_id, page=page)


def add_members(connection: Connection, *, account_id: int, list_id: int, member_ids: Sequence[int]) -> None:
    """Add accounts to the list, all or none.

    Raise NotFound for other accounts' lists and for accounts that the owner does not follow; Invalid for
    accounts that are members already, and above MAX_MEMBERS.
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
    """Remove accounts from the list, ignoring those that are not in it.

    Raise NotFound for other accounts' lists.
    """
    one_list(connection, account_id=account_id, list_id=list_id)
    stored.remove_members(connection, list_id=list_id, member_ids=member_ids)
    connection.tell(ListChanged(account_id, list_id))


def forget(connection: Connection, *, account_id: int, member_id: int) -> None:
    """Remove an account that the owner no longer follows from all the owner's lists."""
    for list_id in stored.forget(connection, account_id=account_id, member_id=member_id):
        connection.tell(ListChanged(account_id, list_id))


def audience(connection: Connection, *, account_id: int, list_id: int) -> Audience:
    """Return the data that decides which posts belong in the list (model/timeline.py: `list_takes`).

    Raise NotFound for other accounts' lists.
    """
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
