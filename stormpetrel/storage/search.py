"""Find posts by words, people by names, and hashtags by prefix.

Posts come newest first, never by rank, so that a common word costs as little as a rare one. On SQLite an FTS5
index is scanned downward from the page's end. PostgreSQL's GIN index returns all posts with a word at once:
therefore the newest WINDOW posts are scanned first, where a common word fills the page, and the index is used
only for older posts, which only rarer words reach.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import Statement, sql

WINDOW = 10_000
"""Newest posts that are scanned one by one on PostgreSQL; about 20 ms."""
LIBRARY_MOST = 1_000
"""For each page, at most this many of the reader's newest favourites, bookmarks and mentions are searched."""
NAMES_MOST = 2_000
"""Accounts whose name matches the prefix; those among them with the most followers are shown."""
TAGS_MOST = 1_000

# UNION ALL: each UNION would build a table of its own, and IN builds one anyway.
_HIDDEN = (
    "SELECT target_id FROM blocks WHERE account_id = :reader_id "
    "UNION ALL SELECT account_id FROM blocks WHERE target_id = :reader_id "
    "UNION ALL SELECT target_id FROM mutes WHERE account_id = :reader_id "
    "AND (expires_at_ms = 0 OR expires_at_ms > :now_ms)"
)
# Who may find a post: its author, and any reader for public posts of authors who are indexable.
_OPEN = (
    "a.state = 'active' AND (:author_id = 0 OR p.author_id = :author_id) "
    "AND (:only_own = 0 OR p.author_id = :reader_id) "
    "AND ((:with_own = 1 AND p.author_id = :reader_id) OR (p.visibility = 0 AND a.indexable = TRUE "
    "AND p.hidden = FALSE AND (a.silenced = FALSE OR EXISTS "
    "(SELECT 1 FROM follows sf WHERE sf.follower_id = :reader_id AND sf.followed_id = p.author_id)) "
    f"AND p.author_id NOT IN ({_HIDDEN})))"
)
_TAGGED = (
    "(:tags_count = 0 OR (SELECT count(*) FROM post_tags x "
    "WHERE x.post_id = p.id AND x.tag_id IN :tag_ids[]) = :tags_count) "
    "AND (:not_tags_count = 0 OR NOT EXISTS (SELECT 1 FROM post_tags y "
    "WHERE y.post_id = p.id AND y.tag_id IN :not_tag_ids[]))"
)
_JOINED = "JOIN posts p ON p.id = {id} JOIN accounts a ON a.id = p.author_id"


def _found(order: str) -> Statement:
    direction = "DESC" if order == "down" else ""
    return sql(
        "SELECT f.rowid FROM post_words f CROSS "
        + _JOINED.format(id="f.rowid")
        + f" WHERE f.post_words MATCH :match AND f.rowid > :low_id AND f.rowid < :high_id AND {_OPEN} AND {_TAGGED} "
        f"ORDER BY f.rowid {direction} LIMIT :count",
        # MATERIALIZED: otherwise the planner may scan the table downward in the hope
        # of finding enough matches.
        postgresql="WITH f AS MATERIALIZED (SELECT post_id FROM post_words "
        "WHERE words @@ to_tsquery('simple', :match) AND post_id > :low_id AND post_id < :high_id) "
        f"SELECT f.post_id FROM f {_JOINED.format(id='f.post_id')} WHERE {_OPEN} AND {_TAGGED} "
        f"ORDER BY f.post_id {direction} LIMIT :count",
    )


_FOUND_DOWN = _found("down")
_FOUND_UP = _found("up")
_ONLY_POSTGRESQL = (
    "SELECT :match, :low_id, :high_id, :count, :reader_id, :now_ms, :author_id, :only_own, :with_own, :window, "
    ":tags_count, :not_tags_count WHERE 0 IN :tag_ids[] OR 0 IN :not_tag_ids[]"
)
_FOUND_IN_WINDOW = sql(
    _ONLY_POSTGRESQL,
    postgresql="SELECT f.post_id FROM (SELECT w.post_id, w.words FROM post_words w "
    "WHERE w.post_id > :low_id AND w.post_id < :high_id ORDER BY w.post_id DESC LIMIT :window) AS f "
    f"{_JOINED.format(id='f.post_id')} WHERE f.words @@ to_tsquery('simple', :match) AND {_OPEN} AND {_TAGGED} "
    "ORDER BY f.post_id DESC LIMIT :count",
)
_WINDOW_END = sql(
    "SELECT :low_id, :high_id, :window",
    postgresql="SELECT min(post_id) FROM (SELECT post_id FROM post_words "
    "WHERE post_id > :low_id AND post_id < :high_id ORDER BY post_id DESC LIMIT :window) AS f",
)
_KEPT = " UNION ".join(
    f"SELECT post_id FROM (SELECT post_id FROM {table} WHERE account_id = :reader_id "
    f"AND post_id > :low_id AND post_id < :high_id ORDER BY post_id DESC LIMIT :most) AS {table}_of"
    for table in ("favourites", "bookmarks", "mentions")
)
_FOUND_KEPT = sql(
    f"SELECT l.post_id FROM ({_KEPT}) AS l CROSS JOIN post_words f JOIN posts p ON p.id = f.rowid "
    "WHERE f.rowid = l.post_id AND f.post_words MATCH :match "
    f"AND (:author_id = 0 OR p.author_id = :author_id) AND {_TAGGED} ORDER BY l.post_id DESC LIMIT :count",
    postgresql=f"SELECT l.post_id FROM ({_KEPT}) AS l JOIN post_words f ON f.post_id = l.post_id "
    "JOIN posts p ON p.id = f.post_id WHERE f.words @@ to_tsquery('simple', :match) "
    f"AND (:author_id = 0 OR p.author_id = :author_id) AND {_TAGGED} ORDER BY l.post_id DESC LIMIT :count",
)

_PEOPLE = sql(
    "SELECT a.id, a.username_lower, a.followers_count FROM accounts a WHERE a.id IN (SELECT account_id "
    "FROM account_words WHERE word >= :low AND word < :high ORDER BY word LIMIT :most) AND a.state = 'active' "
    # The exact name also finds an account that the reader blocked or muted, to undo it, but
    # none that blocks the reader.
    # Three look-ups for each name take half as long as NOT IN with a list of all accounts that are hidden.
    "AND (:reader_id = 0 OR (NOT EXISTS "
    "(SELECT 1 FROM blocks h WHERE h.account_id = :reader_id AND h.target_id = a.id) AND NOT EXISTS "
    "(SELECT 1 FROM blocks h WHERE h.account_id = a.id AND h.target_id = :reader_id) AND NOT EXISTS "
    "(SELECT 1 FROM mutes h WHERE h.account_id = :reader_id AND h.target_id = a.id "
    "AND (h.expires_at_ms = 0 OR h.expires_at_ms > :now_ms))) OR (a.username_lower = :low "
    "AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.account_id = a.id AND b.target_id = :reader_id))) "
    "AND (:following = 0 OR EXISTS "
    "(SELECT 1 FROM follows x WHERE x.follower_id = :reader_id AND x.followed_id = a.id)) "
    "ORDER BY CASE WHEN a.username_lower = :low THEN 0 ELSE 1 END, "
    "CASE WHEN EXISTS (SELECT 1 FROM follows y WHERE y.follower_id = :reader_id AND y.followed_id = a.id) "
    "THEN 0 ELSE 1 END, a.followers_count DESC, a.username_lower LIMIT :count OFFSET :skip"
)
_NAMES = sql(
    "SELECT count(*) FROM (SELECT 1 FROM account_words WHERE word >= :low AND word < :high LIMIT :most) AS n"
)
_TAGS = sql(
    "SELECT t.name FROM (SELECT id, name, uses FROM tags WHERE name >= :low AND name < :high "
    "ORDER BY name LIMIT :most) AS t WHERE EXISTS (SELECT 1 FROM post_tags pt JOIN posts p ON p.id = pt.post_id "
    "JOIN accounts a ON a.id = p.author_id WHERE pt.tag_id = t.id AND p.visibility = 0 AND a.state = 'active') "
    "ORDER BY CASE WHEN t.name = :low THEN 0 ELSE 1 END, t.uses DESC, t.name LIMIT :count OFFSET :skip"
)
_FORGET_NAME = sql("DELETE FROM account_words WHERE account_id = :account_id")
_PUT_NAME = sql("INSERT INTO account_words (word, account_id) VALUES (:word, :account_id)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The wanted posts: phrases (words separated by one space), marks, tags. `author_id` 0: any author."""

    terms: tuple[str, ...]
    not_terms: tuple[str, ...]
    marks: tuple[str, ...]
    not_marks: tuple[str, ...]
    author_id: int
    tag_ids: tuple[int, ...] = ()
    not_tag_ids: tuple[int, ...] = ()

    @property
    def tag_values(self) -> dict[str, object]:
        """Return the values of _TAGGED."""
        return {
            "tag_ids": self.tag_ids,
            "tags_count": len(self.tag_ids),
            "not_tag_ids": self.not_tag_ids,
            "not_tags_count": len(self.not_tag_ids),
        }


def author_mark(account_id: int) -> str:
    """Return the mark of an author's posts."""
    return f"xa{account_id}"


def _match(connection: Connection, wanted: Wanted) -> str:
    """Return a query in the index's syntax. Terms have letters, digits and spaces only (model/search.py)."""
    if connection.dialect == "sqlite":
        must = [f'words:"{term}"' for term in wanted.terms] + [f'marks:"{mark}"' for mark in wanted.marks]
        never = [f'words:"{term}"' for term in wanted.not_terms]
        never += [f'marks:"{mark}"' for mark in wanted.not_marks]
        text = f"({' AND '.join(must)})"
        return f"{text} NOT ({' OR '.join(never)})" if never else text
    must = [_phrase(term) for term in wanted.terms] + [f"'{mark}'" for mark in wanted.marks]
    never = [_phrase(term) for term in wanted.not_terms] + [f"'{mark}'" for mark in wanted.not_marks]
    return " & ".join([*must, *(f"!{one}" for one in never)])


def _phrase(term: str) -> str:
    return "(" + " <-> ".join(f"'{word}'" for word in term.split(" ")) + ")"


def posts(
    connection: Connection,
    *,
    reader_id: int,
    wanted: Wanted,
    page: Page,
    now_ms: int,
    with_own: bool = True,
    only_own: bool = False,
) -> list[int]:
    """Return ids of indexable authors' public posts, and of the reader's own posts, newest first."""
    values = {
        "match": _match(connection, wanted),
        "reader_id": reader_id,
        "author_id": wanted.author_id,
        "with_own": int(with_own),
        "only_own": int(only_own),
        "now_ms": now_ms,
        **wanted.tag_values,
    }
    if page.upward:
        rows = connection.all(_FOUND_UP, low_id=page.low, high_id=page.max_id, count=page.limit, **values)
        return [row[0] for row in rows][::-1]
    high_id, found = page.max_id, []
    if connection.dialect == "postgresql":
        span = {"low_id": page.low, "high_id": high_id, "window": WINDOW}
        rows = connection.all(_FOUND_IN_WINDOW, count=page.limit, **span, **values)
        found = [row[0] for row in rows]
        if len(found) == page.limit:
            return found
        end = connection.one(_WINDOW_END, **span)
        high_id = 0 if end is None or end[0] is None else end[0]
    rows = connection.all(
        _FOUND_DOWN, low_id=page.low, high_id=high_id, count=page.limit - len(found), **values
    )
    return found + [row[0] for row in rows]


def kept_posts(connection: Connection, *, reader_id: int, wanted: Wanted, page: Page) -> list[int]:
    """Return ids of posts that the reader favourited or bookmarked, or that mention the reader, newest first.

    The caller must check that the reader may still see them.
    """
    rows = connection.all(
        _FOUND_KEPT,
        match=_match(connection, wanted),
        reader_id=reader_id,
        author_id=wanted.author_id,
        low_id=page.low,
        high_id=page.max_id,
        count=page.limit if not page.upward else LIBRARY_MOST,
        most=LIBRARY_MOST,
        **wanted.tag_values,
    )
    found = [row[0] for row in rows]
    return found[-page.limit :] if page.upward else found


def people(
    connection: Connection,
    *,
    reader_id: int | None,
    prefix: str,
    limit: int,
    offset: int,
    only_followed: bool,
    now_ms: int,
) -> list[int]:
    """Return ids of active accounts with a name that begins with `prefix` (folded): an exact username first,
    then accounts that the reader follows, then by number of followers."""
    rows = connection.all(
        _PEOPLE,
        low=prefix,
        high=prefix + "\U0010ffff",
        most=NAMES_MOST,
        reader_id=reader_id or 0,
        following=int(only_followed),
        count=limit,
        skip=offset,
        now_ms=now_ms,
    )
    return [row[0] for row in rows]


def count_names(connection: Connection, *, prefix: str, most: int) -> int:
    """Return how many names of accounts begin with `prefix` (folded), counted up to `most`."""
    row = connection.one(_NAMES, low=prefix, high=prefix + "\U0010ffff", most=most)
    assert row is not None
    return int(row[0])


def tags(connection: Connection, *, prefix: str, limit: int, offset: int) -> list[str]:
    """Return names of public hashtags with this prefix (folded): an exact match first, then the most used."""
    rows = connection.all(
        _TAGS, low=prefix, high=prefix + "\U0010ffff", most=TAGS_MOST, count=limit, skip=offset
    )
    return [row[0] for row in rows]


def put_names(connection: Connection, *, account_id: int, words: tuple[str, ...]) -> None:
    """Replace the words by which the account is found."""
    connection.run(_FORGET_NAME, account_id=account_id)
    connection.many(_PUT_NAME, [{"word": word, "account_id": account_id} for word in words])
