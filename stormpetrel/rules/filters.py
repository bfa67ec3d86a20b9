"""Filters: only their owner knows of them and changes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model import text as texts
from stormpetrel.model.event import FiltersChanged
from stormpetrel.model.filter import (
    MAX_FILTER_TITLE,
    MAX_FILTERED_POSTS,
    MAX_FILTERS,
    MAX_KEYWORD,
    MAX_KEYWORDS,
    Action,
    ActiveFilters,
    Context,
    Filter,
    FilteredPost,
    Keyword,
    active_filters,
)
from stormpetrel.rules.posts import visible_ids
from stormpetrel.storage import filters as stored
from stormpetrel.storage.connection import Connection

MAX_FILTER_S = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class FilterChange:
    """What to set; None: as it is. `expires_in_s` 0: never ends."""

    title: str | None = None
    contexts: tuple[str, ...] | None = None
    action: str | None = None
    expires_in_s: int | None = None
    keywords: tuple[KeywordChange, ...] = ()


@dataclass(frozen=True, slots=True)
class KeywordChange:
    """A keyword to be put in (`id` None), changed or taken out."""

    id: int | None = None
    keyword: str | None = None
    whole_word: bool | None = None
    remove: bool = False


def filters(connection: Connection, *, account_id: int) -> list[Filter]:
    """The account's filters, oldest first, expired ones too."""
    return stored.filters(connection, account_id=account_id)


def active(connection: Connection, *, account_id: int, now_ms: int) -> ActiveFilters:
    """The account's filters that count now, compiled."""
    return active_filters(stored.filters(connection, account_id=account_id), now_ms=now_ms)


def one_filter(connection: Connection, *, account_id: int, filter_id: int) -> Filter:
    """One of the account's own. Raises NotFound for anybody else's."""
    for one in stored.filters(connection, account_id=account_id):
        if one.id == filter_id:
            return one
    raise NotFound


def create_filter(connection: Connection, *, account_id: int, change: FilterChange, now_ms: int) -> Filter:
    """A new filter. Raises Invalid without title or context, for unknown words, and for too many."""
    known = stored.filters(connection, account_id=account_id)
    if len(known) >= MAX_FILTERS:
        raise Invalid(f"Validation failed: You can have at most {MAX_FILTERS} filters")
    blank = Filter(connection.new_id(now_ms), account_id, "", (), Action.WARN, 0)
    new = _changed(blank, replace(change, title=change.title or "", contexts=change.contexts or ()), now_ms)
    stored.insert(connection, new)
    _change_keywords(connection, new, change.keywords, now_ms, sum(len(one.keywords) for one in known))
    connection.tell(FiltersChanged(account_id))
    return one_filter(connection, account_id=account_id, filter_id=new.id)


def change_filter(
    connection: Connection, *, account_id: int, filter_id: int, change: FilterChange, now_ms: int
) -> Filter:
    """Changes what is given. Raises NotFound for anybody else's, Invalid as `create_filter`."""
    found = one_filter(connection, account_id=account_id, filter_id=filter_id)
    stored.update(connection, _changed(found, change, now_ms))
    _change_keywords(connection, found, change.keywords, now_ms, _keyword_count(connection, account_id))
    connection.tell(FiltersChanged(account_id))
    return one_filter(connection, account_id=account_id, filter_id=filter_id)


def delete_filter(connection: Connection, *, account_id: int, filter_id: int) -> None:
    """Deletes one of the account's own. Raises NotFound for anybody else's."""
    one_filter(connection, account_id=account_id, filter_id=filter_id)
    stored.delete(connection, filter_id=filter_id)
    connection.tell(FiltersChanged(account_id))


def keyword(connection: Connection, *, account_id: int, keyword_id: int) -> tuple[Filter, Keyword]:
    """A keyword with its filter. Raises NotFound for anybody else's."""
    for one in stored.filters(connection, account_id=account_id):
        for found in one.keywords:
            if found.id == keyword_id:
                return one, found
    raise NotFound


def add_keyword(
    connection: Connection, *, account_id: int, filter_id: int, change: KeywordChange, now_ms: int
) -> Keyword:
    """A keyword more in a filter. Raises NotFound for anybody else's, Invalid for a blank or too long one."""
    found = one_filter(connection, account_id=account_id, filter_id=filter_id)
    _change_keywords(connection, found, [change], now_ms, _keyword_count(connection, account_id))
    connection.tell(FiltersChanged(account_id))
    return one_filter(connection, account_id=account_id, filter_id=filter_id).keywords[-1]


def change_keyword(
    connection: Connection, *, account_id: int, keyword_id: int, change: KeywordChange, now_ms: int
) -> Keyword:
    """Changes a keyword, or takes it out. Raises NotFound for anybody else's."""
    found, before = keyword(connection, account_id=account_id, keyword_id=keyword_id)
    _change_keywords(
        connection, found, [replace(change, id=before.id)], now_ms, _keyword_count(connection, account_id)
    )
    connection.tell(FiltersChanged(account_id))
    return before if change.remove else keyword(connection, account_id=account_id, keyword_id=keyword_id)[1]


# A filter of one keyword, which is what version 1 of the API knows, by the keyword's id.


def create_single(
    connection: Connection,
    *,
    account_id: int,
    phrase: str,
    change: FilterChange,
    whole_word: bool | None,
    now_ms: int,
) -> tuple[Filter, Keyword]:
    """A new filter that looks for the phrase, and is called by it. Raises Invalid as `create_filter`."""
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
    """Changes the keyword, and the filter that it is in. Raises NotFound for anybody else's, Invalid where that
    would change a filter for other keywords, too."""
    found, _ = keyword(connection, account_id=account_id, keyword_id=keyword_id)
    if len(found.keywords) == 1 and not found.posts:
        change = replace(change, title=phrase)
    elif _changed(found, change, now_ms) != found:
        raise Invalid("Validation failed: This filter looks for more than this phrase: change it as a whole")
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
    """Takes the keyword out; a filter that looks for nothing else goes. Raises NotFound for anybody else's."""
    found, _ = keyword(connection, account_id=account_id, keyword_id=keyword_id)
    if len(found.keywords) == 1 and not found.posts:
        delete_filter(connection, account_id=account_id, filter_id=found.id)
        return
    gone = KeywordChange(remove=True)
    change_keyword(connection, account_id=account_id, keyword_id=keyword_id, change=gone, now_ms=now_ms)


def filtered_post(connection: Connection, *, account_id: int, id: int) -> FilteredPost:
    """What says that a filter names a post. Raises NotFound for anybody else's."""
    for one in stored.filters(connection, account_id=account_id):
        for found in one.posts:
            if found.id == id:
                return found
    raise NotFound


def add_post(
    connection: Connection, *, account_id: int, filter_id: int, post_id: int, now_ms: int
) -> FilteredPost:
    """Makes the filter name a post. Raises NotFound for anybody else's filter or what may not be seen."""
    found = one_filter(connection, account_id=account_id, filter_id=filter_id)
    if not visible_ids(connection, reader_id=account_id, post_ids=[post_id], now_ms=now_ms):
        raise NotFound
    if len(found.posts) >= MAX_FILTERED_POSTS:
        raise Invalid(f"Validation failed: A filter names at most {MAX_FILTERED_POSTS} posts")
    new = FilteredPost(connection.new_id(now_ms), filter_id, post_id)
    if not stored.insert_post(connection, new):
        raise Invalid("Validation failed: Status has already been taken")
    connection.tell(FiltersChanged(account_id))
    return new


def remove_post(connection: Connection, *, account_id: int, id: int) -> FilteredPost:
    """The filter names the post no longer. Raises NotFound for anybody else's."""
    found = filtered_post(connection, account_id=account_id, id=id)
    stored.delete_post(connection, id=id)
    connection.tell(FiltersChanged(account_id))
    return found


def _keyword_count(connection: Connection, account_id: int) -> int:
    return sum(len(one.keywords) for one in stored.filters(connection, account_id=account_id))


def _changed(found: Filter, change: FilterChange, now_ms: int) -> Filter:
    title = found.title if change.title is None else texts.one_line(change.title)
    contexts = found.contexts
    if change.contexts is not None:
        if not set(change.contexts) <= set(Context):
            raise Invalid("Validation failed: Context is invalid", fields={"context": "is invalid"})
        contexts = tuple(context for context in Context if context in change.contexts)
    if not title:
        raise Invalid("Validation failed: Title can't be blank", fields={"title": "can't be blank"})
    if len(title) > MAX_FILTER_TITLE:
        raise Invalid("Validation failed: Title is too long", fields={"title": "is too long"})
    if not contexts:
        raise Invalid("Validation failed: Context can't be blank", fields={"context": "can't be blank"})
    action = found.action
    if change.action:
        if change.action not in set(Action):
            raise Invalid(
                "Validation failed: Filter action is invalid", fields={"filter_action": "is invalid"}
            )
        action = Action(change.action)
    expires_at_ms = found.expires_at_ms
    if change.expires_in_s is not None:
        if not 0 <= change.expires_in_s <= MAX_FILTER_S:
            raise Invalid(
                "Validation failed: Expires in is out of range", fields={"expires_in": "is out of range"}
            )
        expires_at_ms = now_ms + change.expires_in_s * 1000 if change.expires_in_s else 0
    return replace(found, title=title, contexts=contexts, action=action, expires_at_ms=expires_at_ms)


def _change_keywords(
    connection: Connection, owner: Filter, changes: Sequence[KeywordChange], now_ms: int, count: int
) -> None:
    """`count`: how many keywords the account has. Raises NotFound for a keyword that is not in this filter."""
    known = {one.id: one for one in owner.keywords}
    for change in changes:
        before = None if change.id is None else known.get(change.id)
        if change.id is not None and before is None:
            raise NotFound
        if change.remove:
            if before is not None:
                stored.delete_keyword(connection, keyword_id=before.id)
                count -= 1
            continue
        word = change.keyword if change.keyword is not None else (before.keyword if before else "")
        word = texts.one_line(word)
        if not word or len(word) > MAX_KEYWORD:
            raise Invalid(
                f"Validation failed: Keyword must have 1 to {MAX_KEYWORD} characters",
                fields={"keyword": "is blank or too long"},
            )
        if before is not None:
            whole = before.whole_word if change.whole_word is None else change.whole_word
            stored.update_keyword(connection, replace(before, keyword=word, whole_word=whole))
            continue
        count += 1
        if count > MAX_KEYWORDS:
            raise Invalid(f"Validation failed: You can have at most {MAX_KEYWORDS} keywords")
        whole = True if change.whole_word is None else change.whole_word
        stored.insert_keyword(connection, Keyword(connection.new_id(now_ms), owner.id, word, whole))
