"""Filters: posts that a reader does not want to see, by words or one by one, and how they are matched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from stormpetrel.model.characters import BOUNDARY, fold, mark_boundaries
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.post import Post

MAX_FILTERS = 100
MAX_KEYWORDS = 500
MAX_KEYWORD_CHARACTERS = 10_000
"""Limits of the keywords in all filters of one account, and of their characters: they form a pattern that is
matched against every post. The worst possible pattern takes about 3 ms for a post of 6,500 characters.
"""
MAX_FILTERED_POSTS = 500
"""Limit of single posts in all filters of one account."""
MAX_FILTER_TITLE = 256
MAX_KEYWORD = 512
"""Characters of a title and of a keyword (Mastodon's limits)."""
NEVER_MS = MAX_ID
MAX_KEPT_POSTS = 60
MAX_KEPT_MATCHES = 60
"""Limits of the cache per reader, enough for a page of 40: the number of posts, and of filter matches in them.
"""
_LONGEST_CACHED_PATTERN = 1_000


class FilterContext(StrEnum):
    """The kinds of pages that a filter applies to."""

    HOME = "home"
    NOTIFICATIONS = "notifications"
    PUBLIC = "public"
    THREAD = "thread"
    ACCOUNT = "account"


class Action(StrEnum):
    """The treatment of a matching post: show a warning first, leave it out, or blur its images."""

    WARN = "warn"
    HIDE = "hide"
    BLUR = "blur"


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word or phrase. `whole_word`: it does not match within a longer word."""

    id: int
    filter_id: int
    keyword: str
    whole_word: bool


@dataclass(frozen=True, slots=True)
class FilteredPost:
    """A single post in a filter."""

    id: int
    filter_id: int
    post_id: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter with its keywords and posts. `expires_at_ms` 0: never."""

    id: int
    account_id: int
    title: str
    contexts: tuple[FilterContext, ...]
    action: Action
    expires_at_ms: int
    keywords: tuple[Keyword, ...] = ()
    posts: tuple[FilteredPost, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A filter that matches a post: by its text (`text` is the matching part, or ""), or
    because it contains the post.
    """

    filter: Filter
    text: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class Treatment:
    """The treatment of a post, and the titles of the filters that require it."""

    action: Action
    titles: tuple[str, ...]


def treatment(matches: Iterable[Match], context: FilterContext, *, may_hide: bool = True) -> Treatment | None:
    """Return the strongest treatment that the matches require in this context; None for none.

    `may_hide` False: the reader asked for this very post, so a warning replaces hiding.
    """
    wanted: dict[Action, list[str]] = {}
    for match in matches:
        if context in match.filter.contexts:
            action = match.filter.action
            if action is Action.HIDE and not may_hide:
                action = Action.WARN
            wanted.setdefault(action, []).append(match.filter.title)
    for action in (Action.HIDE, Action.WARN, Action.BLUR):
        if action in wanted:
            return Treatment(action, tuple(wanted[action]))
    return None


def searched_text(post: Post) -> str:
    """Return all text of a post that keywords are searched in: warning, text, poll answers, descriptions."""
    answers = () if post.poll is None else post.poll.options
    parts = (
        post.spoiler_text,
        post.text,
        *(answer.title for answer in answers),
        *(media.description for media in post.media),
    )
    return "\n\n".join(part for part in parts if part)


def pattern_of(keywords: tuple[Keyword, ...]) -> re.Pattern[str] | None:
    """Return one pattern for all of the keywords, to search `_searchable` text with; None for no keywords.

    All keywords are literal, so that a search takes time in proportion to the text; word boundaries are
    marked in the text. A whole word begins and ends at a mark, unless its own first or last character is not
    part of a word (as in Mastodon: "#storm" is found in "a #storm").
    """
    if not keywords:
        return None
    pattern = re.compile("|".join(_part(keyword) for keyword in keywords))
    if len(pattern.pattern) > _LONGEST_CACHED_PATTERN:
        # `re` caches the latest 512 patterns, however large.
        re.purge()
    return pattern


def _part(keyword: Keyword) -> str:
    marked = mark_boundaries(fold(keyword.keyword))
    return re.escape(marked if keyword.whole_word else marked.strip(BOUNDARY))


@lru_cache(maxsize=1024)
def _searchable(text: str) -> str:
    """Return the text in the form that keywords are searched in.

    Cached, since many readers read the same posts.
    """
    return mark_boundaries(fold(text))


@dataclass(slots=True)
class ActiveFilters:
    """A reader's filters that have not expired, ready to be matched. `until_ms`: when the first one expires."""

    filters: tuple[Filter, ...]
    until_ms: int
    patterns: tuple[tuple[Filter, re.Pattern[str] | None, frozenset[int]], ...] = ()
    _kept: dict[int, tuple[int, tuple[Match, ...]]] = field(default_factory=dict)
    _kept_matches: int = 0

    def matches(self, *, post_id: int, text: str) -> tuple[Match, ...]:
        """Return the filters that match the post; cached until its text changes."""
        if not self.patterns:
            return ()
        text_hash = hash(text)
        kept = self._kept.get(post_id)
        if kept is not None and kept[0] == text_hash:
            return kept[1]
        found = tuple(self._found(post_id, text))
        if len(self._kept) >= MAX_KEPT_POSTS or self._kept_matches + len(found) > MAX_KEPT_MATCHES >= len(
            found
        ):
            self._kept.clear()
            self._kept_matches = 0
        if len(found) <= MAX_KEPT_MATCHES:
            self._kept[post_id] = (text_hash, found)
            self._kept_matches += len(found)
        return found

    def _found(self, post_id: int, text: str) -> Iterator[Match]:
        searchable = _searchable(text)
        for one, pattern, post_ids in self.patterns:
            match = None if pattern is None else pattern.search(searchable)
            is_named = post_id in post_ids
            if match is not None:
                yield Match(one, _as_written(text, match), is_named)
            elif is_named:
                yield Match(one, "", is_named)

    @property
    def held_bytes(self) -> int:
        """Return an upper bound of the bytes used, including a full cache (tests/readers/test_filters.py)."""
        words = [keyword.keyword for one in self.filters for keyword in one.keywords]
        posts = sum(len(one.posts) for one in self.filters)
        if not self.filters:
            return 600
        return (
            MAX_KEPT_POSTS * 250
            + MAX_KEPT_MATCHES * (150 + 4 * max(map(len, words), default=0))
            + sum(1_600 + 4 * len(one.title) for one in self.filters)
            + posts * 400
            + len(words) * 400
            + 24 * sum(map(len, words))
        )


def _as_written(text: str, match: re.Match[str]) -> str:
    """Return the matching part of the text; its folded form if folding moved it within the text."""
    found = match[0].replace(BOUNDARY, "")
    start = match.start() - match.string.count(BOUNDARY, 0, match.start())
    written = text[start : start + len(found)]
    return written if fold(written) == found else found


def active_filters(filters: list[Filter], *, now_ms: int) -> ActiveFilters:
    """Return those of the filters that have not expired, compiled."""
    active = tuple(one for one in filters if not one.expires_at_ms or one.expires_at_ms > now_ms)
    return ActiveFilters(
        active,
        min((one.expires_at_ms for one in active if one.expires_at_ms), default=NEVER_MS),
        tuple(
            (one, pattern_of(one.keywords), frozenset(named.post_id for named in one.posts)) for one in active
        ),
    )
