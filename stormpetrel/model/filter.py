"""Filters: what a reader does not want to see, by words or post by post, and how they are matched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.post import Post

MAX_FILTERS = 100
MAX_KEYWORDS = 500
"""Keywords in all filters of one account; each is a part of a pattern that every post is held against."""
MAX_FILTERED_POSTS = 500
MAX_FILTER_TITLE = 256
MAX_KEYWORD = 512
"""Characters of a title and of a keyword (Mastodon's limits)."""
NEVER_MS = MAX_ID


class Context(StrEnum):
    """Where a filter counts."""

    HOME = "home"
    NOTIFICATIONS = "notifications"
    PUBLIC = "public"
    THREAD = "thread"
    ACCOUNT = "account"


class Action(StrEnum):
    """What is to be done with what matches: say so first, leave it out, or blur its pictures."""

    WARN = "warn"
    HIDE = "hide"
    BLUR = "blur"


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word or phrase. `whole_word`: not within a longer word."""

    id: int
    filter_id: int
    keyword: str
    whole_word: bool


@dataclass(frozen=True, slots=True)
class FilteredPost:
    """One post that a filter names."""

    id: int
    filter_id: int
    post_id: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter with all that it looks for. `expires_at_ms` 0: never."""

    id: int
    account_id: int
    title: str
    contexts: tuple[Context, ...]
    action: Action
    expires_at_ms: int
    keywords: tuple[Keyword, ...] = ()
    posts: tuple[FilteredPost, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A filter that a post falls under: by the text that matched ("" for none), or because it is named."""

    filter: Filter
    text: str
    is_named: bool


def searched_text(post: Post) -> str:
    """Everything of a post that keywords are looked for in."""
    return f"{post.spoiler_text}\n\n{post.text}" if post.spoiler_text else post.text


def pattern_of(keywords: tuple[Keyword, ...]) -> re.Pattern[str] | None:
    """One pattern for all of the keywords, None for none. All are literal, so that it runs in linear time.

    A whole word begins and ends at a word boundary, unless its own first or last character is no part of a
    word (Mastodon's reading: "#storm" is found in "a #storm").
    """
    if not keywords:
        return None
    return re.compile("|".join(_part(keyword) for keyword in keywords), re.IGNORECASE)


def _part(keyword: Keyword) -> str:
    text = re.escape(keyword.keyword)
    if not keyword.whole_word:
        return text
    before = r"\b" if re.match(r"\w", keyword.keyword) else ""
    after = r"\b" if re.search(r"\w\Z", keyword.keyword) else ""
    return f"{before}{text}{after}"


@dataclass(slots=True)
class ActiveFilters:
    """A reader's filters that have not expired, ready to be matched. `until_ms`: then the first one ends.

    `kept` belongs to whoever asks: what a post was found to match, by post.
    """

    filters: tuple[Filter, ...]
    until_ms: int
    patterns: tuple[tuple[Filter, re.Pattern[str] | None, frozenset[int]], ...] = ()
    kept: dict[int, tuple[str, bytes]] = field(default_factory=dict)

    def matches(self, *, post_id: int, text: str) -> list[Match]:
        """The filters that the post falls under."""
        found = []
        for one, pattern, post_ids in self.patterns:
            match = None if pattern is None else pattern.search(text)
            is_named = post_id in post_ids
            if match is not None or is_named:
                found.append(Match(one, match[0] if match else "", is_named))
        return found


def active_filters(filters: list[Filter], *, now_ms: int) -> ActiveFilters:
    """Those of the filters that have not expired, compiled."""
    active = tuple(one for one in filters if not one.expires_at_ms or one.expires_at_ms > now_ms)
    return ActiveFilters(
        active,
        min((one.expires_at_ms for one in active if one.expires_at_ms), default=NEVER_MS),
        tuple(
            (one, pattern_of(one.keywords), frozenset(named.post_id for named in one.posts)) for one in active
        ),
    )
