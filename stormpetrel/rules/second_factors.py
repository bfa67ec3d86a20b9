"""Second factors of an account: adding, using and removing them. Its owner gets a mail after each change.

model/second_factor.py checks whether a code or signature is right; this module whether it may be used.
"""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.mail import Letter, Notice
from stormpetrel.model.quota import Quota
from stormpetrel.model.second_factor import MAX_PASSKEY_NAME, MAX_PASSKEYS, Factors, Passkey
from stormpetrel.model.text import one_line
from stormpetrel.rules.mail import post
from stormpetrel.rules.quotas import spend
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage import second_factors as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

CHALLENGE_AGE_S = 600
_CHALLENGE = Quota("passkey.challenge", 1, CHALLENGE_AGE_S)


@hot
def factors(connection: Connection, *, account_id: int) -> Factors:
    """Return the account's second factors."""
    return stored.factors(connection, account_id=account_id)


def enable_totp(
    connection: Connection,
    *,
    account_id: int,
    sealed: str,
    step: int,
    recovery_hashes: Sequence[bytes],
    now_ms: int,
) -> bool:
    """Add an authenticator app, replacing an earlier one; return whether `recovery_hashes` were stored too.

    They are stored when the account has no recovery codes. `step`: of the code that
    verified the app; it is used up.
    """
    stored.set_totp(connection, account_id=account_id, sealed=sealed, step=step, now_ms=now_ms)
    return _added(connection, account_id=account_id, recovery_hashes=recovery_hashes, now_ms=now_ms)


def add_passkey(
    connection: Connection,
    *,
    account_id: int,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
    name: str,
    challenge: int,
    recovery_hashes: Sequence[bytes],
    now_ms: int,
) -> bool:
    """Add a passkey; return whether `recovery_hashes` were stored too. `challenge`: its slot, used once.

    Raise Invalid when the challenge was used, the passkey is known, or the account has MAX_PASSKEYS.
    """
    if spend(connection, _CHALLENGE, challenge, now_ms=now_ms):
        raise Invalid("This page was already used. Please start again")
    if len(stored.factors(connection, account_id=account_id).passkeys) >= MAX_PASSKEYS:
        raise Invalid(f"An account can have at most {MAX_PASSKEYS} passkeys")
    passkey = Passkey(
        id=connection.new_id(now_ms),
        credential_id=credential_id,
        public_key=public_key,
        sign_count=sign_count,
        name=one_line(name)[:MAX_PASSKEY_NAME] or "Passkey",
        created_at_ms=now_ms,
        last_used_at_ms=0,
    )
    if not stored.add_passkey(connection, passkey, account_id=account_id):
        raise Invalid("This passkey is already in use")
    return _added(connection, account_id=account_id, recovery_hashes=recovery_hashes, now_ms=now_ms)


def _added(connection: Connection, *, account_id: int, recovery_hashes: Sequence[bytes], now_ms: int) -> bool:
    _notify(connection, account_id=account_id, now_ms=now_ms)
    if stored.factors(connection, account_id=account_id).recovery_codes:
        return False
    stored.set_recovery_codes(connection, account_id=account_id, hashes=recovery_hashes)
    return True


def use_code(connection: Connection, *, account_id: int, step: int | None, code_hash: bytes | None) -> bool:
    """Use up a code of the app (its `step`) or a recovery code; return False if it is wrong or used."""
    if step is not None:
        return stored.use_step(connection, account_id=account_id, step=step)
    return code_hash is not None and stored.take_recovery_code(
        connection, account_id=account_id, code_hash=code_hash
    )


def use_passkey(
    connection: Connection, *, passkey_id: int, sign_count: int, challenge: int, now_ms: int
) -> bool:
    """Record that a passkey signed a challenge; return False if the challenge was used before."""
    if spend(connection, _CHALLENGE, challenge, now_ms=now_ms):
        return False
    stored.use_passkey(connection, passkey_id=passkey_id, sign_count=sign_count, now_ms=now_ms)
    return True


def remove_totp(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Remove the authenticator app. Raise NotFound when there is none."""
    if not stored.delete_totp(connection, account_id=account_id):
        raise NotFound
    _removed(connection, account_id=account_id, now_ms=now_ms)


def remove_passkey(connection: Connection, *, account_id: int, passkey_id: int, now_ms: int) -> None:
    """Remove one passkey. Raise NotFound when the account does not have it."""
    if not stored.delete_passkey(connection, account_id=account_id, passkey_id=passkey_id):
        raise NotFound
    _removed(connection, account_id=account_id, now_ms=now_ms)


def _removed(connection: Connection, *, account_id: int, now_ms: int) -> None:
    if not stored.factors(connection, account_id=account_id).any:
        # Without a factor, recovery codes have no use and could only leak.
        stored.delete_all(connection, account_id=account_id)
    _notify(connection, account_id=account_id, now_ms=now_ms)


def renew_recovery_codes(
    connection: Connection, *, account_id: int, recovery_hashes: Sequence[bytes], now_ms: int
) -> None:
    """Replace the recovery codes. Raise NotFound when the account has no second factor."""
    if not stored.factors(connection, account_id=account_id).any:
        raise NotFound
    stored.set_recovery_codes(connection, account_id=account_id, hashes=recovery_hashes)
    _notify(connection, account_id=account_id, now_ms=now_ms)


def remove_all(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Remove every factor, for an operator whose member lost them. Raise Invalid when there is none."""
    if not stored.factors(connection, account_id=account_id).any:
        raise Invalid("This account does not use two-factor authentication")
    stored.delete_all(connection, account_id=account_id)
    _notify(connection, account_id=account_id, now_ms=now_ms)


def _notify(connection: Connection, *, account_id: int, now_ms: int) -> None:
    user = stored_accounts.user(connection, account_id=account_id)
    if user is not None:
        letter = Letter(Notice.SECOND_FACTOR_CHANGED.value, user.email, user.username)
        post(connection, letter, now_ms=now_ms)
