"""Commands that read: GET, WHOIS, MORE and STATS, and the text of a post for a phone."""

from __future__ import annotations

from stormpetrel.errors import NotFound
from stormpetrel.gateway.answers import answer, attachments
from stormpetrel.gateway.compose import content, delivery
from stormpetrel.gateway.compose import more as more_of
from stormpetrel.gateway.outcome import AnswerText, CommandRun, Failure, MessageOutcome
from stormpetrel.model.account import Account
from stormpetrel.model.page import Page
from stormpetrel.model.phone import Phone
from stormpetrel.model.post import Post, Visibility
from stormpetrel.model.text import excerpt
from stormpetrel.rules import accounts, phones, posts, timelines
from stormpetrel.storage import phones as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.sms_spool.outbox import PERSONAL

_WHOIS_BIO = 80


def text_of_post(post: Post, language: str) -> str:
    """Return the text of a post with its media in brackets: their descriptions, or a word for their kind."""
    media = [(one.decoded.kind, one.description) for one in post.media]
    return content(post.text, attachments(media, language))


def delivery_of(
    connection: Connection, *, phone: Phone, post: Post, tag: int, booster: str = ""
) -> tuple[str, int | None]:
    """Return the text for the phone, and where its next page begins (None: it is complete)."""
    author = accounts.account(connection, account_id=post.author_id)
    made = delivery(
        author.username,
        text_of_post(post, phone.language),
        tag=tag,
        segments=phone.segments,
        warning=post.spoiler_text,
        booster=booster,
        is_direct=post.visibility is Visibility.DIRECT,
    )
    return made.text, made.next_offset


def get(run: CommandRun) -> MessageOutcome:
    """Return the newest post of an account, with a tag."""
    target = account_named(run.connection, run.command.name)
    found = timelines.of_account(
        run.connection, reader_id=run.account_id, account_id=target.id, page=Page(limit=1), now_ms=run.now_ms,
        exclude_boosts=True, exclude_replies=True,
    )  # fmt: skip
    if not found:
        text = answer("get-none", run.phone.language, name=target.username)
        return MessageOutcome("get", None, None, [AnswerText("get", text, PERSONAL)])
    post = posts.posts(run.connection, post_ids=found)[0]
    tag = phones.take_tag(run.connection, phone=run.phone, post_id=post.id)
    text, next_offset = delivery_of(run.connection, phone=run.phone, post=post, tag=tag)
    stored.move_tag(
        run.connection, phone_id=run.phone.id, tag=tag, position=-1 if next_offset is None else next_offset
    )
    return MessageOutcome("get", None, post.id, [AnswerText("get", text, PERSONAL)])


def more(run: CommandRun) -> MessageOutcome:
    """Return the next page of a post that was cut; without a tag, of the last one that was sent."""
    current = stored.by_id(run.connection, phone_id=run.phone.id)
    last = (current.next_tag if current is not None else 1) - 1 or 99
    tag = run.command.tag or last
    found = stored.tag(run.connection, phone_id=run.phone.id, tag=tag)
    if found is None:
        raise Failure("unknown-tag", tag=str(tag))
    post_id, position = found
    try:
        post = posts.visible_original(
            run.connection, reader_id=run.account_id, post_id=post_id, now_ms=run.now_ms
        )
    except NotFound:
        raise Failure("unknown-tag", tag=str(tag)) from None
    if position < 0:
        return MessageOutcome(
            "more", None, None, [AnswerText("more", answer("more-none", run.phone.language), PERSONAL)]
        )
    author = accounts.account(run.connection, account_id=post.author_id)
    page = more_of(
        author.username, text_of_post(post, run.phone.language), tag=tag, offset=position,
        segments=run.phone.segments, is_direct=post.visibility is Visibility.DIRECT,
    )  # fmt: skip
    stored.move_tag(
        run.connection,
        phone_id=run.phone.id,
        tag=tag,
        position=-1 if page.next_offset is None else page.next_offset,
    )
    return MessageOutcome("more", None, post.id, [AnswerText("more", page.text, PERSONAL)])


def whois(run: CommandRun) -> MessageOutcome:
    """Return an account's name, text and counts."""
    target = account_named(run.connection, run.command.name)
    text = answer(
        "whois",
        run.phone.language,
        name=target.username,
        display=target.display_name or target.username,
        bio=excerpt(target.note, _WHOIS_BIO),
        followers=str(target.followers_count),
        posts=str(target.posts_count),
    )
    return MessageOutcome("whois", None, None, [AnswerText("whois", text, PERSONAL)])


def stats(run: CommandRun) -> MessageOutcome:
    """Return the member's own counts."""
    own = accounts.account(run.connection, account_id=run.account_id)
    text = answer(
        "stats",
        run.phone.language,
        name=own.username,
        followers=str(own.followers_count),
        following=str(own.following_count),
        posts=str(own.posts_count),
    )
    return MessageOutcome("stats", None, None, [AnswerText("stats", text, PERSONAL)])


def account_named(connection: Connection, name: str) -> Account:
    """Return the account of that name. Raise Failure "unknown-user"."""
    try:
        return accounts.account_named(connection, username=name)
    except NotFound:
        raise Failure("unknown-user", name=name) from None
