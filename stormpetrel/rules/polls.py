"""Polls: creating, voting, and notifying of the end."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model import text as texts
from stormpetrel.model.characters import is_too_large, is_too_long
from stormpetrel.model.event import PostChanged, Reacted
from stormpetrel.model.notification import Kind
from stormpetrel.model.poll import (
    MAX_DURATION_S,
    MAX_OPTION_CHARACTERS,
    MAX_OPTIONS,
    MIN_DURATION_S,
    MIN_OPTIONS,
    Option,
    Poll,
    PollDraft,
    bits_of,
)
from stormpetrel.model.visibility import may_see
from stormpetrel.rules import notifications
from stormpetrel.storage import outbox, posts
from stormpetrel.storage import polls as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

TOO_LONG = f"Validation failed: Poll options can't be longer than {MAX_OPTION_CHARACTERS} characters each"
ALREADY_VOTED = "Validation failed: You have already voted on this poll"
TOLD_AT_ONCE = 200
"""Voters notified per transaction of the courier; a further job notifies the next ones."""


def checked(draft: PollDraft, *, post_id: int, author_id: int, now_ms: int) -> Poll:
    """Return the poll that a draft describes, without votes. Raise Invalid."""
    if any(is_too_large(title, MAX_OPTION_CHARACTERS) for title in draft.options):
        raise Invalid(TOO_LONG)
    titles = tuple(texts.one_line(title) for title in draft.options)
    if len(titles) < MIN_OPTIONS:
        raise Invalid(f"Validation failed: Poll must have at least {MIN_OPTIONS} options")
    if len(titles) > MAX_OPTIONS:
        raise Invalid(f"Validation failed: Poll can't have more than {MAX_OPTIONS} options")
    if not all(titles):
        raise Invalid("Validation failed: Poll options can't be blank")
    if any(is_too_long(title, MAX_OPTION_CHARACTERS) for title in titles):
        raise Invalid(TOO_LONG)
    if len(set(titles)) < len(titles):
        raise Invalid("Validation failed: Poll options must be different")
    if draft.duration_s < MIN_DURATION_S:
        raise Invalid("Validation failed: Poll must be open for at least 5 minutes")
    if draft.duration_s > MAX_DURATION_S:
        raise Invalid("Validation failed: Poll can't be open for more than a month")
    return Poll(
        post_id=post_id,
        author_id=author_id,
        multiple=draft.multiple,
        hide_totals=draft.hide_totals,
        expires_at_ms=now_ms + draft.duration_s * 1000,
        voters_count=0,
        options=tuple(Option(title, 0) for title in titles),
    )


def open_poll(connection: Connection, poll: Poll, *, now_ms: int) -> None:
    """Add a checked poll to its post, and schedule the notifications of its end."""
    stored.insert(connection, poll)
    tell_end_later(connection, poll, now_ms=now_ms)


def tell_end_later(connection: Connection, poll: Poll, *, now_ms: int) -> None:
    """Schedule the job that notifies the author and the voters when the poll ends."""
    outbox.put(
        connection,
        kind="poll_ended",
        payload={"post_id": poll.post_id, "expires_at_ms": poll.expires_at_ms},
        now_ms=now_ms,
        delay_ms=max(poll.expires_at_ms - now_ms, 0),
    )


@hot
def poll(connection: Connection, *, reader_id: int | None, poll_id: int, now_ms: int) -> tuple[Poll, int]:
    """Return the poll and the reader's votes (model/poll.py, bits_of).

    Raise NotFound where there is none or the reader may not see its post.
    """
    facts = posts.facts(connection, reader_id=reader_id, post_ids=[poll_id], now_ms=now_ms).get(poll_id)
    if facts is None or not may_see(facts, reader_id=reader_id):
        raise NotFound
    found = stored.polls(connection, post_ids=[poll_id]).get(poll_id)
    if found is None:
        raise NotFound
    if reader_id is None:
        return found, 0
    flags = posts.flags(connection, reader_id=reader_id, post_ids=[poll_id]).get(poll_id)
    return found, 0 if flags is None else flags.votes


def vote(
    connection: Connection, *, account_id: int, poll_id: int, choices: Sequence[int], now_ms: int
) -> tuple[Poll, int]:
    """Vote, once and for good; return the poll afterwards and the votes.

    Raise NotFound where the account may not see the poll; Invalid for its own poll, a second vote, a poll
    that has ended, no choice, several choices where one is allowed, or an option that does not exist.
    """
    found, before = poll(connection, reader_id=account_id, poll_id=poll_id, now_ms=now_ms)
    if found.author_id == account_id:
        raise Invalid("Validation failed: You can't vote in your own polls")
    locked = stored.locked(connection, post_id=poll_id)
    if locked is None:
        raise NotFound
    if locked.is_over(now_ms):
        raise Invalid("Validation failed: The poll has already ended")
    wanted = sorted(set(choices))
    if not wanted:
        raise Invalid("Validation failed: No option was chosen")
    if not all(0 <= choice < len(locked.options) for choice in wanted):
        raise Invalid("Validation failed: The chosen vote option does not exist")
    if before:
        raise Invalid(ALREADY_VOTED)
    if len(wanted) > 1 and not locked.multiple:
        raise Invalid("Validation failed: Only one option can be chosen in this poll")
    votes = bits_of(wanted)
    if not stored.put_ballot(connection, post_id=poll_id, account_id=account_id, choices=votes):
        raise Invalid(ALREADY_VOTED)
    connection.tell(PostChanged(poll_id, locked.author_id))
    connection.tell(Reacted(account_id, poll_id))
    return stored.polls(connection, post_ids=[poll_id])[poll_id], votes


def end_poll(
    connection: Connection, *, post_id: int, expires_at_ms: int, after_id: int = 0, now_ms: int
) -> None:
    """Notify the author and the voters that the poll has ended, each once, however often this is called.

    Do nothing if the poll no longer ends at `expires_at_ms`. `after_id`: voters up to that account
    have been notified already.
    """
    found = stored.polls(connection, post_ids=[post_id]).get(post_id)
    if found is None or found.expires_at_ms != expires_at_ms:
        return
    if after_id == 0:
        if not stored.end(connection, post_id=post_id, expires_at_ms=expires_at_ms):
            return
        connection.tell(PostChanged(post_id, found.author_id))
        _tell_end(connection, found, found.author_id, now_ms)
    voters = stored.voters(connection, post_id=post_id, after_id=after_id, count=TOLD_AT_ONCE)
    for voter_id in voters:
        facts = posts.facts(connection, reader_id=voter_id, post_ids=[post_id], now_ms=now_ms)[post_id]
        if may_see(facts, reader_id=voter_id):
            _tell_end(connection, found, voter_id, now_ms)
    if len(voters) == TOLD_AT_ONCE:
        outbox.put(
            connection,
            kind="poll_ended",
            payload={"post_id": post_id, "expires_at_ms": expires_at_ms, "after_id": voters[-1]},
            now_ms=now_ms,
        )


def _tell_end(connection: Connection, poll: Poll, account_id: int, now_ms: int) -> None:
    notifications.notify(
        connection,
        account_id=account_id,
        kind=Kind.POLL,
        from_account_id=poll.author_id,
        post_id=poll.post_id,
        now_ms=now_ms,
    )
