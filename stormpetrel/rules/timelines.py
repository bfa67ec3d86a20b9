"""Timelines: which posts a reader sees where. All return ids, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from stormpetrel.errors import NotFound
from stormpetrel.model.account import AccountState
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.page import Page
from stormpetrel.model.post import Visibility
from stormpetrel.model.text import tag_key
from stormpetrel.model.timeline import (
    NEVER_MS,
    NO_LANGUAGES,
    NO_TAGS,
    REPEAT_ENTRIES,
    FollowedAccounts,
    HomeFilter,
    TimelineItem,
    first_certain,
    list_includes,
    without_repeats,
)
from stormpetrel.rules import lists as list_rules
from stormpetrel.rules.posts import visible_ids
from stormpetrel.storage import accounts, followed_tags, pins, posts, relationships
from stormpetrel.storage import timelines as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

HOME_ROUNDS = 8
"""Rounds in which home reads on when too much was filtered out, doubling the number of posts each time (255
pages in all); after that the page is short.
"""


@hot
def home_filter(connection: Connection, *, reader_id: int, now_ms: int) -> HomeFilter:
    """Return the accounts that the reader follows, hidden accounts, exclusive lists and followed hashtags."""
    hidden = relationships.hidden_from_reader(connection, reader_id=reader_id, now_ms=now_ms)
    followed, languages = relationships.followed_by_reader(connection, reader_id=reader_id)
    exclusive_list_members, tags = followed_tags.apart_and_tags(connection, reader_id=reader_id)
    return HomeFilter(
        reader_id,
        FollowedAccounts(followed),
        frozenset(account_id for account_id, _ in hidden),
        min((until_ms for _, until_ms in hidden if until_ms), default=NEVER_MS),
        exclusive_list_members,
        languages or NO_LANGUAGES,
        tags or NO_TAGS,
    )


@hot
def home(connection: Connection, *, reader_id: int, page: Page, now_ms: int) -> list[int]:
    """Return the reader's home timeline."""
    own = home_filter(connection, reader_id=reader_id, now_ms=now_ms)
    return home_for(connection, own, page=page)


@hot
def home_for(connection: Connection, home_filter: HomeFilter, *, page: Page) -> list[int]:
    """Return the home timeline through this filter: each post once, however many accounts boosted it."""
    entries: list[tuple[int, int]] = []
    before: list[tuple[int, int]] | None = None
    # Read the entries that decide about the page's oldest ones as well: one query of 90 is cheaper than two
    # of 45.
    part = page if page.upward else replace(page, limit=page.limit * 5 // 4 + REPEAT_ENTRIES)
    ids: list[int] = []
    for _ in range(HOME_ROUNDS):
        more, ended = home_entries(connection, home_filter, page=part)
        entries = more + entries if not page.upward else entries + more
        has_boosts = any(post_id != shown_id for post_id, shown_id in entries)
        if before is None and page.low and has_boosts and (page.upward or ended):
            below = Page(limit=REPEAT_ENTRIES, max_id=page.low + 1)
            before = home_entries(connection, home_filter, page=below)[0]
        known = (before or []) + entries
        certain_id = 0
        if not (page.upward or ended):
            certain = first_certain(known)
            certain_id = known[certain][0] if certain < len(known) else page.max_id
        ids = [post_id for post_id in without_repeats(known) if post_id > page.low and post_id >= certain_id]
        if ended or len(ids) >= page.limit or len(more) < part.limit:
            break
        part = replace(part, min_id=more[-1][0]) if page.upward else replace(part, max_id=more[0][0])
        part = replace(part, limit=max(part.limit, REPEAT_ENTRIES))
    return (ids[: page.limit] if page.upward else ids[-page.limit :])[::-1]


@hot
def home_entries(
    connection: Connection, home_filter: HomeFilter, *, page: Page
) -> tuple[list[tuple[int, int]], bool]:
    """Return a page of home with repeats, as (id, id of the shown post), oldest first.

    The second value is True if the page reaches the end: nothing lies beyond it.
    """
    read = partial(
        stored.home_items,
        connection,
        reader_id=home_filter.reader_id,
        without_exclusive=bool(home_filter.exclusive_list_members),
        tag_ids=tuple(home_filter.tags.values()),
    )
    items, ended = _filtered(read, home_filter.includes, page)
    return [(item.post_id, item.shown_id) for item in items][::-1], ended


def list_timeline(
    connection: Connection, *, account_id: int, list_id: int, page: Page, now_ms: int
) -> list[int]:
    """Return the timeline of one of the account's lists. Raise NotFound for those of other accounts."""
    audience = list_rules.audience(connection, account_id=account_id, list_id=list_id)
    own = home_filter(connection, reader_id=account_id, now_ms=now_ms)
    read = partial(stored.list_items, connection, list_id=list_id, reader_id=account_id)
    items, _ = _filtered(read, partial(list_includes, audience, own), page)
    return [item.post_id for item in items]


def _filtered(
    read: Callable[..., list[TimelineItem]], includes: Callable[[TimelineItem], bool], page: Page
) -> tuple[list[TimelineItem], bool]:
    """Return the page of the items that `takes` accepts, newest first, and whether nothing lies beyond it."""
    found: list[TimelineItem] = []
    part = page
    ended = False
    for _ in range(HOME_ROUNDS):
        items = read(page=part)
        found += [item for item in items if includes(item)]
        ended = len(items) < part.limit
        if ended or len(found) >= page.limit:
            break
        last_id = items[-1].post_id
        part = replace(part, min_id=last_id) if part.upward else replace(part, max_id=last_id)
        part = replace(part, limit=part.limit * 2)
    ended = ended and len(found) <= page.limit
    found = found[: page.limit]
    return (found[::-1] if page.upward else found), ended


@hot
def public(
    connection: Connection,
    *,
    reader_id: int | None,
    page: Page,
    now_ms: int,
    local: bool = False,
    remote: bool = False,
    only_media: bool = False,
) -> list[int]:
    """Return all public posts, or those with media. All posts are local, so `remote` is empty."""
    if remote and not local:
        return []
    if only_media:
        return stored.public_media(connection, reader_id=reader_id, page=page, now_ms=now_ms)
    return stored.public(connection, reader_id=reader_id, page=page, now_ms=now_ms)


@hot
def tag(
    connection: Connection,
    *,
    reader_id: int | None,
    page: Page,
    name: str,
    now_ms: int,
    any_of: Sequence[str] = (),
    all_of: Sequence[str] = (),
    none_of: Sequence[str] = (),
) -> list[int]:
    """Return public posts with the tag or any of `any_of`, with all of `all_of`, and with none of `none_of`."""
    keys = {word: tag_key(word.lstrip("#")) for word in (name, *any_of, *all_of, *none_of)}
    ids = posts.tag_ids(connection, names=sorted(set(keys.values())))
    wanted = {ids[keys[word]] for word in (name, *any_of) if keys[word] in ids}
    needed = [ids.get(keys[word]) for word in all_of]
    if not wanted or None in needed:
        return []
    if len(wanted) == 1 and not needed and not none_of:
        return stored.tagged(connection, reader_id=reader_id, page=page, tag_id=wanted.pop(), now_ms=now_ms)
    return stored.tagged_any(
        connection,
        reader_id=reader_id,
        page=page,
        any_ids=sorted(wanted),
        all_ids=[tag_id for tag_id in needed if tag_id is not None],
        none_ids=[ids[keys[word]] for word in none_of if keys[word] in ids],
        now_ms=now_ms,
    )


@hot
def of_account(
    connection: Connection,
    *,
    reader_id: int | None,
    account_id: int,
    page: Page,
    now_ms: int,
    exclude_replies: bool = False,
    exclude_boosts: bool = False,
    only_media: bool = False,
    pinned: bool = False,
    tagged: str = "",
) -> list[int]:
    """Return the account's posts that the reader may see. Raise NotFound if the account blocks the reader."""
    if accounts.state(connection, account_id=account_id) is not AccountState.ACTIVE:
        raise NotFound
    widest = Visibility.UNLISTED
    if reader_id == account_id:
        widest = Visibility.DIRECT
    elif reader_id is not None:
        if relationships.blocks(connection, account_id=account_id, target_id=reader_id):
            raise NotFound
        if relationships.follows(connection, follower_id=reader_id, followed_id=account_id):
            widest = Visibility.FOLLOWERS
    if pinned:
        # All of them are on the first page, since they are few.
        return [] if page.max_id != MAX_ID or page.low else _pinned(connection, account_id, reader_id, now_ms)
    cluster = stored.AccountView(reader_id, account_id, widest)
    if only_media:
        return stored.of_account_media(connection, cluster, page=page, with_replies=not exclude_replies)
    if tagged:
        key = tag_key(tagged.lstrip("#"))
        tag_id = posts.tag_ids(connection, names=[key]).get(key)
        if tag_id is None:
            return []
        return stored.of_account_tagged(connection, cluster, page=page, tag_id=tag_id)
    return stored.of_account(
        connection,
        cluster,
        page=page,
        with_replies=not exclude_replies,
        with_boosts=not exclude_boosts,
        now_ms=now_ms,
    )


def _pinned(connection: Connection, account_id: int, reader_id: int | None, now_ms: int) -> list[int]:
    ids = pins.pinned(connection, account_id=account_id)
    return visible_ids(connection, reader_id=reader_id, post_ids=ids, now_ms=now_ms)


def favourites(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[tuple[int, int]]:
    """Return (internal id, post) of the posts that the account favourited and may still see."""
    rows = stored.favourites(connection, account_id=account_id, page=page)
    return _still_visible(connection, account_id, rows, now_ms)


def bookmarks(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[tuple[int, int]]:
    """Return (internal id, post) of the posts that the account bookmarked and may still see."""
    rows = stored.bookmarks(connection, account_id=account_id, page=page)
    return _still_visible(connection, account_id, rows, now_ms)


def _still_visible(
    connection: Connection, account_id: int, rows: list[tuple[int, int]], now_ms: int
) -> list[tuple[int, int]]:
    ids = [post_id for _, post_id in rows]
    allowed = set(visible_ids(connection, reader_id=account_id, post_ids=ids, now_ms=now_ms))
    return [row for row in rows if row[1] in allowed]
