"""Profiles, whom somebody follows, and what a reader can do about a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.filter import Context
from stormpetrel.model.page import Page
from stormpetrel.model.relationship import Relationship
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import relationships as relationship_rules
from stormpetrel.rules import timelines as timeline_rules
from stormpetrel.storage.hot import hot
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import Gathered, Reading, gather, reading
from stormpetrel.web.links import profile_path, same_site
from stormpetrel.web.paging import PEOPLE_A_PAGE, page_of, pager
from stormpetrel.web.reader import Reader, read_reader

if TYPE_CHECKING:
    from stormpetrel.storage.connection import Connection


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A profile with its posts. `relationship` is None for visitors and on one's own profile.

    `pinned_ids` are the first of what was gathered; `ids` are for paging, pinned or not.
    """

    account: Account
    gathered: Gathered
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
    """A profile as this reader sees it; with `replies`, what was said to others too. Raises NotFound."""
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
    # Each post once: a pinned one not also at its place in time.
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
    """GET /@NAME: who it is, and what they say."""
    return await _profile(request, replies=False)


async def profile_with_replies(request: Request) -> Response:
    """GET /@NAME/with_replies: the same with what they say to others."""
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
        for item in site.pages.items(seen.gathered)
    ]
    response: Response = site.pages.page(
        request,
        "profile.html",
        reader=seen.reader,
        account=seen.account,
        relationship=seen.relationship,
        items=await filtered(request, items, Context.ACCOUNT),
        pager=pager(request, page, seen.ids),
        tab="replies" if replies else "posts",
    )
    return response


def local_name(request: Request) -> tuple[str, bool]:
    """The username in the path, and whether it was written with our own domain (@name@domain)."""
    name, _, domain = request.parameters["name"].partition("@")
    if domain and domain.lower() != request.site.domain:
        raise NotFound
    return name, bool(domain)


@dataclass(frozen=True, slots=True)
class PeopleView:
    """A list of people around an account. `ids` are the list's own, for paging."""

    account: Account
    people: tuple[Account, ...]
    ids: tuple[int, ...]
    relationship: Relationship | None
    reader: Reader | None


def read_people(
    connection: Connection, by: Reading, *, username: str, followers: bool, page: Page
) -> PeopleView:
    """Who follows an account, or whom it follows."""
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
    """GET /@NAME/followers."""
    return await _people(request, followers=True)


async def following(request: Request) -> Response:
    """GET /@NAME/following."""
    return await _people(request, followers=False)


async def _people(request: Request, *, followers: bool) -> Response:
    page = page_of(request, PEOPLE_A_PAGE)
    username, _ = local_name(request)
    seen = await request.site.database.read(
        read_people, reading(request), username=username, followers=followers, page=page
    )
    response: Response = request.site.pages.page(
        request,
        "profile.html",
        reader=seen.reader,
        account=seen.account,
        relationship=seen.relationship,
        people=seen.people,
        pager=pager(request, page, seen.ids),
        tab="followers" if followers else "following",
    )
    return response


@dataclass(frozen=True, slots=True)
class AskingView:
    """People who ask to follow the reader, newest first."""

    people: tuple[Account, ...]
    ids: tuple[int, ...]
    reader: Reader | None


def read_asking(connection: Connection, by: Reading, *, page: Page) -> AskingView:
    """Who waits for an answer."""
    assert by.reader_id is not None
    pairs = relationship_rules.follow_requests(connection, account_id=by.reader_id, page=page)
    people = account_rules.accounts(connection, account_ids=[asking_id for _, asking_id in pairs])
    return AskingView(
        tuple(people),
        tuple(internal_id for internal_id, _ in pairs),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
    )


async def follow_requests(request: Request) -> Response:
    """GET /follow_requests: who asks to follow, to be let in or not."""
    page = page_of(request, PEOPLE_A_PAGE)
    seen = await request.site.database.read(read_asking, reading(request), page=page)
    response: Response = request.site.pages.page(
        request,
        "follow_requests.html",
        reader=seen.reader,
        people=seen.people,
        pager=pager(request, page, seen.ids),
    )
    return response


# What a reader can do about a person: one URL each.


async def _act(
    request: Request, rule: Callable[..., Any], mine: str, theirs: str, **more: object
) -> Response:
    values: dict[str, object] = {mine: request.account_id, theirs: request.id(), **more}
    await request.site.database.write(rule, **values, now_ms=request.now_ms)
    return redirect(same_site((await request.form()).get("next", "")))


async def follow(request: Request) -> Response:
    """POST /people/ID/follow: or asks to, where the account is locked."""
    return await _act(
        request, relationship_rules.follow, "follower_id", "followed_id", show_boosts=None, notify=None
    )


async def unfollow(request: Request) -> Response:
    """POST /people/ID/unfollow: also takes a request back."""
    return await _act(request, relationship_rules.unfollow, "follower_id", "followed_id")


async def accept(request: Request) -> Response:
    """POST /people/ID/accept: lets a person follow who asked to."""
    return await _act(request, relationship_rules.accept_follow, "account_id", "follower_id")


async def reject(request: Request) -> Response:
    """POST /people/ID/reject."""
    return await _act(request, relationship_rules.reject_follow, "account_id", "follower_id")


async def remove_follower(request: Request) -> Response:
    """POST /people/ID/remove: that person no longer follows the reader."""
    return await _act(request, relationship_rules.remove_follower, "account_id", "follower_id")


async def block(request: Request) -> Response:
    """POST /people/ID/block: neither sees the other any more."""
    return await _act(request, relationship_rules.block, "account_id", "target_id")


async def unblock(request: Request) -> Response:
    """POST /people/ID/unblock."""
    return await _act(request, relationship_rules.unblock, "account_id", "target_id")


async def mute(request: Request) -> Response:
    """POST /people/ID/mute: the reader no longer sees them, and they are not told."""
    return await _act(
        request, relationship_rules.mute, "account_id", "target_id", hide_notifications=True, duration_s=0
    )


async def show_boosts(request: Request) -> Response:
    """POST /people/ID/show_boosts: what that person boosts stands in the reader's home again."""
    return await _act(request, relationship_rules.choose_boosts, "follower_id", "followed_id", shown=True)


async def hide_boosts(request: Request) -> Response:
    """POST /people/ID/hide_boosts: the reader sees that person's own posts only."""
    return await _act(request, relationship_rules.choose_boosts, "follower_id", "followed_id", shown=False)


async def unmute(request: Request) -> Response:
    """POST /people/ID/unmute."""
    return await _act(request, relationship_rules.unmute, "account_id", "target_id")
