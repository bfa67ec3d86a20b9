"""Commands of members, each carried out by the rule that every door calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from stormpetrel.errors import Invalid
from stormpetrel.gateway.answers import answer, done
from stormpetrel.gateway.command_words import Verb
from stormpetrel.gateway.outcome import AnswerText, CommandRun, Failure, MessageOutcome
from stormpetrel.gateway.reading import account_named, get, more, stats, whois
from stormpetrel.model.account import ProfileChange
from stormpetrel.model.page import Page
from stormpetrel.model.post import Draft, Visibility
from stormpetrel.model.text import is_too_long
from stormpetrel.rules import accounts, phones, posts, reactions, relationships, reports, timelines
from stormpetrel.rules.phones import PhoneChange
from stormpetrel.storage import phones as stored
from stormpetrel.storage.sms_spool.outbox import PERSONAL, SECURITY


def _done(run: CommandRun, **values: str) -> MessageOutcome:
    text = done(run.command, run.phone.language, **values)
    return MessageOutcome(run.command.verb.value, None, None, [AnswerText("done", text, PERSONAL)])


def _create(run: CommandRun, draft: Draft) -> int:
    most = run.context.max_characters
    if is_too_long(draft.text, most):
        raise Failure("too-long", most=str(most))
    made = posts.create_post(
        run.connection,
        author_id=run.account_id,
        draft=draft,
        max_characters=most,
        domain=run.context.domain,
        now_ms=run.now_ms,
    )
    return made.post_id


def _post(run: CommandRun) -> MessageOutcome:
    post_id = _create(run, Draft(run.command.text))
    return MessageOutcome("post", None, post_id)


def _reply(run: CommandRun) -> MessageOutcome:
    parent = posts.visible_original(
        run.connection, reader_id=run.account_id, post_id=_tagged(run), now_ms=run.now_ms
    )
    author = accounts.account(run.connection, account_id=parent.author_id)
    text = run.command.text
    names = {mention.username.lower() for mention in parent.mentions}
    # "@bobby" does not name bob.
    is_named = re.search(rf"(?<![\w@/.])@{re.escape(author.username)}(?![\w@-]|\.\w)", text, re.IGNORECASE)
    if author.id != run.account_id and not is_named:
        text = f"@{author.username} {text}"
    if parent.visibility is Visibility.DIRECT:
        mine = accounts.account(run.connection, account_id=run.account_id).username.lower()
        others = sorted(names - {author.username.lower(), mine})
        text = " ".join([*(f"@{name}" for name in others), text])
    own = accounts.account(run.connection, account_id=run.account_id)
    visibility = max(parent.visibility, Visibility(own.default_visibility))
    draft = Draft(text, visibility=visibility, in_reply_to_id=parent.id)
    return MessageOutcome("reply", None, _create(run, draft))


def _direct(run: CommandRun) -> MessageOutcome:
    target = account_named(run.connection, run.command.name)
    draft = Draft(f"@{target.username} {run.command.text}", visibility=Visibility.DIRECT)
    return MessageOutcome("dm", None, _create(run, draft))


def _tagged(run: CommandRun) -> int:
    found = stored.tag(run.connection, phone_id=run.phone.id, tag=run.command.tag or 0)
    if found is None:
        raise Failure("unknown-tag", tag=str(run.command.tag))
    return found[0]


def _target_post(run: CommandRun) -> int:
    """Return the post of a tag, or the newest post of a name that the member may see."""
    if run.command.tag is not None:
        return _tagged(run)
    target = account_named(run.connection, run.command.name)
    found = _newest(run, target.id)
    if not found:
        raise Failure("unknown-user", name=run.command.name)
    return found[0]


def _newest(run: CommandRun, account_id: int) -> list[int]:
    """Return the account's newest post that the member may see, without boosts, if there is one."""
    return timelines.of_account(
        run.connection,
        reader_id=run.account_id,
        account_id=account_id,
        page=Page(limit=1),
        now_ms=run.now_ms,
        exclude_boosts=True,
    )


def _rt(run: CommandRun) -> MessageOutcome:
    post_id = _target_post(run)
    made = reactions.boost(
        run.connection, account_id=run.account_id, post_id=post_id, visibility=None, now_ms=run.now_ms
    )
    return MessageOutcome("rt", None, made)


def _like(run: CommandRun) -> MessageOutcome:
    post_id = _target_post(run)
    reactions.favourite(run.connection, account_id=run.account_id, post_id=post_id, now_ms=run.now_ms)
    return MessageOutcome("like", None, post_id)


def _follow(run: CommandRun) -> MessageOutcome:
    target = account_named(run.connection, run.command.name)
    now = relationships.follow(
        run.connection,
        follower_id=run.account_id,
        followed_id=target.id,
        show_boosts=None,
        notify=True,
        now_ms=run.now_ms,
    )
    if now.following:
        return _done(run, name=target.username)
    text = answer("done-follow-request", run.phone.language, name=target.username)
    return MessageOutcome("follow", None, None, [AnswerText("done", text, PERSONAL)])


def _unfollow(run: CommandRun) -> MessageOutcome:
    target = account_named(run.connection, run.command.name)
    relationships.unfollow(
        run.connection, follower_id=run.account_id, followed_id=target.id, now_ms=run.now_ms
    )
    return _done(run, name=target.username)


def _on_off(run: CommandRun) -> MessageOutcome:
    """Turn deliveries on or off: all of them, or the posts of one account (the API's `notify`)."""
    is_on = run.command.verb is Verb.ON
    if not run.command.name:
        phones.change(
            run.connection,
            phone=run.phone,
            wanted=PhoneChange(delivers=is_on),
            keys=run.context.keys,
            now_ms=run.now_ms,
        )
        return _done(run)
    target = account_named(run.connection, run.command.name)
    is_following = relationships.relationships(
        run.connection, reader_id=run.account_id, account_ids=[target.id], now_ms=run.now_ms
    )[0].following
    if is_following or is_on:
        relationships.follow(
            run.connection, follower_id=run.account_id, followed_id=target.id, show_boosts=None, notify=is_on,
            now_ms=run.now_ms,
        )  # fmt: skip
    return _done(run, name=target.username)


def _delete(run: CommandRun) -> MessageOutcome:
    found = _newest(run, run.account_id)
    last = posts.posts(run.connection, post_ids=found)
    if not last or run.now_ms - last[0].created_at_ms > run.context.delete_window_ms:
        text = answer("del-none", run.phone.language, minutes=run.context.delete_window_ms // 60_000)
        return MessageOutcome("del", None, None, [AnswerText("error", text, PERSONAL)])
    posts.delete_post(run.connection, author_id=run.account_id, post_id=last[0].id, now_ms=run.now_ms)
    return replace(_done(run), status_id=last[0].id)


def _quiet(run: CommandRun) -> MessageOutcome:
    phones.change(
        run.connection,
        phone=run.phone,
        wanted=PhoneChange(quiet=run.command.text),
        keys=run.context.keys,
        now_ms=run.now_ms,
    )
    return _done(run)


def _digest(run: CommandRun) -> MessageOutcome:
    phones.change(
        run.connection,
        phone=run.phone,
        wanted=PhoneChange(digest=run.command.text),
        keys=run.context.keys,
        now_ms=run.now_ms,
    )
    return _done(run)


def _set(run: CommandRun) -> MessageOutcome:
    if run.command.key == "quiet":
        return _quiet(run)
    if run.command.key == "language":
        changed = phones.change(
            run.connection,
            phone=run.phone,
            wanted=PhoneChange(language=run.command.text),
            keys=run.context.keys,
            now_ms=run.now_ms,
        )
        return _done(replace(run, phone=changed))
    change = (
        ProfileChange(display_name=run.command.text)
        if run.command.key == "name"
        else ProfileChange(note=run.command.text)
    )
    try:
        accounts.update_profile(
            run.connection,
            account_id=run.account_id,
            change=change,
            now_ms=run.now_ms,
            domain=run.context.domain,
        )
    except Invalid:
        raise Failure("too-long", most="30" if run.command.key == "name" else "500") from None
    return _done(run)


def _lock(run: CommandRun) -> MessageOutcome:
    phones.lock(run.connection, phone=run.phone, now_ms=run.now_ms)
    return MessageOutcome(
        "lock", None, None, [AnswerText("locked", answer("locked", run.phone.language), SECURITY)]
    )


def _status(run: CommandRun) -> MessageOutcome:
    return MessageOutcome(
        "status", None, None, [AnswerText("status", run.context.status(run.phone.language), PERSONAL)]
    )


def _block_mute_report(run: CommandRun) -> MessageOutcome:
    target = account_named(run.connection, run.command.name)
    if target.id == run.account_id:
        raise Failure("unknown-user", name=run.command.name)
    if run.command.verb is Verb.BLOCK:
        relationships.block(run.connection, account_id=run.account_id, target_id=target.id, now_ms=run.now_ms)
    elif run.command.verb is Verb.MUTE:
        relationships.mute(
            run.connection, account_id=run.account_id, target_id=target.id, hide_notifications=True, duration_s=0,
            now_ms=run.now_ms,
        )  # fmt: skip
    else:
        reports.create_report(
            run.connection, reporter_id=run.account_id, account_id=target.id, post_ids=[], comment="", category="",
            rule_ids=[], now_ms=run.now_ms,
        )  # fmt: skip
    return _done(run, name=target.username)


def _signed_up_already(run: CommandRun) -> MessageOutcome:
    name = accounts.account(run.connection, account_id=run.account_id).username
    text = answer("linked", run.phone.language, name=name, **run.context.legal)
    return MessageOutcome("signup", None, None, [AnswerText("linked", text, PERSONAL)])


MEMBER_COMMANDS: dict[Verb, Callable[[CommandRun], MessageOutcome]] = {
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
