"""Which posts belong in a home timeline or a list: pure rules, for queries, cached lists and streams."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.lists import Audience, RepliesPolicy
from stormpetrel.model.post import Visibility

GONE = -1
"""Replaces the id of an account that others cannot see."""
NEVER_MS = MAX_ID
REPEAT_ENTRIES = 40
"""Home leaves out a boost if its post is shown by one of this many entries before it (Mastodon's figure)."""

# Shared by the many readers who have none.
NO_LANGUAGES: Mapping[int, frozenset[str]] = {}
NO_TAGS: Mapping[str, int] = {}


class TimelineItem(NamedTuple):
    """The facts that decide whether a post belongs in a reader's home. 0: none.

    `in_reply_to_account_id` stays set after the post replied to is deleted. `boost_author_id` is GONE for a
    boost of a suspended account's post. `has_followed_tag`: a tag that this reader follows.
    `author_silenced`: by moderators; only followers see the author's posts.
    """

    post_id: int
    author_id: int
    visibility: int
    in_reply_to_account_id: int = 0
    boost_author_id: int = 0
    mentions_reader: bool = False
    language: str = ""
    has_followed_tag: bool = False
    author_silenced: bool = False
    boost_of_id: int = 0

    @property
    def shown_id(self) -> int:
        """Return the post that the reader sees: for a boost, the boosted one."""
        return self.boost_of_id or self.post_id


class RecentPost(NamedTuple):
    """A post as the store tells it to the memory of recent ones. The fields are those of TimelineItem.

    `mentioned_ids`: of a direct post only. `hidden`: only the author sees it; moderators hid it or the author.
    """

    post_id: int
    author_id: int
    visibility: int
    in_reply_to_account_id: int
    boost_author_id: int
    boost_of_id: int
    language: str
    hidden: bool
    mentioned_ids: tuple[int, ...] = ()


class FollowedAccounts(Mapping[int, bool]):
    """The accounts that a reader follows, id → True if boosts are shown, in 8 bytes each: a dict takes 70."""

    __slots__ = ("_ids", "_without_boosts")

    def __init__(self, shows_boosts: Mapping[int, bool]) -> None:
        self._ids = array("q", sorted(shows_boosts))
        self._without_boosts = frozenset(one for one, is_shown in shows_boosts.items() if not is_shown)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __contains__(self, account_id: object) -> bool:
        return isinstance(account_id, int) and self._holds(account_id)

    def __getitem__(self, account_id: int) -> bool:
        if not self._holds(account_id):
            raise KeyError(account_id)
        return account_id not in self._without_boosts

    def get(self, account_id: int, default: Any = None) -> Any:
        """Return True if the account's boosts are shown; `default` for one that the reader does not follow."""
        # Not by way of an exception, as Mapping does: most accounts are asked about once for each post.
        return account_id not in self._without_boosts if self._holds(account_id) else default

    def _holds(self, account_id: int) -> bool:
        ids = self._ids
        at = bisect_left(ids, account_id)
        return at < len(ids) and ids[at] == account_id


@dataclass(frozen=True, slots=True)
class HomeFilter:
    """A reader's view: the accounts they follow (id → True if boosts are shown), and the
    accounts hidden from them.

    `until_ms`: when the first mute ends, which makes the view outdated. `exclusive_list_members`: those of
    exclusive lists, who are left out of home. `languages`: for accounts followed in certain languages only, these.
    `tags`: followed hashtags, key → id.
    """

    reader_id: int
    followed: Mapping[int, bool]
    hidden: AbstractSet[int]
    until_ms: int = NEVER_MS
    exclusive_list_members: frozenset[int] = frozenset()
    languages: Mapping[int, frozenset[str]] = field(default_factory=lambda: NO_LANGUAGES)
    tags: Mapping[str, int] = field(default_factory=lambda: NO_TAGS)

    def includes(self, item: TimelineItem) -> bool:
        """Return True if the post belongs in the reader's home timeline."""
        if item.boost_author_id == GONE:
            return False
        if item.author_id == self.reader_id:
            return True
        if item.author_id in self.hidden:
            return False
        # Public posts with a followed hashtag, even replies to any account; no boosts (Mastodon's rule).
        if (
            item.has_followed_tag
            and item.visibility == Visibility.PUBLIC
            and not item.boost_author_id
            and (not item.author_silenced or item.author_id in self.followed)
        ):
            return True
        return item.author_id not in self.exclusive_list_members and self.includes_of_followed(item)

    def includes_of_followed(self, item: TimelineItem) -> bool:
        """Return True if the reader follows the author and wants this post, apart from exclusive lists."""
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
        if self.languages and item.language:
            wanted = self.languages.get(item.author_id)
            if wanted is not None and item.language not in wanted:
                return False
        # A reply to an account that the reader does not follow shows only half of a conversation.
        answered = item.in_reply_to_account_id
        return (
            answered == 0
            or answered == item.author_id
            or answered == reader_id
            or (answered in self.followed and answered not in self.hidden)
        )


def repeats(shown_ids: Sequence[int], at: int) -> bool:
    """Return True if the entry at `at` shows a post that one of the REPEAT_ENTRIES entries before it shows.

    `shown_ids`: the shown post of each entry of a home, oldest first. Entries that are left out count too, so
    that the result depends on these 40 alone, wherever a page begins
    (docs/decisions/0013-home-shows-a-post-once.md).
    """
    return shown_ids[at] in shown_ids[max(0, at - REPEAT_ENTRIES) : at]


def without_repeats(entries: Sequence[tuple[int, int]]) -> list[int]:
    """Return the ids of the entries (id, id of the shown post) that are not repeats, in the
    same order, oldest first.
    """
    shown_ids = [shown_id for _, shown_id in entries]
    return [
        post_id
        for at, (post_id, shown_id) in enumerate(entries)
        if post_id == shown_id or not repeats(shown_ids, at)
    ]


def first_certain(entries: Sequence[tuple[int, int]]) -> int:
    """Return the index from which `without_repeats` is right even if there are older entries than these."""
    for at in range(min(REPEAT_ENTRIES, len(entries)) - 1, -1, -1):
        if entries[at][0] != entries[at][1]:
            return at + 1
    return 0


def list_includes(audience: Audience, home_filter: HomeFilter, item: TimelineItem) -> bool:
    """Return True if the post belongs in the list; `home filter` is its owner's.

    The rules are those of a home timeline without followed hashtags, for the list's members only; the list's
    policy decides about their replies to others.
    """
    if item.author_id not in audience.member_ids or not home_filter.includes_of_followed(item):
        return False
    answered = item.in_reply_to_account_id
    if answered in (0, item.author_id, audience.owner_id):
        return True
    match audience.replies_policy:
        case RepliesPolicy.FOLLOWED:
            return True
        case RepliesPolicy.LIST:
            return answered in audience.member_ids
        case RepliesPolicy.NONE:
            return False


def in_public(item: TimelineItem) -> bool:
    """Return True if the post belongs in the public timeline; storage/timelines.py has the same rule in SQL."""
    return (
        item.visibility == Visibility.PUBLIC
        and not item.boost_author_id
        and item.in_reply_to_account_id in (0, item.author_id)
    )


def in_tags(item: TimelineItem) -> bool:
    """Return True if the post belongs in the timelines of its hashtags."""
    return item.visibility == Visibility.PUBLIC and not item.boost_author_id
