"""The posts and accounts of one response, joined from pieces of JSON that are encoded once (render.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stormpetrel.api.json.endings import SharedStatus, ending, poll_field
from stormpetrel.api.json.filter_entities import filtered
from stormpetrel.model.filter import ActiveFilters
from stormpetrel.model.poll import Poll
from stormpetrel.model.post import Flags


class PostBytes(NamedTuple):
    """A post's JSON in pieces; its author's account goes between `head` and `tail`.

    A boost (`original_id` > 0) has the original between `middle` and `tail`. The closing brace is missing: it
    follows the reader's flags. A post with a poll has HAS_POLL as `original_id`, so that posts without one need
    no check; the poll depends on its reader's votes and on the time, so it goes between `tail` and the flags.
    `searched` is the text that readers' filters search.
    """

    author_id: int
    original_id: int
    head: bytes
    middle: bytes
    tail: bytes
    poll: Poll | None
    searched: str = ""


HAS_POLL = -1
"""The value of `original_id` for a post with a poll; ids are never negative."""


class View:
    """A snapshot of everything that one response shows."""

    __slots__ = ("_accounts", "_filters", "_flags", "_now_ms", "_posts", "_reader_id")

    def __init__(
        self,
        posts: dict[int, PostBytes],
        accounts: dict[int, bytes],
        flags: dict[int, Flags],
        reader_id: int | None,
        now_ms: int,
        filters: ActiveFilters | None = None,
    ) -> None:
        self._now_ms = now_ms
        self._filters = filters
        self._posts = posts
        self._accounts = accounts
        self._flags = flags
        self._reader_id = reader_id

    def _filtered(self, post_id: int, post: PostBytes) -> bytes:
        if self._filters is None:
            return b""
        return filtered(self._filters, post_id=post_id, text=post.searched)

    def add_status(self, parts: list[bytes], post_id: int) -> bool:
        """Append the post's pieces. Return False, without appending, if it or an account in it is gone."""
        post = self._posts.get(post_id)
        if post is None:
            return False
        account = self._accounts.get(post.author_id)
        if account is None:
            return False
        original_id = post.original_id
        if original_id <= 0:
            parts += (post.head, account, post.tail)
            self._add_end(parts, post_id, post)
            return True
        original = self._posts.get(original_id)
        if original is None:
            return False
        author = self._accounts.get(original.author_id)
        if author is None:
            return False
        parts += (post.head, account, post.middle, original.head, author, original.tail)
        self._add_end(parts, original_id, original)
        matched = self._filtered(original_id, original)
        parts += (
            post.tail,
            ending(self._flags.get(original_id), self._reader_id, own=False, filtered=matched),
        )
        return True

    def _add_end(self, parts: list[bytes], post_id: int, post: PostBytes) -> None:
        flags = self._flags.get(post_id)
        if post.poll is not None:
            parts.append(poll_field(post.poll, flags, self._reader_id, self._now_ms))
        matched = self._filtered(post_id, post)
        parts.append(ending(flags, self._reader_id, own=post.author_id == self._reader_id, filtered=matched))

    def shared(self, post_id: int) -> SharedStatus | None:
        """Return the post for many readers, or None if it, or an account in it, no longer exists."""
        parts: list[bytes] = []
        if not self.add_status(parts, post_id):
            return None
        post = self._posts[post_id]
        original = self._posts.get(post.original_id)
        shown_id, shown = (post_id, post) if original is None else (post.original_id, original)
        # The last parts depend on the reader: the flags, and the poll before them if there is one.
        own = 1 if shown.poll is None else 2
        tail = None
        if original is not None:
            own, tail = own + 2, parts[-2]
        head = b"".join(parts[:-own])
        return SharedStatus(shown_id, shown.author_id, head, tail, shown.poll, shown.searched, self._now_ms)

    def statuses(self, post_ids: Iterable[int]) -> bytes:
        """Return a JSON array of the posts; omit those that no longer exist."""
        parts = [b"["]
        for post_id in post_ids:
            if self.add_status(parts, post_id):
                parts.append(b",")
        return closed_array(parts)

    def status(self, post_id: int) -> bytes | None:
        """Return one post, or None if it, or an account in it, no longer exists."""
        parts: list[bytes] = []
        return b"".join(parts) if self.add_status(parts, post_id) else None

    def account(self, account_id: int) -> bytes | None:
        """Return one account, or None if it no longer exists."""
        return self._accounts.get(account_id)

    def accounts(self, account_ids: Iterable[int]) -> bytes:
        """Return a JSON array of the accounts; omit those that no longer exist."""
        found = (self._accounts.get(account_id) for account_id in account_ids)
        return array(account for account in found if account is not None)


def closed_array(parts: list[bytes]) -> bytes:
    """Join the parts of an array; each item's last part ends with a comma."""
    if len(parts) == 1:
        return b"[]"
    parts[-1] = parts[-1][:-1] + b"]"
    return b"".join(parts)


def array(items: Iterable[bytes]) -> bytes:
    """Return a JSON array of encoded items."""
    return b"[" + b",".join(items) + b"]"
