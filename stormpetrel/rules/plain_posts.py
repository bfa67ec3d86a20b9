"""Many posts at once, if their authors and hashtags are all that must be read before they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stormpetrel.errors import Refusal
from stormpetrel.model import text as texts
from stormpetrel.model.account import AccountState
from stormpetrel.model.post import Draft, Post, Visibility
from stormpetrel.model.quota import is_young
from stormpetrel.rules.drafts import (
    MAX_IDEMPOTENCY_KEY,
    Created,
    announced,
    checked_text,
    insert_row,
    named_in,
    post_of,
)
from stormpetrel.storage import accounts
from stormpetrel.storage import posts as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.together import APART, Apart


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPost:
    """The arguments of `create_post`."""

    author_id: int
    draft: Draft
    max_characters: int
    domain: str
    now_ms: int
    idempotency_key: str | None = None

    @property
    def key(self) -> str:
        """Return the idempotency key as it is stored; "" for none."""
        return (self.idempotency_key or "")[:MAX_IDEMPOTENCY_KEY]

    @property
    def is_plain(self) -> bool:
        """Return True if it may be plain: it answers no post and has no files and no poll, nor a young author."""
        draft = self.draft
        is_alone = draft.in_reply_to_id is None and draft.poll is None and not draft.media_ids
        return is_alone and not is_young(self.author_id, now_ms=self.now_ms)


class _Ready(NamedTuple):
    """A post that nothing prevents any more. `place`: its position among the calls."""

    place: int
    new: NewPost
    by: accounts.Author
    post: Post


def create_plain_posts(connection: Connection, calls: Sequence[dict[str, Any]]) -> list[Created | Apart]:
    """Do the same as `create_post` with each of these arguments, if the posts are plain; the answers are in order.

    APART are the others: posts with mentions or a new hashtag, direct posts, refusals, repeated keys, and
    all posts of an author but the first, which they must follow.
    """
    done: list[Created | Apart] = [APART] * len(calls)
    first: dict[int, tuple[int, NewPost]] = {}
    for place, call in enumerate(calls):
        first.setdefault(call["author_id"], (place, NewPost(**call)))
    plain = [(place, new) for place, new in first.values() if new.is_plain]
    if not plain:
        return done
    found = accounts.authors(
        connection, asked=[(new.author_id, new.key, new.draft.application_id) for _, new in plain]
    )
    ready = []
    for (place, new), by in zip(plain, found, strict=True):
        post = None if by is None else _post(connection, new, by)
        if by is not None and post is not None:
            ready.append(_Ready(place, new, by, post))
    # Nothing is written before all that can be refused is known.
    names = sorted({name for one in ready for name in one.post.tags})
    known = stored.tag_ids(connection, names=names)
    ready = [one for one in ready if known.keys() >= set(one.post.tags)]
    for place, new, by, post in ready:
        insert_row(connection, post, new.draft)
        if post.tags:
            stored.insert_known_tags(connection, post_id=post.id, names=post.tags)
        done[place] = announced(connection, post, by, key=new.key, now_ms=new.now_ms)
    # These lock rows, so they come last, and in one order everywhere: two transactions that do this cannot deadlock.
    for _, new, by, _ in sorted(ready, key=lambda one: one.new.author_id):
        accounts.count_new_post(
            connection,
            account_id=new.author_id,
            last_post_at_ms=by.account.last_post_at_ms,
            now_ms=new.now_ms,
        )
    return done


def _post(connection: Connection, new: NewPost, by: accounts.Author) -> Post | None:
    """Return the post; None if it is not plain, or is refused."""
    if by.account.state is not AccountState.ACTIVE or by.answered is not None:
        return None
    try:
        text, spoiler = checked_text(new.draft, new.max_characters)
        if texts.mentions_in(text, domain=new.domain):
            return None
        mentions, tags = named_in(connection, text, domain=new.domain)
        post = post_of(connection, new.draft, by, None, text, spoiler, mentions, tags, new.now_ms)
    except Refusal:
        return None
    return None if post.visibility is Visibility.DIRECT else post
