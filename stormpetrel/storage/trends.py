"""Queries about trends: hashtags by day, and tags and posts with a score that halves over time.

The courier counts in small steps, by the ids added since the last one, so that no
post waits for a shared counter.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

# Posts of authors who agreed to be shown to strangers.
_SHOWN = "a.state = 'active' AND a.discoverable = TRUE AND a.silenced = FALSE AND p.hidden = FALSE"

_CURSOR = sql("SELECT at FROM trend_cursors WHERE name = :name")
_SET_CURSOR = sql(
    "INSERT INTO trend_cursors (name, at) VALUES (:name, :at) ON CONFLICT (name) DO UPDATE SET at = :at"
)
_NEW_TAG_USES = sql(
    "SELECT pt.post_id, pt.tag_id, p.author_id, p.visibility = 0 AND "
    f"{_SHOWN} FROM (SELECT post_id, tag_id FROM post_tags WHERE post_id > :after_id AND post_id <= :until_id "
    "ORDER BY post_id, tag_id LIMIT :count) AS pt JOIN posts p ON p.id = pt.post_id "
    "JOIN accounts a ON a.id = p.author_id ORDER BY pt.post_id"
)
_NEW_FAVOURITES = sql(
    "SELECT id, post_id FROM favourites WHERE id > :after_id AND id <= :until_id ORDER BY id LIMIT :count"
)
_NEW_POSTS = sql(
    "SELECT id, coalesce(boost_of_id, 0) FROM posts WHERE id > :after_id AND id <= :until_id "
    "ORDER BY id LIMIT :count"
)
_ADD_USES = sql("UPDATE tags SET uses = uses + :uses WHERE id = :tag_id")
_ADD_DAY = sql(
    "INSERT INTO tag_days (tag_id, day, uses, accounts) VALUES (:tag_id, :day, :uses, :accounts) "
    "ON CONFLICT (tag_id, day) DO UPDATE SET uses = tag_days.uses + :uses, accounts = tag_days.accounts + :accounts"
)
_ADD_ACCOUNT = sql(
    "INSERT INTO tag_day_accounts (tag_id, day, account_id) VALUES (:tag_id, :day, :account_id) "
    "ON CONFLICT DO NOTHING"
)
_FORGET_DAYS = sql("DELETE FROM tag_days WHERE day < :before_day")
_FORGET_ACCOUNTS = sql("DELETE FROM tag_day_accounts WHERE day < :before_day")
_ADD_SCORE = sql(
    "INSERT INTO trends (kind, subject_id, score) VALUES (:kind, :subject_id, :points) "
    "ON CONFLICT (kind, subject_id) DO UPDATE SET score = trends.score + :points"
)
_DECAY = sql("UPDATE trends SET score = score * :factor")
_PRUNE = sql("DELETE FROM trends WHERE score < :least")
_KEEP_MOST = sql(
    "DELETE FROM trends WHERE kind = :kind AND subject_id NOT IN "
    "(SELECT subject_id FROM trends WHERE kind = :kind ORDER BY score DESC, subject_id DESC LIMIT :most)"
)
_TAGS = sql(
    "SELECT t.name FROM trends x JOIN tags t ON t.id = x.subject_id WHERE x.kind = 'tag' AND "
    "(SELECT coalesce(sum(d.accounts), 0) FROM tag_days d WHERE d.tag_id = t.id AND d.day >= :since_day) >= :people "
    "ORDER BY x.score DESC, t.name LIMIT :count OFFSET :skip"
)
_POSTS = sql(
    "SELECT p.id FROM trends x JOIN posts p ON p.id = x.subject_id JOIN accounts a ON a.id = p.author_id "
    "WHERE x.kind = 'post' AND x.score >= :least AND p.visibility = 0 AND p.boost_of_id IS NULL "
    f"AND {_SHOWN} AND p.author_id NOT IN ("
    "SELECT target_id FROM blocks WHERE account_id = :reader_id "
    "UNION SELECT account_id FROM blocks WHERE target_id = :reader_id "
    "UNION SELECT target_id FROM mutes WHERE account_id = :reader_id "
    "AND (expires_at_ms = 0 OR expires_at_ms > :now_ms)) "
    "ORDER BY x.score DESC, p.id DESC LIMIT :count OFFSET :skip"
)
_HISTORY = sql(
    "SELECT t.name, d.day, d.uses, d.accounts FROM tags t JOIN tag_days d ON d.tag_id = t.id "
    "WHERE t.name IN :names[text] AND d.day >= :since_day"
)


@dataclass(frozen=True, slots=True)
class TagUse:
    """A tag in a post. `counts`: the post is public, and its author may be shown to strangers."""

    post_id: int
    tag_id: int
    author_id: int
    counts: bool


def cursor(connection: Connection, *, name: str) -> int:
    """Return up to where `name` was counted; 0 at the beginning."""
    row = connection.one(_CURSOR, name=name)
    return 0 if row is None else int(row[0])


def set_cursor(connection: Connection, *, name: str, at: int) -> None:
    """Store up to where `name` was counted."""
    connection.run(_SET_CURSOR, name=name, at=at)


def new_tag_uses(connection: Connection, *, after_id: int, until_id: int, count: int) -> list[TagUse]:
    """Return tags of posts in that range of ids, oldest first; the last post's may be cut off."""
    rows = connection.all(_NEW_TAG_USES, after_id=after_id, until_id=until_id, count=count)
    return [TagUse(row[0], row[1], row[2], bool(row[3])) for row in rows]


def new_favourites(
    connection: Connection, *, after_id: int, until_id: int, count: int
) -> list[tuple[int, int]]:
    """Return (favourite, post) in that range of ids, oldest first."""
    rows = connection.all(_NEW_FAVOURITES, after_id=after_id, until_id=until_id, count=count)
    return [(row[0], row[1]) for row in rows]


def new_posts(connection: Connection, *, after_id: int, until_id: int, count: int) -> list[tuple[int, int]]:
    """Return (post, the post it boosts or 0) in that range of ids, oldest first."""
    rows = connection.all(_NEW_POSTS, after_id=after_id, until_id=until_id, count=count)
    return [(row[0], row[1]) for row in rows]


def add_tag_day(connection: Connection, *, tag_id: int, day: int, uses: int, account_ids: set[int]) -> int:
    """Add uses by these accounts to that day; return how many of the accounts were new on it."""
    new = sum(
        connection.run(_ADD_ACCOUNT, tag_id=tag_id, day=day, account_id=account_id)
        for account_id in sorted(account_ids)
    )
    connection.run(_ADD_DAY, tag_id=tag_id, day=day, uses=uses, accounts=new)
    return new


def add_tag_uses(connection: Connection, *, tag_id: int, uses: int) -> None:
    """Add to the tag's total number of uses."""
    connection.run(_ADD_USES, tag_id=tag_id, uses=uses)


def add_score(connection: Connection, *, kind: str, subject_id: int, points: float) -> None:
    """Add points to a score."""
    connection.run(_ADD_SCORE, kind=kind, subject_id=subject_id, points=points)


def decay(connection: Connection, *, factor: float, least: float, most: int, before_day: int) -> None:
    """Multiply scores by `factor`; delete those below `least`, all but `most` of a kind, and old days."""
    connection.run(_DECAY, factor=factor)
    connection.run(_PRUNE, least=least)
    for kind in ("tag", "post"):
        connection.run(_KEEP_MOST, kind=kind, most=most)
    connection.run(_FORGET_DAYS, before_day=before_day)
    connection.run(_FORGET_ACCOUNTS, before_day=before_day)


def tags(connection: Connection, *, since_day: int, people: int, limit: int, offset: int) -> list[str]:
    """Return the tags with the most points, used by at least `people` accounts since that day."""
    rows = connection.all(_TAGS, since_day=since_day, people=people, count=limit, skip=offset)
    return [row[0] for row in rows]


def posts(
    connection: Connection, *, reader_id: int | None, least: float, limit: int, offset: int, now_ms: int
) -> list[int]:
    """Return ids of the public posts with the most points, without authors hidden from the reader."""
    rows = connection.all(
        _POSTS, reader_id=reader_id or 0, least=least, count=limit, skip=offset, now_ms=now_ms
    )
    return [row[0] for row in rows]


def history(
    connection: Connection, *, names: list[str], since_day: int
) -> dict[tuple[str, int], tuple[int, int]]:
    """Return (uses, accounts) by tag and day, where there were any."""
    if not names:
        return {}
    rows = connection.all(_HISTORY, names=names, since_day=since_day)
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}
