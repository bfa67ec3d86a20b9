"""Who may see a post: the one rule, over the facts that decide it."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.post import Visibility


@dataclass(frozen=True, slots=True)
class Facts:
    """A post and one reader. Without a reader everything that speaks of one is False.

    `author_hidden`: the reader blocks or mutes the author; that does not make a post unreadable, but keeps it
    out of lists.
    """

    post_id: int
    author_id: int
    visibility: int
    author_active: bool
    reader_follows: bool
    reader_blocked: bool
    reader_mentioned: bool
    author_hidden: bool


def may_see(facts: Facts, *, reader_id: int | None) -> bool:
    """Whether the reader (None: a visitor) may see the post."""
    if not facts.author_active:
        return False
    if facts.author_id == reader_id:
        return True
    if facts.reader_blocked:
        return False
    if facts.visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        return True
    if facts.reader_mentioned:
        return True
    return facts.visibility == Visibility.FOLLOWERS and facts.reader_follows
