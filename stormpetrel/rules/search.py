"""Searching posts, accounts and hashtags: which reader finds which results.

A post can be found by its author; by accounts that favourited or bookmarked it or are mentioned in
it, while they may see it; and by every member if it is public and its author agreed (`indexable`).
Visitors find accounts and hashtags, not posts: a full-text search is the most expensive of all
reads, so it needs an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from stormpetrel.model.account import Account
from stormpetrel.model.ids import MAX_ID, first_id_at, parse_id
from stormpetrel.model.page import Page
from stormpetrel.model.search import MAX_QUERY_CHARACTERS, SearchQuery, name_words, words_of
from stormpetrel.model.text import tag_key
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules.posts import visible_ids
from stormpetrel.storage import accounts
from stormpetrel.storage import search as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.posts import tag_ids as tag_ids_of

LATEST_MS = MAX_ID >> 16
FEW_NAMES = 100
"""Up to this many names are searched on the event loop: 0.3 ms (storage/engine/database.py: hot)."""


def find_posts(
    connection: Connection,
    *,
    reader_id: int,
    query: SearchQuery,
    page: Page,
    author_id: int | None = None,
    offset: int = 0,
    now_ms: int,
) -> list[int]:
    """Return the ids of the posts that match all of `query` and that the reader can find, newest first.

    `author_id`: only posts of that account.
    """
    if query.is_empty:
        return []
    if not author_id and query.author == "me":
        author_id = reader_id
    elif not author_id and query.author:
        named = accounts.ids_by_names(connection, names=[query.author]).get(query.author)
        if named is None:
            return []
        author_id = named[0]
    author_id = author_id or 0
    tag_ids = tag_ids_of(connection, names=(*query.tags, *query.not_tags))
    if not all(tag in tag_ids for tag in query.tags):
        return []
    marks = [f"x{mark}" for mark in query.marks]
    if author_id:
        marks.append(stored.author_mark(author_id))
    elif query.scope == "library" and not (query.terms or marks):
        marks.append(stored.author_mark(reader_id))
    if query.language:
        marks.append(f"xl{query.language}")
    wanted = stored.Wanted(
        terms=query.terms,
        not_terms=query.not_terms,
        marks=tuple(marks),
        not_marks=tuple(f"x{mark}" for mark in query.not_marks),
        author_id=author_id,
        tag_ids=tuple(tag_ids[tag] for tag in query.tags),
        not_tag_ids=tuple(tag_ids[tag] for tag in query.not_tags if tag in tag_ids),
    )
    page = replace(_within(page, query), limit=page.limit + offset)
    found: set[int] = set()
    if query.scope != "library":
        found.update(
            stored.posts(
                connection,
                reader_id=reader_id,
                wanted=wanted,
                page=page,
                now_ms=now_ms,
                with_own=query.scope != "public",
            )
        )
    elif author_id in (0, reader_id):
        own = replace(wanted, author_id=reader_id, marks=(*marks, stored.author_mark(reader_id)))
        found.update(
            stored.posts(connection, reader_id=reader_id, wanted=own, page=page, now_ms=now_ms, only_own=True)
        )
    if query.scope != "public":
        found.update(stored.kept_posts(connection, reader_id=reader_id, wanted=wanted, page=page))
    newest_first = sorted(found, reverse=True)
    chosen = newest_first[-page.limit :] if page.upward else newest_first[: page.limit]
    shown = visible_ids(connection, reader_id=reader_id, post_ids=chosen, now_ms=now_ms, without_hidden=True)
    return shown[offset:]


def _within(page: Page, query: SearchQuery) -> Page:
    """Return the page, limited to the dates of the query."""
    low_id = first_id_at(min(query.from_ms, LATEST_MS)) - 1 if query.from_ms else 0
    high_id = first_id_at(min(query.until_ms, LATEST_MS)) if query.until_ms else MAX_ID
    page = replace(page, max_id=min(page.max_id, high_id))
    if page.min_id is not None:
        return replace(page, min_id=max(page.min_id, low_id))
    return replace(page, since_id=max(page.since_id, low_id))


def find_people(
    connection: Connection,
    *,
    reader_id: int | None,
    text: str,
    limit: int,
    offset: int = 0,
    only_followed: bool = False,
    now_ms: int,
) -> list[Account]:
    """Return the accounts of `find_people_ids`."""
    ids = find_people_ids(
        connection,
        reader_id=reader_id,
        text=text,
        limit=limit,
        offset=offset,
        only_followed=only_followed,
        now_ms=now_ms,
    )
    return account_rules.accounts(connection, account_ids=ids)


def find_people_ids(
    connection: Connection,
    *,
    reader_id: int | None,
    text: str,
    limit: int,
    offset: int = 0,
    only_followed: bool = False,
    now_ms: int,
) -> list[int]:
    """Return accounts by a prefix of their username or of a word of their display name.

    Several words: search by the first, and require the others too. A leading @ and a domain are ignored.
    Accounts that the reader blocks or mutes are found by their exact username only.
    """
    parts = _parts(text)
    if not parts:
        return []
    several = len(parts) > 1
    ids = stored.people(
        connection,
        reader_id=reader_id,
        prefix=parts[0],
        limit=stored.NAMES_MOST if several else limit,
        offset=0 if several else offset,
        only_followed=only_followed,
        now_ms=now_ms,
    )
    if not several:
        return ids
    found = account_rules.accounts(connection, account_ids=ids)
    return [account.id for account in found if _has_parts(account, parts)][offset : offset + limit]


def find_few_people_ids(connection: Connection, /, **wanted: Any) -> list[int] | None:
    """Return `find_people_ids`; None if that may take long: several words, or one that many names begin with.

    Apps search at each letter that is typed, and after three of them few names are left.
    """
    parts = _parts(wanted["text"])
    if len(parts) > 1:
        return None
    if parts and stored.count_names(connection, prefix=parts[0], most=FEW_NAMES + 1) > FEW_NAMES:
        return None
    return find_people_ids(connection, **wanted)


def _parts(text: str) -> list[str]:
    """Return the words of a name, folded: of a text longer than any name, those at its beginning."""
    name = text[:MAX_QUERY_CHARACTERS].strip().removeprefix("@").partition("@")[0]
    return [part for part in map(_folded, name.split()) if part]


def _folded(part: str) -> str:
    """Fold as stored names are folded (model/search.py name_words); a username may contain an underscore."""
    if part.isascii():
        return "".join(c for c in part.lower() if c.isalnum() or c == "_")
    return "".join(words_of(part))


def _has_parts(account: Account, parts: Sequence[str]) -> bool:
    own = name_words(account.username, account.display_name)
    return all(any(word.startswith(part) for word in own) for part in parts)


@dataclass(frozen=True, slots=True)
class Target:
    """The target of an address of this instance: a profile, or with `post_id` a post."""

    username: str
    post_id: int | None


def address(text: str, *, base_url: str) -> Target | None:
    """Return the target of `…/@name` or `…/@name/ID`; None for any other text."""
    if not text.startswith(f"{base_url}/@"):
        return None
    username, slash, rest = unquote(text.removeprefix(f"{base_url}/@")).partition("/")
    if not slash or not rest:
        return Target(username, None)
    post_id = parse_id(rest)
    return None if post_id is None else Target(username, post_id)


def find_tags(connection: Connection, *, text: str, limit: int, offset: int = 0) -> list[str]:
    """Return hashtags with this prefix, the most used first."""
    prefix = tag_key(text.strip().removeprefix("#"))
    if not prefix or "\0" in prefix or any(c.isspace() for c in prefix):
        return []
    return stored.tags(connection, prefix=prefix, limit=limit, offset=offset)
