"""Limits on password attempts: none can be guessed, and no owner is locked out.

docs/decisions/0012-guesses.md explains the budgets and their limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model import quota as quotas
from stormpetrel.model.mail import Letter, Notice
from stormpetrel.model.quota import Quota
from stormpetrel.rules.mail import post
from stormpetrel.rules.quotas import spend
from stormpetrel.storage import access as stored_access
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage import quotas as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.quotas import WrongPasswords

MANY = 10
"""Wrong passwords in a day after which the owner gets a mail; one attempt refused unchecked is enough."""
SHOWN_MS = 7 * 86_400_000
"""How long wrong attempts are shown to the owner."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An attempt to enter a password, as slots (model/quota.py).

    `login`: the slot of the account, or of the typed name where there is no account. `device` and `session`:
    None unless the device, or the signed-in browser, is known to this account. `is_near`: from a network
    where members were seen. `is_code`: it is a second factor, after the password.
    """

    account_id: int | None
    login: int
    network: int
    pair: int
    device: int | None = None
    session: int | None = None
    is_near: bool = False
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """`wait_ms` 0: check the password, and give `spent` back if it is right. Otherwise do not check it yet."""

    wait_ms: int
    spent: tuple[tuple[Quota, int], ...] = ()


def admit(connection: Connection, guess: Guess, *, now_ms: int) -> Admission:
    """Decide whether the password may be checked. Count refusals for the owner."""
    admission = _known(connection, guess, now_ms=now_ms) or _unknown(connection, guess, now_ms=now_ms)
    if admission.wait_ms and guess.account_id is not None:
        _note(connection, account_id=guess.account_id, refused=1, now_ms=now_ms)
    return admission


def _known(connection: Connection, guess: Guess, *, now_ms: int) -> Admission | None:
    """Try the budgets that only the owner, their household or a thief of their device can spend."""
    if guess.session is not None:
        # A form of a signed-in browser counts against that session's budget only.
        own = [(quotas.GUESS_SESSION, guess.session)]
    else:
        own = [] if guess.device is None else [(quotas.GUESS_DEVICE, guess.device)]
        if guess.account_id is not None and stored_access.has_session_from(
            connection, account_id=guess.account_id, network=guess.network
        ):
            own.append((quotas.GUESS_HOME, guess.pair))
    wait_ms = 0
    for quota, slot in own:
        wait_ms = spend(connection, quota, slot, now_ms=now_ms)
        if not wait_ms:
            return Admission(0, ((quota, slot),))
    return None if guess.session is None else Admission(wait_ms)


def _unknown(connection: Connection, guess: Guess, *, now_ms: int) -> Admission:
    spent: list[tuple[Quota, int]] = []
    for quota, slot in (
        *((quota, guess.pair) for quota in quotas.GUESS_PAIR),
        (quotas.GUESS_NETWORK, guess.network),
        *([(quotas.GUESS_CODE, guess.login)] if guess.is_code else ()),
    ):
        wait_ms = spend(connection, quota, slot, now_ms=now_ms)
        if wait_ms:
            return Admission(wait_ms)
        spent.append((quota, slot))
    wait_ms = spend(connection, quotas.GUESS_POOL, guess.login, now_ms=now_ms)
    is_new = not spend(connection, quotas.GUESS_SEEN, guess.pair, now_ms=now_ms)
    if not wait_ms:
        return Admission(0, (*spent, (quotas.GUESS_POOL, guess.login)))
    if is_new:
        reserve = quotas.GUESS_NEWCOMER_NEAR if guess.is_near else quotas.GUESS_NEWCOMER_FAR
        if not spend(connection, reserve, guess.login, now_ms=now_ms):
            return Admission(0, (*spent, (reserve, guess.login)))
    return Admission(wait_ms)


def note_wrong(connection: Connection, guess: Guess, *, now_ms: int) -> None:
    """Record a wrong password, but not one from a known device: that is the owner's own mistake."""
    if guess.account_id is not None and guess.device is None:
        _note(connection, account_id=guess.account_id, wrong=1, now_ms=now_ms)


def _note(connection: Connection, *, account_id: int, wrong: int = 0, refused: int = 0, now_ms: int) -> None:
    counted = stored.note_wrong(
        connection,
        account_id=account_id,
        wrong=wrong,
        refused=refused,
        old_ms=now_ms - SHOWN_MS,
        now_ms=now_ms,
    )
    if counted.wrong < MANY and not counted.refused:
        return
    if spend(connection, quotas.GUESS_NOTICE, account_id, now_ms=now_ms):
        return
    user = stored_accounts.user(connection, account_id=account_id)
    if user is not None:
        post(connection, Letter(Notice.WRONG_PASSWORDS.value, user.email, user.username), now_ms=now_ms)


def lately(connection: Connection, *, account_id: int, now_ms: int) -> WrongPasswords | None:
    """Return the wrong passwords of the last SHOWN_MS, for the owner; None when there were none."""
    counted = stored.wrong_passwords(connection, account_id=account_id)
    return counted if counted is not None and counted.last_at_ms > now_ms - SHOWN_MS else None
