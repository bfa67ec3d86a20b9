"""Queries about accounts and users."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from stormpetrel.clock import DAY_MS
from stormpetrel.model.account import Account, AccountState, Field, ProfileChange, Role, User
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.search import name_words
from stormpetrel.storage import search
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import sql

_COLUMNS = (
    "a.id, a.username, a.display_name, a.note, a.fields, a.locked, a.bot, a.discoverable, a.indexable, a.visibility, "
    "a.sensitive, a.language, a.followers_count, a.following_count, a.posts_count, a.last_post_at_ms, "
    "a.created_at_ms, a.state, a.silenced, a.avatar_key, a.avatar_static_key, a.header_key, "
    "a.header_static_key, a.named"
)

_BY_ID = sql(f"SELECT {_COLUMNS} FROM accounts a WHERE a.id = :account_id")
# Everything needed for a new post, in one round trip.
_AUTHOR = sql(
    f"SELECT {_COLUMNS}, i.post_id, i.created_at_ms, app.name, app.website, "
    "EXISTS (SELECT 1 FROM follows WHERE followed_id = :account_id AND notify) "
    "OR EXISTS (SELECT 1 FROM phone_follows WHERE account_id = :account_id) FROM accounts a "
    "LEFT JOIN idempotency i ON i.account_id = a.id AND i.key = :key "
    "LEFT JOIN applications app ON app.id = :application_id WHERE a.id = :account_id"
)
_BY_IDS = sql(f"SELECT {_COLUMNS} FROM accounts a WHERE a.id IN :account_ids[]")
_BY_NAME = sql(f"SELECT {_COLUMNS} FROM accounts a WHERE a.username_lower = :name AND a.domain = ''")
_IDS_BY_NAMES = sql(
    "SELECT a.id, a.username FROM accounts a "
    "WHERE a.username_lower IN :names[text] AND a.domain = '' AND a.state = 'active'"
)
_STATE = sql("SELECT state FROM accounts WHERE id = :account_id")
_DIRECTORY = sql(
    f"SELECT {_COLUMNS} FROM accounts a WHERE a.state = 'active' AND a.discoverable = TRUE AND a.silenced = FALSE "
    "ORDER BY a.last_post_day DESC, a.id DESC LIMIT :count OFFSET :skip"
)
_INSERT = sql(
    "INSERT INTO accounts (id, username, username_lower, domain, display_name, fields, language, "
    "created_at_ms, state) "
    "VALUES (:id, :username, :name, '', '', '[]', :language, :now_ms, :state)"
)
_INSERT_USER = sql(
    "INSERT INTO users (account_id, email, email_lower, password_hash, role, sign_up_reason, locale, created_at_ms) "
    "VALUES (:account_id, :email, :email_lower, :password_hash, :role, :reason, :locale, :now_ms)"
)
_UPDATE_PROFILE = sql(
    "UPDATE accounts SET display_name = :display_name, note = :note, fields = :fields, locked = :locked, "
    "bot = :bot, discoverable = :discoverable, indexable = :indexable, visibility = :visibility, "
    "sensitive = :sensitive, language = :language, named = :named WHERE id = :account_id"
)
_SET_AVATAR = sql(
    "UPDATE accounts SET avatar_key = :key, avatar_static_key = :static_key WHERE id = :account_id"
)
_SET_HEADER = sql(
    "UPDATE accounts SET header_key = :key, header_static_key = :static_key WHERE id = :account_id"
)
_SET_STATE = sql(
    "UPDATE accounts SET state = :state, suspended_at_ms = :suspended_at_ms WHERE id = :account_id"
)
_SET_SILENCED = sql("UPDATE accounts SET silenced = :silenced WHERE id = :account_id")
_SET_ROLE = sql("UPDATE users SET role = :role WHERE account_id = :account_id")
_SET_PASSWORD = sql("UPDATE users SET password_hash = :password_hash WHERE account_id = :account_id")
_LOCK_USER = sql("UPDATE users SET role = role WHERE account_id = :account_id")
_SET_EMAIL = sql("UPDATE users SET email = :email, email_lower = :email_lower WHERE account_id = :account_id")
_DELETE = sql("DELETE FROM accounts WHERE id = :account_id")
_ADD_FOLLOWERS = sql("UPDATE accounts SET followers_count = followers_count + :delta WHERE id = :account_id")
_ADD_FOLLOWING = sql("UPDATE accounts SET following_count = following_count + :delta WHERE id = :account_id")
_ADD_POSTS = sql("UPDATE accounts SET posts_count = posts_count + :delta WHERE id = :account_id")
_ADD_POST_NOW = sql(
    "UPDATE accounts SET posts_count = posts_count + 1, last_post_at_ms = :now_ms WHERE id = :account_id"
)
_ADD_POST_OF_DAY = sql(
    "UPDATE accounts SET posts_count = posts_count + 1, last_post_at_ms = :now_ms, last_post_day = :day "
    "WHERE id = :account_id"
)

_USER_COLUMNS = (
    "u.account_id, a.username, u.email, u.password_hash, u.role, u.sign_up_reason, u.locale, "
    "u.created_at_ms, a.state"
)
_USER = sql(
    f"SELECT {_USER_COLUMNS} FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.account_id = :account_id"
)
_USER_BY_EMAIL = sql(
    f"SELECT {_USER_COLUMNS} FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.email_lower = :email"
)
_USER_BY_NAME = sql(
    f"SELECT {_USER_COLUMNS} FROM accounts a JOIN users u ON u.account_id = a.id "
    "WHERE a.username_lower = :name AND a.domain = ''"
)
_USERS_IN_STATE = sql(
    f"SELECT {_USER_COLUMNS} FROM users u JOIN accounts a ON a.id = u.account_id "
    "WHERE a.state = :state ORDER BY u.created_at_ms, u.account_id LIMIT :count"
)
_USERS = sql(
    f"SELECT {_USER_COLUMNS} FROM users u JOIN accounts a ON a.id = u.account_id "
    "ORDER BY u.created_at_ms, u.account_id LIMIT :count"
)
_TEAM = sql(
    f"SELECT {_USER_COLUMNS} FROM users u JOIN accounts a ON a.id = u.account_id "
    "WHERE u.role <> 'member' AND a.state = 'active' ORDER BY u.account_id"
)
_SUSPENDED_BEFORE = sql(
    "SELECT id FROM accounts WHERE suspended_at_ms > 0 AND suspended_at_ms < :before_ms "
    "ORDER BY suspended_at_ms LIMIT :count"
)
_ACTIVITY = sql(
    "SELECT (SELECT count(*) FROM posts WHERE id >= :low_id AND id < :high_id), "
    "(SELECT count(DISTINCT author_id) FROM posts WHERE id >= :low_id AND id < :high_id), "
    "(SELECT count(*) FROM accounts WHERE id >= :low_id AND id < :high_id AND state = 'active' AND domain = '')"
)
# The first condition is the index's.
_ADMIN_IDS = sql("SELECT account_id FROM users WHERE role <> 'member' AND role = 'admin' ORDER BY account_id")
_COUNT_SOME = sql(
    "SELECT coalesce(sum(CASE WHEN s.state = 'active' THEN 1 ELSE 0 END), 0), "
    "coalesce(sum(CASE WHEN s.state = 'active' THEN s.posts_count ELSE 0 END), 0), count(*), max(s.id) "
    "FROM (SELECT id, state, posts_count FROM accounts WHERE id > :after_id ORDER BY id LIMIT :count) s"
)
_COUNT_ACTIVE = sql("SELECT count(*) FROM accounts WHERE state = 'active' AND last_post_day > :since_day")


class Author(msgspec.Struct, frozen=True):
    """The author of a new post. `answered` is (post, time in ms) if the idempotency key was used before;
    `application` is (name, website); `has_subscribers`: some followers or phones want each post."""

    account: Account
    answered: tuple[int, int] | None
    application: tuple[str, str] | None
    has_subscribers: bool


def _account(row: Row) -> Account:
    return Account(
        id=row[0],
        username=row[1],
        display_name=row[2],
        note=row[3],
        fields=() if row[4] == "[]" else tuple(Field(name, value) for name, value in json.loads(row[4])),
        locked=bool(row[5]),
        bot=bool(row[6]),
        discoverable=bool(row[7]),
        indexable=bool(row[8]),
        default_visibility=row[9],
        default_sensitive=bool(row[10]),
        default_language=row[11],
        followers_count=row[12],
        following_count=row[13],
        posts_count=row[14],
        last_post_at_ms=row[15],
        created_at_ms=row[16],
        state=AccountState(row[17]),
        silenced=bool(row[18]),
        avatar_key=row[19],
        avatar_static_key=row[20],
        header_key=row[21],
        header_static_key=row[22],
        named=tuple(row[23].split()),
    )


def _user(row: Row) -> User:
    return User(row[0], row[1], row[2], row[3], Role(row[4]), row[5], row[6], row[7], AccountState(row[8]))


def account(connection: Connection, *, account_id: int) -> Account | None:
    """Return the account in any state, or None."""
    row = connection.one(_BY_ID, account_id=account_id)
    return None if row is None else _account(row)


def author(
    connection: Connection, *, account_id: int, idempotency_key: str, application_id: int | None
) -> Author | None:
    """Return the facts that a new post by the account needs; None if there is no such account."""
    return authors(connection, asked=[(account_id, idempotency_key, application_id)])[0]


def authors(connection: Connection, *, asked: Sequence[tuple[int, str, int | None]]) -> list[Author | None]:
    """Do the same as `author` for each (account id, idempotency key, application id), in one round trip."""
    rows = connection.each(
        _AUTHOR,
        [
            {"account_id": account_id, "key": key, "application_id": application_id or 0}
            for account_id, key, application_id in asked
        ],
    )
    return [None if row is None else _author(row) for row in rows]


def _author(row: Row) -> Author:
    post_id, answered_at_ms, name, website, has_subscribers = row[24:]
    return Author(
        account=_account(row),
        answered=None if post_id is None else (post_id, answered_at_ms),
        application=None if name is None else (name, website),
        has_subscribers=bool(has_subscribers),
    )


def account_named(connection: Connection, *, username: str) -> Account | None:
    """Return the local account with that name (case-insensitive) in any state, or None."""
    row = connection.one(_BY_NAME, name=username.lower())
    return None if row is None else _account(row)


def accounts(connection: Connection, *, account_ids: Sequence[int]) -> dict[int, Account]:
    """Return the existing ones of these accounts by id, in any state."""
    if not account_ids:
        return {}
    return {row[0]: _account(row) for row in connection.all(_BY_IDS, account_ids=list(account_ids))}


def ids_by_names(connection: Connection, *, names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Return (id, name as its owner writes it) by lower-case name, for names of active local accounts."""
    if not names:
        return {}
    rows = connection.all(_IDS_BY_NAMES, names=list(names))
    return {username.lower(): (account_id, username) for account_id, username in rows}


def state(connection: Connection, *, account_id: int) -> AccountState | None:
    """Return the account's state, or None if there is no such account."""
    row = connection.one(_STATE, account_id=account_id)
    return None if row is None else AccountState(row[0])


def directory(connection: Connection, *, limit: int, offset: int) -> list[Account]:
    """Return active, discoverable, unsilenced accounts, by day of the last post, then newest first."""
    return [_account(row) for row in connection.all(_DIRECTORY, count=limit, skip=offset)]


def insert_account(
    connection: Connection, *, account_id: int, username: str, language: str, state: AccountState, now_ms: int
) -> None:
    """Insert a local account. A taken name violates the unique key."""
    connection.run(
        _INSERT,
        id=account_id,
        username=username,
        name=username.lower(),
        language=language,
        now_ms=now_ms,
        state=state.value,
    )
    search.put_names(connection, account_id=account_id, words=name_words(username, ""))


def insert_user(
    connection: Connection,
    *,
    account_id: int,
    email: str,
    password_hash: str,
    role: Role,
    reason: str,
    locale: str,
    now_ms: int,
) -> None:
    """Insert the account's user. A taken e-mail address violates the unique key."""
    connection.run(
        _INSERT_USER,
        account_id=account_id,
        email=email,
        email_lower=email.lower(),
        password_hash=password_hash,
        role=role.value,
        reason=reason,
        locale=locale,
        now_ms=now_ms,
    )


def update_profile(
    connection: Connection, *, old: Account, change: ProfileChange, named: Sequence[str]
) -> None:
    """Store what `change` sets; the rest of `old` stays. `named`: usernames mentioned in note and fields."""

    def pick(new: object, kept: object) -> object:
        return kept if new is None else new

    fields = old.fields if change.fields is None else change.fields
    connection.run(
        _UPDATE_PROFILE,
        account_id=old.id,
        display_name=pick(change.display_name, old.display_name),
        note=pick(change.note, old.note),
        fields=json.dumps([[field.name, field.value] for field in fields], ensure_ascii=False),
        locked=pick(change.locked, old.locked),
        bot=pick(change.bot, old.bot),
        discoverable=pick(change.discoverable, old.discoverable),
        indexable=pick(change.indexable, old.indexable),
        visibility=pick(change.default_visibility, old.default_visibility),
        sensitive=pick(change.default_sensitive, old.default_sensitive),
        language=pick(change.default_language, old.default_language),
        named=" ".join(named),
    )
    if change.display_name is not None and change.display_name != old.display_name:
        search.put_names(connection, account_id=old.id, words=name_words(old.username, change.display_name))


def set_avatar(connection: Connection, *, account_id: int, key: str, static_key: str) -> None:
    """Replace the avatar's files; empty keys: none."""
    connection.run(_SET_AVATAR, account_id=account_id, key=key, static_key=static_key)


def set_header(connection: Connection, *, account_id: int, key: str, static_key: str) -> None:
    """Replace the header's files; empty keys: none."""
    connection.run(_SET_HEADER, account_id=account_id, key=key, static_key=static_key)


def set_state(
    connection: Connection, *, account_id: int, state: AccountState, suspended_at_ms: int = 0
) -> None:
    """Change the account's state; `suspended_at_ms`: since when, if it is suspended."""
    connection.run(_SET_STATE, account_id=account_id, state=state.value, suspended_at_ms=suspended_at_ms)


def set_silenced(connection: Connection, *, account_id: int, silenced: bool) -> None:
    """Silence the account, or end that."""
    connection.run(_SET_SILENCED, account_id=account_id, silenced=silenced)


def set_role(connection: Connection, *, account_id: int, role: Role) -> None:
    """Change the user's role."""
    connection.run(_SET_ROLE, account_id=account_id, role=role.value)


def team(connection: Connection) -> list[User]:
    """Return active moderators and admins, by account id."""
    return [_user(row) for row in connection.all(_TEAM)]


def suspended_before(connection: Connection, *, before_ms: int, count: int) -> list[int]:
    """Return accounts that have been suspended since before that time, longest first; at most `count`."""
    return [row[0] for row in connection.all(_SUSPENDED_BEFORE, before_ms=before_ms, count=count)]


def set_password(connection: Connection, *, account_id: int, password_hash: str) -> None:
    """Replace the password's hash."""
    connection.run(_SET_PASSWORD, account_id=account_id, password_hash=password_hash)


def lock_user(connection: Connection, *, account_id: int) -> None:
    """Make other transactions that lock the same user wait until this one ends."""
    connection.run(_LOCK_USER, account_id=account_id)


def set_email(connection: Connection, *, account_id: int, email: str) -> None:
    """Replace the address. A taken one violates the unique key."""
    connection.run(_SET_EMAIL, account_id=account_id, email=email, email_lower=email.lower())


def delete_account(connection: Connection, *, account_id: int) -> None:
    """Delete the account and everything that belongs to it."""
    connection.run(_DELETE, account_id=account_id)


def add_follow_counts(
    connection: Connection, *, follower_id: int, followed_id: int, delta: int, hidden_ids: Sequence[int] = ()
) -> None:
    """Add `delta` to the follower's following count and to the followed account's followers.

    A hidden account is counted nowhere: the other account's count stays. The updates run in the order of ids,
    so that two of these transactions cannot deadlock.
    """
    changes = sorted(
        [(follower_id, _ADD_FOLLOWING, followed_id), (followed_id, _ADD_FOLLOWERS, follower_id)],
        key=lambda item: item[0],
    )
    for account_id, statement, other_id in changes:
        if other_id not in hidden_ids:
            connection.run(statement, account_id=account_id, delta=delta)


def add_post_count(connection: Connection, *, account_id: int, delta: int) -> None:
    """Add `delta` to the account's number of posts."""
    connection.run(_ADD_POSTS, account_id=account_id, delta=delta)


def count_new_post(connection: Connection, *, account_id: int, last_post_at_ms: int, now_ms: int) -> None:
    """Count one more post, made now. `last_post_at_ms`: of the previous one, 0 for none or unknown."""
    day = now_ms // DAY_MS
    if day == last_post_at_ms // DAY_MS:
        connection.run_later(_ADD_POST_NOW, account_id=account_id, now_ms=now_ms)
    else:
        connection.run_later(_ADD_POST_OF_DAY, account_id=account_id, now_ms=now_ms, day=day)


def user(connection: Connection, *, account_id: int) -> User | None:
    """Return the account's user, or None."""
    row = connection.one(_USER, account_id=account_id)
    return None if row is None else _user(row)


def user_by_email(connection: Connection, *, email: str) -> User | None:
    """Return the user with that address (case-insensitive), or None."""
    row = connection.one(_USER_BY_EMAIL, email=email.lower())
    return None if row is None else _user(row)


def user_by_name(connection: Connection, *, username: str) -> User | None:
    """Return the user of the account with that name, or None."""
    row = connection.one(_USER_BY_NAME, name=username.lower())
    return None if row is None else _user(row)


def users(connection: Connection, *, state: AccountState | None, limit: int) -> list[User]:
    """Return users, oldest first; only those in `state` if given."""
    if state is None:
        return [_user(row) for row in connection.all(_USERS, count=limit)]
    return [_user(row) for row in connection.all(_USERS_IN_STATE, state=state.value, count=limit)]


def admin_ids(connection: Connection) -> list[int]:
    """Return the account ids of all admins, oldest first."""
    return [row[0] for row in connection.all(_ADMIN_IDS)]


def activity(connection: Connection, *, from_ms: int, until_ms: int) -> tuple[int, int, int]:
    """Return (posts, accounts that posted, sign-ups) in that period."""
    row = connection.one(
        _ACTIVITY, low_id=first_id_at(max(from_ms, 0)), high_id=first_id_at(max(until_ms, 0))
    )
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def count_some(connection: Connection, *, after_id: int, most: int) -> tuple[int, int, int | None]:
    """Return (active accounts, their posts, last id) of the next `most` accounts; None as id at the end."""
    row = connection.one(_COUNT_SOME, after_id=after_id, count=most)
    assert row is not None
    return int(row[0]), int(row[1]), int(row[3]) if row[2] == most else None


def count_active(connection: Connection, *, since_ms: int) -> int:
    """Return the number of active accounts that posted on a later day than that of `since_ms`."""
    row = connection.one(_COUNT_ACTIVE, since_day=since_ms // DAY_MS)
    assert row is not None
    return int(row[0])
