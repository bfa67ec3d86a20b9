"""Accounts: the authors of posts. Their public data, and which names are valid."""

from __future__ import annotations

import re
from enum import StrEnum

import idna
import msgspec

from stormpetrel.errors import BLANK, too_long
from stormpetrel.model.characters import trimmed

MAX_USERNAME = 30
MAX_DISPLAY_NAME = 30
MAX_DOMAIN = 253
"""Characters of a host name (RFC 1035)."""
MAX_EMAIL = 254
"""The longest address that mail can be sent to (RFC 5321, 4.5.3.1.3, less the brackets)."""
MAX_NOTE = 500
MAX_FIELDS = 4
MAX_FIELD_CHARACTERS = 255
NO_PASSWORD = "!"
"""Stored instead of a password's hash: no password has it."""
PLACEHOLDER = "@taken.invalid"
"""The suffix of an address that stands for one in use, or for none."""

_USERNAME = re.compile(r"[A-Za-z0-9_]+\Z")
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[^@\s\x00-\x1f\x7f<>\"(),:;\\]{{1,64}}@{_LABEL}(?:\.{_LABEL})+\Z")

RESERVED_USERNAMES = frozenset(
    "about abuse account accounts admin administrator administration api auth billing contact help home "
    "hostmaster info instance mail mod moderation moderator moderators news noreply no_reply oauth official "
    "owner postmaster privacy public root search security settings staff status stormpetrel support sysadmin "
    "system tags team webmaster www".split()
)
"""Names that a visitor could take for the instance itself."""


class AccountState(StrEnum):
    """The state of an account.

    `unconfirmed`: signed up, but has not followed the link in the mail. `pending`: waits for
    approval. `suspended`: hidden everywhere, cannot sign in. `deleted`: by its owner; only the name
    remains, and stays taken.
    """

    ACTIVE = "active"
    UNCONFIRMED = "unconfirmed"
    PENDING = "pending"
    SUSPENDED = "suspended"
    DELETED = "deleted"


def is_hidden(state: AccountState | None) -> bool:
    """Return True if an account in this state is shown and counted nowhere."""
    return state in (AccountState.SUSPENDED, AccountState.DELETED)


class Role(StrEnum):
    """A user's rights beyond using the instance."""

    MEMBER = "member"
    MODERATOR = "moderator"
    ADMIN = "admin"


class Field(msgspec.Struct, frozen=True):
    """One line of the table on a profile."""

    name: str
    value: str


class Account(msgspec.Struct, frozen=True):
    """An account as others see it.

    `note` and field values are plain text as written; `named`: usernames that they mention. `indexable`:
    other members can find its public posts by their words.
    """

    id: int
    username: str
    display_name: str
    note: str
    fields: tuple[Field, ...]
    locked: bool
    bot: bool
    discoverable: bool
    default_visibility: int
    default_sensitive: bool
    default_language: str
    followers_count: int
    following_count: int
    posts_count: int
    last_post_at_ms: int
    created_at_ms: int
    state: AccountState
    silenced: bool = False
    indexable: bool = True
    avatar_key: str = ""
    avatar_static_key: str = ""
    header_key: str = ""
    header_static_key: str = ""
    named: tuple[str, ...] = ()

    @property
    def shown_name(self) -> str:
        """Return the display name, or the username if the account has none."""
        return self.display_name or self.username


class User(msgspec.Struct, frozen=True):
    """The private side of an account, used to sign in. Never shown to others."""

    account_id: int
    username: str
    email: str
    password_hash: str
    role: Role
    sign_up_reason: str
    locale: str
    created_at_ms: int
    state: AccountState

    @property
    def has_password(self) -> bool:
        """Return False for an account that was made by text message, until its owner sets a password."""
        return self.password_hash != NO_PASSWORD

    @property
    def has_address(self) -> bool:
        """Return False if a placeholder stands for the e-mail address."""
        return not self.email.endswith(PLACEHOLDER)


class ProfileChange(msgspec.Struct, frozen=True):
    """The changes of a profile; None leaves a value as it is."""

    display_name: str | None = None
    note: str | None = None
    fields: tuple[Field, ...] | None = None
    locked: bool | None = None
    bot: bool | None = None
    discoverable: bool | None = None
    indexable: bool | None = None
    default_visibility: int | None = None
    default_sensitive: bool | None = None
    default_language: str | None = None


def username_problem(username: str) -> str | None:
    """Return the problem with a chosen username, or None."""
    if not username:
        return BLANK
    if len(username) > MAX_USERNAME:
        return too_long(MAX_USERNAME)
    if not _USERNAME.match(username):
        return "must contain only letters, numbers and underscores"
    return None


def clean_address(email: str) -> str:
    """Return an e-mail address as it is stored and looked up: trimmed, its domain in ASCII (RFC 5890)."""
    if len(email) > 2 * MAX_EMAIL:
        return email  # `email_problem` refuses it; trimming would cost 10 ms for 64 KB of spaces
    local, at, domain = trimmed(email).rpartition("@")
    # An ASCII address stays as typed, including capitals: look-ups ignore case.
    return f"{local}{at}{domain if domain.isascii() else ascii_domain(domain)}" if at else domain


def ascii_domain(domain: str) -> str:
    """Return the domain in lower case, an international one in its ASCII form; an invalid one unchanged."""
    if domain.isascii():
        return domain.lower()
    if len(domain) > MAX_DOMAIN:
        # No valid domain is that long, and encoding takes seconds for 60 KB of combining marks.
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain


def email_problem(email: str) -> str | None:
    """Return the problem with an e-mail address from `clean_address`, or None.

    A domain without a dot (user@gmail) is treated as a typing error. Only a mail can show
    whether the address exists.
    """
    if not email:
        return BLANK
    if len(email) > MAX_EMAIL or ".." in email or not _EMAIL.match(email):
        return "is not a valid e-mail address"
    return None
