"""Mails that a user asks for (to confirm an address, to set a new password), and limits on them.

A requester learns nothing about accounts: for an unknown name the request's transaction writes the same rows,
and the courier does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stormpetrel.errors import TAKEN, Invalid, NotFound, TooMany
from stormpetrel.model.account import PLACEHOLDER, AccountState, User, clean_address, email_problem
from stormpetrel.model.event import AccessChanged, AccountChanged
from stormpetrel.model.mail import LIFETIME_MS, Letter, Link, NewLink, Notice, Purpose
from stormpetrel.model.quota import (
    MAIL_ADDRESS,
    MAIL_DEVICE,
    MAIL_NETWORK,
    MAIL_OWN,
    MAIL_PAIR,
    MAIL_STRANGERS,
    Quota,
    slot,
)
from stormpetrel.rules import access
from stormpetrel.rules.quotas import require, spend
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage import mail as stored
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.facts import slot_key

ENOUGH = "Too many e-mails were sent already. Please check your inbox and spam folder"
NO_LINK = "This link has expired or was already used. Please request a new one"
_UNDELIVERABLE = ".invalid"
"""No mail can be delivered there (RFC 2606): it is the domain of stand-in addresses, and of the demo's people."""


class LinkWanted(msgspec.Struct, frozen=True):
    """The outbox job `link_wanted`: a visitor typed `login` and asks for a mail. `token_hash` in hexadecimal.

    `by_device_of`: the account that the visitor's browser has signed in to before; 0 for none.
    """

    purpose: str
    login: str
    nonce: str
    token_hash: str
    by_device_of: int = 0


@dataclass(frozen=True, slots=True)
class Asker:
    """The requester of a mail, as slots (model/quota.py); `device` is None if the browser has never signed in."""

    network: int
    pair: int
    device: int | None = None
    device_account_id: int = 0


def want_link(
    connection: Connection, *, purpose: Purpose, login: str, link: NewLink, asker: Asker, now_ms: int
) -> None:
    """Queue the link for the courier, which sends it if the account exists. Raise TooMany."""
    if asker.device is None or spend(connection, MAIL_DEVICE, asker.device, now_ms=now_ms):
        require(connection, MAIL_PAIR, asker.pair, now_ms=now_ms, text=ENOUGH)
        require(connection, MAIL_NETWORK, asker.network, now_ms=now_ms, text=ENOUGH)
    wanted = LinkWanted(purpose.value, login, link.nonce, link.token_hash.hex(), asker.device_account_id)
    outbox.put(connection, kind="link_wanted", payload=wanted, now_ms=now_ms)


def send_wanted(connection: Connection, *, wanted: LinkWanted, user: User | None, now_ms: int) -> None:
    """Send the link (run by the courier). Do nothing without an account, or where the link would have no use."""
    purpose = Purpose(wanted.purpose)
    if user is None or (purpose is Purpose.CONFIRM and user.state is not AccountState.UNCONFIRMED):
        return
    if purpose is Purpose.SIGN_IN and user.state is AccountState.UNCONFIRMED:
        # Another person may have signed up with this address and know the password. The reader of the mail
        # must see which account it is, and confirm it, before they use it.
        purpose = Purpose.CONFIRM
    link = NewLink(wanted.nonce, bytes.fromhex(wanted.token_hash))
    quotas = [MAIL_STRANGERS]
    if wanted.by_device_of == user.account_id:
        quotas.insert(0, MAIL_OWN)
    email = _unconfirmed_address(connection, user) if purpose is Purpose.CONFIRM else user.email
    _send(connection, quotas, user=user, purpose=purpose, email=email, link=link, now_ms=now_ms)


def _send(
    connection: Connection,
    quotas: Sequence[Quota],
    *,
    user: User,
    purpose: Purpose,
    email: str,
    link: NewLink,
    now_ms: int,
) -> int:
    """Store the link and queue the mail, using the first of `quotas` that is not used up.

    Return 0, or the wait in ms when all are used up.
    """
    for quota in quotas:
        wait_ms = spend(connection, quota, user.account_id, now_ms=now_ms)
        if not wait_ms:
            break
    else:
        return wait_ms
    stored.add_link(
        connection,
        Link(user.account_id, purpose, email, now_ms + LIFETIME_MS[purpose]),
        token_hash=link.token_hash,
        now_ms=now_ms,
    )
    if purpose in _PROVES_ADDRESS and spend(
        connection, MAIL_ADDRESS, _address_slot(connection, email), now_ms=now_ms
    ):
        # Many accounts sent mails to an address whose owner may have no account. Do not report it: for an
        # address in use the requester would not see an error either.
        return 0
    post(connection, Letter(purpose.value, email, user.username, link.nonce), now_ms=now_ms)
    return 0


_PROVES_ADDRESS = (Purpose.CONFIRM, Purpose.ADDRESS)


def _address_slot(connection: Connection, email: str) -> int:
    """Return the slot that counts mails to an address.

    Without a key, strangers could find addresses of their own that have the row of another address, and use up its
    mails unseen.
    """
    return slot(slot_key(connection), f"mail to {email}")


def _send_own(
    connection: Connection, *, user: User, purpose: Purpose, email: str, link: NewLink, now_ms: int
) -> None:
    """Do the same for a signed-in owner. Raise TooMany."""
    wait_ms = _send(connection, [MAIL_OWN], user=user, purpose=purpose, email=email, link=link, now_ms=now_ms)
    if wait_ms:
        raise TooMany(ENOUGH, retry_after_s=-(-wait_ms // 1000))


def post(connection: Connection, letter: Letter, *, now_ms: int) -> None:
    """Queue the letter for the courier, in the transaction that causes it; drop it if it cannot be delivered."""
    if letter.to.endswith(_UNDELIVERABLE):
        return
    outbox.put(connection, kind="mail", payload=letter, now_ms=now_ms, lane=outbox.LANE_MAIL)


def _user(connection: Connection, account_id: int) -> User:
    found = stored_accounts.user(connection, account_id=account_id)
    if found is None:
        raise NotFound
    return found


def send_confirmation(
    connection: Connection, *, account_id: int, link: NewLink, now_ms: int, email: str | None = None
) -> None:
    """Send the confirmation link again, optionally to another address if the first was mistyped.

    An address in use is accepted too, but then its owner gets a notice and no link is sent. Raise TooMany,
    Invalid with `fields` for an invalid address, and Invalid where the account is confirmed already.
    """
    user = _user(connection, account_id)
    if user.state is not AccountState.UNCONFIRMED:
        raise Invalid("This address is already confirmed")
    if email is not None and clean_address(email).lower() != user.email.lower():
        email = _possible_address(email)
        if notify_owner_of(connection, email=email, now_ms=now_ms):
            email = stand_in(account_id)
        stored.delete_links_of(connection, account_id=account_id)
        take_from_unconfirmed(connection, email=email)
        stored_accounts.set_email(connection, account_id=account_id, email=email)
        user = _user(connection, account_id)
    email = _unconfirmed_address(connection, user)
    _send_own(connection, user=user, purpose=Purpose.CONFIRM, email=email, link=link, now_ms=now_ms)


def stand_in(account_id: int) -> str:
    """Return the placeholder address of an account whose real address is in use elsewhere, or that has none.

    No mail is sent to it. It is set when the owner typed an address in use, when a later sign-up typed the same
    address, and at a sign-up by text message.
    """
    return f"{account_id}{PLACEHOLDER}"


def owner_of(connection: Connection, *, email: str) -> User | None:
    """Return the user who has confirmed this address, or None.

    Typing an address does not reserve it. Otherwise an attacker could sign up with another person's address
    first, which would keep them out, or lead them into an account whose password the attacker knows.
    """
    found = stored_accounts.user_by_email(connection, email=email)
    return None if found is None or found.state is AccountState.UNCONFIRMED else found


def take_from_unconfirmed(connection: Connection, *, email: str) -> None:
    """Release the address from an account that has not confirmed it.

    The links of that account still work: among accounts with the same address, the
    first to confirm it gets it.
    """
    found = stored_accounts.user_by_email(connection, email=email)
    if found is not None and found.state is AccountState.UNCONFIRMED:
        stored_accounts.set_email(connection, account_id=found.account_id, email=stand_in(found.account_id))


def _unconfirmed_address(connection: Connection, user: User) -> str:
    """Return the address that the user last asked to confirm, even if a later sign-up typed it as well."""
    if user.email != stand_in(user.account_id):
        return user.email
    return stored.newest_address(connection, account_id=user.account_id) or user.email


def notify_owner_of(connection: Connection, *, email: str, now_ms: int) -> bool:
    """Return True if the address is in use; notify its owner by mail that it was typed, a
    few times a day at most.

    The person who typed it sees the same as for a free address: a request to confirm it by mail.
    """
    owner = owner_of(connection, email=email)
    if owner is None:
        return False
    if not spend(connection, MAIL_STRANGERS, owner.account_id, now_ms=now_ms):
        post(connection, Letter(Notice.ADDRESS_IN_USE.value, owner.email, owner.username), now_ms=now_ms)
    return True


def _possible_address(email: str) -> str:
    email = clean_address(email)
    problem = email_problem(email)
    if problem is not None:
        raise Invalid(f"Validation failed: E-mail {problem}", fields={"email": problem})
    return email


def _free_address(connection: Connection, email: str) -> str:
    email = _possible_address(email)
    if owner_of(connection, email=email) is not None:
        raise Invalid(f"Validation failed: E-mail {TAKEN}", fields={"email": TAKEN})
    return email


@hot
def usable_link(
    connection: Connection, *, token_hash: bytes, purposes: Sequence[Purpose], now_ms: int
) -> Link:
    """Return the unused link. Raise NotFound for any other. Do not use it up: mail scanners open links."""
    found = stored.link(connection, token_hash=token_hash)
    if found is None or found.purpose not in purposes or found.expires_at_ms <= now_ms:
        raise NotFound(NO_LINK)
    return found


def confirm(connection: Connection, *, token_hash: bytes, registration: str, now_ms: int) -> Link:
    """Use up a link that confirms an address.

    Raise NotFound for a link that does not work, Invalid where another account has
    confirmed the address since.
    """
    found = usable_link(
        connection, token_hash=token_hash, purposes=(Purpose.CONFIRM, Purpose.ADDRESS), now_ms=now_ms
    )
    user = _user(connection, found.account_id)
    if found.purpose is Purpose.CONFIRM:
        if user.email != found.email:
            if user.email != stand_in(user.account_id):
                raise NotFound(NO_LINK)
            # A later sign-up typed the same address.
            _free_address(connection, found.email)
            take_from_unconfirmed(connection, email=found.email)
            stored_accounts.set_email(connection, account_id=user.account_id, email=found.email)
        stored.take_link(connection, token_hash=token_hash)
        _mark_confirmed(connection, user, registration=registration, now_ms=now_ms)
    else:
        change_address(connection, account_id=user.account_id, email=found.email, now_ms=now_ms)
    return found


def _mark_confirmed(connection: Connection, user: User, *, registration: str, now_ms: int) -> None:
    if user.state is not AccountState.UNCONFIRMED:
        return
    state = AccountState.PENDING if registration == "approval" else AccountState.ACTIVE
    stored_accounts.set_state(connection, account_id=user.account_id, state=state)
    outbox.put(connection, kind="sign_up", payload={"account_id": user.account_id}, now_ms=now_ms)
    connection.tell(AccountChanged(user.account_id))
    connection.tell(AccessChanged(user.account_id))


def change_address(connection: Connection, *, account_id: int, email: str, now_ms: int) -> None:
    """Set the account's address and notify the old one. Raise Invalid where it is taken."""
    user = _user(connection, account_id)
    email = _free_address(connection, email)
    stored.delete_links_of(connection, account_id=account_id)
    take_from_unconfirmed(connection, email=email)
    stored_accounts.set_email(connection, account_id=account_id, email=email)
    post(connection, Letter(Notice.ADDRESS_CHANGED.value, user.email, user.username), now_ms=now_ms)


def want_address(
    connection: Connection, *, account_id: int, email: str, link: NewLink | None, now_ms: int
) -> None:
    """Send a confirmation link to the new address; without `link` (no confirmation on this
    instance) set it at once.

    The caller must have checked the password. If the address is in use, its owner gets a mail and the
    requester sees no difference; only without `link` is that an error. Raise Invalid with `fields`, TooMany.
    """
    if link is None:
        change_address(connection, account_id=account_id, email=email, now_ms=now_ms)
        return
    user, email = _user(connection, account_id), _possible_address(email)
    if notify_owner_of(connection, email=email, now_ms=now_ms):
        email = stand_in(account_id)
    _send_own(connection, user=user, purpose=Purpose.ADDRESS, email=email, link=link, now_ms=now_ms)


def use_sign_in_link(connection: Connection, *, token_hash: bytes, now_ms: int) -> User:
    """Use up a link that signs its account in without the password. Raise NotFound.

    The user may still need a second factor, or may not be allowed in: the caller checks the user's `state`.
    """
    found = usable_link(connection, token_hash=token_hash, purposes=(Purpose.SIGN_IN,), now_ms=now_ms)
    user = _user(connection, found.account_id)
    if user.email != found.email or user.state is AccountState.UNCONFIRMED:
        raise NotFound(NO_LINK)
    stored.take_link(connection, token_hash=token_hash)
    return user


def reset_password(
    connection: Connection, *, token_hash: bytes, password_hash: str, registration: str, now_ms: int
) -> int:
    """Set the password with a link from a mail; return the account's id. Raise NotFound.

    Every browser and app has to sign in again: a person who recovers an account wants all others out.
    """
    found = usable_link(connection, token_hash=token_hash, purposes=(Purpose.RESET,), now_ms=now_ms)
    user = _user(connection, found.account_id)
    if user.email == found.email:
        # The link proves that the user can read mail to the address.
        _mark_confirmed(connection, user, registration=registration, now_ms=now_ms)
    replace_password(connection, account_id=user.account_id, password_hash=password_hash, now_ms=now_ms)
    return user.account_id


def replace_password(connection: Connection, *, account_id: int, password_hash: str, now_ms: int) -> None:
    """Set a password without the old one (by a link, or by the operator), and revoke all other credentials."""
    stored_accounts.set_password(connection, account_id=account_id, password_hash=password_hash)
    access.revoke_all(connection, account_id=account_id)
    password_changed(connection, account_id=account_id, now_ms=now_ms)


def password_changed(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """End the links sent before, and notify the owner."""
    user = _user(connection, account_id)
    stored.delete_links_of(connection, account_id=account_id)
    post(connection, Letter(Notice.PASSWORD_CHANGED.value, user.email, user.username), now_ms=now_ms)
