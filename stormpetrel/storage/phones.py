"""Queries about phones: their settings, codes, follows and tags."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from stormpetrel.model.phone import Phone
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import sql

_NAMES = tuple(field.name for field in fields(Phone))
_COLUMNS = ", ".join(_NAMES)
_CHANGEABLE = frozenset(_NAMES) - {"id", "number_hash", "created_at_ms"}

_BY_HASH = sql(f"SELECT {_COLUMNS} FROM phones WHERE number_hash = :number_hash")
_BY_ACCOUNT = sql(f"SELECT {_COLUMNS} FROM phones WHERE account_id = :account_id")
_BY_ID = sql(f"SELECT {_COLUMNS} FROM phones WHERE id = :phone_id")
_CHANGED = sql(
    f"""SELECT {_COLUMNS} FROM phones WHERE (changed_at_ms, id) > (:after_ms, :after_id)
    ORDER BY changed_at_ms, id LIMIT :count"""
)
_NEWEST_CHANGE = sql("SELECT max(changed_at_ms) FROM phones")
_PUT = sql(
    f"""INSERT INTO phones ({_COLUMNS}) VALUES ({", ".join(":" + name for name in _NAMES)})
    ON CONFLICT (number_hash) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in sorted(_CHANGEABLE))}"""
)
_LOCK = sql("UPDATE phones SET id = id WHERE number_hash = :number_hash")
_HEARD = sql("UPDATE phones SET heard_at_ms = :now_ms WHERE id = :phone_id")
_DELETE = sql("DELETE FROM phones WHERE id = :phone_id")
_PUT_CODE = sql(
    """INSERT INTO phone_codes (code_hash, account_id, expires_at_ms)
    VALUES (:code_hash, :account_id, :expires_at_ms) ON CONFLICT (code_hash) DO NOTHING"""
)
_DELETE_CODES_OF = sql("DELETE FROM phone_codes WHERE account_id = :account_id")
_TAKE_CODE = sql("DELETE FROM phone_codes WHERE code_hash = :code_hash RETURNING account_id, expires_at_ms")
_FORGET_CODES = sql("DELETE FROM phone_codes WHERE expires_at_ms < :now_ms")
_FOLLOW = sql(
    """INSERT INTO phone_follows (phone_id, account_id) VALUES (:phone_id, :account_id) ON CONFLICT DO NOTHING"""
)
_UNFOLLOW = sql("DELETE FROM phone_follows WHERE phone_id = :phone_id AND account_id = :account_id")
_FOLLOWED = sql("SELECT account_id FROM phone_follows WHERE phone_id = :phone_id ORDER BY account_id")
_FOLLOWERS = sql(
    """SELECT f.phone_id FROM phone_follows f JOIN phones p ON p.id = f.phone_id
    WHERE f.account_id = :account_id AND p.stopped = FALSE AND p.delivers = TRUE ORDER BY f.phone_id"""
)
_PUT_TAG = sql(
    """INSERT INTO phone_tags (phone_id, tag, post_id, position) VALUES (:phone_id, :tag, :post_id, :position)
    ON CONFLICT (phone_id, tag) DO UPDATE SET post_id = excluded.post_id, position = excluded.position"""
)
_SET_NEXT_TAG = sql("UPDATE phones SET next_tag = :tag WHERE id = :phone_id")
_TAG = sql("SELECT post_id, position FROM phone_tags WHERE phone_id = :phone_id AND tag = :tag")
_MOVE = sql("UPDATE phone_tags SET position = :position WHERE phone_id = :phone_id AND tag = :tag")
_COUNTS = sql(
    """SELECT count(*), count(account_id), coalesce(sum(CASE WHEN stopped THEN 1 ELSE 0 END), 0) FROM phones"""
)


def _phone(row: Row | None) -> Phone | None:
    if row is None:
        return None
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values["number_hash"] = bytes(values["number_hash"])
    values["pin_hash"] = None if values["pin_hash"] is None else bytes(values["pin_hash"])
    for name in ("stopped", "delivers", "posts"):
        values[name] = bool(values[name])
    return Phone(**values)


def by_hash(connection: Connection, *, number_hash: bytes) -> Phone | None:
    """Return the phone with the number of that hash, or None."""
    return _phone(connection.one(_BY_HASH, number_hash=number_hash))


def of_account(connection: Connection, *, account_id: int) -> Phone | None:
    """Return the account's phone, or None."""
    return _phone(connection.one(_BY_ACCOUNT, account_id=account_id))


def by_id(connection: Connection, *, phone_id: int) -> Phone | None:
    """Return the phone, or None."""
    return _phone(connection.one(_BY_ID, phone_id=phone_id))


def changed_since(connection: Connection, *, after_ms: int, after_id: int, count: int) -> list[Phone]:
    """Return phones in the order of their last change, after (`after_ms`, `after_id`), at most `count`."""
    rows = connection.all(_CHANGED, after_ms=after_ms, after_id=after_id, count=count)
    return [phone for row in rows if (phone := _phone(row)) is not None]


def newest_change_ms(connection: Connection) -> int:
    """Return the time of the newest change of a phone; 0 without phones."""
    row = connection.one(_NEWEST_CHANGE)
    return 0 if row is None or row[0] is None else int(row[0])


def put(connection: Connection, phone: Phone) -> None:
    """Store a phone, or replace the one with its number."""
    connection.run(_PUT, **{name: getattr(phone, name) for name in _NAMES})


def locked(connection: Connection, *, number_hash: bytes) -> Phone | None:
    """Return the phone with the number of that hash, or None, and let other transactions wait to change it."""
    connection.run(_LOCK, number_hash=number_hash)
    return by_hash(connection, number_hash=number_hash)


def heard(connection: Connection, *, phone_id: int, now_ms: int) -> None:
    """Store the time of a message from the phone."""
    connection.run(_HEARD, phone_id=phone_id, now_ms=now_ms)


def delete(connection: Connection, *, phone_id: int) -> bool:
    """Delete the phone with all that waits for it; return whether there was one."""
    return bool(connection.run(_DELETE, phone_id=phone_id))


def put_code(connection: Connection, *, code_hash: bytes, account_id: int, expires_at_ms: int) -> bool:
    """Store a code for the account instead of its earlier ones; return False if another account has the same."""
    connection.run(_DELETE_CODES_OF, account_id=account_id)
    return bool(
        connection.run(_PUT_CODE, code_hash=code_hash, account_id=account_id, expires_at_ms=expires_at_ms)
    )


def take_code(connection: Connection, *, code_hash: bytes, now_ms: int) -> int | None:
    """Use a code up; return its account, or None for a wrong or expired one."""
    row = connection.one(_TAKE_CODE, code_hash=code_hash)
    return None if row is None or row[1] < now_ms else int(row[0])


def forget_codes(connection: Connection, *, now_ms: int) -> int:
    """Delete expired codes; return how many there were."""
    return connection.run(_FORGET_CODES, now_ms=now_ms)


def follow(connection: Connection, *, phone_id: int, account_id: int) -> None:
    """Have the posts of the account texted to a phone without an account."""
    connection.run(_FOLLOW, phone_id=phone_id, account_id=account_id)


def unfollow(connection: Connection, *, phone_id: int, account_id: int) -> bool:
    """Undo `follow`; return whether it was followed."""
    return bool(connection.run(_UNFOLLOW, phone_id=phone_id, account_id=account_id))


def followed_ids(connection: Connection, *, phone_id: int) -> list[int]:
    """Return the accounts that a phone without an account follows."""
    return [row[0] for row in connection.all(_FOLLOWED, phone_id=phone_id)]


def follower_phone_ids(connection: Connection, *, account_id: int) -> list[int]:
    """Return the phones without an account that get the posts of the account."""
    return [row[0] for row in connection.all(_FOLLOWERS, account_id=account_id)]


def put_tag(connection: Connection, *, phone_id: int, tag: int, next_tag: int, post_id: int) -> None:
    """Let the tag mean the post in texts of the phone, and store which tag is next."""
    connection.run(_PUT_TAG, phone_id=phone_id, tag=tag, post_id=post_id, position=0)
    connection.run(_SET_NEXT_TAG, phone_id=phone_id, tag=next_tag)


def tag(connection: Connection, *, phone_id: int, tag: int) -> tuple[int, int] | None:
    """Return (post, characters that the phone has), or None if the tag means nothing."""
    row = connection.one(_TAG, phone_id=phone_id, tag=tag)
    return None if row is None else (int(row[0]), int(row[1]))


def move_tag(connection: Connection, *, phone_id: int, tag: int, position: int) -> None:
    """Store how many characters of the post the phone has."""
    connection.run(_MOVE, phone_id=phone_id, tag=tag, position=position)


def counts(connection: Connection) -> tuple[int, int, int]:
    """Return the numbers of phones, of those with an account, and of stopped ones."""
    row = connection.one(_COUNTS)
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])
