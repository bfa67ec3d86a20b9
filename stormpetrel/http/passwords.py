"""Check passwords for both doors: budgeted (rules/guesses.py), normalised, in the heavy process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.errors import TooMany
from stormpetrel.model.password import normal_form, password_problem
from stormpetrel.model.quota import network_of, slot
from stormpetrel.process.cpu_worker import DUMMY_HASH, Heavy
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import guesses as rules
from stormpetrel.rules import quotas as quota_rules
from stormpetrel.rules.guesses import Admission, Guess
from stormpetrel.shield.classify import K3_NEAR
from stormpetrel.shield.evidence import FailedLogins
from stormpetrel.shield.marks import Mark

if TYPE_CHECKING:
    from stormpetrel.model.access import Access
    from stormpetrel.model.account import User
    from stormpetrel.storage.engine.database import Database

WRONG = "Wrong username or password, an address that is not confirmed yet, or too many attempts."
"""The same text for a wrong password and a refused attempt, so that guessing reveals nothing."""
TOO_OFTEN = "Wrong password, or too many attempts. Please wait before you try again."
REFUSALS = 65_536
LONGEST_REFUSAL_MS = 600_000


class PasswordCaller(Protocol):
    """The parts of a request that a password check uses; see `Request`."""

    scope: dict[str, Any]
    now_ms: int
    access: Access | None

    @property
    def account_id(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def network_slot(self) -> int: ...
    @property
    def urgency(self) -> int: ...
    def known_device(self, account_id: int) -> Mark | None: ...


class Passwords:
    """Password checks of one worker. It caches REFUSALS refusals, so a flood costs the database nothing.

    `secret`: keys the rows that count attempts. `about`: words of the instance that make a password weak.
    """

    def __init__(self, database: Database, heavy: Heavy, *, secret: bytes, about: Sequence[str]) -> None:
        self._database = database
        self._heavy = heavy
        self._secret = secret
        self._about = tuple(about)
        self._until_ms: BoundedTable[Guess, int] = BoundedTable(REFUSALS, evicts=Eviction.OLDEST)
        self.failed = FailedLogins()
        """Checks with a wrong password, and those that were refused, for the worker's report."""

    async def is_right(self, caller: PasswordCaller, *, user: User | None, login: str, password: str) -> bool:
        """Return True if it is the user's password. Without a user, do the same work in the same time.

        Raise TooMany without checking after too many attempts, Busy if there is no capacity.
        """
        guess = self.guess(caller, account_id=None if user is None else user.account_id, login=login)
        if user is None and caller.scope["is_canary"]:
            # The watch's canary tries a name without an account every five seconds, from one address. Budgets
            # would soon refuse it, and the status page would report that for all users. Without an account
            # there is nothing to guess.
            admission = Admission(wait_ms=0)
        else:
            try:
                admission = await self.admit(caller, guess, text=WRONG)
            except TooMany:
                self.failed.count(guess.login)
                raise
        stored = DUMMY_HASH if user is None else user.password_hash
        urgency = self.urgency(caller, guess)
        normal = normal_form(password)
        right = await self._heavy.verify_password(stored, normal, urgency=urgency)
        is_old_form = False
        if not right and normal != password:
            # The password was set before passwords were normalised.
            is_old_form = right = await self._heavy.verify_password(stored, password, urgency=urgency)
        await self.settle(caller, guess, admission, is_right=right and user is not None)
        if not (right or caller.scope["is_canary"]):
            self.failed.count(guess.login)
        if is_old_form and user is not None:
            renewed = await self._heavy.hash_password(normal, urgency=urgency)
            await self._database.write(
                account_rules.renew_hash, account_id=user.account_id, old=stored, new=renewed
            )
        return right and user is not None

    async def is_own(self, caller: PasswordCaller, password: str) -> bool:
        """Return True if it is the signed-in user's password; forms ask for it again. Raise TooMany."""
        user = await self._database.read(account_rules.user, account_id=caller.account_id)
        try:
            return await self.is_right(caller, user=user, login="", password=password)
        except TooMany as refusal:
            raise TooMany(TOO_OFTEN, retry_after_s=refusal.retry_after_s) from refusal

    def guess(self, caller: PasswordCaller, *, account_id: int | None, login: str) -> Guess:
        """Return the attempt's identity, as rules/guesses.py counts it."""
        secret = self._secret
        who = f"account {account_id}" if account_id is not None else f"login {login}"
        device = None if account_id is None else caller.known_device(account_id)
        access = caller.access
        own = access is not None and account_id is not None and access.account_id == account_id
        network = network_of(caller.address)
        return Guess(
            account_id=account_id,
            login=slot(secret, who),
            network=caller.network_slot,
            pair=slot(secret, f"pair {who} {network}"),
            device=None if device is None else slot(secret, f"device {device.mark_id} {account_id}"),
            session=access.session_id if own and access is not None else None,
            is_near=caller.scope["is_near"],
        )

    async def admit(self, caller: PasswordCaller, guess: Guess, *, text: str) -> Admission:
        """Return the budget that the attempt spends. Raise TooMany with `text` if it must not be checked."""
        until_ms = self._until_ms.get(guess) or 0
        if until_ms <= caller.now_ms:
            admission = await self._database.write_as(1, 10.0, rules.admit, guess, now_ms=caller.now_ms)
            if not admission.wait_ms:
                self._until_ms.pop(guess)
                return admission
            until_ms = caller.now_ms + admission.wait_ms
            self._until_ms.put(guess, min(until_ms, caller.now_ms + LONGEST_REFUSAL_MS))
        raise TooMany(text, retry_after_s=max(1, (until_ms - caller.now_ms) // 1000 + 1))

    async def settle(
        self, caller: PasswordCaller, guess: Guess, admission: Admission, *, is_right: bool
    ) -> None:
        """Record the result of an admitted attempt: a right password costs nothing."""
        if is_right:
            await self._database.write(quota_rules.give_back, admission.spent)
        elif guess.account_id is not None:
            await self._database.write(rules.note_wrong, guess, now_ms=caller.now_ms)

    async def problem(self, password: str, *, username: str, email: str, urgency: int) -> str | None:
        """Return the problem of a new password, or None. Raise Busy."""
        problem = password_problem(password)
        if problem is not None:
            return problem
        about = [username, email, *self._about]
        weakness: str | None = await self._heavy.call("password_weakness", password, about, urgency=urgency)
        return weakness

    def urgency(self, caller: PasswordCaller, guess: Guess) -> int:
        """Return the urgency: a device known to this account does not wait behind unknown clients.

        A device or session of another account counts as a stranger here.
        """
        known = guess.device is not None or guess.session is not None
        return caller.urgency if known else max(caller.urgency, K3_NEAR)
