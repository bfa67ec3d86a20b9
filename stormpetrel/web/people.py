"""Profiles, followers and followed accounts, and a reader's actions on an account."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.filter import FilterContext
from stormpetrel.model.page import Page
from stormpetrel.model.relationship import Relationship
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import relationships as relationship_rules
from stormpetrel.rules import timelines as timeline_rules
from stormpetrel.storage.engine.hot import hot
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import PostListData, Reading, gather, reading
from stormpetrel.web.links import profile_path, same_site
from stormpetrel.web.paging import PEOPLE_A_PAGE, page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A profile with its posts. `relationship` is None for visitors and on the reader's own profile.

    `pinned_ids` are the first of the gathered posts; `ids` are for paging, pinned or not.
    """

    account: Account
    gathered: PostListData
    ids: tuple[int, ...]
    relationship: Relationship | None
    reader: Reader | None
    pinned_ids: tuple[int, ...]


def _relationship(connection: Connection, by: Reading, account_id: int) -> Relationship | None:
    if by.reader_id is None or by.reader_id == account_id:
        return None
    found = relationship_rules.relationships(
        connection, reader_id=by.reader_id, account_ids=[account_id], now_ms=by.now_ms
    )
    return found[0] if found else None


@hot
def read_profile(
    connection: Connection, by: Reading, *, username: str, replies: bool, page: Page
) -> ProfileView:
    """Read a profile for this reader; with `replies`, include replies to others. Raise NotFound."""
    account = account_rules.account_named(connection, username=username)
    ids = timeline_rules.of_account(
        connection,
        reader_id=by.reader_id,
        account_id=account.id,
        page=page,
        exclude_replies=not replies,
        now_ms=by.now_ms,
    )
    pinned: list[int] = []
    if not replies:
        pinned = timeline_rules.of_account(
            connection,
            reader_id=by.reader_id,
            account_id=account.id,
            page=page,
            pinned=True,
            now_ms=by.now_ms,
        )
    # Show each post once: a pinned post is not repeated among the others.
    gathered = gather(connection, by, post_ids=[*pinned, *(one for one in ids if one not in pinned)])
    return ProfileView(
        account,
        gathered,
        tuple(ids),
        _relationship(connection, by, account.id),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
        tuple(pinned),
    )


async def profile(request: Request) -> Response:
    """GET /@NAME: show the profile and the account's posts."""
    return await _profile(request, replies=False)


async def profile_with_replies(request: Request) -> Response:
    """GET /@NAME/with_replies: the same with replies to others."""
    return await _profile(request, replies=True)


async def _profile(request: Request, *, replies: bool) -> Response:
    site, page = request.site, page_of(request)
    username, elsewhere = local_name(request)
    if elsewhere:
        return redirect(profile_path(username), 302)
    seen = await site.database.read(
        read_profile, reading(request), username=username, replies=replies, page=page
    )
    request.keep_hot(f"account:{seen.account.id}", "instance")
    items = [
        dataclasses.replace(item, pinned=True) if item.id in seen.pinned_ids else item
        for item in pages_of(request).items(seen.gathered)
    ]
    return pages_of(request).page(
        request,
        "profile.html",
        reader=seen.reader,
        account=seen.account,
        relationship=seen.relationship,
        items=await filtered(request, items, FilterContext.ACCOUNT),
        pager=pager(request, page, seen.ids),
        tab="replies" if replies else "posts",
    )


def local_name(request: Request) -> tuple[str, bool]:
    """Return the path's username, and True if it has our own domain (@name@domain). Raise NotFound."""
    name, _, domain = request.parameters["name"].partition("@")
    if domain and domain.lower() != request.site.domain:
        raise NotFound
    return name, bool(domain)


@dataclass(frozen=True, slots=True)
class PeopleView:
    """A list of accounts related to one account. `ids` are the list's own, for paging."""

    account: Account
    people: tuple[Account, ...]
    ids: tuple[int, ...]
    relationship: Relationship | None
    reader: Reader | None


def read_people(
    connection: Connection, by: Reading, *, username: str, followers: bool, page: Page
) -> PeopleView:
    """Read the followers of an account, or the accounts that it follows."""
    account = account_rules.account_named(connection, username=username)
    rule = relationship_rules.followers if followers else relationship_rules.following
    pairs = rule(connection, reader_id=by.reader_id, account_id=account.id, page=page)
    people = account_rules.accounts(connection, account_ids=[account_id for _, account_id in pairs])
    return PeopleView(
        account,
        tuple(people),
        tuple(internal_id for internal_id, _ in pairs),
        _relationship(connection, by, account.id),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def followers(request: Request) -> Response:
    """GET /@NAME/followers: list its followers."""
    return await _people(request, followers=True)


async def following(request: Request) -> Response:
    """GET /@NAME/following: list the accounts that it follows."""
    return await _people(request, followers=False)


async def _people(request: Request, *, followers: bool) -> Response:
    page = page_of(request, PEOPLE_A_PAGE)
    username, _ = local_name(request)
    seen = await request.site.database.read(
        read_people, reading(request), username=username, followers=followers, page=page
    )
    return pages_of(request).page(
        request,
        "profile.html",
        reader=seen.reader,
        account=seen.account,
        relationship=seen.relationship,
        people=seen.people,
        pager=pager(request, page, seen.ids),
        tab="followers" if followers else "following",
    )


@dataclass(frozen=True, slots=True)
class AskingView:
    """Accounts that request to follow the reader, newest first."""

    people: tuple[Account, ...]
    ids: tuple[int, ...]
    reader: Reader | None


def read_asking(connection: Connection, by: Reading, *, page: Page) -> AskingView:
    """Read the pending follow requests."""
    assert by.reader_id is not None
    pairs = relationship_rules.follow_requests(connection, account_id=by.reader_id, page=page)
    people = account_rules.accounts(connection, account_ids=[asking_id for _, asking_id in pairs])
    return AskingView(
        tuple(people),
        tuple(internal_id for internal_id, _ in pairs),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def follow_requests(request: Request) -> Response:
    """GET /follow_requests: list the requests, to accept or reject them."""
    page = page_of(request, PEOPLE_A_PAGE)
    seen = await request.site.database.read(read_asking, reading(request), page=page)
    return pages_of(request).page(
        request,
        "follow_requests.html",
        reader=seen.reader,
        people=seen.people,
        pager=pager(request, page, seen.ids),
    )


# Actions on an account, each with its own URL.


async def _act(
    request: Request, rule: Callable[..., Any], mine: str, theirs: str, **more: object
) -> Response:
    values: dict[str, object] = {mine: request.account_id, theirs: request.id(), **more}
    await request.site.database.write(rule, **values, now_ms=request.now_ms)
    return redirect(same_site((await request.form()).get("next", "")))


async def follow(request: Request) -> Response:
    """POST /people/ID/follow: follow it, or request to if the account is locked."""
    return await _act(
        request, relationship_rules.follow, "follower_id", "followed_id", show_boosts=None, notify=None
    )


async def unfollow(request: Request) -> Response:
    """POST /people/ID/unfollow: unfollow it, or withdraw a request."""
    return await _act(request, relationship_rules.unfollow, "follower_id", "followed_id")


async def accept(request: Request) -> Response:
    """POST /people/ID/accept: accept its follow request."""
    return await _act(request, relationship_rules.accept_follow, "account_id", "follower_id")


async def reject(request: Request) -> Response:
    """POST /people/ID/reject: reject its follow request."""
    return await _act(request, relationship_rules.reject_follow, "account_id", "follower_id")


async def remove_follower(request: Request) -> Response:
    """POST /people/ID/remove: remove it from the reader's followers."""
    return await _act(request, relationship_rules.remove_follower, "account_id", "follower_id")


async def block(request: Request) -> Response:
    """POST /people/ID/block: block it; neither sees the other any more."""
    return await _act(request, relationship_rules.block, "account_id", "target_id")


async def unblock(request: Request) -> Response:
    """POST /people/ID/unblock: unblock it."""
    return await _act(request, relationship_rules.unblock, "account_id", "target_id")


async def mute(request: Request) -> Response:
    """POST /people/ID/mute: mute it, including its notifications; it is not notified."""
    return await _act(
        request, relationship_rules.mute, "account_id", "target_id", hide_notifications=True, duration_s=0
    )


async def show_boosts(request: Request) -> Response:
    """POST /people/ID/show_boosts: show its boosts in the reader's home timeline again."""
    return await _act(request, relationship_rules.choose_boosts, "follower_id", "followed_id", shown=True)


async def hide_boosts(request: Request) -> Response:
    """POST /people/ID/hide_boosts: show only its own posts in the reader's home timeline."""
    return await _act(request, relationship_rules.choose_boosts, "follower_id", "followed_id", shown=False)


async def unmute(request: Request) -> Response:
    """POST /people/ID/unmute: unmute it."""
    return await _act(request, relationship_rules.unmute, "account_id", "target_id")
