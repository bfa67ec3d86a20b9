"""Queries that return lists of posts: ids, newest first. There is no table of home timelines: a post writes
no row per follower; home is merged on read from the accounts that the reader follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.model.timeline import GONE, RecentPost, TimelineItem
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

# Accounts that a reader (0: a visitor) blocks or mutes, and accounts that block the reader.
# UNION ALL: each UNION would build a table of its own, and IN builds one anyway.
_HIDDEN = (
    "SELECT target_id FROM blocks WHERE account_id = :reader_id "
    "UNION ALL SELECT account_id FROM blocks WHERE target_id = :reader_id "
    "UNION ALL SELECT target_id FROM mutes WHERE account_id = :reader_id "
    "AND (expires_at_ms = 0 OR expires_at_ms > :now_ms)"
)

# Lists of all accounts' posts omit posts hidden by moderators, and silenced accounts that
# the reader does not follow.
_SHOWN = (
    "(p.author_id = :reader_id OR (p.hidden = FALSE AND (a.silenced = FALSE OR EXISTS "
    "(SELECT 1 FROM follows sf WHERE sf.follower_id = :reader_id AND sf.followed_id = p.author_id))))"
)

_HEAD = (
    "(SELECT {pick}(p.id) FROM posts p WHERE p.author_id = {author} AND p.id > :low_id AND p.id < :high_id)"
)
_FOLLOWED = (
    "SELECT f.followed_id AS author_id, {followed_head} AS head "
    "FROM follows f JOIN accounts a ON a.id = f.followed_id AND a.state = 'active' "
    "WHERE f.follower_id = :reader_id"
)
_NOT_APART = (
    " AND f.followed_id NOT IN (SELECT m.account_id FROM list_members m "
    "JOIN lists l ON l.id = m.list_id AND l.exclusive WHERE l.account_id = :reader_id)"
)
_OWN = " UNION ALL SELECT id, {own_head} FROM accounts WHERE id = :reader_id"
_LISTED = (
    "SELECT m.account_id AS author_id, {member_head} AS head "
    "FROM list_members m JOIN accounts a ON a.id = m.account_id AND a.state = 'active' "
    "WHERE m.list_id = :list_id"
)


class _Heads:
    """The newest (upward: the next) post of each of several authors, the first `count` of those."""

    __slots__ = ("downward", "upward")

    def __init__(self, authors: str) -> None:
        self.downward, self.upward = (
            sql(
                "SELECT author_id, head FROM ("
                + authors.format(
                    followed_head=_HEAD.format(pick=pick, author="f.followed_id"),
                    own_head=_HEAD.format(pick=pick, author=":reader_id"),
                    member_head=_HEAD.format(pick=pick, author="m.account_id"),
                )
                + f") AS heads WHERE head IS NOT NULL ORDER BY head {order} LIMIT :count"
            )
            for pick, order in (("max", "DESC"), ("min", ""))
        )


_HOME_HEADS = _Heads(_FOLLOWED + _OWN)
_HOME_HEADS_WITHOUT_EXCLUSIVE = _Heads(_FOLLOWED + _NOT_APART + _OWN)
_LIST_HEADS = _Heads(_LISTED)
_BOOST_AUTHOR = (
    "CASE WHEN p.boost_of_id IS NULL THEN 0 ELSE coalesce((SELECT b.author_id FROM posts b "
    "JOIN accounts ba ON ba.id = b.author_id AND ba.state = 'active' "
    f"WHERE b.id = p.boost_of_id AND b.hidden = FALSE), {GONE}) END"
)
_ITEM_COLUMNS = (
    "p.id, p.author_id, p.visibility, coalesce(p.in_reply_to_account_id, 0), "
    f"CASE WHEN p.hidden AND p.author_id <> :reader_id THEN {GONE} ELSE {_BOOST_AUTHOR} END, "
    "p.visibility = 3 AND EXISTS (SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id = :reader_id), "
    "p.language, (SELECT pa.silenced FROM accounts pa WHERE pa.id = p.author_id), coalesce(p.boost_of_id, 0)"
)
_ITEMS = sql(f"SELECT {_ITEM_COLUMNS} FROM posts p WHERE p.id IN :post_ids[]")
_RECENT = sql(
    f"SELECT p.id, p.author_id, p.visibility, coalesce(p.in_reply_to_account_id, 0), {_BOOST_AUTHOR}, "
    "coalesce(p.boost_of_id, 0), p.language, (p.hidden OR a.state <> 'active') "
    "FROM posts p JOIN accounts a ON a.id = p.author_id "
    "WHERE p.id < :below_id ORDER BY p.id DESC LIMIT :count"
)
_MENTIONED = sql("SELECT post_id, account_id FROM mentions WHERE post_id IN :post_ids[]")
# Only ids at first, from the index alone: of 80 authors' posts, only 80 are needed.
_OF_AUTHOR = (
    "SELECT p.id FROM posts p "
    "WHERE p.author_id = :author_id AND p.id > :low_id AND p.id < :high_id ORDER BY p.id"
)
_NEWEST_OF_AUTHOR = sql(f"{_OF_AUTHOR} DESC LIMIT :count")
_NEXT_OF_AUTHOR = sql(f"{_OF_AUTHOR} LIMIT :count")
# PostgreSQL asks for all authors in one round trip; SQLite has no LATERAL, and no round trips to save.
_OF_AUTHORS = (
    "SELECT x.id FROM unnest(CAST(:author_ids AS bigint[])) AS who (author_id) CROSS JOIN LATERAL ("
    "SELECT p.id FROM posts p WHERE p.author_id = who.author_id "
    "AND p.id > :low_id AND p.id < :high_id ORDER BY p.id {order} LIMIT :count) AS x"
)
_ONLY_POSTGRESQL = "SELECT :author_ids, :low_id, :high_id, :count"
_NEWEST_OF_AUTHORS = sql(_ONLY_POSTGRESQL, postgresql=_OF_AUTHORS.format(order="DESC"))
_NEXT_OF_AUTHORS = sql(_ONLY_POSTGRESQL, postgresql=_OF_AUTHORS.format(order=""))

# Public posts with the tag by active authors. One query per tag reads no more rows than a page.
_OF_TAG = (
    "SELECT pt.post_id FROM post_tags pt JOIN posts p ON p.id = pt.post_id "
    "JOIN accounts a ON a.id = p.author_id WHERE pt.tag_id = :tag_id AND pt.post_id > :low_id "
    "AND pt.post_id < :high_id AND p.visibility = 0 AND a.state = 'active' ORDER BY pt.post_id"
)
_NEWEST_OF_TAG = sql(f"{_OF_TAG} DESC LIMIT :count")
_NEXT_OF_TAG = sql(f"{_OF_TAG} LIMIT :count")

_PUBLIC = paged(
    "SELECT p.id FROM posts p JOIN accounts a ON a.id = p.author_id "
    "WHERE p.visibility = 0 AND p.boost_of_id IS NULL AND a.state = 'active' "
    f"AND {_SHOWN} "
    "AND (p.in_reply_to_account_id IS NULL OR p.in_reply_to_account_id = p.author_id) "
    f"AND p.author_id NOT IN ({_HIDDEN})",
    "p.id",
)
_PUBLIC_MEDIA = paged(
    "SELECT p.id FROM posts p JOIN accounts a ON a.id = p.author_id "
    "WHERE p.visibility = 0 AND p.boost_of_id IS NULL AND p.media_count > 0 AND a.state = 'active' "
    "AND (p.in_reply_to_account_id IS NULL OR p.in_reply_to_account_id = p.author_id) "
    f"AND {_SHOWN} AND p.author_id NOT IN ({_HIDDEN})",
    "p.id",
)
_TAG = paged(
    "SELECT pt.post_id FROM post_tags pt JOIN posts p ON p.id = pt.post_id JOIN accounts a ON a.id = p.author_id "
    "WHERE pt.tag_id = :tag_id AND p.visibility = 0 AND a.state = 'active' "
    f"AND {_SHOWN} "
    f"AND p.author_id NOT IN ({_HIDDEN})",
    "pt.post_id",
)
_TAGS = paged(
    "SELECT DISTINCT pt.post_id FROM post_tags pt JOIN posts p ON p.id = pt.post_id "
    "JOIN accounts a ON a.id = p.author_id "
    "WHERE pt.tag_id IN :any_ids[] AND p.visibility = 0 AND a.state = 'active' "
    f"AND {_SHOWN} "
    "AND (SELECT count(*) FROM post_tags x WHERE x.post_id = pt.post_id AND x.tag_id IN :all_ids[]) = :all_count "
    "AND NOT EXISTS (SELECT 1 FROM post_tags y WHERE y.post_id = pt.post_id AND y.tag_id IN :none_ids[]) "
    f"AND p.author_id NOT IN ({_HIDDEN})",
    "pt.post_id",
)
_OF_ACCOUNT = paged(
    "SELECT p.id FROM posts p WHERE p.author_id = :account_id AND (p.hidden = FALSE OR p.author_id = :reader_id) "
    "AND (p.visibility <= :widest OR EXISTS "
    "(SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id = :reader_id)) "
    "AND (p.boost_of_id IS NULL OR (:with_boosts = 1 AND EXISTS (SELECT 1 FROM posts b "
    "JOIN accounts ba ON ba.id = b.author_id AND ba.state = 'active' "
    f"WHERE b.id = p.boost_of_id AND b.hidden = FALSE AND b.author_id NOT IN ({_HIDDEN})))) "
    "AND (:with_replies = 1 OR p.in_reply_to_account_id IS NULL OR p.in_reply_to_account_id = p.author_id)",
    "p.id",
)
_OF_ACCOUNT_MEDIA = paged(
    "SELECT p.id FROM posts p WHERE p.author_id = :account_id AND p.media_count > 0 "
    "AND (p.hidden = FALSE OR p.author_id = :reader_id) AND (p.visibility <= :widest OR EXISTS "
    "(SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id = :reader_id)) "
    "AND (:with_replies = 1 OR p.in_reply_to_account_id IS NULL OR p.in_reply_to_account_id = p.author_id)",
    "p.id",
)
_OF_ACCOUNT_TAGGED = paged(
    "SELECT p.id FROM post_tags pt JOIN posts p ON p.id = pt.post_id "
    "WHERE pt.tag_id = :tag_id AND p.author_id = :account_id "
    "AND (p.hidden = FALSE OR p.author_id = :reader_id) AND (p.visibility <= :widest OR EXISTS "
    "(SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id = :reader_id))",
    "p.id",
)
_FAVOURITES = paged("SELECT f.id, f.post_id FROM favourites f WHERE f.account_id = :account_id", "f.id")
_BOOKMARKS = paged("SELECT b.id, b.post_id FROM bookmarks b WHERE b.account_id = :account_id", "b.id")


def _item(row: Row, tagged_ids: set[int]) -> TimelineItem:
    return TimelineItem(
        post_id=row[0],
        author_id=row[1],
        visibility=row[2],
        in_reply_to_account_id=row[3],
        boost_author_id=row[4],
        mentions_reader=bool(row[5]),
        language=row[6],
        has_followed_tag=row[0] in tagged_ids,
        author_silenced=bool(row[7]),
        boost_of_id=row[8],
    )


def recent_posts(connection: Connection, *, below_id: int, count: int) -> list[RecentPost]:
    """Return the instance's newest posts with a lower id, newest first."""
    rows = connection.all(_RECENT, below_id=below_id, count=count)
    direct = [row[0] for row in rows if row[2] == Visibility.DIRECT]
    mentioned: dict[int, list[int]] = {}
    if direct:
        for post_id, account_id in connection.all(_MENTIONED, post_ids=direct):
            mentioned.setdefault(post_id, []).append(account_id)
    return [
        RecentPost(
            post_id=row[0],
            author_id=row[1],
            visibility=row[2],
            in_reply_to_account_id=row[3],
            boost_author_id=row[4],
            boost_of_id=row[5],
            language=row[6],
            hidden=bool(row[7]),
            mentioned_ids=tuple(mentioned.get(row[0], ())),
        )
        for row in rows
    ]


def home_items(
    connection: Connection,
    *,
    reader_id: int,
    page: Page,
    without_exclusive: bool = False,
    tag_ids: Sequence[int] = (),
) -> list[TimelineItem]:
    """Return posts by the reader and followed accounts, and public posts with one of the tags, unfiltered.

    Newest first (upward: oldest first). `without_exclusive`: without members of the reader's exclusive lists.
    Both sources give their first `limit` posts, so the first `limit` of the merged list are right.
    """
    heads = _HOME_HEADS_WITHOUT_EXCLUSIVE if without_exclusive else _HOME_HEADS
    post_ids = _by_authors(connection, heads, page, reader_id=reader_id)
    tagged_ids: set[int] = set()
    if tag_ids:
        tagged_ids = _by_tags(connection, tag_ids, page)
        post_ids = sorted({*post_ids, *tagged_ids}, reverse=not page.upward)[: page.limit]
    return _items(connection, post_ids, tagged_ids, reader_id=reader_id)


def list_items(connection: Connection, *, list_id: int, reader_id: int, page: Page) -> list[TimelineItem]:
    """Return posts by the members of the list, as in `home_items`."""
    post_ids = _by_authors(connection, _LIST_HEADS, page, list_id=list_id)
    return _items(connection, post_ids, set(), reader_id=reader_id)


def _items(
    connection: Connection, post_ids: Sequence[int], tagged_ids: set[int], *, reader_id: int
) -> list[TimelineItem]:
    if not post_ids:
        return []
    rows = connection.all(_ITEMS, post_ids=post_ids, reader_id=reader_id)
    items = {row[0]: _item(row, tagged_ids) for row in rows}
    return [items[post_id] for post_id in post_ids if post_id in items]


def _by_authors(connection: Connection, statement: _Heads, page: Page, **whose: int) -> list[int]:
    """Return the first `limit` posts of the authors, in the page's order.

    The newest `limit` posts can only be by the `limit` authors who posted last, so only those are read; so
    the cost does not depend on the number of followed accounts or posts.
    """
    heads = connection.all(
        statement.upward if page.upward else statement.downward,
        low_id=page.low,
        high_id=page.max_id,
        count=page.limit,
        **whose,
    )
    if not heads:
        return []
    low_id, high_id = page.low, page.max_id
    if len(heads) == page.limit:
        # There are as many authors as wanted posts: no post beyond the last author's
        # newest one can be among them.
        if page.upward:
            high_id = min(high_id, heads[-1][1] + 1)
        else:
            low_id = max(low_id, heads[-1][1] - 1)
    span = {"low_id": low_id, "high_id": high_id, "count": page.limit}
    if connection.dialect == "postgresql":
        several = _NEXT_OF_AUTHORS if page.upward else _NEWEST_OF_AUTHORS
        rows = connection.all(several, author_ids=[author_id for author_id, _ in heads], **span)
    else:
        one = _NEXT_OF_AUTHOR if page.upward else _NEWEST_OF_AUTHOR
        rows = [row for author_id, _ in heads for row in connection.all(one, author_id=author_id, **span)]
    return sorted((row[0] for row in rows), reverse=not page.upward)[: page.limit]


def _by_tags(connection: Connection, tag_ids: Sequence[int], page: Page) -> set[int]:
    """Return the first `limit` public posts of each tag, merged, in the page's order."""
    statement = _NEXT_OF_TAG if page.upward else _NEWEST_OF_TAG
    span = {"low_id": page.low, "high_id": page.max_id, "count": page.limit}
    return {row[0] for tag_id in tag_ids for row in connection.all(statement, tag_id=tag_id, **span)}


def public(connection: Connection, *, reader_id: int | None, page: Page, now_ms: int) -> list[int]:
    """Return public posts that are no replies to others."""
    return _PUBLIC.ids(connection, page, reader_id=reader_id or 0, now_ms=now_ms)


def public_media(connection: Connection, *, reader_id: int | None, page: Page, now_ms: int) -> list[int]:
    """Return `public`, only posts with media."""
    return _PUBLIC_MEDIA.ids(connection, page, reader_id=reader_id or 0, now_ms=now_ms)


def tagged(
    connection: Connection, *, reader_id: int | None, page: Page, tag_id: int, now_ms: int
) -> list[int]:
    """Return public posts with the tag."""
    return _TAG.ids(connection, page, reader_id=reader_id or 0, tag_id=tag_id, now_ms=now_ms)


def tagged_any(
    connection: Connection,
    *,
    reader_id: int | None,
    page: Page,
    any_ids: Sequence[int],
    all_ids: Sequence[int],
    none_ids: Sequence[int],
    now_ms: int,
) -> list[int]:
    """Return public posts with any of `any_ids`, all of `all_ids` and none of `none_ids`."""
    return _TAGS.ids(
        connection,
        page,
        reader_id=reader_id or 0,
        any_ids=any_ids,
        all_ids=all_ids,
        all_count=len(set(all_ids)),
        none_ids=none_ids,
        now_ms=now_ms,
    )


@dataclass(frozen=True, slots=True)
class AccountView:
    """A reader (None: a visitor) of an account's posts: up to visibility `widest`, or with a mention."""

    reader_id: int | None
    account_id: int
    widest: int

    @property
    def values(self) -> dict[str, int]:
        """Return the values as the queries name them."""
        return {
            "reader_id": self.reader_id or 0,
            "account_id": self.account_id,
            "widest": int(self.widest),
        }


def of_account(
    connection: Connection,
    cluster: AccountView,
    *,
    page: Page,
    with_replies: bool,
    with_boosts: bool,
    now_ms: int,
) -> list[int]:
    """Return the account's posts."""
    more = {"with_replies": int(with_replies), "with_boosts": int(with_boosts), "now_ms": now_ms}
    return _OF_ACCOUNT.ids(connection, page, **cluster.values, **more)


def of_account_media(
    connection: Connection, cluster: AccountView, *, page: Page, with_replies: bool
) -> list[int]:
    """Return the account's own posts with media."""
    return _OF_ACCOUNT_MEDIA.ids(connection, page, **cluster.values, with_replies=int(with_replies))


def of_account_tagged(connection: Connection, cluster: AccountView, *, page: Page, tag_id: int) -> list[int]:
    """Return the account's posts with the tag."""
    return _OF_ACCOUNT_TAGGED.ids(connection, page, **cluster.values, tag_id=tag_id)


def favourites(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, post) of the account's favourites, newest first."""
    return _FAVOURITES.run(connection, page, account_id=account_id)


def bookmarks(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, post) of the account's bookmarks, newest first."""
    return _BOOKMARKS.run(connection, page, account_id=account_id)
