"""Finds the target of a `shield` command: a token, an address, a user or an application.

A token is hashed here, at once; only the beginning of its hash is sent and printed. The token is in no
message, not even in an error message.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stormpetrel.cli.store import now_ms, open_store
from stormpetrel.control.entries import canonical_value
from stormpetrel.errors import SetupError
from stormpetrel.shield.entries import HASH_CHARACTERS
from stormpetrel.shield.reports import MIN_HASH_CHARACTERS, identity_text

if TYPE_CHECKING:
    from stormpetrel.config import Config
    from stormpetrel.storage.engine.connection import Connection

KINDS = ("token", "address", "user", "app", "account")
HASH_SENT = 32
"""Digits of a token's hash that leave this command: enough to identify it, useless for anything else."""
MAX_REPEATED = 12
"""Characters of a text that are repeated in an error although it may be a part of a token, which has 43."""
_OF_AN_ADDRESS = re.compile(r"[0-9a-fA-F]*[.:][0-9a-fA-F.:/]*\Z")
_LIKE_A_TOKEN = re.compile(r"[A-Za-z0-9_~.+/=-]{32,}\Z")


@dataclass(frozen=True, slots=True)
class ShieldSubject:
    """`kind`, `value`: as in shield.reports.OperatorEntry. `shown`: text for people, without any secret.

    `identities`: those under which the shield queues it. `names`: other entries that match it.
    `created_epoch_s`: when the oldest credential was made, 0 without one. `is_known`: the token or user
    exists.
    """

    kind: str
    value: str
    shown: str
    identities: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    created_epoch_s: float = 0.0
    application: str = ""
    is_known: bool = True
    note: str = field(default="")


def find(config: Config, text: str) -> ShieldSubject:
    """Return the target that the text means. Raise SetupError if there is none. `KIND:TEXT` names the kind.

    `-` reads a token from standard input, so that it is in no list of processes and no shell's history.
    """
    if text == "-":
        return _token(config, sys.stdin.readline().strip())
    kind, colon, rest = text.partition(":")
    if colon and kind in KINDS:
        return _of_kind(config, kind, rest)
    if _is_network(text):
        return _address(text)
    if text.startswith("@"):
        return _of_kind(config, "user", text)
    with open_store(config.database_url) as connection:
        found = _token_in(connection, text) or _user_in(connection, text) or _app_in(connection, text)
    if found is not None:
        return found
    if _LIKE_A_TOKEN.match(text):
        return _unknown_token(text)
    raise SetupError(
        f"{_repeated(text)} is no token, address, user or app here "
        f"(name the kind with {', '.join(f'{k}:…' for k in KINDS[:4])})"
    )


def _repeated(text: str) -> str:
    """Return the text for an error message, unless it may be a large part of a token, or another secret."""
    if len(text) <= MAX_REPEATED or _OF_AN_ADDRESS.match(text):
        return repr(text)
    return f"this text of {len(text)} characters"


def _of_kind(config: Config, kind: str, text: str) -> ShieldSubject:
    if kind == "token":
        return _token(config, text)
    if kind == "address":
        return _address(text)
    if kind == "account":
        number = canonical_value("account", text)
        return ShieldSubject(
            "account", number, f"account {number}", (f"account:{number}",), (("account", number),)
        )
    with open_store(config.database_url) as connection:
        found = _user_in(connection, text) if kind == "user" else _app_in(connection, text)
    if found is None:
        if kind == "user":
            raise SetupError(f"there is no account {text!r} (see stormpetrel user list)")
        raise SetupError(f"there is no application {text!r}")
    return found


# Addresses


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return False
    # Python takes a plain number for an address, but people mean a name or an id.
    return not text.isdigit()


def _address(text: str) -> ShieldSubject:
    from stormpetrel.shield.identify import address_identity

    named = canonical_value("address", text)
    identity = address_identity(named) if "/" not in named else None
    identities = () if identity is None else (identity_text(*identity),)
    return ShieldSubject("address", named, f"address {named}", identities, (("address", named),))


# Tokens


def _token(config: Config, text: str) -> ShieldSubject:
    if not text:
        raise SetupError("the token is empty")
    lower = text.lower()
    if len(lower) <= HASH_CHARACTERS and re.fullmatch(r"[0-9a-f]{16,}", lower):
        # As the journal writes them: the beginning of a hash. Our tokens never look like this.
        return ShieldSubject("token", lower, f"token {lower[:MIN_HASH_CHARACTERS]}…", (), (("token", lower),))
    with open_store(config.database_url) as connection:
        return _token_in(connection, text) or _unknown_token(text)


def _token_in(connection: Connection, text: str) -> ShieldSubject | None:
    from stormpetrel.model.access import secret_hash
    from stormpetrel.rules.access import access_by_token
    from stormpetrel.rules.accounts import names
    from stormpetrel.rules.applications import application

    token_hash = secret_hash(text)
    access = access_by_token(connection, token_hash=token_hash)
    if access is None:
        return None
    app = (
        application(connection, application_id=access.application_id).name
        if access.application_id is not None
        else ""
    )
    sent = token_hash.hex()[:HASH_SENT]
    shown = f"token {sent[:MIN_HASH_CHARACTERS]}… of "
    entries_of: list[tuple[str, str]] = [("token", sent)]
    if access.account_id is None:
        shown += f"the app {app!r} itself"
        identities: tuple[str, ...] = (identity_text("token", token_hash),)
    else:
        owner = names(connection, account_ids=[access.account_id]).get(access.account_id, "")
        shown += f"@{owner} by {app!r}"
        entries_of.append(("account", str(access.account_id)))
        identities = (identity_text("account", access.account_id), identity_text("token", token_hash))
    entries_of.append(("application", app))
    return ShieldSubject(
        "token",
        sent,
        shown,
        identities,
        tuple(entries_of),
        access.created_at_ms / 1000,
        application=app,
    )


def _unknown_token(text: str) -> ShieldSubject:
    from stormpetrel.model.access import secret_hash

    token_hash = secret_hash(text)
    sent = token_hash.hex()[:HASH_SENT]
    return ShieldSubject(
        "token",
        sent,
        f"token {sent[:MIN_HASH_CHARACTERS]}…",
        (identity_text("token", token_hash),),
        (("token", sent),),
        is_known=False,
        note="not valid here (any more): its requests count as a stranger's",
    )


# Users and applications


def _user_in(connection: Connection, text: str) -> ShieldSubject | None:
    from stormpetrel.rules.access import ways_in
    from stormpetrel.rules.accounts import user_by_login

    user = user_by_login(connection, login=text)
    if user is None:
        return None
    number = str(user.account_id)
    sessions, apps = ways_in(connection, account_id=user.account_id, now_ms=now_ms())
    made_ms = [one.created_at_ms for one in sessions] + [one.first_at_ms for one in apps]
    return ShieldSubject(
        "account",
        number,
        f"@{user.username}",
        (identity_text("account", user.account_id),),
        (("account", number),),
        min(made_ms, default=0) / 1000,
        note="" if made_ms else "not signed in on any app or browser",
    )


def _app_in(connection: Connection, text: str) -> ShieldSubject | None:
    from stormpetrel.rules.applications import has_application_named

    if not has_application_named(connection, name=text):
        return None
    return ShieldSubject("application", text, f"app {text!r}", (), (("application", text),), application=text)
