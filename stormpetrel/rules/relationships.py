"""Following, blocking and muting: permissions and consequences."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model import text as texts
from stormpetrel.model.account import AccountState, is_hidden
from stormpetrel.model.characters import is_too_long
from stormpetrel.model.event import AccountChanged, RelationshipChanged
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.quota import YOUNG_FOLLOWS
from stormpetrel.model.relationship import Relationship
from stormpetrel.model.timeline import NEVER_MS
from stormpetrel.rules import lists, notifications, quotas
from stormpetrel.rules.languages import clean_language
from stormpetrel.storage import accounts
from stormpetrel.storage import relationships as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

MAX_ACCOUNT_NOTE = 2_000
"""In characters (Mastodon's limit)."""
MAX_ENDORSEMENTS = 50
MAX_LANGUAGES = 20
"""Limit of languages per follow."""
FAMILIAR_MOST = 1_000
"""Limit of familiar followers per request, for all its accounts together."""
MAX_MUTE_S = 10 * 365 * 86_400


def _target(connection: Connection, account_id: int, target_id: int, oneself: str) -> None:
    if account_id == target_id:
        raise Forbidden(oneself)
    if accounts.state(connection, account_id=target_id) is not AccountState.ACTIVE:
        raise NotFound


def _one(connection: Connection, *, reader_id: int, account_id: int, now_ms: int) -> Relationship:
    return stored.relationships(connection, reader_id=reader_id, account_ids=[account_id], now_ms=now_ms)[0]


@hot
def relationships(
    connection: Connection, *, reader_id: int, account_ids: Sequence[int], now_ms: int
) -> list[Relationship]:
    """Return the relationship of the reader to each of the accounts, in the given order."""
    return stored.relationships(connection, reader_id=reader_id, account_ids=account_ids, now_ms=now_ms)


TOO_MANY_FOLLOWS = "This account is new and has followed many others. Please wait before you follow more"


def follow(
    connection: Connection,
    *,
    follower_id: int,
    followed_id: int,
    show_boosts: bool | None,
    notify: bool | None,
    now_ms: int,
    languages: Sequence[str] | None = None,
) -> Relationship:
    """Follow an account, or send a request if it is locked; a repeated follow changes the given options.

    `languages`: show only posts in these, empty: all; None: unchanged. Raise Forbidden for following
    oneself and where one blocks the other, Invalid for an invalid language, TooMany when a young
    account has used up its quota.
    """
    if languages is not None:
        languages = tuple(dict.fromkeys(clean_language(language) for language in languages if language))
        if len(languages) > MAX_LANGUAGES:
            raise Invalid(f"Validation failed: At most {MAX_LANGUAGES} languages can be chosen")
    _target(connection, follower_id, followed_id, "You cannot follow yourself")
    if stored.block_between(connection, account_id=follower_id, other_id=followed_id):
        raise Forbidden("This action is not allowed")
    quotas.require_young(connection, YOUNG_FOLLOWS, follower_id, now_ms=now_ms, text=TOO_MANY_FOLLOWS)
    old = stored.follow_options(connection, follower_id=follower_id, followed_id=followed_id)
    show_boosts = show_boosts if show_boosts is not None else (old[0] if old else True)
    notify = notify if notify is not None else (old[1] if old else False)
    if old is not None:
        stored.update_follow(
            connection,
            follower_id=follower_id,
            followed_id=followed_id,
            show_boosts=show_boosts,
            notify=notify,
            languages=old[2] if languages is None else languages,
        )
        connection.tell(RelationshipChanged(follower_id, followed_id))
    else:
        target = accounts.account(connection, account_id=followed_id)
        assert target is not None
        if target.locked:
            asked = stored.insert_request(
                connection,
                id=connection.new_id(now_ms),
                follower_id=follower_id,
                followed_id=followed_id,
                show_boosts=show_boosts,
                notify=notify,
                languages=languages or (),
            )
            if asked:
                connection.tell(RelationshipChanged(follower_id, followed_id))
                notifications.notify(
                    connection,
                    account_id=followed_id,
                    kind=Kind.FOLLOW_REQUEST,
                    from_account_id=follower_id,
                    now_ms=now_ms,
                )
        else:
            _insert_follow(
                connection,
                follower_id=follower_id,
                followed_id=followed_id,
                show_boosts=show_boosts,
                notify=notify,
                languages=languages or (),
                now_ms=now_ms,
            )
            notifications.notify(
                connection,
                account_id=followed_id,
                kind=Kind.FOLLOW,
                from_account_id=follower_id,
                now_ms=now_ms,
            )
    return _one(connection, reader_id=follower_id, account_id=followed_id, now_ms=now_ms)


def choose_boosts(
    connection: Connection, *, follower_id: int, followed_id: int, shown: bool, now_ms: int
) -> Relationship:
    """Show or hide the boosts of a followed account; change nothing if it is not followed."""
    if stored.follow_options(connection, follower_id=follower_id, followed_id=followed_id) is not None:
        return follow(
            connection,
            follower_id=follower_id,
            followed_id=followed_id,
            show_boosts=shown,
            notify=None,
            now_ms=now_ms,
        )
    if accounts.state(connection, account_id=followed_id) is None:
        raise NotFound
    return _one(connection, reader_id=follower_id, account_id=followed_id, now_ms=now_ms)


def _insert_follow(
    connection: Connection,
    *,
    follower_id: int,
    followed_id: int,
    show_boosts: bool,
    notify: bool,
    languages: Sequence[str],
    now_ms: int,
) -> None:
    made = stored.insert_follow(
        connection,
        id=connection.new_id(now_ms),
        follower_id=follower_id,
        followed_id=followed_id,
        show_boosts=show_boosts,
        notify=notify,
        languages=languages,
    )
    if not made:
        return
    accounts.add_follow_counts(connection, follower_id=follower_id, followed_id=followed_id, delta=1)
    _tell_counts(connection, follower_id, followed_id)


def _tell_counts(connection: Connection, account_id: int, other_id: int) -> None:
    connection.tell(RelationshipChanged(account_id, other_id))
    connection.tell(AccountChanged(account_id))
    connection.tell(AccountChanged(other_id))


def _end_follow(connection: Connection, *, follower_id: int, followed_id: int) -> None:
    if stored.delete_follow(connection, follower_id=follower_id, followed_id=followed_id):
        accounts.add_follow_counts(
            connection,
            follower_id=follower_id,
            followed_id=followed_id,
            delta=-1,
            # The counts of a hidden account's follows were subtracted when it was hidden.
            hidden_ids=[
                account_id
                for account_id in (follower_id, followed_id)
                if is_hidden(accounts.state(connection, account_id=account_id))
            ],
        )
        _tell_counts(connection, follower_id, followed_id)
        # Lists and endorsements may contain followed accounts only.
        lists.forget(connection, account_id=follower_id, member_id=followed_id)
        stored.unendorse(connection, account_id=follower_id, target_id=followed_id)
        notifications.withdraw(
            connection, account_id=followed_id, kind=Kind.FOLLOW, from_account_id=follower_id
        )
    _end_request(connection, follower_id=follower_id, followed_id=followed_id)


def _end_request(connection: Connection, *, follower_id: int, followed_id: int) -> bool:
    ended = stored.delete_request(connection, follower_id=follower_id, followed_id=followed_id)
    if ended:
        notifications.withdraw(
            connection, account_id=followed_id, kind=Kind.FOLLOW_REQUEST, from_account_id=follower_id
        )
        connection.tell(RelationshipChanged(follower_id, followed_id))
    return ended


def unfollow(connection: Connection, *, follower_id: int, followed_id: int, now_ms: int) -> Relationship:
    """End a follow or withdraw a request, if there is one."""
    if accounts.state(connection, account_id=followed_id) is None:
        raise NotFound
    _end_follow(connection, follower_id=follower_id, followed_id=followed_id)
    return _one(connection, reader_id=follower_id, account_id=followed_id, now_ms=now_ms)


def remove_follower(
    connection: Connection, *, account_id: int, follower_id: int, now_ms: int
) -> Relationship:
    """End another account's follow of this account."""
    if accounts.state(connection, account_id=follower_id) is None:
        raise NotFound
    _end_follow(connection, follower_id=follower_id, followed_id=account_id)
    return _one(connection, reader_id=account_id, account_id=follower_id, now_ms=now_ms)


def follow_requests(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, follower) of the requests, newest first."""
    return stored.follow_requests(connection, account_id=account_id, page=page)


def familiar_followers(
    connection: Connection, *, reader_id: int, account_ids: Sequence[int]
) -> dict[int, list[int]]:
    """Return for each account those of its followers that the reader follows, the latest follow first."""
    found: dict[int, list[int]] = {account_id: [] for account_id in account_ids}
    if account_ids:
        for account_id, follower_id in stored.familiar_followers(
            connection, reader_id=reader_id, account_ids=account_ids, count=FAMILIAR_MOST
        ):
            found[account_id].append(follower_id)
    return found


def accept_follow(connection: Connection, *, account_id: int, follower_id: int, now_ms: int) -> Relationship:
    """Accept a follow request. Raise NotFound where there is none."""
    options = stored.request_options(connection, follower_id=follower_id, followed_id=account_id)
    if options is None:
        raise NotFound
    _end_request(connection, follower_id=follower_id, followed_id=account_id)
    _insert_follow(
        connection,
        follower_id=follower_id,
        followed_id=account_id,
        show_boosts=options[0],
        notify=options[1],
        languages=options[2],
        now_ms=now_ms,
    )
    return _one(connection, reader_id=account_id, account_id=follower_id, now_ms=now_ms)


def reject_follow(connection: Connection, *, account_id: int, follower_id: int, now_ms: int) -> Relationship:
    """Reject a follow request. Raise NotFound where there is none."""
    if not _end_request(connection, follower_id=follower_id, followed_id=account_id):
        raise NotFound
    return _one(connection, reader_id=account_id, account_id=follower_id, now_ms=now_ms)


def block(connection: Connection, *, account_id: int, target_id: int, now_ms: int) -> Relationship:
    """Block the target: end follows in both directions; the target can no longer see or reach the account."""
    _target(connection, account_id, target_id, "You cannot block yourself")
    _end_follow(connection, follower_id=account_id, followed_id=target_id)
    _end_follow(connection, follower_id=target_id, followed_id=account_id)
    stored.insert_block(connection, id=connection.new_id(now_ms), account_id=account_id, target_id=target_id)
    notifications.withdraw_between(connection, account_id=account_id, from_account_id=target_id)
    notifications.withdraw_between(connection, account_id=target_id, from_account_id=account_id)
    connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def unblock(connection: Connection, *, account_id: int, target_id: int, now_ms: int) -> Relationship:
    """End a block, if there is one."""
    if accounts.state(connection, account_id=target_id) is None:
        raise NotFound
    if stored.delete_block(connection, account_id=account_id, target_id=target_id):
        connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def mute(
    connection: Connection,
    *,
    account_id: int,
    target_id: int,
    hide_notifications: bool,
    duration_s: int,
    now_ms: int,
) -> Relationship:
    """Hide the target from the account's lists, without the target's knowledge. `duration_s` 0: no expiry."""
    _target(connection, account_id, target_id, "You cannot mute yourself")
    if not 0 <= duration_s <= MAX_MUTE_S:
        raise Invalid("Validation failed: Duration is out of range")
    stored.put_mute(
        connection,
        id=connection.new_id(now_ms),
        account_id=account_id,
        target_id=target_id,
        hide_notifications=hide_notifications,
        expires_at_ms=now_ms + duration_s * 1000 if duration_s else 0,
    )
    connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def unmute(connection: Connection, *, account_id: int, target_id: int, now_ms: int) -> Relationship:
    """End a mute, if there is one."""
    if accounts.state(connection, account_id=target_id) is None:
        raise NotFound
    if stored.delete_mute(connection, account_id=account_id, target_id=target_id):
        connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def require_listable(connection: Connection, reader_id: int | None, account_id: int) -> None:
    """Raise NotFound if the account is not active or blocks the reader."""
    if accounts.state(connection, account_id=account_id) is not AccountState.ACTIVE:
        raise NotFound
    if reader_id is not None and stored.blocks(connection, account_id=account_id, target_id=reader_id):
        raise NotFound


def followers(
    connection: Connection, *, reader_id: int | None, account_id: int, page: Page
) -> list[tuple[int, int]]:
    """Return (internal id, follower), newest first. Raise NotFound if the account blocks the reader."""
    require_listable(connection, reader_id, account_id)
    return stored.followers(connection, account_id=account_id, page=page)


def following(
    connection: Connection, *, reader_id: int | None, account_id: int, page: Page
) -> list[tuple[int, int]]:
    """Return (internal id, followed account), newest first. Raise NotFound if the account blocks the reader."""
    require_listable(connection, reader_id, account_id)
    return stored.following(connection, account_id=account_id, page=page)


def blocked(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, account) of the accounts it blocks, newest first."""
    return stored.blocked(connection, account_id=account_id, page=page)


def muted(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[tuple[int, int, int]]:
    """Return (internal id, account, expiry in ms or 0 for never) of the accounts it mutes, newest first."""
    return stored.muted(connection, account_id=account_id, page=page, now_ms=now_ms)


@hot
def mutes_until_ms(connection: Connection, *, account_id: int, now_ms: int) -> int:
    """Return when the first of the account's mutes ends, and so its lists change; NEVER_MS if none ends."""
    ends_ms = stored.next_mute_end_ms(connection, account_id=account_id, now_ms=now_ms)
    return NEVER_MS if ends_ms is None else ends_ms


def hidden_boosts(connection: Connection, *, account_id: int, page: Page) -> list[tuple[int, int]]:
    """Return (internal id, account) of the accounts it follows without their boosts, newest first."""
    return stored.hidden_boosts(connection, account_id=account_id, page=page)


def note(connection: Connection, *, account_id: int, target_id: int, note: str, now_ms: int) -> Relationship:
    """Store a private note about the target; an empty one deletes it."""
    if accounts.state(connection, account_id=target_id) is None:
        raise NotFound
    text = texts.clean(note)
    if is_too_long(text, MAX_ACCOUNT_NOTE):
        raise Invalid(f"Validation failed: Comment is too long (maximum is {MAX_ACCOUNT_NOTE} characters)")
    stored.put_note(connection, account_id=account_id, target_id=target_id, note=text)
    connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def endorse(connection: Connection, *, account_id: int, target_id: int, now_ms: int) -> Relationship:
    """Feature the target on the account's own profile. Raise Invalid for an account that it does not follow."""
    if accounts.state(connection, account_id=target_id) is not AccountState.ACTIVE:
        raise NotFound
    if not stored.follows(connection, follower_id=account_id, followed_id=target_id):
        raise Invalid("Validation failed: You must be already following the person you want to endorse")
    if len(stored.endorsements(connection, account_id=account_id, page=Page(limit=MAX_ENDORSEMENTS + 1))) >= (
        MAX_ENDORSEMENTS
    ):
        raise Invalid(f"Validation failed: You can endorse at most {MAX_ENDORSEMENTS} people")
    stored.endorse(connection, id=connection.new_id(now_ms), account_id=account_id, target_id=target_id)
    connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def unendorse(connection: Connection, *, account_id: int, target_id: int, now_ms: int) -> Relationship:
    """Stop featuring the target, if it is featured."""
    if accounts.state(connection, account_id=target_id) is None:
        raise NotFound
    stored.unendorse(connection, account_id=account_id, target_id=target_id)
    connection.tell(RelationshipChanged(account_id, target_id))
    return _one(connection, reader_id=account_id, account_id=target_id, now_ms=now_ms)


def endorsements(
    connection: Connection, *, reader_id: int | None, account_id: int, page: Page
) -> list[tuple[int, int]]:
    """Return (internal id, account) of the featured accounts. Raise NotFound if the account blocks the reader."""
    require_listable(connection, reader_id, account_id)
    return stored.endorsements(connection, account_id=account_id, page=page)
