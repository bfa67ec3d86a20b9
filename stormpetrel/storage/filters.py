"""Queries about filters, their keywords and their posts."""

from __future__ import annotations

from stormpetrel.model.filter import Action, Filter, FilterContext, FilteredPost, Keyword
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.statement import sql

_HAS_ANY = sql("SELECT 1 FROM filters WHERE account_id = :account_id LIMIT 1")
_FILTERS = sql(
    "SELECT id, account_id, title, contexts, action, expires_at_ms FROM filters "
    "WHERE account_id = :account_id ORDER BY id"
)
_KEYWORDS = sql(
    "SELECT k.id, k.filter_id, k.keyword, k.whole_word FROM filter_keywords k "
    "JOIN filters f ON f.id = k.filter_id WHERE f.account_id = :account_id ORDER BY k.id"
)
_POSTS = sql(
    "SELECT p.id, p.filter_id, p.post_id FROM filter_posts p "
    "JOIN filters f ON f.id = p.filter_id WHERE f.account_id = :account_id ORDER BY p.id"
)
_INSERT = sql(
    "INSERT INTO filters (id, account_id, title, contexts, action, expires_at_ms) "
    "VALUES (:id, :account_id, :title, :contexts, :action, :expires_at_ms)"
)
_UPDATE = sql(
    "UPDATE filters SET title = :title, contexts = :contexts, action = :action, "
    "expires_at_ms = :expires_at_ms WHERE id = :id AND account_id = :account_id"
)
_DELETE = sql("DELETE FROM filters WHERE id = :filter_id")
_INSERT_KEYWORD = sql(
    "INSERT INTO filter_keywords (id, filter_id, keyword, whole_word) "
    "VALUES (:id, :filter_id, :keyword, :whole_word)"
)
_UPDATE_KEYWORD = sql(
    "UPDATE filter_keywords SET keyword = :keyword, whole_word = :whole_word WHERE id = :id"
)
_DELETE_KEYWORD = sql("DELETE FROM filter_keywords WHERE id = :keyword_id")
_INSERT_POST = sql(
    "INSERT INTO filter_posts (id, filter_id, post_id) VALUES (:id, :filter_id, :post_id) ON CONFLICT DO NOTHING"
)
_DELETE_POST = sql("DELETE FROM filter_posts WHERE id = :id")


def has_any(connection: Connection, *, account_id: int) -> bool:
    """Return True if the account has filters."""
    return connection.one(_HAS_ANY, account_id=account_id) is not None


def filters(connection: Connection, *, account_id: int) -> list[Filter]:
    """Return all filters of the account, oldest first, with their keywords and posts."""
    rows = connection.all(_FILTERS, account_id=account_id)
    if not rows:
        return []
    keywords: dict[int, list[Keyword]] = {}
    for row in connection.all(_KEYWORDS, account_id=account_id):
        keywords.setdefault(row[1], []).append(Keyword(row[0], row[1], row[2], bool(row[3])))
    posts: dict[int, list[FilteredPost]] = {}
    for row in connection.all(_POSTS, account_id=account_id):
        posts.setdefault(row[1], []).append(FilteredPost(*row))
    return [_filter(row, keywords.get(row[0], []), posts.get(row[0], [])) for row in rows]


def _filter(row: Row, keywords: list[Keyword], posts: list[FilteredPost]) -> Filter:
    return Filter(
        id=row[0],
        account_id=row[1],
        title=row[2],
        contexts=tuple(FilterContext(word) for word in row[3].split()),
        action=Action(row[4]),
        expires_at_ms=row[5],
        keywords=tuple(keywords),
        posts=tuple(posts),
    )


def insert(connection: Connection, new: Filter) -> None:
    """Insert a filter without its keywords, which are inserted one by one."""
    connection.run(_INSERT, **_values(new))


def update(connection: Connection, changed: Filter) -> None:
    """Store a filter's title, contexts, action and expiry."""
    connection.run(_UPDATE, **_values(changed))


def _values(one: Filter) -> dict[str, object]:
    return {
        "id": one.id,
        "account_id": one.account_id,
        "title": one.title,
        "contexts": " ".join(one.contexts),
        "action": str(one.action),
        "expires_at_ms": one.expires_at_ms,
    }


def delete(connection: Connection, *, filter_id: int) -> None:
    """Delete the filter with its keywords."""
    connection.run(_DELETE, filter_id=filter_id)


def insert_keyword(connection: Connection, new: Keyword) -> None:
    """Insert a keyword."""
    connection.run(
        _INSERT_KEYWORD,
        id=new.id,
        filter_id=new.filter_id,
        keyword=new.keyword,
        whole_word=new.whole_word,
    )


def update_keyword(connection: Connection, changed: Keyword) -> None:
    """Change a keyword."""
    connection.run(_UPDATE_KEYWORD, id=changed.id, keyword=changed.keyword, whole_word=changed.whole_word)


def delete_keyword(connection: Connection, *, keyword_id: int) -> None:
    """Delete a keyword."""
    connection.run(_DELETE_KEYWORD, keyword_id=keyword_id)


def insert_post(connection: Connection, new: FilteredPost) -> bool:
    """Add a post to the filter; return False if it was there before."""
    return connection.run(_INSERT_POST, id=new.id, filter_id=new.filter_id, post_id=new.post_id) > 0


def delete_post(connection: Connection, *, id: int) -> None:
    """Remove a post from its filter, by the row's id."""
    connection.run(_DELETE_POST, id=id)
