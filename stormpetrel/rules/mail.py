"""Mails that a member asks for: confirming an address, setting a new password; and how many one may ask for.

Whoever asks learns nothing: for a name that nobody has, the same is written in the request's transaction, and what
follows is the courier's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stormpetrel.errors import TAKEN, Invalid, NotFound, TooMany
from stormpetrel.model.account import AccountState, User, clean_address, email_problem
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
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.hot import hot

ENOUGH = "That is enough mails for now. Please look into your mailbox, and its spam folder"
NO_LINK = "This link does not work any more. Please ask for a new one"
_NOWHERE = "@taken.invalid"
"""How an address ends that stands for one in use. No mail goes to `.invalid`, which nobody can have (RFC 2606)."""


class LinkWanted(msgspec.Struct, frozen=True):
    """The outbox job `link_wanted`: somebody typed `login` and asks for a mail. `token_hash` in hexadecimal.

    `by_device_of`: the account that the asking browser has signed in to before; 0 for none.
    """

    purpose: str
    login: str
    nonce: str
    token_hash: str
    by_device_of: int = 0


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a mail, as slots (model/quota.py); `device` is None where no account has signed in before."""

    network: int
    pair: int
    device: int | None = None
    device_account_id: int = 0


def want_link(
    connection: Connection, *, purpose: Purpose, login: str, link: NewLink, asker: Asker, now_ms: int
) -> None:
    """Has the courier send the link, if there is such an account. Raises TooMany."""
    if asker.device is None or spend(connection, MAIL_DEVICE, asker.device, now_ms=now_ms):
        require(connection, MAIL_PAIR, asker.pair, now_ms=now_ms, text=ENOUGH)
        require(connection, MAIL_NETWORK, asker.network, now_ms=now_ms, text=ENOUGH)
    wanted = LinkWanted(purpose.value, login, link.nonce, link.token_hash.hex(), asker.device_account_id)
    outbox.put(connection, kind="link_wanted", payload=wanted, now_ms=now_ms)


def send_wanted(connection: Connection, *, wanted: LinkWanted, user: User | None, now_ms: int) -> None:
    """What the courier does then: nothing for nobody, or where the link would lead nowhere."""
    purpose = Purpose(wanted.purpose)
    if user is None or (purpose is Purpose.CONFIRM and user.state is not AccountState.UNCONFIRMED):
        return
    if purpose is Purpose.SIGN_IN and user.state is AccountState.UNCONFIRMED:
        # Somebody else may have typed this address when they signed up, and know the password: who reads the mail
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
    """Stores the link and writes the mail, by the first of `quotas` that has room; otherwise in how many ms."""
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
    if purpose in _PROVES_ADDRESS and spend(connection, MAIL_ADDRESS, _address_slot(email), now_ms=now_ms):
        # Many accounts had mails sent to somebody who perhaps has none. Who asks is not told: for an address in use
        # they would not be told either.
        return 0
    post(connection, Letter(purpose.value, email, user.username, link.nonce), now_ms=now_ms)
    return 0


_PROVES_ADDRESS = (Purpose.CONFIRM, Purpose.ADDRESS)


def _address_slot(email: str) -> int:
    """Return the row that counts mails to an address. It needs no key: who wants to spend it can type the address."""
    return slot(b"", f"mail to {email}")


def _send_own(
    connection: Connection, *, user: User, purpose: Purpose, email: str, link: NewLink, now_ms: int
) -> None:
    """The same for an owner who asks. Raises TooMany."""
    wait_ms = _send(connection, [MAIL_OWN], user=user, purpose=purpose, email=email, link=link, now_ms=now_ms)
    if wait_ms:
        raise TooMany(ENOUGH, retry_after_s=-(-wait_ms // 1000))


def post(connection: Connection, letter: Letter, *, now_ms: int) -> None:
    """Gives the letter to the courier, in the transaction that causes it."""
    if letter.to.endswith(_NOWHERE):
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
    """Sends the link once more; to another address if the first was mistyped. One that is in use is taken too, and
    its owner gets the mail instead. Raises Invalid with `fields` for what cannot be an address, TooMany, and Invalid
    where nothing is to be confirmed."""
    user = _user(connection, account_id)
    if user.state is not AccountState.UNCONFIRMED:
        raise Invalid("This address is confirmed already")
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
    """Return the address of an account whose owner typed one that is in use, or one that somebody typed after them:
    no mail goes there."""
    return f"{account_id}{_NOWHERE}"


def owner_of(connection: Connection, *, email: str) -> User | None:
    """Return the user whose address this is; None where no account has it, or none that confirmed it.

    Typing an address reserves nothing: otherwise a stranger who signs up with somebody's address first would keep
    them out, and lead them into an account whose password the stranger knows.
    """
    found = stored_accounts.user_by_email(connection, email=email)
    return None if found is None or found.state is AccountState.UNCONFIRMED else found


def take_from_unconfirmed(connection: Connection, *, email: str) -> None:
    """Free the address where an account has it that never confirmed it. The links of that account still work: of
    all who signed up with an address, the first to confirm it has it."""
    found = stored_accounts.user_by_email(connection, email=email)
    if found is not None and found.state is AccountState.UNCONFIRMED:
        stored_accounts.set_email(connection, account_id=found.account_id, email=stand_in(found.account_id))


def _unconfirmed_address(connection: Connection, user: User) -> str:
    """Return the address that the user last asked to confirm, though somebody may have typed it after them."""
    if user.email != stand_in(user.account_id):
        return user.email
    return stored.newest_address(connection, account_id=user.account_id) or user.email


def notify_owner_of(connection: Connection, *, email: str, now_ms: int) -> bool:
    """Return whether the address is in use. Then its owner gets a mail that somebody typed it, a few a day at most.

    Who typed it sees what they would see for a free address: the confirmation is asked for by mail.
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
    """The link, unused. Raises NotFound for any other. Looking does not use it up: mail scanners look."""
    found = stored.link(connection, token_hash=token_hash)
    if found is None or found.purpose not in purposes or found.expires_at_ms <= now_ms:
        raise NotFound(NO_LINK)
    return found


def confirm(connection: Connection, *, token_hash: bytes, registration: str, now_ms: int) -> Link:
    """Uses a link up that confirms an address. Raises NotFound for one that does not work, Invalid where somebody
    else has the address by now."""
    found = usable_link(
        connection, token_hash=token_hash, purposes=(Purpose.CONFIRM, Purpose.ADDRESS), now_ms=now_ms
    )
    user = _user(connection, found.account_id)
    if found.purpose is Purpose.CONFIRM:
        if user.email != found.email:
            if user.email != stand_in(user.account_id):
                raise NotFound(NO_LINK)
            # Somebody typed it after them.
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
    """The account's address from now on; the old one is told. Raises Invalid where it is taken."""
    user = _user(connection, account_id)
    email = _free_address(connection, email)
    stored.delete_links_of(connection, account_id=account_id)
    take_from_unconfirmed(connection, email=email)
    stored_accounts.set_email(connection, account_id=account_id, email=email)
    post(connection, Letter(Notice.ADDRESS_CHANGED.value, user.email, user.username), now_ms=now_ms)


def want_address(
    connection: Connection, *, account_id: int, email: str, link: NewLink | None, now_ms: int
) -> None:
    """Asks the new address to confirm itself; without `link` (no confirmation here) it counts at once.

    The password must have been checked. Of an address in use the owner gets a mail, and who asks learns nothing; only
    without `link` that is an error. Raises Invalid with `fields`, TooMany.
    """
    if link is None:
        change_address(connection, account_id=account_id, email=email, now_ms=now_ms)
        return
    user, email = _user(connection, account_id), _possible_address(email)
    if notify_owner_of(connection, email=email, now_ms=now_ms):
        email = stand_in(account_id)
    _send_own(connection, user=user, purpose=Purpose.ADDRESS, email=email, link=link, now_ms=now_ms)


def use_sign_in_link(connection: Connection, *, token_hash: bytes, now_ms: int) -> User:
    """Uses a link up that signs its account in without the password. Raises NotFound. Whoever it is may still have
    to give a second factor, or may not be let in at all: the user's `state` says so."""
    found = usable_link(connection, token_hash=token_hash, purposes=(Purpose.SIGN_IN,), now_ms=now_ms)
    user = _user(connection, found.account_id)
    if user.email != found.email or user.state is AccountState.UNCONFIRMED:
        raise NotFound(NO_LINK)
    stored.take_link(connection, token_hash=token_hash)
    return user


def reset_password(
    connection: Connection, *, token_hash: bytes, password_hash: str, registration: str, now_ms: int
) -> int:
    """Sets the password by a link in a mail; the account's id. Every browser and app has to sign in again.

    Raises NotFound.

    Apps too: who recovers an account wants whoever else was in it out.
    """
    found = usable_link(connection, token_hash=token_hash, purposes=(Purpose.RESET,), now_ms=now_ms)
    user = _user(connection, found.account_id)
    if user.email == found.email:
        # Who reads the mail has the address.
        _mark_confirmed(connection, user, registration=registration, now_ms=now_ms)
    replace_password(connection, account_id=user.account_id, password_hash=password_hash, now_ms=now_ms)
    return user.account_id


def replace_password(connection: Connection, *, account_id: int, password_hash: str, now_ms: int) -> None:
    """A new password without the old one: by a link, or by the operator. Everything else that lets in ends."""
    stored_accounts.set_password(connection, account_id=account_id, password_hash=password_hash)
    access.revoke_all(connection, account_id=account_id)
    password_changed(connection, account_id=account_id, now_ms=now_ms)


def password_changed(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Links sent before end, and the owner is told."""
    user = _user(connection, account_id)
    stored.delete_links_of(connection, account_id=account_id)
    post(connection, Letter(Notice.PASSWORD_CHANGED.value, user.email, user.username), now_ms=now_ms)
