"""Queries about posts: one, many, threads, reactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stormpetrel.model.page import Page
from stormpetrel.model.post import NO_FLAGS, Flags, Mention, Post, Visibility
from stormpetrel.model.visibility import Facts
from stormpetrel.storage import polls as stored_polls
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql
from stormpetrel.storage.media import of_posts

_BY_IDS = sql(
    "SELECT p.id, p.author_id, p.text, p.spoiler_text, p.visibility, p.sensitive, p.language, p.in_reply_to_id, "
    "p.in_reply_to_account_id, p.boost_of_id, p.replies_count, p.boosts_count, p.favourites_count, "
    "p.created_at_ms, app.name, app.website, p.hidden, p.media_count, p.edited_at_ms, p.thread_id, p.has_poll "
    "FROM posts p LEFT JOIN applications app ON app.id = p.application_id "
    "WHERE p.id IN :post_ids[]"
)
_MENTIONS = sql(
    "SELECT m.post_id, a.id, a.username FROM mentions m JOIN accounts a ON a.id = m.account_id "
    "WHERE m.post_id IN :post_ids[] ORDER BY m.post_id, a.id"
)
_TAGS = sql(
    "SELECT pt.post_id, t.name FROM post_tags pt JOIN tags t ON t.id = pt.tag_id "
    "WHERE pt.post_id IN :post_ids[] ORDER BY pt.post_id, t.id"
)
# Two more subqueries than one join per fact, but no cost for a visitor (reader 0).
_FACTS = sql(
    "SELECT p.id, p.author_id, p.visibility, a.state, "
    "EXISTS (SELECT 1 FROM follows f WHERE f.follower_id = :reader_id AND f.followed_id = p.author_id), "
    "EXISTS (SELECT 1 FROM blocks b WHERE b.account_id = p.author_id AND b.target_id = :reader_id), "
    "EXISTS (SELECT 1 FROM mentions m WHERE m.post_id = p.id AND m.account_id = :reader_id), "
    "EXISTS (SELECT 1 FROM blocks b WHERE b.account_id = :reader_id AND b.target_id = p.author_id) OR "
    "EXISTS (SELECT 1 FROM mutes x WHERE x.account_id = :reader_id AND x.target_id = p.author_id "
    "AND (x.expires_at_ms = 0 OR x.expires_at_ms > :now_ms)), "
    "p.hidden, p.boost_of_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM posts o JOIN accounts oa "
    "ON oa.id = o.author_id WHERE o.id = p.boost_of_id AND o.hidden = FALSE AND oa.state = 'active' "
    "AND NOT EXISTS (SELECT 1 FROM blocks ob WHERE ob.account_id = o.author_id AND ob.target_id = :reader_id)), "
    "a.silenced, p.hidden AND EXISTS (SELECT 1 FROM users u "
    "WHERE u.account_id = :reader_id AND u.role <> 'member') "
    "FROM posts p JOIN accounts a ON a.id = p.author_id WHERE p.id IN :post_ids[]"
)
_FLAGS = sql(
    "SELECT 1, post_id, 0 FROM favourites WHERE account_id = :reader_id AND post_id IN :post_ids[] "
    "UNION ALL SELECT 2, boost_of_id, 0 FROM posts WHERE author_id = :reader_id AND boost_of_id IN :post_ids[] "
    "UNION ALL SELECT 3, post_id, 0 FROM bookmarks WHERE account_id = :reader_id AND post_id IN :post_ids[] "
    "UNION ALL SELECT 4, p.id, 0 FROM posts p JOIN thread_mutes m ON m.account_id = :reader_id "
    "AND m.thread_id = coalesce(p.thread_id, p.id) WHERE p.id IN :post_ids[] "
    "UNION ALL SELECT 5, post_id, 0 FROM pins WHERE account_id = :reader_id AND post_id IN :post_ids[] "
    "UNION ALL SELECT 6, post_id, choices FROM ballots WHERE account_id = :reader_id AND post_id IN :post_ids[]"
)
# The reverse: one post, and all readers who are shown it now.
_FLAGS_OF_READERS = sql(
    "SELECT 1, account_id, 0 FROM favourites WHERE post_id = :post_id AND account_id IN :reader_ids[] "
    "UNION ALL SELECT 2, author_id, 0 FROM posts WHERE boost_of_id = :post_id AND author_id IN :reader_ids[] "
    "UNION ALL SELECT 3, account_id, 0 FROM bookmarks WHERE post_id = :post_id AND account_id IN :reader_ids[] "
    "UNION ALL SELECT 4, m.account_id, 0 FROM posts p JOIN thread_mutes m "
    "ON m.thread_id = coalesce(p.thread_id, p.id) WHERE p.id = :post_id AND m.account_id IN :reader_ids[] "
    "UNION ALL SELECT 5, account_id, 0 FROM pins WHERE post_id = :post_id AND account_id IN :reader_ids[] "
    "UNION ALL SELECT 6, account_id, choices FROM ballots WHERE post_id = :post_id AND account_id IN :reader_ids[]"
)
_INSERT = sql(
    "INSERT INTO posts (id, author_id, text, spoiler_text, visibility, sensitive, language, in_reply_to_id, "
    "in_reply_to_account_id, thread_id, application_id, created_at_ms) "
    "VALUES (:id, :author_id, :text, :spoiler_text, :visibility, :sensitive, :language, :in_reply_to_id, "
    ":in_reply_to_account_id, :thread_id, :application_id, :now_ms)"
)
_INSERT_BOOST = sql(
    "INSERT INTO posts (id, author_id, visibility, boost_of_id, created_at_ms) "
    "VALUES (:id, :author_id, :visibility, :boost_of_id, :now_ms)"
)
_SET_HIDDEN = sql("UPDATE posts SET hidden = :hidden WHERE id = :post_id")
_MARK_SENSITIVE = sql("UPDATE posts SET sensitive = TRUE WHERE id = :post_id")
_DELETE = sql("DELETE FROM posts WHERE id = :post_id")
_DELETE_BOOST = sql("DELETE FROM posts WHERE boost_of_id = :post_id AND author_id = :account_id RETURNING id")
_BOOST_ID = sql("SELECT id FROM posts WHERE boost_of_id = :post_id AND author_id = :account_id")
_BOOSTS = sql("SELECT id, author_id FROM posts WHERE boost_of_id = :post_id")
_REPLIES = sql("SELECT id, author_id FROM posts WHERE in_reply_to_id = :post_id")
_ORPHAN_REPLIES = sql("UPDATE posts SET in_reply_to_id = NULL WHERE in_reply_to_id = :post_id")
_NAMED_BEFORE = sql(
    "SELECT DISTINCT m.account_id FROM posts p JOIN mentions m ON m.post_id = p.id "
    "WHERE p.author_id = :author_id AND m.account_id IN :account_ids[]"
)
_LOCK_POST = sql("UPDATE posts SET replies_count = replies_count WHERE id = :post_id")
_ADD_REPLIES = sql("UPDATE posts SET replies_count = replies_count + :delta WHERE id = :post_id")
_ADD_BOOSTS = sql("UPDATE posts SET boosts_count = boosts_count + :delta WHERE id = :post_id")
_ADD_FAVOURITES = sql("UPDATE posts SET favourites_count = favourites_count + :delta WHERE id = :post_id")
_INSERT_MENTION = sql("INSERT INTO mentions (post_id, account_id) VALUES (:post_id, :account_id)")
_TAG_IDS = sql("SELECT name, id FROM tags WHERE name IN :names[text]")
_INSERT_TAG = sql("INSERT INTO tags (id, name, display) VALUES (:id, :name, :display) ON CONFLICT DO NOTHING")
_INSERT_POST_TAGS = sql(
    "INSERT INTO post_tags (tag_id, post_id) SELECT id, CAST(:post_id AS bigint) FROM tags "
    "WHERE name IN :names[text] ON CONFLICT DO NOTHING"
)

_FORGET_IDEMPOTENT = sql("DELETE FROM idempotency WHERE account_id = :account_id AND key = :key")
_PUT_IDEMPOTENT = sql(
    "INSERT INTO idempotency (account_id, key, post_id, created_at_ms) "
    "VALUES (:account_id, :key, :post_id, :now_ms)"
)

_ANCESTORS = sql(
    "WITH RECURSIVE line (id, parent_id, depth) AS ("
    "SELECT id, in_reply_to_id, 0 FROM posts WHERE id = :post_id "
    "UNION ALL SELECT p.id, p.in_reply_to_id, line.depth + 1 FROM line JOIN posts p ON p.id = line.parent_id "
    "WHERE line.depth < :count) "
    "SELECT id FROM line WHERE depth > 0 ORDER BY depth DESC"
)
_DESCENDANTS = sql(
    "WITH RECURSIVE tree (id, parent_id, depth) AS ("
    "SELECT id, in_reply_to_id, 1 FROM posts WHERE in_reply_to_id = :post_id "
    "UNION ALL SELECT p.id, p.in_reply_to_id, tree.depth + 1 FROM tree JOIN posts p ON p.in_reply_to_id = tree.id "
    "WHERE tree.depth < :depth) "
    "SELECT id, parent_id FROM tree LIMIT :count"
)

_PUT_FAVOURITE = sql(
    "INSERT INTO favourites (id, account_id, post_id) VALUES (:id, :account_id, :post_id) ON CONFLICT DO NOTHING"
)
_DELETE_FAVOURITE = sql("DELETE FROM favourites WHERE account_id = :account_id AND post_id = :post_id")
_PUT_BOOKMARK = sql(
    "INSERT INTO bookmarks (id, account_id, post_id) VALUES (:id, :account_id, :post_id) ON CONFLICT DO NOTHING"
)
_DELETE_BOOKMARK = sql("DELETE FROM bookmarks WHERE account_id = :account_id AND post_id = :post_id")
_FAVOURITED_BY = paged(
    "SELECT f.id, f.account_id FROM favourites f JOIN accounts a ON a.id = f.account_id "
    "WHERE f.post_id = :post_id AND a.state = 'active'",
    "f.id",
)
_BOOSTED_BY = paged(
    "SELECT b.id, b.author_id FROM posts b JOIN accounts a ON a.id = b.author_id "
    "JOIN posts o ON o.id = b.boost_of_id WHERE b.boost_of_id = :post_id AND a.state = 'active' "
    f"AND (b.visibility < {Visibility.FOLLOWERS:d} OR :reader_id IN (b.author_id, o.author_id) OR EXISTS "
    "(SELECT 1 FROM follows f WHERE f.follower_id = :reader_id AND f.followed_id = b.author_id))",
    "b.id",
)


def posts(connection: Connection, *, post_ids: Sequence[int]) -> dict[int, Post]:
    """Return the existing ones of these posts by id, without checking who may see them."""
    if not post_ids:
        return {}
    rows = connection.all(_BY_IDS, post_ids=post_ids)
    mentions: dict[int, list[Mention]] = {}
    tags: dict[int, list[str]] = {}
    # A reply has mentions even where its text does not name them any more.
    addressed = [row[0] for row in rows if "@" in row[2] or row[7] is not None]
    if addressed:
        for post_id, account_id, username in connection.all(_MENTIONS, post_ids=addressed):
            mentions.setdefault(post_id, []).append(Mention(account_id, username))
    tagged = [row[0] for row in rows if "#" in row[2]]
    if tagged:
        for post_id, name in connection.all(_TAGS, post_ids=tagged):
            tags.setdefault(post_id, []).append(name)
    pictured = [row[0] for row in rows if row[17]]
    media = of_posts(connection, post_ids=pictured) if pictured else {}
    asking = [row[0] for row in rows if row[20]]
    polls = stored_polls.polls(connection, post_ids=asking) if asking else {}
    return {
        row[0]: Post(
            id=row[0],
            author_id=row[1],
            text=row[2],
            spoiler_text=row[3],
            visibility=Visibility(row[4]),
            sensitive=bool(row[5]),
            language=row[6],
            in_reply_to_id=row[7],
            in_reply_to_account_id=row[8],
            boost_of_id=row[9],
            application=None if row[14] is None else (row[14], row[15]),
            replies_count=row[10],
            boosts_count=row[11],
            favourites_count=row[12],
            created_at_ms=row[13],
            mentions=tuple(mentions.get(row[0], ())),
            tags=tuple(tags.get(row[0], ())),
            hidden=bool(row[16]),
            media=media.get(row[0], ()),
            edited_at_ms=row[18],
            thread_id=row[19],
            poll=polls.get(row[0]),
        )
        for row in rows
    }


def facts(
    connection: Connection, *, reader_id: int | None, post_ids: Sequence[int], now_ms: int
) -> dict[int, Facts]:
    """Return by id, for each of the posts that exist, the facts that decide who may see it."""
    if not post_ids:
        return {}
    rows = connection.all(_FACTS, reader_id=reader_id or 0, post_ids=post_ids, now_ms=now_ms)
    return {
        row[0]: Facts(
            post_id=row[0],
            author_id=row[1],
            visibility=row[2],
            author_active=row[3] == "active",
            reader_follows=bool(row[4]),
            reader_blocked=bool(row[5]),
            reader_mentioned=bool(row[6]),
            author_hidden=bool(row[7]),
            post_hidden=bool(row[8]),
            original_hidden=bool(row[9]),
            author_silenced=bool(row[10]),
            reader_moderates=bool(row[11]),
        )
        for row in rows
    }


def flags(connection: Connection, *, reader_id: int, post_ids: Sequence[int]) -> dict[int, Flags]:
    """Return the reader's reactions by post, for posts with any."""
    return _flags_by(connection.all(_FLAGS, reader_id=reader_id, post_ids=post_ids))


def flags_of_readers(connection: Connection, *, post_id: int, reader_ids: Sequence[int]) -> dict[int, Flags]:
    """Return the reactions to the post by reader, for readers with any."""
    return _flags_by(connection.all(_FLAGS_OF_READERS, post_id=post_id, reader_ids=reader_ids))


def _flags_by(rows: Iterable[Row]) -> dict[int, Flags]:
    """Return flags by the rows' second column; the first one is the kind of reaction."""
    found: dict[int, Flags] = {}
    for what, key, votes in rows:
        old = found.get(key, NO_FLAGS)
        found[key] = Flags(
            favourited=old.favourited or what == 1,
            boosted=old.boosted or what == 2,
            bookmarked=old.bookmarked or what == 3,
            muted=old.muted or what == 4,
            pinned=old.pinned or what == 5,
            votes=old.votes | votes,
        )
    return found


def insert_post(connection: Connection, *, post: Post, application_id: int | None) -> None:
    """Insert a post; its mentions and tags are separate rows."""
    connection.run_later(
        _INSERT,
        id=post.id,
        author_id=post.author_id,
        text=post.text,
        spoiler_text=post.spoiler_text,
        visibility=int(post.visibility),
        sensitive=post.sensitive,
        language=post.language,
        in_reply_to_id=post.in_reply_to_id,
        in_reply_to_account_id=post.in_reply_to_account_id,
        thread_id=post.thread_id,
        application_id=application_id,
        now_ms=post.created_at_ms,
    )


def insert_boost(
    connection: Connection, *, boost_id: int, author_id: int, visibility: int, boost_of_id: int, now_ms: int
) -> None:
    """Insert a boost. A second one of the same post violates the unique key."""
    connection.run(
        _INSERT_BOOST,
        id=boost_id,
        author_id=author_id,
        visibility=int(visibility),
        boost_of_id=boost_of_id,
        now_ms=now_ms,
    )


def set_hidden(connection: Connection, *, post_id: int, hidden: bool) -> None:
    """Hide the post, or show it again."""
    connection.run(_SET_HIDDEN, post_id=post_id, hidden=hidden)


def mark_sensitive(connection: Connection, *, post_id: int) -> None:
    """Mark the post as sensitive: its attachments are covered until a reader reveals them."""
    connection.run(_MARK_SENSITIVE, post_id=post_id)


def delete_post(connection: Connection, *, post_id: int) -> None:
    """Delete the post and all that depends on it (boosts, favourites, bookmarks, mentions, notifications)."""
    connection.run(_DELETE, post_id=post_id)


def boosts(connection: Connection, *, post_id: int) -> list[tuple[int, int]]:
    """Return (boost, its author) for every boost of the post."""
    return [(row[0], row[1]) for row in connection.all(_BOOSTS, post_id=post_id)]


def boost_id(connection: Connection, *, post_id: int, account_id: int) -> int | None:
    """Return the account's boost of the post, or None."""
    row = connection.one(_BOOST_ID, post_id=post_id, account_id=account_id)
    return None if row is None else int(row[0])


def delete_boost(connection: Connection, *, post_id: int, account_id: int) -> int | None:
    """Delete the account's boost of the post; return its id, or None if there was none."""
    row = connection.one(_DELETE_BOOST, post_id=post_id, account_id=account_id)
    return None if row is None else int(row[0])


def replies(connection: Connection, *, post_id: int) -> list[tuple[int, int]]:
    """Return (reply, its author) for every direct reply."""
    return [(row[0], row[1]) for row in connection.all(_REPLIES, post_id=post_id)]


def orphan_replies(connection: Connection, *, post_id: int) -> None:
    """Detach the replies from the post: they reply to nothing from now on."""
    connection.run(_ORPHAN_REPLIES, post_id=post_id)


def lock_post(connection: Connection, *, post_id: int) -> bool:
    """Lock the post until the end of the transaction; return False if it is gone by now.

    On PostgreSQL two transactions that delete the same post both find it; the second waits
    here, and then finds it gone.
    """
    return connection.run(_LOCK_POST, post_id=post_id) > 0


def add_replies(connection: Connection, *, post_id: int, delta: int) -> None:
    """Add `delta` to the post's replies."""
    connection.run_later(_ADD_REPLIES, post_id=post_id, delta=delta)


def add_boosts(connection: Connection, *, post_id: int, delta: int) -> None:
    """Add `delta` to the post's boosts."""
    connection.run(_ADD_BOOSTS, post_id=post_id, delta=delta)


def add_favourites(connection: Connection, *, post_id: int, delta: int) -> None:
    """Add `delta` to the post's favourites."""
    connection.run(_ADD_FAVOURITES, post_id=post_id, delta=delta)


def named_before(connection: Connection, *, author_id: int, account_ids: Sequence[int]) -> set[int]:
    """Return those of the accounts that one of the author's posts already mentions."""
    return {row[0] for row in connection.all(_NAMED_BEFORE, author_id=author_id, account_ids=account_ids)}


def insert_mentions(connection: Connection, *, post_id: int, account_ids: Iterable[int]) -> None:
    """Insert the post's mentions."""
    for account_id in account_ids:
        connection.run_later(_INSERT_MENTION, post_id=post_id, account_id=account_id)


def insert_tags(
    connection: Connection, *, post_id: int, tags: Sequence[tuple[str, str]], now_ms: int
) -> None:
    """Add hashtags, (key, as written), to the post; create those that are new."""
    names = [name for name, _ in tags]
    if connection.run(_INSERT_POST_TAGS, post_id=post_id, names=names) == len(names):
        return
    known = tag_ids(connection, names=names)
    # The same order everywhere, so that two of these transactions cannot deadlock.
    for name, display in sorted(tags):
        if name not in known:
            insert_tag(connection, name=name, display=display, now_ms=now_ms)
    connection.run(_INSERT_POST_TAGS, post_id=post_id, names=names)


def insert_known_tags(connection: Connection, *, post_id: int, names: Sequence[str]) -> None:
    """Add hashtags that exist to the post."""
    connection.run_later(_INSERT_POST_TAGS, post_id=post_id, names=names)


def insert_tag(connection: Connection, *, name: str, display: str, now_ms: int) -> None:
    """Insert a tag, unless it exists: its key, and its spelling when first written."""
    connection.run(_INSERT_TAG, id=connection.new_id(now_ms), name=name, display=display)


def tag_ids(connection: Connection, *, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the existing ones of these tags, by key."""
    return dict(connection.all(_TAG_IDS, names=names)) if names else {}


def forget_idempotent(connection: Connection, *, account_id: int, key: str) -> None:
    """Free the key."""
    connection.run(_FORGET_IDEMPOTENT, account_id=account_id, key=key)


def put_idempotent(connection: Connection, *, account_id: int, key: str, post_id: int, now_ms: int) -> None:
    """Store the post that was made with a key.

    If a concurrent call stored it meanwhile, this violates the primary key: the call
    runs again and finds that post.
    """
    connection.run_later(_PUT_IDEMPOTENT, account_id=account_id, key=key, post_id=post_id, now_ms=now_ms)


def ancestors(connection: Connection, *, post_id: int, count: int) -> list[int]:
    """Return the post's parent, the parent's parent, and so on: oldest first."""
    return [row[0] for row in connection.all(_ANCESTORS, post_id=post_id, count=count)]


def descendants(connection: Connection, *, post_id: int, count: int, depth: int) -> list[tuple[int, int]]:
    """Return (reply, its parent) for all replies below the post, at most `depth` deep, parents first."""
    rows = connection.all(_DESCENDANTS, post_id=post_id, count=count, depth=depth)
    return [(row[0], row[1]) for row in rows]


def put_favourite(connection: Connection, *, id: int, account_id: int, post_id: int) -> bool:
    """Insert a favourite; return False if it was there before."""
    return connection.run(_PUT_FAVOURITE, id=id, account_id=account_id, post_id=post_id) > 0


def delete_favourite(connection: Connection, *, account_id: int, post_id: int) -> bool:
    """Delete a favourite; return False if there was none."""
    return connection.run(_DELETE_FAVOURITE, account_id=account_id, post_id=post_id) > 0


def put_bookmark(connection: Connection, *, id: int, account_id: int, post_id: int) -> bool:
    """Insert a bookmark; return False if it was there before."""
    return connection.run(_PUT_BOOKMARK, id=id, account_id=account_id, post_id=post_id) > 0


def delete_bookmark(connection: Connection, *, account_id: int, post_id: int) -> bool:
    """Delete a bookmark; return False if there was none."""
    return connection.run(_DELETE_BOOKMARK, account_id=account_id, post_id=post_id) > 0


def favourited_by(connection: Connection, *, post_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, account), newest first."""
    return _FAVOURITED_BY.run(connection, page, post_id=post_id)


def boosted_by(
    connection: Connection, *, reader_id: int | None, post_id: int, page: Page
) -> list[tuple[int, int]]:
    """Return (internal id, account), newest first; boosts for followers only if the reader may see them."""
    return _BOOSTED_BY.run(connection, page, reader_id=reader_id or 0, post_id=post_id)
