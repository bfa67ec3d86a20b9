"""Editing a post, and reading its earlier versions."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.event import PostChanged, PostEdited
from stormpetrel.model.media import Media, MediaWords
from stormpetrel.model.notification import Kind
from stormpetrel.model.poll import Poll, PollDraft
from stormpetrel.model.post import Draft, Post, Version
from stormpetrel.model.visibility import may_see
from stormpetrel.rules import conversations, drafts, media, notifications, polls, posts
from stormpetrel.rules.languages import clean_language
from stormpetrel.storage import edits as stored
from stormpetrel.storage import outbox
from stormpetrel.storage import polls as stored_polls
from stormpetrel.storage import posts as stored_posts
from stormpetrel.storage.engine.connection import Connection

MAX_EDITS = 100
"""Versions stored per post: a request for its history returns all of them."""
TOLD_AT_ONCE = 200
"""Accounts notified of an edit per transaction of the courier; a further job notifies the next ones."""


def edit_post(
    connection: Connection,
    *,
    author_id: int,
    post_id: int,
    draft: Draft,
    media_words: Sequence[MediaWords] = (),
    max_characters: int,
    domain: str,
    now_ms: int,
    poll_stays: bool = False,
) -> None:
    """Replace text, content warning, sensitivity, poll and media of a post with those of `draft`.

    - A language of None stays. Visibility and the post replied to never change.
    - Newly mentioned accounts are notified, once. Accounts no longer mentioned are no longer addressed, and
      lose
      access to a post with restricted visibility.
    - Votes remain while question and options stay the same; with `poll_stays` the poll never changes.
    - `media_words` change the descriptions of the media that the post has afterwards.
    - Nothing happens without a change.

    Raise NotFound for boosts and posts that the account cannot see, Forbidden for other posts of other
    accounts, Invalid as `create_post` does.
    """
    stored.lock(connection, post_id=post_id)
    old = stored_posts.posts(connection, post_ids=[post_id]).get(post_id)
    if old is None or old.boost_of_id is not None:
        raise NotFound
    if old.author_id != author_id:
        posts.post(connection, reader_id=author_id, post_id=post_id, now_ms=now_ms)
        raise Forbidden("Only the author can edit a post")
    if draft.poll is not None and draft.media_ids:
        raise Invalid("Validation failed: A post can have media or a poll, not both")
    text, spoiler = drafts.checked_text(draft, max_characters)
    mentions, tags = drafts.named_in(connection, text, domain=domain)
    new = replace(
        old,
        text=text,
        spoiler_text=spoiler,
        sensitive=bool(spoiler) or bool(draft.sensitive),
        language=old.language if draft.language is None else clean_language(draft.language),
        mentions=mentions,
        tags=tuple(name for name, _ in tags),
        media=_edit_media(connection, old, draft, media_words, now_ms=now_ms),
    )
    told_poll = not poll_stays and _edit_poll(connection, old, draft.poll, now_ms=now_ms)
    changed = told_poll or _said(new) != _said(old)
    if changed:
        if stored.count(connection, post_id=post_id) >= MAX_EDITS:
            raise Invalid(f"Validation failed: A post can be edited at most {MAX_EDITS} times")
        new = replace(new, edited_at_ms=now_ms)
        stored.keep(connection, id=connection.new_id(now_ms), post_id=post_id, version=_version(old))
    elif new == old:
        return
    stored.update(connection, new)
    if new.tags != old.tags:
        stored.remove_tags(connection, post_id=post_id)
        if tags:
            stored_posts.insert_tags(connection, post_id=post_id, tags=tags, now_ms=now_ms)
    _address(connection, old, new, now_ms=now_ms)
    connection.tell(PostChanged(post_id, author_id))
    if changed:
        outbox.put(
            connection,
            kind="post_edited",
            payload={"post_id": post_id, "edited_at_ms": now_ms},
            now_ms=now_ms,
        )
        connection.tell(
            PostEdited(
                post_id=post_id,
                author_id=author_id,
                visibility=int(old.visibility),
                in_reply_to_account_id=old.in_reply_to_account_id or 0,
                mentioned_ids=tuple(mention.account_id for mention in mentions),
                # Timelines of the old and the new tags and languages are affected.
                tags=tuple(dict.fromkeys((*new.tags, *old.tags))),
                languages=tuple(dict.fromkeys((new.language, old.language))),
            )
        )


def _said(post: Post) -> tuple[str, str, bool, tuple[tuple[int, str, tuple[int, int]], ...]]:
    """Return the parts of a post that count as an edit when they change."""
    shown = tuple((one.id, one.description, one.focus) for one in post.media)
    return post.text, post.spoiler_text, post.sensitive, shown


def _edit_media(
    connection: Connection, old: Post, draft: Draft, words: Sequence[MediaWords], *, now_ms: int
) -> tuple[Media, ...]:
    """Attach exactly the draft's media to the post and return the attached media."""
    hung = old.media
    if draft.media_ids != tuple(one.id for one in hung):
        hung = media.replace(
            connection, author_id=old.author_id, media_ids=draft.media_ids, post_id=old.id, now_ms=now_ms
        )
    return media.describe_attached(connection, hung=hung, words=words)


def _version(post: Post) -> Version:
    return Version(
        text=post.text,
        spoiler_text=post.spoiler_text,
        sensitive=post.sensitive,
        poll_options=tuple(option.title for option in post.poll.options) if post.poll else (),
        written_at_ms=post.edited_at_ms or post.created_at_ms,
        media=tuple((one.id, one.description) for one in post.media),
    )


def _edit_poll(connection: Connection, old: Post, draft: PollDraft | None, *, now_ms: int) -> bool:
    """Make the post's poll match the draft; return True if readers must be notified of the change."""
    if draft is None:
        if old.poll is None:
            return False
        stored_polls.delete(connection, post_id=old.id)
        return True
    # Lock the poll: votes cast meanwhile wait for this transaction, or it waits for them.
    before = stored_polls.locked(connection, post_id=old.id)
    new = polls.checked(draft, post_id=old.id, author_id=old.author_id, now_ms=now_ms)
    if before is not None and _asked(before) == _asked(new):
        if before.is_over(now_ms) or (before.expires_at_ms, before.hide_totals) == (
            new.expires_at_ms,
            new.hide_totals,
        ):
            return False
        stored_polls.reschedule(
            connection, post_id=old.id, expires_at_ms=new.expires_at_ms, hide_totals=new.hide_totals
        )
        polls.tell_end_later(connection, new, now_ms=now_ms)
        connection.tell(PostChanged(old.id, old.author_id))
        return False
    if before is not None:
        stored_polls.delete(connection, post_id=old.id)
    polls.open_poll(connection, new, now_ms=now_ms)
    return True


def _asked(poll: Poll) -> tuple[bool, tuple[str, ...]]:
    return poll.multiple, tuple(option.title for option in poll.options)


def _address(connection: Connection, old: Post, new: Post, *, now_ms: int) -> None:
    """Notify newly mentioned accounts; withdraw the notifications of accounts that are no longer mentioned."""
    before = {mention.account_id for mention in old.mentions}
    after = {mention.account_id for mention in new.mentions}
    gone = sorted(before - after)
    if gone:
        stored.remove_mentions(connection, post_id=new.id, account_ids=gone)
        for account_id in gone:
            notifications.withdraw(
                connection,
                account_id=account_id,
                kind=Kind.MENTION,
                from_account_id=new.author_id,
                post_id=new.id,
            )
        conversations.take_out(connection, post=new, account_ids=gone)
    come = sorted(after - before)
    stored_posts.insert_mentions(connection, post_id=new.id, account_ids=come)
    if come:
        unheard = notifications.notify_mentioned(connection, post=new, account_ids=come, now_ms=now_ms)
        conversations.add_post(connection, post=new, account_ids=come, unheard=unheard)


def history(
    connection: Connection, *, reader_id: int | None, post_id: int, now_ms: int
) -> tuple[Post, list[Version]]:
    """Return the post and its versions, the original first, the current one last.

    Raise NotFound as in `posts.post`.
    """
    post = posts.visible_original(connection, reader_id=reader_id, post_id=post_id, now_ms=now_ms)
    return post, [*stored.versions(connection, post_id=post.id), _version(post)]


def notify_boosters(
    connection: Connection, *, post_id: int, edited_at_ms: int, after_id: int = 0, now_ms: int
) -> None:
    """Notify the accounts that boosted a post of its edit.

    Do nothing if it was edited again meanwhile, since that edit has its own job. `after_id`: boosters up to
    that account have been notified already.
    """
    post = stored_posts.posts(connection, post_ids=[post_id]).get(post_id)
    if post is None or post.edited_at_ms != edited_at_ms:
        return
    boosters = list(stored.boosters(connection, post_id=post_id, after_id=after_id, count=TOLD_AT_ONCE))
    for booster_id in boosters:
        facts = stored_posts.facts(connection, reader_id=booster_id, post_ids=[post_id], now_ms=now_ms)[
            post_id
        ]
        if not may_see(facts, reader_id=booster_id):
            continue
        # Keep one notification per post, however often it is edited; the newest edit moves it to the top.
        notifications.withdraw(
            connection,
            account_id=booster_id,
            kind=Kind.UPDATE,
            from_account_id=post.author_id,
            post_id=post_id,
        )
        notifications.notify(
            connection,
            account_id=booster_id,
            kind=Kind.UPDATE,
            from_account_id=post.author_id,
            post_id=post_id,
            now_ms=now_ms,
        )
    if len(boosters) == TOLD_AT_ONCE:
        outbox.put(
            connection,
            kind="post_edited",
            payload={"post_id": post_id, "edited_at_ms": edited_at_ms, "after_id": boosters[-1]},
            now_ms=now_ms,
        )
