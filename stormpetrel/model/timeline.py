"""Which posts belong in a home timeline: one pure rule, used by the query and by the list in memory."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.post import Visibility

GONE = -1
"""In place of an account's id: it is not there for others."""
NEVER_MS = MAX_ID


@dataclass(frozen=True, slots=True)
class Item:
    """What must be known of a post to say whether it belongs in somebody's home. 0: there is none.

    A reply stays one when what it answers is deleted: `in_reply_to_account_id` outlives it. `boost_author_id`
    is GONE for a boost of somebody who is suspended.
    """

    post_id: int
    author_id: int
    visibility: int
    in_reply_to_account_id: int = 0
    boost_author_id: int = 0
    mentions_reader: bool = False


@dataclass(frozen=True, slots=True)
class Taste:
    """A reader's view: whom they follow (id → boosts wanted), and who is hidden from them.

    `until_ms`: then the first mute ends, and the view is no longer right.
    """

    reader_id: int
    followed: dict[int, bool]
    hidden: set[int]
    until_ms: int = NEVER_MS

    def takes(self, item: Item) -> bool:
        """Whether the post belongs in the reader's home timeline."""
        reader_id = self.reader_id
        if item.boost_author_id == GONE:
            return False
        if item.author_id == reader_id:
            return True
        wants_boosts = self.followed.get(item.author_id)
        if wants_boosts is None or item.author_id in self.hidden:
            return False
        if item.visibility == Visibility.DIRECT and not item.mentions_reader:
            return False
        if item.boost_author_id:
            return wants_boosts and item.boost_author_id not in self.hidden
        # A reply to somebody whom the reader does not follow is half a conversation.
        answered = item.in_reply_to_account_id
        return (
            answered == 0
            or answered == item.author_id
            or answered == reader_id
            or (answered in self.followed and answered not in self.hidden)
        )


def in_public(item: Item) -> bool:
    """Whether the post belongs in the public timeline; storage/timelines.py asks the same of the tables."""
    return (
        item.visibility == Visibility.PUBLIC
        and not item.boost_author_id
        and item.in_reply_to_account_id in (0, item.author_id)
    )


def in_tags(item: Item) -> bool:
    """Whether the post belongs in the timelines of its hashtags."""
    return item.visibility == Visibility.PUBLIC and not item.boost_author_id
