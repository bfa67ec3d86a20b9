"""The effect of a message: one command, carried out by the rules that every door calls, and its answers.

Each function runs in the transaction that also stores the outcome, so that a message has its effect once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stormpetrel.errors import Forbidden, Invalid, NotFound, Refusal, TooMany
from stormpetrel.gateway.answers import answer, asked, done, error
from stormpetrel.gateway.command_words import Verb
from stormpetrel.gateway.commands import TextCommand, parse
from stormpetrel.gateway.outcome import AnswerText, Failure, MessageOutcome, PhoneContext
from stormpetrel.gateway.reading import account_named, get, more, stats, whois
from stormpetrel.model.account import AccountState, ProfileChange
from stormpetrel.model.page import Page
from stormpetrel.model.phone import PIN_LOCK_MS, PIN_TRIES, Phone
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.model.text import is_too_long
from stormpetrel.rules import accounts, phones, posts, reactions, relationships, reports, timelines
from stormpetrel.rules.phones import PhoneChange
from stormpetrel.storage import phone_queue
from stormpetrel.storage import phones as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.sms_spool.inbox import InboxMessage
from stormpetrel.storage.sms_spool.outbox import PERSONAL, SECURITY

_OPEN = frozenset({Verb.STOP, Verb.START, Verb.HELP, Verb.GO})
"""Commands of every number, also of a stopped one, and the only ones that are answered to a stopped number."""
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
    word = refusal.word if isinstance(refusal, Failure) else _word_of(refusal)
    values = refusal.values if isinstance(refusal, Failure) else {}
    effect = Verb.NONE if word in _WITHOUT_EFFECT else command.verb
    kind = "locked" if word == "locked" else "error"
    text = error(word, language, **_error_values(command, context), **values)
    replies = [AnswerText(kind, text, SECURITY if kind == "locked" else PERSONAL)]
    if phone is None or phone.stopped:
        replies = []
    outcome = MessageOutcome(effect.value, word, None, replies)
    phone_queue.done(connection, key=message.key, outcome=outcome.encode(), now_ms=now_ms)
    return outcome


_WITHOUT_EFFECT = frozenset({"unlinked", "pin-needed", "pin-wrong", "pin-locked", "locked", "not-understood"})


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


def _word_of(refusal: Refusal) -> str:
    if isinstance(refusal, TooMany):
        return "rate"
    if isinstance(refusal, NotFound):
        return "unknown-user"
    if isinstance(refusal, Forbidden):
        return "unlinked"
    return "not-understood"


def _outcome_of(
    connection: Connection, message: InboxMessage, context: PhoneContext, now_ms: int
) -> MessageOutcome:
    phone = stored.by_hash(connection, number_hash=context.keys.number_hash(message.number))
    was_stopped = phone is not None and phone.stopped
    if message.error == "part-missing":
        return _part_missing(message, phone, context)
    command = parse(message.text)
    if phone is not None:
        command = _answered_question(phone, message, command, now_ms)
    route = message.route
    if command.verb in _OPEN:
        outcome = _OPEN_COMMANDS[command.verb](connection, message, command, phone, context, now_ms)
    elif phone is None or phone.account_id is None:
        outcome = _stranger(connection, message, command, phone, context, now_ms)
    else:
        outcome = _member(connection, message, command, phone, context, now_ms)
        phone = stored.by_id(connection, phone_id=phone.id)
        if phone is not None:
            phones.heard(connection, phone=phone, route=route, language="", now_ms=now_ms)
    if was_stopped and command.verb not in _OPEN:
        outcome = replace(outcome, replies=[])
    return outcome


def _part_missing(message: InboxMessage, phone: Phone | None, context: PhoneContext) -> MessageOutcome:
    if phone is None or phone.stopped:
        return MessageOutcome("none", "part-missing")
    text = error("part-missing", phone.language, part=message.text)
    return MessageOutcome("none", "part-missing", None, [AnswerText("part-missing", text, PERSONAL)])


def _answered_question(phone: Phone, message: InboxMessage, command: TextCommand, now_ms: int) -> TextCommand:
    """Return the command, or a POST of "yes" where there is no question that it answers."""
    if command.verb is Verb.CONFIRM and not phone.question(now_ms):
        return TextCommand(Verb.POST, text=message.text)
    return command


# Commands of every number


def _stop(
    connection: Connection,
    message: InboxMessage,
    command: TextCommand,
    phone: Phone | None,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    was_stopped = phone is not None and phone.stopped
    if phone is None:
        phone = _new_phone(connection, message, context, now_ms)
    phones.stop(connection, phone=phone, now_ms=now_ms)
    # One confirmation, then silence; none if the provider has confirmed already.
    replies = [] if was_stopped or message.quiet else [
        AnswerText("stopped", answer("stopped", phone.language, **context.legal), SECURITY)
    ]  # fmt: skip
    return MessageOutcome("stop", None, None, replies)


def _start(
    connection: Connection,
    message: InboxMessage,
    command: TextCommand,
    phone: Phone | None,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    if phone is None:
        phone = _new_phone(connection, message, context, now_ms)
    phone = phones.start(connection, phone=phone, now_ms=now_ms)
    if phone.account_id is None and context.registration != "closed":
        phones.ask(connection, phone=phone, question="name", now_ms=now_ms)
        return MessageOutcome(
            "start",
            None,
            None,
            [AnswerText("ask-name", answer("ask-name", phone.language, **context.legal), SECURITY)],
        )
    text = answer("started", phone.language, **context.legal)
    return MessageOutcome("start", None, None, [AnswerText("started", text, SECURITY)])


def _help(
    connection: Connection,
    message: InboxMessage,
    command: TextCommand,
    phone: Phone | None,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    if message.quiet:
        return MessageOutcome("help")
    language = phone.language if phone is not None else context.language
    text = answer("help", language, **context.legal)
    return MessageOutcome("help", None, None, [AnswerText("help", text, SECURITY)])


def _go(
    connection: Connection,
    message: InboxMessage,
    command: TextCommand,
    phone: Phone | None,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    language = phone.language if phone is not None else context.language
    result = phones.link_by_code(
        connection,
        number=message.number,
        route=message.route,
        code=command.text,
        keys=context.keys,
        route_slot=context.slot(f"route {message.route}"),
        number_slot=context.slot(f"number {message.number}"),
        zone=context.zone_of(message.number),
        language=language,
        now_ms=now_ms,
    )
    if result.account is None:
        return MessageOutcome(
            "go", result.error, None,
            [AnswerText("error", error(result.error, language), SECURITY)],
        )  # fmt: skip
    text = answer("linked", language, name=result.account.username, **context.legal)
    return MessageOutcome("go", None, None, [AnswerText("linked", text, SECURITY)])


def _new_phone(connection: Connection, message: InboxMessage, context: PhoneContext, now_ms: int) -> Phone:
    phone = phones.new_phone(
        connection, number=message.number, route=message.route, keys=context.keys,
        zone=context.zone_of(message.number), language=context.language, now_ms=now_ms,
    )  # fmt: skip
    stored.put(connection, phone)
    return phone


# Commands of numbers without an account


def _stranger(
    connection: Connection,
    message: InboxMessage,
    command: TextCommand,
    phone: Phone | None,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    question = phone.question(now_ms) if phone is not None else ""
    if phone is not None and question == "name" and command.verb in (Verb.POST, Verb.SIGNUP, Verb.NONE):
        name = command.name or message.text.strip().removeprefix("@")
        return _sign_up(connection, phone, name, context, now_ms)
    if command.verb is Verb.SIGNUP and command.name and context.registration != "closed":
        phone = phone or _new_phone(connection, message, context, now_ms)
        return _sign_up(connection, phone, command.name, context, now_ms)
    if phone is not None and question.startswith("follow ") and command.verb is Verb.CONFIRM:
        return _confirm_follow(connection, phone, command, int(question.split()[1]), context, now_ms)
    if command.verb is Verb.FOLLOW:
        account = account_named(connection, command.name)
        phone = phone or _new_phone(connection, message, context, now_ms)
        phones.ask(connection, phone=phone, question=f"follow {account.id}", now_ms=now_ms)
        text = answer("confirm", phone.language, name=account.username, **context.legal)
        return MessageOutcome("follow", None, None, [AnswerText("ask", text, PERSONAL)])
    if phone is not None and command.verb in (Verb.UNFOLLOW, Verb.LEAVE, Verb.OFF) and command.name:
        account = account_named(connection, command.name)
        stored.unfollow(connection, phone_id=phone.id, account_id=account.id)
        text = answer("done-unfollow", phone.language, name=account.username)
        return MessageOutcome(command.verb.value, None, None, [AnswerText("done", text, PERSONAL)])
    if command.verb is Verb.STATUS:
        language = phone.language if phone is not None else context.language
        return MessageOutcome(
            "status", None, None, [AnswerText("status", context.status(language), PERSONAL, once="stranger")]
        )
    language = phone.language if phone is not None else context.language
    text = answer("stranger", language, **context.legal)
    return MessageOutcome("none", "unlinked", None, [AnswerText("stranger", text, PERSONAL, once="stranger")])


def _sign_up(
    connection: Connection, phone: Phone, name: str, context: PhoneContext, now_ms: int
) -> MessageOutcome:
    try:
        account = phones.sign_up(
            connection, phone=phone, username=name, registration=context.registration, now_ms=now_ms
        )
    except Invalid as invalid:
        problem = invalid.fields.get("username", "")
        word = "name-taken" if "taken" in problem or "reserved" in problem else "name-invalid"
        text = error(word, phone.language, name=name[:40])
        return MessageOutcome("signup", word, None, [AnswerText("ask-name", text, SECURITY)])
    text = answer("linked-new", phone.language, name=account.username, **context.legal)
    return MessageOutcome("signup", None, None, [AnswerText("started", text, SECURITY)])


def _confirm_follow(
    connection: Connection,
    phone: Phone,
    command: TextCommand,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    phones.ask(connection, phone=phone, question="", now_ms=now_ms)
    if command.key == "no":
        return MessageOutcome("confirm")
    account = accounts.account(connection, account_id=account_id)
    stored.follow(connection, phone_id=phone.id, account_id=account.id)
    text = answer("started", phone.language, **context.legal)
    return MessageOutcome("confirm", None, None, [AnswerText("confirm", text, SECURITY)])


# Commands of members


def _member(
    connection: Connection,
    message: InboxMessage,
    command: TextCommand,
    phone: Phone,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    account_id = phone.account_id
    assert account_id is not None
    account = accounts.known_user(connection, account_id=account_id)
    if account is None or account.state is not AccountState.ACTIVE:
        raise Failure("unlinked")
    question = phone.question(now_ms)
    if command.verb is Verb.CONFIRM:
        phones.ask(connection, phone=phone, question="", now_ms=now_ms)
        if command.key == "no":
            return MessageOutcome("confirm")
        return _member(
            connection, message, parse(question.partition(" ")[2]), replace(phone, asked=""), context, now_ms
        )
    if command.verb in _WRITING:
        if not phone.posts:
            raise Failure("locked")
        phone, problem = phones.check_pin(
            connection, phone=phone, proof=message.proof, trust=context.trust_of(message.route), now_ms=now_ms
        )
        if problem:
            # Not raised: the count of wrong PINs must be stored.
            text = error(
                problem, phone.language, left=PIN_TRIES - phone.pin_wrong, minutes=PIN_LOCK_MS // 60_000
            )
            kind = "pin-wrong" if problem == "pin-locked" else problem
            return MessageOutcome("none", problem, None, [AnswerText(kind, text, SECURITY)])
    if command.verb is Verb.NONE:
        phones.ask(connection, phone=phone, question=f"do {command.near}", now_ms=now_ms)
        text = asked(command, phone.language, site=context.title)
        lane = SECURITY if command.near == "STOP" else PERSONAL
        return MessageOutcome("none", "not-understood", None, [AnswerText("ask", text, lane)])
    if command.error:
        raise Failure(command.error)
    if command.verb in _OPEN:
        return _OPEN_COMMANDS[command.verb](connection, message, command, phone, context, now_ms)
    return _MEMBER_COMMANDS[command.verb](connection, command, phone, account_id, context, now_ms)


def _done(command: TextCommand, phone: Phone, **values: str) -> MessageOutcome:
    text = done(command, phone.language, **values)
    return MessageOutcome(command.verb.value, None, None, [AnswerText("done", text, PERSONAL)])


def _create(connection: Connection, draft: Draft, account_id: int, context: PhoneContext, now_ms: int) -> int:
    if is_too_long(draft.text, context.max_characters):
        raise Failure("too-long", most=str(context.max_characters))
    made = posts.create_post(
        connection, author_id=account_id, draft=draft, max_characters=context.max_characters,
        domain=context.domain, now_ms=now_ms,
    )  # fmt: skip
    return made.post_id


def _post(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    post_id = _create(connection, Draft(command.text), account_id, context, now_ms)
    return MessageOutcome("post", None, post_id)


def _reply(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    parent = posts.visible_original(
        connection, reader_id=account_id, post_id=_tagged(connection, phone, command), now_ms=now_ms
    )
    author = accounts.account(connection, account_id=parent.author_id)
    text = command.text
    names = {mention.username.lower() for mention in parent.mentions}
    if author.id != account_id and f"@{author.username.lower()}" not in text.lower():
        text = f"@{author.username} {text}"
    if parent.visibility is Visibility.DIRECT:
        mine = accounts.account(connection, account_id=account_id).username.lower()
        others = sorted(names - {author.username.lower(), mine})
        text = " ".join([*(f"@{name}" for name in others), text])
    own = accounts.account(connection, account_id=account_id)
    visibility = max(parent.visibility, Visibility(own.default_visibility))
    draft = Draft(text, visibility=visibility, in_reply_to_id=parent.id)
    return MessageOutcome("reply", None, _create(connection, draft, account_id, context, now_ms))


def _direct(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    target = account_named(connection, command.name)
    draft = Draft(f"@{target.username} {command.text}", visibility=Visibility.DIRECT)
    return MessageOutcome("dm", None, _create(connection, draft, account_id, context, now_ms))


def _tagged(connection: Connection, phone: Phone, command: TextCommand) -> int:
    found = stored.tag(connection, phone_id=phone.id, tag=command.tag or 0)
    if found is None:
        raise Failure("unknown-tag", tag=str(command.tag))
    return found[0]


def _target_post(
    connection: Connection, phone: Phone, command: TextCommand, account_id: int, now_ms: int
) -> int:
    """Return the post of a tag, or the newest post of a name that the member may see."""
    if command.tag is not None:
        return _tagged(connection, phone, command)
    target = account_named(connection, command.name)
    found = timelines.of_account(
        connection, reader_id=account_id, account_id=target.id, page=Page(limit=1), now_ms=now_ms,
        exclude_boosts=True,
    )  # fmt: skip
    if not found:
        raise Failure("unknown-user", name=command.name)
    return found[0]


def _rt(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    post_id = _target_post(connection, phone, command, account_id, now_ms)
    made = reactions.boost(connection, account_id=account_id, post_id=post_id, visibility=None, now_ms=now_ms)
    return MessageOutcome("rt", None, made)


def _like(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    post_id = _target_post(connection, phone, command, account_id, now_ms)
    reactions.favourite(connection, account_id=account_id, post_id=post_id, now_ms=now_ms)
    return MessageOutcome("like", None, post_id)


def _follow(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    target = account_named(connection, command.name)
    now = relationships.follow(
        connection,
        follower_id=account_id,
        followed_id=target.id,
        show_boosts=None,
        notify=True,
        now_ms=now_ms,
    )
    if now.following:
        return _done(command, phone, name=target.username)
    text = answer("done-follow-request", phone.language, name=target.username)
    return MessageOutcome("follow", None, None, [AnswerText("done", text, PERSONAL)])


def _unfollow(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    target = account_named(connection, command.name)
    relationships.unfollow(connection, follower_id=account_id, followed_id=target.id, now_ms=now_ms)
    return _done(command, phone, name=target.username)


def _on_off(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    """Turn deliveries on or off: all of them, or the posts of one account (the API's `notify`)."""
    is_on = command.verb is Verb.ON
    if not command.name:
        phones.change(
            connection, phone=phone, wanted=PhoneChange(delivers=is_on), keys=context.keys, now_ms=now_ms
        )
        return _done(command, phone)
    target = account_named(connection, command.name)
    is_following = relationships.relationships(
        connection, reader_id=account_id, account_ids=[target.id], now_ms=now_ms
    )[0].following
    if is_following or is_on:
        relationships.follow(
            connection, follower_id=account_id, followed_id=target.id, show_boosts=None, notify=is_on,
            now_ms=now_ms,
        )  # fmt: skip
    return _done(command, phone, name=target.username)


def _delete(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    found = timelines.of_account(
        connection, reader_id=account_id, account_id=account_id, page=Page(limit=1), now_ms=now_ms,
        exclude_boosts=True,
    )  # fmt: skip
    last = posts.posts(connection, post_ids=found)
    if not last or now_ms - last[0].created_at_ms > context.delete_window_ms:
        text = answer("del-none", phone.language, minutes=context.delete_window_ms // 60_000)
        return MessageOutcome("del", None, None, [AnswerText("error", text, PERSONAL)])
    posts.delete_post(connection, author_id=account_id, post_id=last[0].id, now_ms=now_ms)
    return replace(_done(command, phone), status_id=last[0].id)


def _quiet(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    phones.change(
        connection, phone=phone, wanted=PhoneChange(quiet=command.text), keys=context.keys, now_ms=now_ms
    )
    return _done(command, phone)


def _digest(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    phones.change(
        connection, phone=phone, wanted=PhoneChange(digest=command.text), keys=context.keys, now_ms=now_ms
    )
    return _done(command, phone)


def _set(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    if command.key == "quiet":
        return _quiet(connection, command, phone, account_id, context, now_ms)
    if command.key == "language":
        phone = phones.change(
            connection,
            phone=phone,
            wanted=PhoneChange(language=command.text),
            keys=context.keys,
            now_ms=now_ms,
        )
        return _done(command, phone)
    change = (
        ProfileChange(display_name=command.text)
        if command.key == "name"
        else ProfileChange(note=command.text)
    )
    try:
        accounts.update_profile(
            connection, account_id=account_id, change=change, now_ms=now_ms, domain=context.domain
        )
    except Invalid:
        raise Failure("too-long", most="30" if command.key == "name" else "500") from None
    return _done(command, phone)


def _lock(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    phones.lock(connection, phone=phone, now_ms=now_ms)
    return MessageOutcome(
        "lock", None, None, [AnswerText("locked", answer("locked", phone.language), SECURITY)]
    )


def _status(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    return MessageOutcome(
        "status", None, None, [AnswerText("status", context.status(phone.language), PERSONAL)]
    )


def _block_mute_report(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    target = account_named(connection, command.name)
    if target.id == account_id:
        raise Failure("unknown-user", name=command.name)
    if command.verb is Verb.BLOCK:
        relationships.block(connection, account_id=account_id, target_id=target.id, now_ms=now_ms)
    elif command.verb is Verb.MUTE:
        relationships.mute(
            connection, account_id=account_id, target_id=target.id, hide_notifications=True, duration_s=0,
            now_ms=now_ms,
        )  # fmt: skip
    else:
        reports.create_report(
            connection, reporter_id=account_id, account_id=target.id, post_ids=[], comment="", category="",
            rule_ids=[], now_ms=now_ms,
        )  # fmt: skip
    return _done(command, phone, name=target.username)


def _signed_up_already(
    connection: Connection,
    command: TextCommand,
    phone: Phone,
    account_id: int,
    context: PhoneContext,
    now_ms: int,
) -> MessageOutcome:
    name = accounts.account(connection, account_id=account_id).username
    text = answer("linked", phone.language, name=name, **context.legal)
    return MessageOutcome("signup", None, None, [AnswerText("linked", text, PERSONAL)])


_Member = Callable[[Connection, TextCommand, Phone, int, PhoneContext, int], MessageOutcome]
_Open = Callable[[Connection, InboxMessage, TextCommand, Phone | None, PhoneContext, int], MessageOutcome]

_OPEN_COMMANDS: dict[Verb, _Open] = {Verb.STOP: _stop, Verb.START: _start, Verb.HELP: _help, Verb.GO: _go}
_MEMBER_COMMANDS: dict[Verb, _Member] = {
    Verb.POST: _post,
    Verb.REPLY: _reply,
    Verb.DM: _direct,
    Verb.RT: _rt,
    Verb.LIKE: _like,
    Verb.FOLLOW: _follow,
    Verb.UNFOLLOW: _unfollow,
    Verb.ON: _on_off,
    Verb.OFF: _on_off,
    Verb.LEAVE: _on_off,
    Verb.GET: get,
    Verb.WHOIS: whois,
    Verb.MORE: more,
    Verb.DEL: _delete,
    Verb.QUIET: _quiet,
    Verb.DIGEST: _digest,
    Verb.STATUS: _status,
    Verb.STATS: stats,
    Verb.SET: _set,
    Verb.BLOCK: _block_mute_report,
    Verb.MUTE: _block_mute_report,
    Verb.REPORT: _block_mute_report,
    Verb.LOCK: _lock,
    Verb.SIGNUP: _signed_up_already,
}
