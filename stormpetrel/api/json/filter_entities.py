"""The API's entities of filters, and the filters that match a status."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from stormpetrel.api.json.convert import timestamp
from stormpetrel.model.filter import ActiveFilters, FilteredPost, Keyword, Match
from stormpetrel.model.filter import Filter as ModelFilter


class FilterKeyword(msgspec.Struct, frozen=True):
    id: str
    keyword: str
    whole_word: bool


class FilterStatus(msgspec.Struct, frozen=True):
    id: str
    status_id: str


class Filter(msgspec.Struct, frozen=True):
    """A filter of version 2. `filter_action`: warn, hide or blur. Within a status, `keywords` and `statuses`
    are absent."""

    id: str
    title: str
    context: list[str]
    expires_at: str | None
    filter_action: str
    keywords: list[FilterKeyword] | UnsetType = UNSET
    statuses: list[FilterStatus] | UnsetType = UNSET


class FilterV1(msgspec.Struct, frozen=True):
    """One keyword of a filter, in the form of the API's version 1."""

    id: str
    phrase: str
    context: list[str]
    whole_word: bool
    expires_at: str | None
    irreversible: bool


class FilterResult(msgspec.Struct, frozen=True):
    """A filter that matches a status, and the reason."""

    filter: Filter
    keyword_matches: list[str] | None
    status_matches: list[str] | None


def keyword(one: Keyword) -> FilterKeyword:
    """Return the entity of a keyword."""
    return FilterKeyword(str(one.id), one.keyword, one.whole_word)


def filtered_status(one: FilteredPost) -> FilterStatus:
    """Return the entity of a status in a filter."""
    return FilterStatus(str(one.id), str(one.post_id))


def filter_entity(one: ModelFilter) -> Filter:
    """Return the entity of a filter with its keywords and statuses."""
    return Filter(
        id=str(one.id),
        title=one.title,
        context=[str(context) for context in one.contexts],
        expires_at=timestamp(one.expires_at_ms) if one.expires_at_ms else None,
        filter_action=str(one.action),
        keywords=[keyword(word) for word in one.keywords],
        statuses=[filtered_status(post) for post in one.posts],
    )


def filter_v1(one: ModelFilter, word: Keyword) -> FilterV1:
    """Return the entity of a keyword as a filter of version 1."""
    return FilterV1(
        id=str(word.id),
        phrase=word.keyword,
        context=[str(context) for context in one.contexts],
        whole_word=word.whole_word,
        expires_at=timestamp(one.expires_at_ms) if one.expires_at_ms else None,
        irreversible=one.action == "hide",
    )


def _result(match: Match, post_id: int) -> FilterResult:
    return FilterResult(
        msgspec.structs.replace(filter_entity(match.filter), keywords=UNSET, statuses=UNSET),
        [match.text] if match.text else None,
        [str(post_id)] if match.is_named else None,
    )


NOTHING = b""


def filtered(active: ActiveFilters, *, post_id: int, text: str) -> bytes:
    """Return the `filtered` member of a status as JSON, or NOTHING if no filter matches."""
    matches = active.matches(post_id=post_id, text=text)
    if not matches:
        return NOTHING
    return msgspec.json.encode([_result(match, post_id) for match in matches])
