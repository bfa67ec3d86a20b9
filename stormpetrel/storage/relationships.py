"""Queries about follows, blocks and mutes."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.model.page import Page
from stormpetrel.model.relationship import Relationship
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

_FOLLOWS = sql("SELECT 1 FROM follows WHERE follower_id = :follower_id AND followed_id = :followed_id")
_BLOCKS = sql("SELECT 1 FROM blocks WHERE account_id = :account_id AND target_id = :target_id")
_BLOCKS_BETWEEN = sql(
    "SELECT 1 FROM blocks WHERE (account_id = :account_id AND target_id = :other_id) "
    "OR (account_id = :other_id AND target_id = :account_id)"
)
_HIDES_NOTIFICATIONS = sql(
    "SELECT 1 FROM mutes WHERE account_id = :account_id AND target_id = :target_id "
    "AND hide_notifications = TRUE AND (expires_at_ms = 0 OR expires_at_ms > :now_ms)"
)
_INSERT_FOLLOW = sql(
    "INSERT INTO follows (id, follower_id, followed_id, show_boosts, notify, languages) "
    "VALUES (:id, :follower_id, :followed_id, :show_boosts, :notify, :languages) ON CONFLICT DO NOTHING"
)
_UPDATE_FOLLOW = sql(
    "UPDATE follows SET show_boosts = :show_boosts, notify = :notify, languages = :languages "
    "WHERE follower_id = :follower_id AND followed_id = :followed_id"
)
_FOLLOW_OPTIONS = sql(
    "SELECT show_boosts, notify, languages FROM follows "
    "WHERE follower_id = :follower_id AND followed_id = :followed_id"
)
_DELETE_FOLLOW = sql("DELETE FROM follows WHERE follower_id = :follower_id AND followed_id = :followed_id")
_INSERT_REQUEST = sql(
    "INSERT INTO follow_requests (id, follower_id, followed_id, show_boosts, notify, languages) "
    "VALUES (:id, :follower_id, :followed_id, :show_boosts, :notify, :languages) ON CONFLICT DO NOTHING"
)
_REQUEST_OPTIONS = sql(
    "SELECT show_boosts, notify, languages FROM follow_requests "
    "WHERE follower_id = :follower_id AND followed_id = :followed_id"
)
_DELETE_REQUEST = sql(
    "DELETE FROM follow_requests WHERE follower_id = :follower_id AND followed_id = :followed_id"
)
_INSERT_BLOCK = sql(
    "INSERT INTO blocks (id, account_id, target_id) VALUES (:id, :account_id, :target_id) ON CONFLICT DO NOTHING"
)
_DELETE_BLOCK = sql("DELETE FROM blocks WHERE account_id = :account_id AND target_id = :target_id")
_PUT_MUTE = sql(
    "INSERT INTO mutes (id, account_id, target_id, hide_notifications, expires_at_ms) "
    "VALUES (:id, :account_id, :target_id, :hide_notifications, :expires_at_ms) "
    "ON CONFLICT (account_id, target_id) DO UPDATE SET "
    "hide_notifications = excluded.hide_notifications, expires_at_ms = excluded.expires_at_ms"
)
_DELETE_MUTE = sql("DELETE FROM mutes WHERE account_id = :account_id AND target_id = :target_id")

_FOLLOWING_OF = sql(
    "SELECT followed_id, show_boosts, notify, languages FROM follows "
    "WHERE follower_id = :reader_id AND followed_id IN :account_ids[]"
)
_FOLLOWERS_AMONG = sql(
    "SELECT follower_id FROM follows WHERE followed_id = :reader_id AND follower_id IN :account_ids[]"
)
_REQUESTED_OF = sql(
    "SELECT followed_id FROM follow_requests WHERE follower_id = :reader_id AND followed_id IN :account_ids[]"
)
_REQUESTED_BY = sql(
    "SELECT follower_id FROM follow_requests WHERE followed_id = :reader_id AND follower_id IN :account_ids[]"
)
_BLOCKING = sql("SELECT target_id FROM blocks WHERE account_id = :reader_id AND target_id IN :account_ids[]")
_BLOCKED_BY = sql(
    "SELECT account_id FROM blocks WHERE target_id = :reader_id AND account_id IN :account_ids[]"
)
_NOTES = sql(
    "SELECT target_id, note FROM account_notes WHERE account_id = :reader_id AND target_id IN :account_ids[]"
)
_ENDORSED = sql(
    "SELECT target_id FROM endorsements WHERE account_id = :reader_id AND target_id IN :account_ids[]"
)
_PUT_NOTE = sql(
    "INSERT INTO account_notes (account_id, target_id, note) VALUES (:account_id, :target_id, :note) "
    "ON CONFLICT (account_id, target_id) DO UPDATE SET note = excluded.note"
)
_DELETE_NOTE = sql("DELETE FROM account_notes WHERE account_id = :account_id AND target_id = :target_id")
_ENDORSE = sql(
    "INSERT INTO endorsements (id, account_id, target_id) VALUES (:id, :account_id, :target_id) "
    "ON CONFLICT DO NOTHING"
)
_UNENDORSE = sql("DELETE FROM endorsements WHERE account_id = :account_id AND target_id = :target_id")
_ENDORSEMENTS = paged(
    "SELECT e.id, e.target_id FROM endorsements e JOIN accounts a ON a.id = e.target_id "
    "WHERE e.account_id = :account_id AND a.state = 'active'",
    "e.id",
)
_MUTING = sql(
    "SELECT target_id, hide_notifications, expires_at_ms FROM mutes WHERE account_id = :reader_id "
    "AND target_id IN :account_ids[] AND (expires_at_ms = 0 OR expires_at_ms > :now_ms)"
)
_NEXT_MUTE_END = sql(
    "SELECT min(expires_at_ms) FROM mutes WHERE account_id = :account_id AND expires_at_ms > :now_ms"
)
# From the index alone, as looking up each row takes three times as long. The few follows with a limit have an index.
_ALL_FOLLOWED = sql("SELECT followed_id FROM follows WHERE follower_id = :reader_id")
_LIMITED_FOLLOWS = sql(
    "SELECT followed_id, show_boosts, languages FROM follows "
    "WHERE follower_id = :reader_id AND (show_boosts = FALSE OR languages <> '')"
)
_ALL_HIDDEN = sql(
    "SELECT target_id, 0 FROM blocks WHERE account_id = :reader_id "
    "UNION ALL SELECT account_id, 0 FROM blocks WHERE target_id = :reader_id "
    "UNION ALL SELECT target_id, expires_at_ms FROM mutes WHERE account_id = :reader_id "
    "AND (expires_at_ms = 0 OR expires_at_ms > :now_ms)"
)
_FAMILIAR = sql(
    "SELECT theirs.followed_id, theirs.follower_id FROM follows own "
    "JOIN follows theirs ON theirs.follower_id = own.followed_id "
    "JOIN accounts a ON a.id = own.followed_id AND a.state = 'active' "
    "WHERE own.follower_id = :reader_id AND theirs.followed_id IN :account_ids[] ORDER BY theirs.id DESC LIMIT :count"
)
_REQUESTERS = sql("SELECT follower_id FROM follow_requests WHERE followed_id = :account_id ORDER BY id")
_SUBSCRIPTIONS = sql(
    "SELECT f.followed_id FROM follows f JOIN accounts a ON a.id = f.followed_id "
    "WHERE f.follower_id = :account_id AND f.notify AND a.state = 'active' ORDER BY f.id DESC LIMIT :count"
)
_SUBSCRIBERS = sql("SELECT follower_id FROM follows WHERE followed_id = :account_id AND notify")

# The other account must be active, hence the joins.
_FOLLOWERS = paged(
    "SELECT f.id, f.follower_id FROM follows f JOIN accounts a ON a.id = f.follower_id "
    "WHERE f.followed_id = :account_id AND a.state = 'active'",
    "f.id",
)
_FOLLOWING = paged(
    "SELECT f.id, f.followed_id FROM follows f JOIN accounts a ON a.id = f.followed_id "
    "WHERE f.follower_id = :account_id AND a.state = 'active'",
    "f.id",
)
_REQUESTS = paged(
    "SELECT f.id, f.follower_id FROM follow_requests f JOIN accounts a ON a.id = f.follower_id "
    "WHERE f.followed_id = :account_id AND a.state = 'active'",
    "f.id",
)
_BLOCKED = paged(
    "SELECT b.id, b.target_id FROM blocks b JOIN accounts a ON a.id = b.target_id "
    "WHERE b.account_id = :account_id AND a.state = 'active'",
    "b.id",
)
_HIDDEN_BOOSTS = paged(
    "SELECT f.id, f.followed_id FROM follows f JOIN accounts a ON a.id = f.followed_id "
    "WHERE f.follower_id = :account_id AND NOT f.show_boosts AND a.state = 'active'",
    "f.id",
)
_MUTED = paged(
    "SELECT m.id, m.target_id, m.expires_at_ms FROM mutes m JOIN accounts a ON a.id = m.target_id "
    "WHERE m.account_id = :account_id AND a.state = 'active' AND (m.expires_at_ms = 0 OR m.expires_at_ms > :now_ms)",
    "m.id",
)


Options = tuple[bool, bool, tuple[str, ...]]
"""Options of a follow or a request: show boosts, notify of each post, only these languages (empty: all)."""


def follows(connection: Connection, *, follower_id: int, followed_id: int) -> bool:
    """Return whether the one account follows the other."""
    return connection.one(_FOLLOWS, follower_id=follower_id, followed_id=followed_id) is not None


def blocks(connection: Connection, *, account_id: int, target_id: int) -> bool:
    """Return whether the account blocks the target."""
    return connection.one(_BLOCKS, account_id=account_id, target_id=target_id) is not None


def block_between(connection: Connection, *, account_id: int, other_id: int) -> bool:
    """Return whether either account blocks the other."""
    return connection.one(_BLOCKS_BETWEEN, account_id=account_id, other_id=other_id) is not None


def hides_notifications(connection: Connection, *, account_id: int, target_id: int, now_ms: int) -> bool:
    """Return whether the account mutes the target's notifications."""
    row = connection.one(_HIDES_NOTIFICATIONS, account_id=account_id, target_id=target_id, now_ms=now_ms)
    return row is not None


def follow_options(connection: Connection, *, follower_id: int, followed_id: int) -> Options | None:
    """Return (show boosts, notify, languages) of a follow, or None if there is none."""
    row = connection.one(_FOLLOW_OPTIONS, follower_id=follower_id, followed_id=followed_id)
    return None if row is None else (bool(row[0]), bool(row[1]), tuple(row[2].split()))


def insert_follow(
    connection: Connection,
    *,
    id: int,
    follower_id: int,
    followed_id: int,
    show_boosts: bool,
    notify: bool,
    languages: Sequence[str],
) -> bool:
    """Insert a follow; return False if it was there before."""
    return (
        connection.run(
            _INSERT_FOLLOW,
            id=id,
            follower_id=follower_id,
            followed_id=followed_id,
            show_boosts=show_boosts,
            notify=notify,
            languages=" ".join(languages),
        )
        > 0
    )


def update_follow(
    connection: Connection,
    *,
    follower_id: int,
    followed_id: int,
    show_boosts: bool,
    notify: bool,
    languages: Sequence[str],
) -> None:
    """Change a follow's options."""
    connection.run(
        _UPDATE_FOLLOW,
        follower_id=follower_id,
        followed_id=followed_id,
        show_boosts=show_boosts,
        notify=notify,
        languages=" ".join(languages),
    )


def delete_follow(connection: Connection, *, follower_id: int, followed_id: int) -> bool:
    """Delete a follow; return False if there was none."""
    return connection.run(_DELETE_FOLLOW, follower_id=follower_id, followed_id=followed_id) > 0


def request_options(connection: Connection, *, follower_id: int, followed_id: int) -> Options | None:
    """Return (show boosts, notify, languages) of a follow request, or None if there is none."""
    row = connection.one(_REQUEST_OPTIONS, follower_id=follower_id, followed_id=followed_id)
    return None if row is None else (bool(row[0]), bool(row[1]), tuple(row[2].split()))


def insert_request(
    connection: Connection,
    *,
    id: int,
    follower_id: int,
    followed_id: int,
    show_boosts: bool,
    notify: bool,
    languages: Sequence[str],
) -> bool:
    """Insert a follow request; return False if it was there before."""
    return (
        connection.run(
            _INSERT_REQUEST,
            id=id,
            follower_id=follower_id,
            followed_id=followed_id,
            show_boosts=show_boosts,
            notify=notify,
            languages=" ".join(languages),
        )
        > 0
    )


def delete_request(connection: Connection, *, follower_id: int, followed_id: int) -> bool:
    """Delete a follow request; return False if there was none."""
    return connection.run(_DELETE_REQUEST, follower_id=follower_id, followed_id=followed_id) > 0


def familiar_followers(
    connection: Connection, *, reader_id: int, account_ids: Sequence[int], count: int
) -> list[tuple[int, int]]:
    """Return (account, follower) for followers of these accounts that the reader follows, newest first."""
    rows = connection.all(_FAMILIAR, reader_id=reader_id, account_ids=account_ids, count=count)
    return [(row[0], row[1]) for row in rows]


def requester_ids(connection: Connection, *, account_id: int) -> list[int]:
    """Return all accounts that ask to follow the account, oldest request first."""
    return [row[0] for row in connection.all(_REQUESTERS, account_id=account_id)]


def insert_block(connection: Connection, *, id: int, account_id: int, target_id: int) -> bool:
    """Insert a block; return False if it was there before."""
    return connection.run(_INSERT_BLOCK, id=id, account_id=account_id, target_id=target_id) > 0


def delete_block(connection: Connection, *, account_id: int, target_id: int) -> bool:
    """Delete a block; return False if there was none."""
    return connection.run(_DELETE_BLOCK, account_id=account_id, target_id=target_id) > 0


def put_mute(
    connection: Connection,
    *,
    id: int,
    account_id: int,
    target_id: int,
    hide_notifications: bool,
    expires_at_ms: int,
) -> None:
    """Insert a mute, or change its options. `expires_at_ms` 0: never."""
    connection.run(
        _PUT_MUTE,
        id=id,
        account_id=account_id,
        target_id=target_id,
        hide_notifications=hide_notifications,
        expires_at_ms=expires_at_ms,
    )


def delete_mute(connection: Connection, *, account_id: int, target_id: int) -> bool:
    """Delete a mute; return False if there was none."""
    return connection.run(_DELETE_MUTE, account_id=account_id, target_id=target_id) > 0


def relationships(
    connection: Connection, *, reader_id: int, account_ids: Sequence[int], now_ms: int
) -> list[Relationship]:
    """Return the relationship of the reader to each of the accounts, in the order given."""
    ids = list(account_ids)
    values = {"reader_id": reader_id, "account_ids": ids}
    following = {row[0]: row for row in connection.all(_FOLLOWING_OF, **values)}
    followed_by = {row[0] for row in connection.all(_FOLLOWERS_AMONG, **values)}
    requested = {row[0] for row in connection.all(_REQUESTED_OF, **values)}
    requested_by = {row[0] for row in connection.all(_REQUESTED_BY, **values)}
    blocking = {row[0] for row in connection.all(_BLOCKING, **values)}
    blocked_by = {row[0] for row in connection.all(_BLOCKED_BY, **values)}
    muting = {row[0]: row for row in connection.all(_MUTING, now_ms=now_ms, **values)}
    notes: dict[int, str] = dict(connection.all(_NOTES, **values))
    endorsed = {row[0] for row in connection.all(_ENDORSED, **values)}
    return [
        Relationship(
            account_id=account_id,
            following=account_id in following,
            show_boosts=account_id in following and bool(following[account_id][1]),
            notify=account_id in following and bool(following[account_id][2]),
            followed_by=account_id in followed_by,
            blocking=account_id in blocking,
            blocked_by=account_id in blocked_by,
            muting=account_id in muting,
            muting_notifications=account_id in muting and bool(muting[account_id][1]),
            muting_until_ms=muting[account_id][2] if account_id in muting else 0,
            requested=account_id in requested,
            requested_by=account_id in requested_by,
            languages=tuple(following[account_id][3].split()) if account_id in following else (),
            note=notes.get(account_id, ""),
            endorsed=account_id in endorsed,
        )
        for account_id in ids
    ]


def followed_by_reader(
    connection: Connection, *, reader_id: int
) -> tuple[dict[int, bool], dict[int, frozenset[str]]]:
    """Return (followed account → show boosts, followed account → languages) for all that the reader follows;
    the second only for follows limited to some languages."""
    followed = {row[0]: True for row in connection.all(_ALL_FOLLOWED, reader_id=reader_id)}
    languages: dict[int, frozenset[str]] = {}
    for followed_id, show_boosts, wanted in connection.all(_LIMITED_FOLLOWS, reader_id=reader_id):
        followed[followed_id] = bool(show_boosts)
        if wanted:
            languages[followed_id] = frozenset(wanted.split())
    return followed, languages


def hidden_from_reader(connection: Connection, *, reader_id: int, now_ms: int) -> list[tuple[int, int]]:
    """Return (account, end in ms or 0) of blocks in either direction and of the reader's mutes."""
    return connection.all(_ALL_HIDDEN, reader_id=reader_id, now_ms=now_ms)


def next_mute_end_ms(connection: Connection, *, account_id: int, now_ms: int) -> int | None:
    """Return when the first of the account's mutes ends; None if none of them does."""
    row = connection.one(_NEXT_MUTE_END, account_id=account_id, now_ms=now_ms)
    return None if row is None else row[0]


def subscription_ids(connection: Connection, *, account_id: int, count: int) -> list[int]:
    """Return the accounts whose every post the account is notified of, the newest follow first."""
    return [row[0] for row in connection.all(_SUBSCRIPTIONS, account_id=account_id, count=count)]


def subscriber_ids(connection: Connection, *, account_id: int) -> list[int]:
    """Return the followers who want a notification for each post of the account."""
    return [row[0] for row in connection.all(_SUBSCRIBERS, account_id=account_id)]


def followers(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, follower), newest first."""
    return _FOLLOWERS.run(connection, page, account_id=account_id)


def following(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, followed), newest first."""
    return _FOLLOWING.run(connection, page, account_id=account_id)


def follow_requests(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, requesting account), newest first."""
    return _REQUESTS.run(connection, page, account_id=account_id)


def blocked(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, blocked), newest first."""
    return _BLOCKED.run(connection, page, account_id=account_id)


def muted(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[tuple[int, int, int]]:
    """Return (internal id, muted account, expiry in ms or 0 for never), newest first."""
    return _MUTED.run(connection, page, account_id=account_id, now_ms=now_ms)


def hidden_boosts(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, followed account whose boosts are hidden), newest first."""
    return _HIDDEN_BOOSTS.run(connection, page, account_id=account_id)


def put_note(connection: Connection, *, account_id: int, target_id: int, note: str) -> None:
    """Store the account's private note about the target; an empty note deletes it."""
    if note:
        connection.run(_PUT_NOTE, account_id=account_id, target_id=target_id, note=note)
    else:
        connection.run(_DELETE_NOTE, account_id=account_id, target_id=target_id)


def endorse(connection: Connection, *, id: int, account_id: int, target_id: int) -> None:
    """Show the target on the account's profile."""
    connection.run(_ENDORSE, id=id, account_id=account_id, target_id=target_id)


def unendorse(connection: Connection, *, account_id: int, target_id: int) -> None:
    """Stop showing the target on the account's profile."""
    connection.run(_UNENDORSE, account_id=account_id, target_id=target_id)


def endorsements(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, account shown on the profile), newest first."""
    return _ENDORSEMENTS.run(connection, page, account_id=account_id)


def followers_among(connection: Connection, *, account_id: int, ids: Sequence[int]) -> set[int]:
    """Return those of the accounts that follow the account."""
    return {row[0] for row in connection.all(_FOLLOWERS_AMONG, reader_id=account_id, account_ids=ids)}
