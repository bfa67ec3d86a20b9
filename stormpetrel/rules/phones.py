"""Phones: linking one to an account, its settings and PIN, and stopping it.

A phone is linked when its owner sends the code that the web shows. Nothing here sends a text; gateway/ does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.account import NO_PASSWORD, Account, AccountState
from stormpetrel.model.event import RelationshipChanged
from stormpetrel.model.mail import Letter, Notice
from stormpetrel.model.phone import (
    CODE_DIGITS,
    CODE_MS,
    LONG_CODE_DIGITS,
    MAX_SEGMENTS,
    MAX_TAG,
    PIN_LOCK_MS,
    PIN_TRIES,
    SILENT_MS,
    TEXT_LANGUAGES,
    Phone,
    PhoneKeys,
    clean_digest,
    clean_pin,
    clean_quiet,
    is_same_hash,
    is_zone,
)
from stormpetrel.model.quota import HOUR_S, Quota
from stormpetrel.rules import accounts, quotas
from stormpetrel.rules.mail import post, stand_in
from stormpetrel.storage import accounts as stored_accounts
from stormpetrel.storage import phone_queue
from stormpetrel.storage import phones as stored
from stormpetrel.storage import relationships as stored_relationships
from stormpetrel.storage.engine.connection import Connection

MAX_SHOWN = 500
"""The most accounts that `texted_accounts` returns."""
GO_WRONG = Quota("sms.go", 30, HOUR_S / 30)
"""Wrong codes per route. A code is valid for 10 minutes, so 30 and then 5 more tries guess one of a million
possible ones with a chance of 0.0035 % for each code that waits."""
GO_WRONG_NUMBER = Quota("sms.go.number", 5, HOUR_S / 5)
"""Wrong codes per number."""


@dataclass(frozen=True, slots=True)
class PhoneChange:
    """A change of settings; None leaves a value. `pin` "" removes the PIN."""

    delivers: bool | None = None
    posts: bool | None = None
    quiet: str | None = None
    digest: str | None = None
    zone: str | None = None
    language: str | None = None
    segments: int | None = None
    pin: str | None = None


def phone_of(connection: Connection, *, account_id: int) -> Phone | None:
    """Return the account's phone, or None."""
    return stored.of_account(connection, account_id=account_id)


def own_phone(connection: Connection, *, account_id: int) -> Phone:
    """Return the account's phone. Raise NotFound without one."""
    phone = stored.of_account(connection, account_id=account_id)
    if phone is None:
        raise NotFound("No phone is linked to your account")
    return phone


def phone_with(connection: Connection, *, number: str, keys: PhoneKeys) -> Phone | None:
    """Return the phone with that number (E.164), or None."""
    return stored.by_hash(connection, number_hash=keys.number_hash(number))


def new_code(
    connection: Connection,
    *,
    account_id: int,
    keys: PhoneKeys,
    draw: int,
    now_ms: int,
    digits: int = CODE_DIGITS,
) -> str:
    """Return a code that links the phone that sends it to the account, within CODE_MS.

    `digits`: CODE_DIGITS, or LONG_CODE_DIGITS for a code that works while too many wrong ones are sent. It replaces
    the account's earlier code. `draw`: a random number; another one is derived if its code is taken.
    """
    stored.forget_codes(connection, now_ms=now_ms)
    for attempt in range(20):
        code = f"{(draw + attempt * 7919) % 10**digits:0{digits}}"
        if stored.put_code(
            connection,
            code_hash=keys.code_hash(code),
            account_id=account_id,
            expires_at_ms=now_ms + CODE_MS,
        ):
            return code
    raise Invalid("No code could be made. Please try again")


@dataclass(frozen=True, slots=True)
class CodeResult:
    """The result of GO: the account, or the reason (of the log's words) why there is none."""

    account: Account | None
    error: str = ""


def account_of_code(
    connection: Connection,
    *,
    code: str,
    keys: PhoneKeys,
    route_slot: int,
    number_slot: int,
    now_ms: int,
    nonce: tuple[str, int] | None = None,
) -> CodeResult:
    """Use a code up and return its account. `nonce`: another right code, which was texted, and its account.

    Wrong codes are limited per route and per number, because a forged sender costs nothing. Over the limit even a
    right code is refused with "locked". Long codes are not limited (LONG_CODE_DIGITS).
    """
    is_long = len(code) == LONG_CODE_DIGITS
    spent = () if is_long else ((GO_WRONG, route_slot), (GO_WRONG_NUMBER, number_slot))
    for quota, slot in spent:
        if quotas.spend(connection, quota, slot, now_ms=now_ms):
            return CodeResult(None, "locked")
    if nonce is not None and is_same_hash(nonce[0].encode(), code.encode()):
        account_id: int | None = nonce[1]
    else:
        account_id = stored.take_code(connection, code_hash=keys.code_hash(code), now_ms=now_ms)
    found = None if account_id is None else stored_accounts.account(connection, account_id=account_id)
    if found is None or found.state is not AccountState.ACTIVE:
        return CodeResult(None, "code-wrong")
    quotas.give_back(connection, spent)
    return CodeResult(found)


def link(
    connection: Connection,
    *,
    account_id: int,
    number: str,
    route: str,
    keys: PhoneKeys,
    zone: str,
    language: str,
    now_ms: int,
    pin: str | None = None,
    by_operator: bool = False,
) -> Phone:
    """Link a number to an account; both lose their former link. Raise Invalid for a PIN that is none.

    A number that has sent STOP stays stopped if its owner did not link it: `by_operator`.
    The owners of both accounts get a mail, unless the account had this number before.
    """
    old = stored.by_hash(connection, number_hash=keys.number_hash(number))
    other = stored.of_account(connection, account_id=account_id)
    if other is not None and (old is None or other.id != old.id):
        _forget(connection, other, now_ms)
    stays_stopped = by_operator and old is not None and old.stopped
    if old is not None and old.account_id != account_id:
        # Another owner: deliveries of the former one are not for this one.
        stored.delete(connection, phone_id=old.id)
        _notify(connection, account_id=old.account_id, now_ms=now_ms)
        old = None
    phone = old or new_phone(
        connection, number=number, route=route, keys=keys, zone=zone, language=language, now_ms=now_ms
    )
    phone = replace(
        phone,
        account_id=account_id,
        route=route,
        posts=True,
        stopped=stays_stopped,
        asked="",
        heard_at_ms=now_ms,
    )
    if pin is not None:
        phone = replace(phone, pin_hash=_pin_hash(number, pin, keys), pin_wrong=0, pin_locked_until_ms=0)
    _put(connection, phone, now_ms)
    if old is None:
        _notify(connection, account_id=account_id, now_ms=now_ms)
    return phone


def new_phone(
    connection: Connection,
    *,
    number: str,
    route: str,
    keys: PhoneKeys,
    zone: str,
    language: str,
    now_ms: int,
) -> Phone:
    """Return a phone without an account that is not stored yet."""
    return Phone(
        id=connection.new_id(now_ms),
        number_hash=keys.number_hash(number),
        sealed_number=keys.seal(number),
        account_id=None,
        route=route,
        stopped=False,
        delivers=True,
        posts=False,
        pin_hash=None,
        pin_wrong=0,
        pin_locked_until_ms=0,
        quiet="",
        digest="",
        zone=zone,
        language=language,
        segments=1,
        next_tag=1,
        asked="",
        asked_at_ms=0,
        heard_at_ms=now_ms,
        changed_at_ms=now_ms,
        created_at_ms=now_ms,
    )


def change(
    connection: Connection, *, phone: Phone, wanted: PhoneChange, keys: PhoneKeys, now_ms: int
) -> Phone:
    """Change settings of a phone; return it as it is now. Raise Invalid with `fields`."""
    wrong: dict[str, str] = {}
    quiet = None if wanted.quiet is None else clean_quiet(wanted.quiet)
    if wanted.quiet is not None and quiet is None:
        wrong["quiet"] = "must be like 22-7"
    digest = None if wanted.digest is None else clean_digest(wanted.digest)
    if wanted.digest is not None and digest is None:
        wrong["digest"] = "must be like 18:00"
    if wanted.zone is not None and not is_zone(wanted.zone):
        wrong["zone"] = "is not a time zone"
    if wanted.language is not None and wanted.language not in TEXT_LANGUAGES:
        wrong["language"] = "is not available"
    if wanted.segments is not None and not 1 <= wanted.segments <= MAX_SEGMENTS:
        wrong["segments"] = f"must be 1 to {MAX_SEGMENTS}"
    if wanted.pin and clean_pin(wanted.pin) is None:
        wrong["pin"] = "must have 4 to 8 digits"
    if wrong:
        said = ", ".join(f"{name} {problem}" for name, problem in wrong.items())
        raise Invalid(f"Validation failed: {said}", fields=wrong)
    values = {
        "delivers": wanted.delivers,
        "posts": wanted.posts,
        "quiet": quiet,
        "digest": digest,
        "zone": wanted.zone,
        "language": wanted.language,
        "segments": wanted.segments,
    }
    phone = replace(phone, **{name: value for name, value in values.items() if value is not None})  # type: ignore[arg-type]  # names and types as above
    if wanted.pin is not None:
        number = keys.open(phone.sealed_number)
        pin_hash = _pin_hash(number, wanted.pin, keys) if wanted.pin else None
        phone = replace(phone, pin_hash=pin_hash, pin_wrong=0, pin_locked_until_ms=0)
    _put(connection, phone, now_ms)
    return phone


def sign_up(
    connection: Connection, *, phone: Phone, username: str, registration: str, now_ms: int
) -> Account:
    """Create an account that has this phone instead of an e-mail address and a password.

    Raise Invalid with `fields` for a name that is wrong or taken, and Forbidden when sign-up is closed.
    """
    account = accounts.sign_up(
        connection,
        username=username,
        email=stand_in(phone.id),
        password_hash=NO_PASSWORD,
        reason="by SMS",
        locale=phone.language,
        registration=registration,
        now_ms=now_ms,
    )
    _put(connection, replace(phone, account_id=account.id, posts=True, asked=""), now_ms)
    return account


def stop(connection: Connection, *, phone: Phone, now_ms: int) -> Phone:
    """Deliver nothing to the phone until START; drop its waiting deliveries. Posting from it stays allowed."""
    phone = replace(phone, stopped=True, asked="")
    phone_queue.clear(connection, phone_id=phone.id)
    _put(connection, phone, now_ms)
    return phone


def start(connection: Connection, *, phone: Phone, now_ms: int) -> Phone:
    """Undo `stop`."""
    phone = replace(phone, stopped=False, delivers=True)
    _put(connection, phone, now_ms)
    return phone


def ask(connection: Connection, *, phone: Phone, question: str, now_ms: int) -> Phone:
    """Store the question that the phone was asked; "" when it is answered."""
    phone = replace(phone, asked=question, asked_at_ms=now_ms)
    _put(connection, phone, now_ms)
    return phone


def is_silent(phone: Phone, *, now_ms: int) -> bool:
    """Return True if the number may have another owner by now: it was silent for long, and has a PIN."""
    return phone.pin_hash is not None and now_ms - phone.heard_at_ms > SILENT_MS


def check_pin(
    connection: Connection, *, phone: Phone, proof: bytes | None, trust: str, now_ms: int
) -> tuple[Phone, str]:
    """Return the phone and "" if it may post, otherwise the reason: pin-needed, pin-wrong, pin-locked.

    `proof`: the hash of the PIN in the message, None without one. A PIN is needed on the route of an aggregator,
    and on every route for a number that was silent for SILENT_MS and has a PIN. PIN_TRIES wrong ones lock it.
    """
    if trust != "aggregator" and not is_silent(phone, now_ms=now_ms):
        return phone, ""
    if phone.pin_locked_until_ms > now_ms:
        return phone, "pin-locked"
    if phone.pin_hash is None or proof is None:
        return phone, "pin-needed"
    if is_same_hash(phone.pin_hash, proof):
        if phone.pin_wrong:
            phone = replace(phone, pin_wrong=0, pin_locked_until_ms=0)
            _put(connection, phone, now_ms)
        return phone, ""
    wrong = phone.pin_wrong + 1
    is_locked = wrong >= PIN_TRIES
    phone = replace(
        phone,
        pin_wrong=0 if is_locked else wrong,
        pin_locked_until_ms=now_ms + PIN_LOCK_MS if is_locked else 0,
    )
    _put(connection, phone, now_ms)
    return phone, "pin-locked" if is_locked else "pin-wrong"


def unlock(connection: Connection, *, phone: Phone, now_ms: int) -> Phone:
    """Allow posting again, and forget wrong PINs."""
    phone = replace(phone, posts=True, pin_wrong=0, pin_locked_until_ms=0)
    _put(connection, phone, now_ms)
    return phone


def lock(connection: Connection, *, phone: Phone, now_ms: int) -> Phone:
    """Refuse every post from the phone until its owner allows it again on the web."""
    phone = replace(phone, posts=False)
    _put(connection, phone, now_ms)
    return phone


def stop_all(connection: Connection, *, phone: Phone, now_ms: int) -> Phone:
    """Deliver nothing to the phone, and refuse every post from it, until its owner allows both again."""
    return lock(connection, phone=stop(connection, phone=phone, now_ms=now_ms), now_ms=now_ms)


def unlink(connection: Connection, *, phone: Phone, now_ms: int) -> None:
    """Delete a phone with its settings and its deliveries, and notify its owner by mail.

    A number that has sent STOP stays stopped. Raise NotFound if the phone is gone.
    """
    if not _forget(connection, phone, now_ms):
        raise NotFound("There is no such phone")
    _notify(connection, account_id=phone.account_id, now_ms=now_ms)


def texted_accounts(connection: Connection, *, account_id: int) -> list[Account]:
    """Return the followed accounts whose every post is texted, the newest follow first, at most MAX_SHOWN."""
    ids = stored_relationships.subscription_ids(connection, account_id=account_id, count=MAX_SHOWN)
    found = stored_accounts.accounts(connection, account_ids=ids)
    return [found[one] for one in ids if one in found]


def text_no_more(connection: Connection, *, account_id: int, followed_id: int) -> None:
    """Stop texting the posts of a followed account; do nothing if it is not followed any more."""
    options = stored_relationships.follow_options(connection, follower_id=account_id, followed_id=followed_id)
    if options is not None:
        stored_relationships.update_follow(
            connection,
            follower_id=account_id,
            followed_id=followed_id,
            show_boosts=options[0],
            notify=False,
            languages=options[2],
        )
        connection.tell(RelationshipChanged(account_id, followed_id))


def take_tag(connection: Connection, *, phone: Phone, post_id: int) -> int:
    """Return the next tag of the phone, which means the post from now on."""
    current = stored.by_id(connection, phone_id=phone.id)
    tag = current.next_tag if current is not None else phone.next_tag
    stored.put_tag(connection, phone_id=phone.id, tag=tag, next_tag=tag % MAX_TAG + 1, post_id=post_id)
    return tag


def unlink_of(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Delete the phone of an account that is deleted, if it has one. A number that has sent STOP stays stopped."""
    phone = stored.of_account(connection, account_id=account_id)
    if phone is not None:
        _forget(connection, phone, now_ms)


def _forget(connection: Connection, phone: Phone, now_ms: int) -> bool:
    """Delete a phone; of one that has sent STOP keep the number, without account and settings.

    Return whether there was one.
    """
    is_there = stored.delete(connection, phone_id=phone.id)
    if is_there and phone.stopped:
        bare = replace(
            phone, id=connection.new_id(now_ms), account_id=None, posts=False, pin_hash=None, pin_wrong=0,
            pin_locked_until_ms=0, quiet="", digest="", segments=1, next_tag=1, asked="",
        )  # fmt: skip
        _put(connection, bare, now_ms)
    return is_there


def _notify(connection: Connection, *, account_id: int | None, now_ms: int) -> None:
    user = None if account_id is None else stored_accounts.user(connection, account_id=account_id)
    if user is not None:
        post(connection, Letter(Notice.PHONE_CHANGED.value, user.email, user.username), now_ms=now_ms)


def _pin_hash(number: str, pin: str, keys: PhoneKeys) -> bytes:
    cleaned = clean_pin(pin)
    if cleaned is None:
        raise Invalid("A PIN has 4 to 8 digits")
    return keys.pin_hash(number, cleaned)


def _put(connection: Connection, phone: Phone, now_ms: int) -> None:
    """Store a phone with a new time of change, by which the sms role finds it.

    It is later than that of every other phone: with a clock that was set back, the role would look past this change.
    """
    changed_at_ms = max(now_ms, stored.newest_change_ms(connection) + 1)
    stored.put(connection, replace(phone, changed_at_ms=changed_at_ms))
