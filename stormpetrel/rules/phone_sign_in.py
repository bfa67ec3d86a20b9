"""Sign in with a code that is texted to the account's phone.

For accounts that were made by text message: without a password or an e-mail address, the phone is their only way in.
A requester learns nothing about numbers: the request's transaction writes the same row for every number, and the sms
role looks the account up (gateway/sign_in_codes.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.account import AccountState, User
from stormpetrel.model.phone import SIGN_IN_MS, SIGN_IN_TRIES, Phone, PhoneKeys, is_same_hash
from stormpetrel.model.quota import (
    PHONE_CODE_ALL,
    PHONE_CODE_DEVICE,
    PHONE_CODE_NETWORK,
    PHONE_CODE_OWN,
    PHONE_CODE_PAIR,
    PHONE_CODE_STRANGERS,
)
from stormpetrel.rules.phones import is_silent
from stormpetrel.rules.quotas import require, spend
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage import phone_sign_ins as stored
from stormpetrel.storage import phones as stored_phones
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.phone_sign_ins import PhoneSignIn

ENOUGH = "Too many codes were requested. Please wait before you request another one"
_ALL_SLOT = 1


@dataclass(frozen=True, slots=True)
class CodeRequester:
    """The requester of a code, as slots (model/quota.py); `device` is None if the browser has never signed in."""

    network: int
    pair: int
    device: int | None = None
    device_account_id: int = 0


def want_code(connection: Connection, *, number_hash: bytes, requester: CodeRequester, now_ms: int) -> int:
    """Store a request for a code, and return its id. Raise TooMany."""
    stored.forget_expired(connection, now_ms=now_ms)
    if requester.device is None or spend(connection, PHONE_CODE_DEVICE, requester.device, now_ms=now_ms):
        require(connection, PHONE_CODE_PAIR, requester.pair, now_ms=now_ms, text=ENOUGH)
        require(connection, PHONE_CODE_NETWORK, requester.network, now_ms=now_ms, text=ENOUGH)
        require(connection, PHONE_CODE_ALL, _ALL_SLOT, now_ms=now_ms, text=ENOUGH)
    sign_in_id = connection.new_id(now_ms)
    stored.add(
        connection,
        sign_in_id=sign_in_id,
        number_hash=number_hash,
        by_device_of=requester.device_account_id,
        expires_at_ms=now_ms + SIGN_IN_MS,
    )
    return sign_in_id


def waiting(connection: Connection, *, now_ms: int, count: int) -> list[PhoneSignIn]:
    """Return requests that wait for their code, the oldest first."""
    return stored.waiting(connection, now_ms=now_ms, count=count)


def phone_for(connection: Connection, *, sign_in: PhoneSignIn, now_ms: int) -> Phone | None:
    """Return the phone to text a code to; None if none is sent. The request is handled then, and not again."""
    if not stored.mark_handled(connection, sign_in_id=sign_in.id):
        return None
    phone = stored_phones.by_hash(connection, number_hash=sign_in.number_hash)
    user = None if phone is None else _user_of(connection, phone, now_ms=now_ms)
    if phone is None or user is None:
        return None
    quotas = [PHONE_CODE_STRANGERS]
    if sign_in.by_device_of == user.account_id:
        quotas.insert(0, PHONE_CODE_OWN)
    if all(spend(connection, quota, user.account_id, now_ms=now_ms) for quota in quotas):
        return None
    return phone


def phone_of(connection: Connection, *, account_id: int, now_ms: int) -> Phone | None:
    """Return the account's phone if it has the power to sign in now; None if it has none or lost it."""
    phone = stored_phones.of_account(connection, account_id=account_id)
    return phone if phone is not None and _has_power(phone, now_ms=now_ms) else None


def _has_power(phone: Phone, *, now_ms: int) -> bool:
    """Return True unless the phone was stopped or locked, or may have another owner.

    STOP and LOCK end the power of a phone, also of one that was taken from its owner; a number that was silent for
    long may have another owner, who does not know the PIN.
    """
    return not phone.stopped and phone.posts and not is_silent(phone, now_ms=now_ms)


def _user_of(connection: Connection, phone: Phone, *, now_ms: int) -> User | None:
    """Return the user who may sign in with the phone, or None."""
    if phone.account_id is None or not _has_power(phone, now_ms=now_ms):
        return None
    user = stored_accounts.user(connection, account_id=phone.account_id)
    if user is None or user.state is not AccountState.ACTIVE or (user.has_password and user.has_address):
        return None
    return user


def put_code(
    connection: Connection, *, sign_in_id: int, account_id: int, code: str, keys: PhoneKeys, now_ms: int
) -> None:
    """Store the hash of the code that is texted. It is valid for SIGN_IN_MS, once."""
    stored.put_code(
        connection,
        sign_in_id=sign_in_id,
        account_id=account_id,
        code_hash=keys.sign_in_hash(sign_in_id, code),
        expires_at_ms=now_ms + SIGN_IN_MS,
    )


def use_code(
    connection: Connection, *, sign_in_id: int, code: str, keys: PhoneKeys, now_ms: int
) -> User | None:
    """Use a code up and return its user; None for a wrong or expired one, and after SIGN_IN_TRIES tries.

    The user may still need a second factor.
    """
    sent = stored.take_try(connection, sign_in_id=sign_in_id, most=SIGN_IN_TRIES, now_ms=now_ms)
    typed = keys.sign_in_hash(sign_in_id, code)
    if sent is None or not is_same_hash(sent.code_hash, typed):
        return None
    stored.delete(connection, sign_in_id=sign_in_id)
    phone = stored_phones.by_hash(connection, number_hash=sent.number_hash)
    # The phone may have been stopped, or linked to another account, since the code was sent.
    if phone is None or phone.account_id != sent.account_id:
        return None
    return _user_of(connection, phone, now_ms=now_ms)
