"""Commands of every number, and those of numbers without an account."""

from __future__ import annotations

from collections.abc import Callable

from stormpetrel.errors import Invalid
from stormpetrel.gateway.answers import answer, error
from stormpetrel.gateway.code_budget import spend_code
from stormpetrel.gateway.command_words import Verb
from stormpetrel.gateway.outcome import AnswerText, MessageOutcome, PhoneRun
from stormpetrel.gateway.reading import account_named
from stormpetrel.model.account import Account
from stormpetrel.model.phone import Phone, is_same_hash
from stormpetrel.rules import accounts, phones, quotas
from stormpetrel.storage import phones as stored
from stormpetrel.storage.sms_spool.outbox import PERSONAL, SECURITY

# Commands of every number

_GO_MINUTES = 60
"""The wait that is named after too many wrong codes: the quotas fill up in an hour."""
_TOO_MANY = "Too many phones of this country have joined today"


def _stop(run: PhoneRun) -> MessageOutcome:
    phone = run.phone
    was_stopped = phone is not None and phone.stopped
    if phone is None:
        phone = _new_phone(run)
    phones.stop(run.connection, phone=phone, now_ms=run.now_ms)
    # One confirmation, then silence; none if the provider has confirmed already.
    replies = [] if was_stopped or run.message.quiet else [
        AnswerText("stopped", answer("stopped", phone.language, **run.context.legal), SECURITY)
    ]  # fmt: skip
    return MessageOutcome("stop", None, None, replies)


def _start(run: PhoneRun) -> MessageOutcome:
    phone = run.phone
    if phone is None:
        _require_join(run)
        phone = _new_phone(run)
    phone = phones.start(run.connection, phone=phone, now_ms=run.now_ms)
    if phone.account_id is None and run.context.registration != "closed":
        phones.ask(run.connection, phone=phone, question="name", now_ms=run.now_ms)
        return MessageOutcome(
            "start",
            None,
            None,
            [AnswerText("ask-name", answer("ask-name", phone.language, **run.context.legal), SECURITY)],
        )
    text = answer("started", phone.language, **run.context.legal)
    return MessageOutcome("start", None, None, [AnswerText("started", text, SECURITY)])


def _help(run: PhoneRun) -> MessageOutcome:
    if run.message.quiet:
        return MessageOutcome("help")
    text = answer("help", run.language, **run.context.legal)
    return MessageOutcome("help", None, None, [AnswerText("help", text, SECURITY)])


def _go(run: PhoneRun) -> MessageOutcome:
    """Link the phone that sent a code. On an aggregator's route another code goes to it first and must come back."""
    language = run.language
    question = run.phone.question(run.now_ms) if run.phone is not None else ""
    nonce = None
    if question.startswith("nonce "):
        _, texted, account_id = question.split()
        nonce = (texted, int(account_id))
    result = phones.account_of_code(
        run.connection,
        code=run.command.text,
        keys=run.context.keys,
        route_slot=run.context.slot(f"route {run.message.route}"),
        number_slot=run.context.slot(f"number {run.message.number}"),
        nonce=nonce,
        now_ms=run.now_ms,
    )
    if result.account is None:
        # Over the limit one answer is enough: the sender may be forged.
        is_locked = result.error == "locked"
        text = error("rate", language, minutes=_GO_MINUTES) if is_locked else error(result.error, language)
        once = "go" if is_locked else ""
        return MessageOutcome("go", result.error, None, [AnswerText("error", text, SECURITY, once=once)])
    is_texted = nonce is not None and is_same_hash(nonce[0].encode(), run.command.text.encode())
    if run.context.trust_of(run.message.route) == "aggregator" and not is_texted:
        return _send_nonce(run, result.account)
    return _linked(run, result.account)


def _linked(run: PhoneRun, account: Account) -> MessageOutcome:
    phones.link(
        run.connection,
        account_id=account.id,
        number=run.message.number,
        route=run.message.route,
        keys=run.context.keys,
        zone=run.context.zone_of(run.message.number),
        language=run.language,
        now_ms=run.now_ms,
    )
    text = answer("linked", run.language, name=account.username, **run.context.legal)
    return MessageOutcome("go", None, None, [AnswerText("linked", text, SECURITY)])


def _send_nonce(run: PhoneRun, account: Account) -> MessageOutcome:
    """Send a code to the number, because a sender can be forged; at most so many per prefix and day.

    The code is as long as the one that came: a long one is taken while short ones are limited.
    """
    number = run.message.number
    if not spend_code(
        run.connection, run.context, number=number, account_id=account.id, is_known=True, now_ms=run.now_ms
    ):
        return MessageOutcome("go", "rate")
    phone = run.phone or _new_phone(run)
    nonce = run.context.draw_code()
    while len(nonce) < len(run.command.text):
        nonce = (nonce + run.context.draw_code())[: len(run.command.text)]
    phones.ask(run.connection, phone=phone, question=f"nonce {nonce} {account.id}", now_ms=run.now_ms)
    text = answer("nonce", run.language, site=run.context.title, code=nonce)
    return MessageOutcome("go", None, None, [AnswerText("nonce", text, SECURITY)])


def _require_join(run: PhoneRun) -> None:
    """Raise TooMany if too many numbers of this prefix have joined today on routes whose senders can be forged.

    Numbers that join get texts, and come before strangers: forged ones would use up both.
    """
    if run.context.trust_of(run.message.route) == "aggregator":
        prefix = run.context.slot(f"prefix {run.context.prefix_of(run.message.number)}")
        quotas.require(run.connection, run.context.joins, prefix, now_ms=run.now_ms, text=_TOO_MANY)


def _new_phone(run: PhoneRun) -> Phone:
    """Store a phone without an account, and return it."""
    phone = phones.new_phone(
        run.connection,
        number=run.message.number,
        route=run.message.route,
        keys=run.context.keys,
        zone=run.context.zone_of(run.message.number),
        language=run.context.language,
        now_ms=run.now_ms,
    )
    stored.put(run.connection, phone)
    return phone


# Commands of numbers without an account


def stranger(run: PhoneRun) -> MessageOutcome:
    """Carry out a command of a number without an account: it may sign up, follow, and ask for the status."""
    phone, command = run.phone, run.command
    question = phone.question(run.now_ms) if phone is not None else ""
    if phone is not None and question == "name" and command.verb in (Verb.POST, Verb.SIGNUP, Verb.NONE):
        return _sign_up(run, phone, command.name or run.message.text.strip().removeprefix("@"))
    if command.verb is Verb.SIGNUP and command.name and run.context.registration != "closed":
        return _sign_up(run, phone or _new_phone(run), command.name)
    if phone is not None and question.startswith("follow ") and command.verb is Verb.CONFIRM:
        return _confirm_follow(run, phone, int(question.split()[1]))
    if command.verb is Verb.FOLLOW:
        return _ask_follow(run)
    if phone is not None and command.verb in (Verb.UNFOLLOW, Verb.LEAVE, Verb.OFF) and command.name:
        account = account_named(run.connection, command.name)
        stored.unfollow(run.connection, phone_id=phone.id, account_id=account.id)
        text = answer("done-unfollow", phone.language, name=account.username)
        return MessageOutcome(command.verb.value, None, None, [AnswerText("done", text, PERSONAL)])
    if command.verb is Verb.STATUS:
        text = run.context.status(run.language)
        return MessageOutcome("status", None, None, [AnswerText("status", text, PERSONAL, once="stranger")])
    text = answer("stranger", run.language, **run.context.legal)
    return MessageOutcome("none", "unlinked", None, [AnswerText("stranger", text, PERSONAL, once="stranger")])


def _sign_up(run: PhoneRun, phone: Phone, name: str) -> MessageOutcome:
    _require_join(run)
    try:
        account = phones.sign_up(
            run.connection,
            phone=phone,
            username=name,
            registration=run.context.registration,
            now_ms=run.now_ms,
        )
    except Invalid as invalid:
        problem = invalid.fields.get("username", "")
        word = "name-taken" if "taken" in problem or "reserved" in problem else "name-invalid"
        text = error(word, phone.language, name=name[:40])
        return MessageOutcome("signup", word, None, [AnswerText("ask-name", text, SECURITY)])
    text = answer("linked-new", phone.language, name=account.username, **run.context.legal)
    return MessageOutcome("signup", None, None, [AnswerText("started", text, SECURITY)])


def _ask_follow(run: PhoneRun) -> MessageOutcome:
    """Ask for YES; a number that follows no account yet is asked once in some time, as its sender may be forged."""
    account = account_named(run.connection, run.command.name)
    if run.phone is None:
        _require_join(run)
    phone = run.phone or _new_phone(run)
    once = "" if stored.followed_ids(run.connection, phone_id=phone.id) else "follow"
    phones.ask(run.connection, phone=phone, question=f"follow {account.id}", now_ms=run.now_ms)
    text = answer("confirm", phone.language, name=account.username, **run.context.legal)
    return MessageOutcome("follow", None, None, [AnswerText("ask", text, PERSONAL, once=once)])


def _confirm_follow(run: PhoneRun, phone: Phone, account_id: int) -> MessageOutcome:
    phones.ask(run.connection, phone=phone, question="", now_ms=run.now_ms)
    if run.command.key == "no":
        return MessageOutcome("confirm")
    account = accounts.account(run.connection, account_id=account_id)
    stored.follow(run.connection, phone_id=phone.id, account_id=account.id)
    text = answer("started", phone.language, **run.context.legal)
    return MessageOutcome("confirm", None, None, [AnswerText("confirm", text, SECURITY)])


OPEN_COMMANDS: dict[Verb, Callable[[PhoneRun], MessageOutcome]] = {
    Verb.STOP: _stop,
    Verb.START: _start,
    Verb.HELP: _help,
    Verb.GO: _go,
}
"""Commands of every number, also of a stopped one, and the only ones that are answered to a stopped number."""
