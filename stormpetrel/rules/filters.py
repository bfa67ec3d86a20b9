"""Filters: only their owner sees and changes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stormpetrel.errors import BLANK, Invalid, NotFound, too_long
from stormpetrel.model import text as texts
from stormpetrel.model.characters import fold, is_too_long
from stormpetrel.model.event import FiltersChanged
from stormpetrel.model.filter import (
    MAX_FILTER_TITLE,
    MAX_FILTERED_POSTS,
    MAX_FILTERS,
    MAX_KEYWORD,
    MAX_KEYWORD_CHARACTERS,
    MAX_KEYWORDS,
    Action,
    ActiveFilters,
    Filter,
    FilterContext,
    FilteredPost,
    Keyword,
    active_filters,
)
from stormpetrel.rules.posts import visible_ids
from stormpetrel.storage import filters as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

MAX_FILTER_S = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class FilterChange:
    """The values to set; None: unchanged. `expires_in_s` 0: never expires."""

    title: str | None = None
    contexts: tuple[str, ...] | None = None
    action: str | None = None
    expires_in_s: int | None = None
    keywords: tuple[KeywordChange, ...] = ()


@dataclass(frozen=True, slots=True)
class KeywordChange:
    """A keyword to add (`id` None), change or remove."""

    id: int | None = None
    keyword: str | None = None
    whole_word: bool | None = None
    remove: bool = False


def filters(connection: Connection, *, account_id: int) -> list[Filter]:
    """Return the account's filters, oldest first, expired ones included."""
    return stored.filters(connection, account_id=account_id)


@hot
def has_any(connection: Connection, *, account_id: int) -> bool:
    """Return True if the account has filters, also expired ones."""
    return stored.has_any(connection, account_id=account_id)


def active(connection: Connection, *, account_id: int, now_ms: int) -> ActiveFilters:
    """Return the account's filters that apply now, compiled."""
    return active_filters(stored.filters(connection, account_id=account_id), now_ms=now_ms)


def one_filter(connection: Connection, *, account_id: int, filter_id: int) -> Filter:
    """Return one of the account's filters. Raise NotFound for those of other accounts."""
    for one in stored.filters(connection, account_id=account_id):
        if one.id == filter_id:
            return one
    raise NotFound


def create_filter(connection: Connection, *, account_id: int, change: FilterChange, now_ms: int) -> Filter:
    """Create a filter. Raise Invalid without title or context, for unknown values, and above the limits."""
    known = stored.filters(connection, account_id=account_id)
    if len(known) >= MAX_FILTERS:
        raise Invalid(f"Validation failed: You can have at most {MAX_FILTERS} filters")
    blank = Filter(connection.new_id(now_ms), account_id, "", (), Action.WARN, 0)
    change = replace(change, title=change.title or "", contexts=change.contexts or ())
    new = _changed(connection, blank, change, known, now_ms)
    stored.insert(connection, new)
    _store_keywords(connection, blank, new)
    connection.tell(FiltersChanged(account_id))
    return new


def change_filter(
    connection: Connection, *, account_id: int, filter_id: int, change: FilterChange, now_ms: int
) -> Filter:
    """Change the given values. Raise NotFound for other accounts' filters, Invalid as `create_filter` does."""
    found = one_filter(connection, account_id=account_id, filter_id=filter_id)
    known = stored.filters(connection, account_id=account_id)
    new = _changed(connection, found, change, known, now_ms)
    stored.update(connection, new)
    _store_keywords(connection, found, new)
    connection.tell(FiltersChanged(account_id))
    return new


def keyword_changes(found: Filter, wanted: Iterable[tuple[str, bool]]) -> tuple[KeywordChange, ...]:
    """Return the changes that make these (keyword, whole_word) the filter's keywords; others are removed."""
    # Normalise as `_changed_keywords` does, so that an unchanged keyword keeps its id.
    words = {texts.one_line(word): whole for word, whole in wanted}
    known = {one.keyword: one for one in found.keywords}
    return (
        *(
            KeywordChange(id=one.id, remove=True)
            for one in found.keywords
            if one.keyword not in words or known[one.keyword] is not one
        ),
        *(
            KeywordChange(id=known[word].id if word in known else None, keyword=word, whole_word=whole)
            for word, whole in words.items()
        ),
    )


def delete_filter(connection: Connection, *, account_id: int, filter_id: int) -> None:
    """Delete one of the account's filters. Raise NotFound for those of other accounts."""
    one_filter(connection, account_id=account_id, filter_id=filter_id)
    stored.delete(connection, filter_id=filter_id)
    connection.tell(FiltersChanged(account_id))


def keyword(connection: Connection, *, account_id: int, keyword_id: int) -> tuple[Filter, Keyword]:
    """Return a keyword with its filter. Raise NotFound for those of other accounts."""
    for one in stored.filters(connection, account_id=account_id):
        for found in one.keywords:
            if found.id == keyword_id:
                return one, found
    raise NotFound


def add_keyword(
    connection: Connection, *, account_id: int, filter_id: int, change: KeywordChange, now_ms: int
) -> Keyword:
    """Add a keyword to a filter. Raise NotFound for other accounts' filters, Invalid for a wrong length."""
    changed = change_filter(
        connection,
        account_id=account_id,
        filter_id=filter_id,
        change=FilterChange(keywords=(change,)),
        now_ms=now_ms,
    )
    return changed.keywords[-1]


def change_keyword(
    connection: Connection, *, account_id: int, keyword_id: int, change: KeywordChange, now_ms: int
) -> Keyword:
    """Change or remove a keyword. Raise NotFound for those of other accounts."""
    found, before = keyword(connection, account_id=account_id, keyword_id=keyword_id)
    changed = change_filter(
        connection,
        account_id=account_id,
        filter_id=found.id,
        change=FilterChange(keywords=(replace(change, id=before.id),)),
        now_ms=now_ms,
    )
    return next((one for one in changed.keywords if one.id == keyword_id), before)


# Version 1 of the API knows only filters of one keyword, by the keyword's id.


def create_single(
    connection: Connection,
    *,
    account_id: int,
    phrase: str,
    change: FilterChange,
    whole_word: bool | None,
    now_ms: int,
) -> tuple[Filter, Keyword]:
    """Create a filter for the phrase, with the phrase as its title. Raise Invalid as `create_filter` does."""
    change = replace(change, title=phrase, keywords=(KeywordChange(keyword=phrase, whole_word=whole_word),))
    made = create_filter(connection, account_id=account_id, change=change, now_ms=now_ms)
    return made, made.keywords[0]


def change_single(
    connection: Connection,
    *,
    account_id: int,
    keyword_id: int,
    phrase: str | None,
    change: FilterChange,
    whole_word: bool | None,
    now_ms: int,
) -> tuple[Filter, Keyword]:
    """Change the keyword and its filter.

    Raise NotFound for those of other accounts, Invalid where this would also change a
    filter for other keywords.
    """
    found, _ = keyword(connection, account_id=account_id, keyword_id=keyword_id)
    if len(found.keywords) == 1 and not found.posts:
        change = replace(change, title=phrase)
    elif (
        _changed(connection, found, change, stored.filters(connection, account_id=account_id), now_ms)
        != found
    ):
        raise Invalid(
            "Validation failed: This filter has more than this phrase; edit the whole filter instead"
        )
    word = KeywordChange(id=keyword_id, keyword=phrase, whole_word=whole_word)
    change_filter(
        connection,
        account_id=account_id,
        filter_id=found.id,
        change=replace(change, keywords=(word,)),
        now_ms=now_ms,
    )
    return keyword(connection, account_id=account_id, keyword_id=keyword_id)


def delete_single(connection: Connection, *, account_id: int, keyword_id: int, now_ms: int) -> None:
    """Remove the keyword, or its filter if that has no others. Raise NotFound for those of other accounts."""
    found, _ = keyword(connection, account_id=account_id, keyword_id=keyword_id)
    if len(found.keywords) == 1 and not found.posts:
        delete_filter(connection, account_id=account_id, filter_id=found.id)
        return
    gone = KeywordChange(remove=True)
    change_keyword(connection, account_id=account_id, keyword_id=keyword_id, change=gone, now_ms=now_ms)


def filtered_post(connection: Connection, *, account_id: int, id: int) -> FilteredPost:
    """Return the entry of a post in a filter. Raise NotFound for those of other accounts."""
    for one in stored.filters(connection, account_id=account_id):
        for found in one.posts:
            if found.id == id:
                return found
    raise NotFound


def add_post(
    connection: Connection, *, account_id: int, filter_id: int, post_id: int, now_ms: int
) -> FilteredPost:
    """Add a post to the filter. Raise NotFound for other accounts' filters and for posts
    hidden from the account.
    """
    one_filter(connection, account_id=account_id, filter_id=filter_id)
    if not visible_ids(connection, reader_id=account_id, post_ids=[post_id], now_ms=now_ms):
        raise NotFound
    named = sum(len(one.posts) for one in stored.filters(connection, account_id=account_id))
    if named >= MAX_FILTERED_POSTS:
        raise Invalid(f"Validation failed: Your filters can contain at most {MAX_FILTERED_POSTS} posts")
    new = FilteredPost(connection.new_id(now_ms), filter_id, post_id)
    if not stored.insert_post(connection, new):
        raise Invalid("Validation failed: Status has already been taken")
    connection.tell(FiltersChanged(account_id))
    return new


def remove_post(connection: Connection, *, account_id: int, id: int) -> FilteredPost:
    """Remove a post from its filter. Raise NotFound for those of other accounts."""
    found = filtered_post(connection, account_id=account_id, id=id)
    stored.delete_post(connection, id=id)
    connection.tell(FiltersChanged(account_id))
    return found


def _changed(
    connection: Connection, found: Filter, change: FilterChange, known: list[Filter], now_ms: int
) -> Filter:
    """Return the changed filter. `known`: all filters of the account, before the change.

    Raise Invalid with all problems, NotFound for a keyword that is not in this filter.
    """
    problems: dict[str, str] = {}
    title = found.title if change.title is None else texts.one_line(change.title)
    if not title:
        problems["title"] = BLANK
    elif is_too_long(title, MAX_FILTER_TITLE):
        problems["title"] = too_long(MAX_FILTER_TITLE)
    contexts = found.contexts
    if change.contexts is not None:
        contexts = tuple(context for context in FilterContext if context in change.contexts)
        if not set(change.contexts) <= set(FilterContext):
            problems["context"] = "is invalid"
        elif not contexts:
            problems["context"] = BLANK
    action = found.action
    if change.action and change.action not in set(Action):
        problems["filter_action"] = "is invalid"
    elif change.action:
        action = Action(change.action)
    expires_at_ms = found.expires_at_ms
    if change.expires_in_s is not None and not 0 <= change.expires_in_s <= MAX_FILTER_S:
        problems["expires_in"] = "is out of range"
    elif change.expires_in_s is not None:
        expires_at_ms = now_ms + change.expires_in_s * 1000 if change.expires_in_s else 0
    keywords = _changed_keywords(connection, found, change.keywords, now_ms)
    problem = _keyword_problem(found.keywords, keywords, known)
    if problem:
        problems["keyword"] = problem
    if problems:
        said = (f"{name.replace('_', ' ').capitalize()} {problem}" for name, problem in problems.items())
        raise Invalid(f"Validation failed: {', '.join(said)}", fields=problems)
    return replace(
        found,
        title=title,
        contexts=contexts,
        action=action,
        expires_at_ms=expires_at_ms,
        keywords=keywords,
    )


def _changed_keywords(
    connection: Connection, owner: Filter, changes: Sequence[KeywordChange], now_ms: int
) -> tuple[Keyword, ...]:
    after = {one.id: one for one in owner.keywords}
    for change in changes:
        if change.id is not None and change.id not in after:
            raise NotFound
        if change.remove:
            after.pop(change.id or 0, None)
            continue
        before = (
            Keyword(connection.new_id(now_ms), owner.id, "", whole_word=True)
            if change.id is None
            else after[change.id]
        )
        after[before.id] = replace(
            before,
            keyword=before.keyword if change.keyword is None else texts.one_line(change.keyword),
            whole_word=before.whole_word if change.whole_word is None else change.whole_word,
        )
    return tuple(after.values())


def _keyword_problem(before: tuple[Keyword, ...], after: tuple[Keyword, ...], known: list[Filter]) -> str:
    """Return the problem with a filter's new keywords, or "". `known`: all filters of the account."""
    # Check the length first: folding a long text is slow.
    if any(is_too_long(one.keyword, MAX_KEYWORD) or not fold(one.keyword) for one in after):
        return f"must have 1 to {MAX_KEYWORD} characters"
    kept = [one.keyword for one in after]
    gone = [one.keyword for one in before]
    in_all = [one.keyword for owner in known for one in owner.keywords]
    if len(kept) > len(gone) and len(in_all) - len(gone) + len(kept) > MAX_KEYWORDS:
        return f"is one too many: all filters together can have at most {MAX_KEYWORDS}"
    more = sum(map(len, kept)) - sum(map(len, gone))
    if more > 0 and sum(map(len, in_all)) + more > MAX_KEYWORD_CHARACTERS:
        return f"is too long: all keywords together can have at most {MAX_KEYWORD_CHARACTERS} characters"
    return ""


def _store_keywords(connection: Connection, before: Filter, after: Filter) -> None:
    known = {one.id: one for one in before.keywords}
    for one in after.keywords:
        old = known.pop(one.id, None)
        if old is None:
            stored.insert_keyword(connection, one)
        elif old != one:
            stored.update_keyword(connection, one)
    for keyword_id in known:
        stored.delete_keyword(connection, keyword_id=keyword_id)
