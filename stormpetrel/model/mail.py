"""Mails to members: the purposes of their links, and the kinds of mail."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from stormpetrel.model.access import secret_hash


class Purpose(StrEnum):
    """The effect of a link: confirm a new account's address or a changed one, set a new password, or sign in."""

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
"""How long each link is valid."""


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link to send.

    The database holds the hash of its token; the outbox holds only `nonce`, from which the token can be
    derived with the instance's secret. A stolen database or backup therefore opens no account.
    """

    nonce: str
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was sent and has not been used yet."""

    account_id: int
    purpose: Purpose
    email: str
    expires_at_ms: int


class Letter(msgspec.Struct, frozen=True):
    """A mail to write: `about` is a Purpose or a Notice; `nonce` is set if it contains a link."""

    about: str
    to: str
    username: str
    nonce: str = ""


class Notice(StrEnum):
    """Mails that only inform, and those about a subscription to the status page."""

    PASSWORD_CHANGED = "password_changed"
    ADDRESS_CHANGED = "address_changed"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    WRONG_PASSWORDS = "wrong_passwords"
    ADDRESS_IN_USE = "address_in_use"
    APPROVED = "approved"
    PHONE_CHANGED = "phone_changed"
    NAMING = "naming"
    STATUS_CONFIRM = "status_confirm"
    STATUS_KNOWN = "status_known"
    TEST = "test"


def link_token(secret: bytes, nonce: str) -> str:
    """Return the token in a link, 48 hexadecimal digits."""
    return hashlib.blake2b(
        nonce.encode(), key=secret[:64], digest_size=24, person=b"petrel.mail.link"
    ).hexdigest()


def new_link(secret: bytes, nonce: str) -> NewLink:
    """Return the link of a random `nonce`."""
    return NewLink(nonce, secret_hash(link_token(secret, nonce)))
