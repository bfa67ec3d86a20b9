"""Accounts: look-up, sign-up, and the changes that an owner or an admin may make."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.errors import BLANK, RESERVED, TAKEN, Forbidden, Invalid, NotFound, Problem, too_long
from stormpetrel.model import text as texts
from stormpetrel.model.account import (
    MAX_DISPLAY_NAME,
    MAX_FIELD_CHARACTERS,
    MAX_FIELDS,
    MAX_NOTE,
    RESERVED_USERNAMES,
    Account,
    AccountState,
    Field,
    ProfileChange,
    Role,
    User,
    clean_address,
    email_problem,
    username_problem,
)
from stormpetrel.model.characters import BYTES_PER_CHARACTER, is_too_long
from stormpetrel.model.event import AccessChanged, AccountChanged
from stormpetrel.model.mail import NewLink
from stormpetrel.model.post import Visibility
from stormpetrel.model.quota import SIGN_UPS
from stormpetrel.rules import access, quotas
from stormpetrel.rules.languages import clean_language
from stormpetrel.rules.mail import (
    notify_owner_of,
    owner_of,
    send_confirmation,
    stand_in,
    take_from_unconfirmed,
)
from stormpetrel.rules.relationships import accept_follow
from stormpetrel.storage import accounts as stored
from stormpetrel.storage import instance as stored_instance
from stormpetrel.storage import outbox
from stormpetrel.storage import relationships as stored_relationships
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.hidden_counts import give_back_counts, take_back_counts

MAX_REASON = 1000


@hot
def account(connection: Connection, *, account_id: int) -> Account:
    """Return the account. Raise NotFound unless others can see it: it exists and is active."""
    found = stored.account(connection, account_id=account_id)
    if found is None or found.state is not AccountState.ACTIVE:
        raise NotFound
    return found


@hot
def account_named(connection: Connection, *, username: str) -> Account:
    """Return the account with that name, in upper or lower case. Raise NotFound as `account` does."""
    found = None if username_problem(username) else stored.account_named(connection, username=username)
    if found is None or found.state is not AccountState.ACTIVE:
        raise NotFound
    return found


@hot
def accounts(connection: Connection, *, account_ids: Sequence[int]) -> list[Account]:
    """Return those of the accounts that others can see, in the given order."""
    found = stored.accounts(connection, account_ids=account_ids)
    known = (found.get(account_id) for account_id in dict.fromkeys(account_ids))
    return [one for one in known if one is not None and one.state is AccountState.ACTIVE]


def names(connection: Connection, *, account_ids: Sequence[int]) -> dict[int, str]:
    """Return usernames by id, of accounts in any state: for moderators and operators."""
    found = stored.accounts(connection, account_ids=list(dict.fromkeys(account_ids)))
    return {account_id: one.username for account_id, one in found.items()}


def directory(connection: Connection, *, limit: int, offset: int = 0) -> list[Account]:
    """Return the accounts that opted in to being found, by the day of their last post, latest first."""
    return stored.directory(connection, limit=limit, offset=offset)


@hot
def user(connection: Connection, *, account_id: int) -> User:
    """Return the private side of an account in any state. Raise NotFound when there is none."""
    found = stored.user(connection, account_id=account_id)
    if found is None:
        raise NotFound
    return found


def known_user(connection: Connection, *, account_id: int) -> User | None:
    """Return the private side of an account in any state, or None."""
    return stored.user(connection, account_id=account_id)


@hot
def user_by_email(connection: Connection, *, email: str) -> User | None:
    """Return the user with that e-mail address, or None."""
    return stored.user_by_email(connection, email=clean_address(email))


@hot
def user_by_login(connection: Connection, *, login: str) -> User | None:
    """Return the user whose e-mail address or username `login` is, or None."""
    login = texts.one_line(login)
    if "@" in login.removeprefix("@"):
        return user_by_email(connection, email=login)
    name = login.removeprefix("@")
    return None if username_problem(name) else stored.user_by_name(connection, username=name)


MAX_NAMED = 20
"""Number of mentions of a profile that become links: the first ones."""
TOO_MANY_SIGN_UPS = "Too many people just signed up from this network. Please try again in a few minutes"


def sign_up(
    connection: Connection,
    *,
    username: str,
    email: str,
    password_hash: str,
    reason: str,
    locale: str,
    registration: str,
    now_ms: int,
    role: Role = Role.MEMBER,
    by_operator: bool = False,
    confirmation: NewLink | None = None,
    network: int | None = None,
) -> Account:
    """Create an account with its user. It waits for approval when `registration` is "approval".

    `confirmation`: the link to send; its owner must follow it before approval. `by_operator`: from the
    command line, which ignores `registration` and may use reserved names. `network`: whose quota the sign-up
    counts against (model/quota.py: slot).

    Raise Forbidden when sign-up is closed, TooMany, or Invalid with `fields` for values that are wrong or
    taken. With `confirmation` an address in use is no error, so that sign-up does not reveal which addresses
    have an account: the owner of the address gets a mail, and the new account can never be confirmed.
    """
    if registration == "closed" and not by_operator:
        raise Forbidden("Sign-ups are closed")
    email = clean_address(email)
    reason = texts.clean(reason[: MAX_REASON * BYTES_PER_CHARACTER])[:MAX_REASON]
    confirms = confirmation is not None and not by_operator
    wrong = wrong_names(
        connection, username=username, email=email, by_operator=by_operator, confirms=confirms
    )
    waits = registration == "approval" and not by_operator
    if waits and not reason:
        wrong["reason"] = BLANK
    if wrong:
        raise invalid_fields(wrong)
    if network is not None:
        quotas.require(connection, SIGN_UPS, network, now_ms=now_ms, text=TOO_MANY_SIGN_UPS)
    account_id = connection.new_id(now_ms)
    state = AccountState.PENDING if waits else AccountState.ACTIVE
    if confirms:
        state = AccountState.UNCONFIRMED
        if notify_owner_of(connection, email=email, now_ms=now_ms):
            email = stand_in(account_id)
    take_from_unconfirmed(connection, email=email)
    stored.insert_account(
        connection, account_id=account_id, username=username, language="", state=state, now_ms=now_ms
    )
    stored.insert_user(
        connection,
        account_id=account_id,
        email=email,
        password_hash=password_hash,
        role=role,
        reason=reason,
        locale=locale,
        now_ms=now_ms,
    )
    if state is AccountState.UNCONFIRMED:
        assert confirmation is not None
        send_confirmation(connection, account_id=account_id, link=confirmation, now_ms=now_ms)
    elif not by_operator:
        outbox.put(connection, kind="sign_up", payload={"account_id": account_id}, now_ms=now_ms)
    made = stored.account(connection, account_id=account_id)
    assert made is not None
    return made


def wrong_names(
    connection: Connection, *, username: str, email: str, by_operator: bool = False, confirms: bool = False
) -> dict[str, str]:
    """Return the problems of the username and the address of a new account, by field.

    `confirms`: the owner must confirm the address, so an address in use is no error (see `sign_up`).
    """
    wrong: dict[str, str] = {}
    problem = username_problem(username)
    if problem is None and username.lower() in RESERVED_USERNAMES and not by_operator:
        problem = RESERVED
    if problem is None and stored.account_named(connection, username=username) is not None:
        problem = TAKEN
    if problem is not None:
        wrong["username"] = problem
    email = clean_address(email)
    problem = email_problem(email)
    if problem is None and not confirms and owner_of(connection, email=email) is not None:
        problem = TAKEN
    if problem is None and not by_operator and _domain_is_blocked(connection, email):
        problem = Problem("is from a provider that is not allowed on this server", "ERR_BLOCKED")
    if problem is not None:
        wrong["email"] = problem
    return wrong


def _domain_is_blocked(connection: Connection, email: str) -> bool:
    """Return True if the address is at a blocked domain or a subdomain of one."""
    parts = email.rpartition("@")[2].lower().split(".")
    return stored_instance.is_blocked(
        connection, domains=[".".join(parts[start:]) for start in range(len(parts))]
    )


def invalid_fields(wrong: dict[str, str]) -> Invalid:
    """Return the error for several fields: "Validation failed: Username is too long, E-mail can't be blank"."""
    names = {"email": "E-mail"}
    said = ", ".join(f"{names.get(name, name.capitalize())} {what}" for name, what in wrong.items())
    return Invalid(f"Validation failed: {said}", fields=wrong)


def require_admin(connection: Connection, *, account_id: int) -> None:
    """Raise Forbidden unless the account is an admin's."""
    found = stored.user(connection, account_id=account_id)
    if found is None or found.role is not Role.ADMIN or found.state is not AccountState.ACTIVE:
        raise Forbidden("Only admins can see this page")


def pending_users(connection: Connection, *, limit: int) -> list[User]:
    """Return users who wait for approval, oldest first."""
    return stored.users(connection, state=AccountState.PENDING, limit=limit)


def users(connection: Connection, *, limit: int) -> list[User]:
    """Return all users, oldest first."""
    return stored.users(connection, state=None, limit=limit)


def _in_state(connection: Connection, account_id: int, wanted: AccountState, otherwise: str) -> Account:
    found = stored.account(connection, account_id=account_id)
    if found is None:
        raise NotFound("Account not found")
    if found.state is not wanted:
        raise Invalid(f"@{found.username} {otherwise}")
    return found


def approve(connection: Connection, *, account_id: int) -> None:
    """Approve an account that waits for approval. Raise Invalid for any other."""
    _in_state(connection, account_id, AccountState.PENDING, "is not waiting for approval")
    stored.set_state(connection, account_id=account_id, state=AccountState.ACTIVE)
    connection.tell(AccountChanged(account_id))


def reject(connection: Connection, *, account_id: int) -> None:
    """Delete an account that waits for approval. Raise Invalid for any other."""
    _in_state(connection, account_id, AccountState.PENDING, "is not waiting for approval")
    stored.delete_account(connection, account_id=account_id)
    connection.tell(AccountChanged(account_id, hidden=True))
    connection.tell(AccessChanged(account_id))


def suspend(connection: Connection, *, account_id: int) -> None:
    """Hide an account everywhere and sign it out at once. Raise Invalid when it is already suspended.

    rules/moderation.py, which the doors call, decides who may suspend.
    """
    found = stored.account(connection, account_id=account_id)
    if found is None or found.state is AccountState.DELETED:
        raise NotFound("Account not found")
    if found.state is AccountState.SUSPENDED:
        raise Invalid(f"@{found.username} is already suspended")
    stored.set_state(connection, account_id=account_id, state=AccountState.SUSPENDED)
    take_back_counts(connection, account_id=account_id)
    # Revoke credentials for good: after `unsuspend` the owner has to sign in again.
    access.revoke_all(connection, account_id=account_id)
    connection.tell(AccountChanged(account_id, hidden=True))


def unsuspend(connection: Connection, *, account_id: int) -> None:
    """Restore a suspended account. Raise Invalid for any other."""
    _in_state(connection, account_id, AccountState.SUSPENDED, "is not suspended")
    stored.set_state(connection, account_id=account_id, state=AccountState.ACTIVE)
    give_back_counts(connection, account_id=account_id)
    connection.tell(AccountChanged(account_id, hidden=True))
    connection.tell(AccessChanged(account_id))


def update_profile(
    connection: Connection, *, account_id: int, change: ProfileChange, now_ms: int, domain: str = ""
) -> Account:
    """Change the owner's own profile; None leaves a value. `domain`: the instance's.

    Raise Invalid with `fields`.
    """
    old = account(connection, account_id=account_id)
    cleaned = _cleaned(change)
    stored.update_profile(
        connection, old=old, change=cleaned, named=_named(connection, old, cleaned, domain=domain)
    )
    connection.tell(AccountChanged(account_id))
    if old.locked and cleaned.locked is False:
        # Unlocking a profile accepts all pending follow requests.
        for follower_id in stored_relationships.requester_ids(connection, account_id=account_id):
            accept_follow(connection, account_id=account_id, follower_id=follower_id, now_ms=now_ms)
    return account(connection, account_id=account_id)


def _named(connection: Connection, old: Account, change: ProfileChange, *, domain: str) -> list[str]:
    """Return the existing usernames that note and fields mention after the change."""
    note = old.note if change.note is None else change.note
    fields = old.fields if change.fields is None else change.fields
    names = texts.mentions_in("\n".join([note, *(field.value for field in fields)]), domain=domain)
    found = stored.ids_by_names(connection, names=names[:MAX_NAMED])
    return [username for _, username in found.values()]


def _cleaned(change: ProfileChange) -> ProfileChange:
    wrong: dict[str, str] = {}
    display_name = None if change.display_name is None else texts.one_line(change.display_name)
    if display_name is not None and is_too_long(display_name, MAX_DISPLAY_NAME):
        wrong["display_name"] = too_long(MAX_DISPLAY_NAME)
    note = None if change.note is None else texts.clean(change.note)
    if note is not None and texts.is_too_long(note, MAX_NOTE):
        wrong["note"] = too_long(MAX_NOTE)
    fields = None
    if change.fields is not None:
        fields = tuple(
            Field(texts.one_line(field.name), texts.one_line(field.value)) for field in change.fields
        )
        fields = tuple(field for field in fields if field.name or field.value)
        if len(fields) > MAX_FIELDS:
            wrong["fields"] = f"are too many (maximum is {MAX_FIELDS})"
        if any(
            is_too_long(field.name, MAX_FIELD_CHARACTERS) or is_too_long(field.value, MAX_FIELD_CHARACTERS)
            for field in fields
        ):
            wrong["fields"] = f"are too long (maximum is {MAX_FIELD_CHARACTERS} characters)"
    visibility = change.default_visibility
    if visibility is not None and visibility not in (
        Visibility.PUBLIC,
        Visibility.UNLISTED,
        Visibility.FOLLOWERS,
    ):
        wrong["default_visibility"] = "must be public, unlisted or followers only"
    language = change.default_language
    if language is not None:
        language = clean_language(language)
    if wrong:
        raise invalid_fields(wrong)
    return ProfileChange(
        display_name=display_name,
        note=note,
        fields=fields,
        locked=change.locked,
        bot=change.bot,
        discoverable=change.discoverable,
        indexable=change.indexable,
        default_visibility=visibility,
        default_sensitive=change.default_sensitive,
        default_language=language,
    )


def renew_hash(connection: Connection, *, account_id: int, old: str, new: str) -> None:
    """Replace the hash of an unchanged password, unless the password was changed in the meantime."""
    found = stored.user(connection, account_id=account_id)
    if found is not None and found.password_hash == old:
        stored.set_password(connection, account_id=account_id, password_hash=new)


def set_password(connection: Connection, *, account_id: int, password_hash: str) -> None:
    """Replace the password. The caller ends the other sessions (rules.access)."""
    stored.set_password(connection, account_id=account_id, password_hash=password_hash)
