"""Who may see a post: the one rule, and the facts that it needs."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.post import Visibility


@dataclass(frozen=True, slots=True)
class Facts:
    """A post and one reader. Without a reader, all facts about the reader are False.

    `author_hidden`: the reader blocks or mutes the author; that does not make a post unreadable, but keeps it
    out of lists. `post_hidden`: by moderators. `original_hidden`: the post that it boosts was hidden, or its
    author is suspended or blocks the reader.
    """

    post_id: int
    author_id: int
    visibility: int
    author_active: bool
    reader_follows: bool
    reader_blocked: bool
    reader_mentioned: bool
    author_hidden: bool
    post_hidden: bool = False
    original_hidden: bool = False
    author_silenced: bool = False
    reader_moderates: bool = False


def may_see(facts: Facts, *, reader_id: int | None) -> bool:
    """Return True if the reader (None: a visitor) may see the post."""
    if not facts.author_active:
        return False
    if facts.original_hidden:
        return False
    if facts.author_id == reader_id:
        return True
    if facts.post_hidden and not facts.reader_moderates:
        return False
    if facts.reader_blocked:
        return False
    if facts.visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        return True
    if facts.reader_mentioned:
        return True
    return facts.visibility == Visibility.FOLLOWERS and facts.reader_follows


def may_list(facts: Facts, *, reader_id: int | None) -> bool:
    """Return True if the post may appear in lists for the reader, such as a thread.

    Exclude posts of accounts that the reader blocks or mutes, and of silenced accounts that
    the reader does not follow.
    """
    if facts.author_id == reader_id:
        return True
    return not facts.author_hidden and (not facts.author_silenced or facts.reader_follows)
