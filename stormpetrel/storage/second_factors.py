"""Queries about second factors: authenticator apps, passkeys and recovery codes."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.model.second_factor import Factors, Passkey, Totp
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_TOTP = sql(
    "SELECT sealed_secret, last_step, created_at_ms FROM authenticators WHERE account_id = :account_id"
)
_PASSKEYS = sql(
    """SELECT id, credential_id, public_key, sign_count, name, created_at_ms, last_used_at_ms FROM passkeys
    WHERE account_id = :account_id ORDER BY id"""
)
_RECOVERY_CODES = sql("SELECT count(*) FROM recovery_codes WHERE account_id = :account_id")
_SET_TOTP = sql(
    """INSERT INTO authenticators (account_id, sealed_secret, last_step, created_at_ms)
    VALUES (:account_id, :sealed, :step, :now_ms)
    ON CONFLICT (account_id) DO UPDATE SET sealed_secret = excluded.sealed_secret,
        last_step = excluded.last_step, created_at_ms = excluded.created_at_ms"""
)
_USE_STEP = sql(
    "UPDATE authenticators SET last_step = :step WHERE account_id = :account_id AND last_step < :step"
)
_DELETE_TOTP = sql("DELETE FROM authenticators WHERE account_id = :account_id")
_ADD_PASSKEY = sql(
    """INSERT INTO passkeys (id, account_id, credential_id, public_key, sign_count, name, created_at_ms)
    VALUES (:id, :account_id, :credential_id, :public_key, :sign_count, :name, :now_ms)
    ON CONFLICT (credential_id) DO NOTHING"""
)
_USE_PASSKEY = sql(
    "UPDATE passkeys SET sign_count = :sign_count, last_used_at_ms = :now_ms WHERE id = :passkey_id"
)
_DELETE_PASSKEY = sql("DELETE FROM passkeys WHERE id = :passkey_id AND account_id = :account_id")
_DELETE_PASSKEYS = sql("DELETE FROM passkeys WHERE account_id = :account_id")
_ADD_CODE = sql("INSERT INTO recovery_codes (account_id, code_hash) VALUES (:account_id, :code_hash)")
_TAKE_CODE = sql("DELETE FROM recovery_codes WHERE account_id = :account_id AND code_hash = :code_hash")
_DELETE_CODES = sql("DELETE FROM recovery_codes WHERE account_id = :account_id")


def factors(connection: Connection, *, account_id: int) -> Factors:
    """Return all factors of the account."""
    totp = connection.one(_TOTP, account_id=account_id)
    passkeys = connection.all(_PASSKEYS, account_id=account_id)
    codes = connection.one(_RECOVERY_CODES, account_id=account_id)
    return Factors(
        None if totp is None else Totp(*totp),
        tuple(Passkey(row[0], bytes(row[1]), bytes(row[2]), *row[3:]) for row in passkeys),
        0 if codes is None else int(codes[0]),
    )


def set_totp(connection: Connection, *, account_id: int, sealed: str, step: int, now_ms: int) -> None:
    """Store an authenticator app, replacing the previous one."""
    connection.run(_SET_TOTP, account_id=account_id, sealed=sealed, step=step, now_ms=now_ms)


def use_step(connection: Connection, *, account_id: int, step: int) -> bool:
    """Mark a code as used; return False if it, or a later one, was used before."""
    return bool(connection.run(_USE_STEP, account_id=account_id, step=step))


def delete_totp(connection: Connection, *, account_id: int) -> bool:
    """Delete the authenticator app; return whether there was one."""
    return bool(connection.run(_DELETE_TOTP, account_id=account_id))


def add_passkey(connection: Connection, passkey: Passkey, *, account_id: int) -> bool:
    """Store a passkey; return False if an account has it already."""
    return bool(
        connection.run(
            _ADD_PASSKEY,
            id=passkey.id,
            account_id=account_id,
            credential_id=passkey.credential_id,
            public_key=passkey.public_key,
            sign_count=passkey.sign_count,
            name=passkey.name,
            now_ms=passkey.created_at_ms,
        )
    )


def use_passkey(connection: Connection, *, passkey_id: int, sign_count: int, now_ms: int) -> None:
    """Note that a passkey was used."""
    connection.run(_USE_PASSKEY, passkey_id=passkey_id, sign_count=sign_count, now_ms=now_ms)


def delete_passkey(connection: Connection, *, account_id: int, passkey_id: int) -> bool:
    """Delete one passkey of the account; return whether there was one."""
    return bool(connection.run(_DELETE_PASSKEY, account_id=account_id, passkey_id=passkey_id))


def set_recovery_codes(connection: Connection, *, account_id: int, hashes: Sequence[bytes]) -> None:
    """Store recovery codes, replacing the previous ones."""
    connection.run(_DELETE_CODES, account_id=account_id)
    connection.many(_ADD_CODE, [{"account_id": account_id, "code_hash": one} for one in hashes])


def take_recovery_code(connection: Connection, *, account_id: int, code_hash: bytes) -> bool:
    """Use a recovery code up; return whether there was one."""
    return bool(connection.run(_TAKE_CODE, account_id=account_id, code_hash=code_hash))


def delete_all(connection: Connection, *, account_id: int) -> None:
    """Delete all factors of the account."""
    for statement in (_DELETE_TOTP, _DELETE_PASSKEYS, _DELETE_CODES):
        connection.run(statement, account_id=account_id)
