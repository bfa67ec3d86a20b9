"""Mails to members: what a link in one proves, and what each mail is about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from stormpetrel.model.access import secret_hash


class Purpose(StrEnum):
    """What following a link does: confirms the address of a new account, or a changed one, lets a new
    password be set, or signs in."""

    CONFIRM = "confirm"
    ADDRESS = "address"
    RESET = "reset"
    SIGN_IN = "sign_in"


LIFETIME_MS = {
    Purpose.CONFIRM: 2 * 86_400_000,
    Purpose.ADDRESS: 86_400_000,
    Purpose.RESET: 3_600_000,
    Purpose.SIGN_IN: 1_800_000,
}
"""How long each link works."""


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link to be sent. Of its token the database holds the hash; the outbox holds only `nonce`, which gives
    the token to those who know the instance's secret: a stolen database or backup opens no account."""

    nonce: str
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was sent and not used yet."""

    account_id: int
    purpose: Purpose
    email: str
    expires_at_ms: int


class Letter(msgspec.Struct, frozen=True):
    """A mail to be written: `about` is a Purpose or a Notice; `nonce` where it holds a link."""

    about: str
    to: str
    username: str
    nonce: str = ""


class Notice(StrEnum):
    """Mails that only tell something."""

    PASSWORD_CHANGED = "password_changed"
    ADDRESS_CHANGED = "address_changed"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    WRONG_PASSWORDS = "wrong_passwords"
    ADDRESS_IN_USE = "address_in_use"
    APPROVED = "approved"
    TEST = "test"


def link_token(secret: bytes, nonce: str) -> str:
    """The token in a link, 48 hexadecimal digits."""
    return hashlib.blake2b(
        nonce.encode(), key=secret[:64], digest_size=24, person=b"petrel.mail.link"
    ).hexdigest()


def new_link(secret: bytes, nonce: str) -> NewLink:
    """The link of a random `nonce`."""
    return NewLink(nonce, secret_hash(link_token(secret, nonce)))
