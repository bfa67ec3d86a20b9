"""The effect of a message: one command, carried out by the rules that every door calls, and its answers.

Each function runs in the transaction that also stores the outcome, so that a message has its effect once.
"""

from __future__ import annotations

from dataclasses import replace

from stormpetrel.errors import Forbidden, NotFound, Refusal, TooMany
from stormpetrel.gateway.answers import asked, error
from stormpetrel.gateway.command_words import Verb
from stormpetrel.gateway.commands import TextCommand, parse
from stormpetrel.gateway.member_commands import MEMBER_COMMANDS
from stormpetrel.gateway.open_commands import OPEN_COMMANDS, stranger
from stormpetrel.gateway.outcome import (
    AnswerText,
    CommandRun,
    Failure,
    MessageOutcome,
    PhoneContext,
    PhoneRun,
)
from stormpetrel.gateway.pin import split_pin
from stormpetrel.model.account import AccountState
from stormpetrel.model.phone import PIN_LOCK_MS, PIN_TRIES, Phone, is_same_hash
from stormpetrel.rules import accounts, phones
from stormpetrel.storage import phone_queue
from stormpetrel.storage import phones as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.sms_spool.inbox import InboxMessage
from stormpetrel.storage.sms_spool.outbox import PERSONAL, SECURITY

RATE_MINUTES = 10
"""The wait that is named where a rule has its own, shorter or longer one."""
_WRITING = frozenset(
    {
        Verb.POST, Verb.REPLY, Verb.DM, Verb.RT, Verb.LIKE, Verb.FOLLOW, Verb.UNFOLLOW, Verb.LEAVE, Verb.ON,
        Verb.OFF, Verb.DEL, Verb.SET, Verb.BLOCK, Verb.MUTE, Verb.REPORT, Verb.QUIET, Verb.DIGEST,
    }
)  # fmt: skip
"""Commands that change something in the member's name: they need posting to be allowed, and the PIN where one is."""


def carry_out(
    connection: Connection, message: InboxMessage, context: PhoneContext, now_ms: int
) -> MessageOutcome:
    """Carry out a message and return its outcome; the same message again returns the same outcome, without effect.

    Raise Refusal where a rule refuses: nothing is changed then, and the caller stores `refused`.
    """
    earlier = phone_queue.outcome(connection, key=message.key)
    if earlier is not None:
        return MessageOutcome.decode(earlier)
    outcome = _outcome_of(connection, message, context, now_ms)
    phone_queue.done(connection, key=message.key, outcome=outcome.encode(), now_ms=now_ms)
    return outcome


def refused(
    connection: Connection, message: InboxMessage, context: PhoneContext, refusal: Refusal, now_ms: int
) -> MessageOutcome:
    """Store and return the outcome of a message that a rule has refused."""
    earlier = phone_queue.outcome(connection, key=message.key)
    if earlier is not None:
        return MessageOutcome.decode(earlier)
    phone = stored.by_hash(connection, number_hash=context.keys.number_hash(message.number))
    language = phone.language if phone is not None else context.language
    command = parse(message.text)
    word = refusal.word if isinstance(refusal, Failure) else _word_of(refusal, command)
    values = refusal.values if isinstance(refusal, Failure) else {}
    effect = Verb.NONE if word in _WITHOUT_EFFECT else command.verb
    kind = "locked" if word == "locked" else "error"
    text = error(word, language, **(_error_values(command, context) | values))
    is_stranger = phone is None or phone.account_id is None
    lane = SECURITY if kind == "locked" else PERSONAL
    replies = [AnswerText(kind, text, lane, once="stranger" if is_stranger else "")]
    if phone is not None and phone.stopped:
        replies = []
    outcome = MessageOutcome(effect.value, word, None, replies)
    phone_queue.done(connection, key=message.key, outcome=outcome.encode(), now_ms=now_ms)
    return outcome


_WRONG_PIN = b"wrong"
"""A proof that is the hash of no PIN."""
_PIN_ERRORS = frozenset({"pin-needed", "pin-wrong", "pin-locked"})
_WITHOUT_EFFECT = _PIN_ERRORS | {"unlinked", "locked", "not-understood"}


def _error_values(command: TextCommand, context: PhoneContext) -> dict[str, object]:
    """Return the values that texts for errors may have."""
    return {
        "name": command.name,
        "tag": command.tag or "",
        "most": context.max_characters,
        "minutes": RATE_MINUTES,
        "left": "",
        "part": "",
    }


def _word_of(refusal: Refusal, command: TextCommand) -> str:
    if isinstance(refusal, TooMany):
        return "rate"
    if isinstance(refusal, NotFound):
        # The post of a tag may be deleted, or hidden from the member.
        return "unknown-user" if command.tag is None else "unknown-tag"
    if isinstance(refusal, Forbidden):
        return "unlinked"
    return "not-understood"


def _outcome_of(
    connection: Connection, message: InboxMessage, context: PhoneContext, now_ms: int
) -> MessageOutcome:
    phone = stored.locked(connection, number_hash=context.keys.number_hash(message.number))
    was_stopped = phone is not None and phone.stopped
    if message.error == "part-missing":
        return _part_missing(message, phone, context)
    command = parse(message.text)
    if phone is not None:
        command = _answered_question(phone, message, command, now_ms)
    run = PhoneRun(connection, message, command, phone, context, now_ms)
    if command.verb in OPEN_COMMANDS:
        outcome = OPEN_COMMANDS[command.verb](run)
    elif phone is None or phone.account_id is None:
        outcome = stranger(run)
    else:
        outcome = _member(run, phone, phone.account_id)
        # A number that was silent for long counts as silent until its PIN was right, also if it asked for something.
        is_proven = command.verb in _WRITING and is_same_hash(phone.pin_hash, message.proof)
        if outcome.error not in _PIN_ERRORS and (is_proven or not phones.is_silent(phone, now_ms=now_ms)):
            stored.heard(connection, phone_id=phone.id, now_ms=now_ms)
    if was_stopped and command.verb not in OPEN_COMMANDS:
        outcome = replace(outcome, replies=[])
    return outcome


def _part_missing(message: InboxMessage, phone: Phone | None, context: PhoneContext) -> MessageOutcome:
    if phone is None or phone.stopped:
        return MessageOutcome("none", "part-missing")
    text = error("part-missing", phone.language, part=message.text)
    return MessageOutcome(
        "none", "part-missing", None, [AnswerText("part-missing", text, PERSONAL, once="part-missing")]
    )


_ANSWERED_BY_YES = ("do ", "follow ", "name")
"""Beginnings of questions that YES and NO answer. A code that was texted ("nonce …") is answered by GO."""


def _answered_question(phone: Phone, message: InboxMessage, command: TextCommand, now_ms: int) -> TextCommand:
    """Return the command, or a POST of "yes" where there is no question that it answers."""
    if command.verb is Verb.CONFIRM and not phone.question(now_ms).startswith(_ANSWERED_BY_YES):
        return TextCommand(Verb.POST, text=message.text)
    return command


def _member(run: PhoneRun, phone: Phone, account_id: int) -> MessageOutcome:
    """Carry out a member's command: the answer to a question, what a PIN or LOCK forbids, or the command itself."""
    user = accounts.known_user(run.connection, account_id=account_id)
    if user is None or user.state is not AccountState.ACTIVE:
        raise Failure("unlinked")
    command = run.command
    if command.verb is Verb.CONFIRM:
        question = phone.question(run.now_ms)
        phone = phones.ask(run.connection, phone=phone, question="", now_ms=run.now_ms)
        if command.key == "no":
            return MessageOutcome("confirm")
        command = parse(question.removeprefix("do "))
        if command.verb in OPEN_COMMANDS:
            return OPEN_COMMANDS[command.verb](replace(run, phone=phone, command=command))
    if command.verb in _WRITING:
        if not phone.posts:
            raise Failure("locked")
        phone, problem = phones.check_pin(
            run.connection,
            phone=phone,
            proof=_proof_of(run),
            trust=run.context.trust_of(run.message.route),
            now_ms=run.now_ms,
        )
        if problem:
            return _pin_problem(phone, problem)
    if command.verb is Verb.NONE:
        phones.ask(run.connection, phone=phone, question=f"do {command.near}", now_ms=run.now_ms)
        text = asked(command, phone.language, site=run.context.title)
        lane = SECURITY if command.near == "STOP" else PERSONAL
        return MessageOutcome("none", "not-understood", None, [AnswerText("ask", text, lane)])
    if command.error:
        raise Failure(command.error)
    return MEMBER_COMMANDS[command.verb](
        CommandRun(run.connection, command, phone, account_id, run.context, run.now_ms)
    )


def _proof_of(run: PhoneRun) -> bytes | None:
    """Return the hash of the message's PIN, None without one.

    Where no PIN is needed as a rule only the right one was taken out: other digits in its place are a wrong one.
    """
    if run.message.proof is None and split_pin(run.message.text)[0] is not None:
        return _WRONG_PIN
    return run.message.proof


def _pin_problem(phone: Phone, problem: str) -> MessageOutcome:
    """Return the outcome of a message without the right PIN. It is no Refusal: the count of wrong ones is stored."""
    text = error(problem, phone.language, left=PIN_TRIES - phone.pin_wrong, minutes=PIN_LOCK_MS // 60_000)
    kind = "pin-wrong" if problem == "pin-locked" else problem
    return MessageOutcome("none", problem, None, [AnswerText(kind, text, SECURITY)])
