"""Relationships of the caller with other accounts: follow, block, mute, and follow requests."""

from __future__ import annotations

import msgspec

from stormpetrel.api.accounts import account_rows, accounts_page
from stormpetrel.api.json import convert, entities
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import Id, PageQuery, ids_of
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.relationship import Relationship
from stormpetrel.model.timeline import NEVER_MS
from stormpetrel.rules import relationships as rules

RELATIONSHIPS_MOST = 80
MUTE_MOST_S = 10 * 365 * 86_400
"""Ten years. The ceiling keeps the sum with the clock a 64-bit number; a mute without end is 0."""


class RelationshipsQuery(msgspec.Struct):
    id: list[Id] = []
    with_suspended: bool = False


@answers(list[entities.Relationship], takes=RelationshipsQuery)
async def relationships(request: Request) -> Response:
    """View relationships to accounts"""
    wanted = ids_of(request.query(RelationshipsQuery).id, most=RELATIONSHIPS_MOST)
    if not wanted:
        return Response(body=b"[]")
    found = await request.site.database.read(
        rules.relationships, reader_id=request.account_id, account_ids=wanted, now_ms=request.now_ms
    )
    ends = [one.muting_until_ms for one in found if one.muting_until_ms]
    request.keep_finished(wanted, until_ms=min(ends, default=NEVER_MS))
    return json([convert.relationship(one) for one in found])


class FollowInput(msgspec.Struct):
    reblogs: bool | None = None
    notify: bool | None = None
    languages: list[str] | None = None


@answers(entities.Relationship, takes=FollowInput)
async def follow(request: Request) -> Response:
    """Follow an account, or request to follow it"""
    given = await request.input(FollowInput)
    return _related(
        await request.site.database.write(
            rules.follow,
            follower_id=request.account_id,
            followed_id=request.id(),
            show_boosts=given.reblogs,
            notify=given.notify,
            languages=given.languages,
            now_ms=request.now_ms,
        )
    )


@answers(entities.Relationship)
async def unfollow(request: Request) -> Response:
    """Unfollow an account"""
    return _related(
        await request.site.database.write(
            rules.unfollow,
            follower_id=request.account_id,
            followed_id=request.id(),
            now_ms=request.now_ms,
        )
    )


@answers(entities.Relationship)
async def remove_from_followers(request: Request) -> Response:
    """Remove an account from the followers"""
    return _related(
        await request.site.database.write(
            rules.remove_follower,
            account_id=request.account_id,
            follower_id=request.id(),
            now_ms=request.now_ms,
        )
    )


@answers(entities.Relationship)
async def block(request: Request) -> Response:
    """Block an account: neither sees the other"""
    return _related(
        await request.site.database.write(
            rules.block, account_id=request.account_id, target_id=request.id(), now_ms=request.now_ms
        )
    )


@answers(entities.Relationship)
async def unblock(request: Request) -> Response:
    """Unblock an account"""
    return _related(
        await request.site.database.write(
            rules.unblock, account_id=request.account_id, target_id=request.id(), now_ms=request.now_ms
        )
    )


class MuteInput(msgspec.Struct):
    """`duration` in seconds; 0: no end."""

    notifications: bool = True
    duration: int = 0


@answers(entities.Relationship, takes=MuteInput)
async def mute(request: Request) -> Response:
    """Mute an account"""
    given = await request.input(MuteInput)
    if not 0 <= given.duration <= MUTE_MOST_S:
        raise Invalid(f"duration must be 0 to {MUTE_MOST_S} seconds", fields={"duration": "is out of range"})
    return _related(
        await request.site.database.write(
            rules.mute,
            account_id=request.account_id,
            target_id=request.id(),
            hide_notifications=given.notifications,
            duration_s=given.duration,
            now_ms=request.now_ms,
        )
    )


@answers(entities.Relationship)
async def unmute(request: Request) -> Response:
    """Unmute an account"""
    return _related(
        await request.site.database.write(
            rules.unmute, account_id=request.account_id, target_id=request.id(), now_ms=request.now_ms
        )
    )


def _related(relationship: Relationship) -> Response:
    return json(convert.relationship(relationship))


@answers(list[entities.FamiliarFollowers], takes=RelationshipsQuery)
async def familiar_followers(request: Request) -> Response:
    """View which followers of an account the caller also follows"""
    wanted = ids_of(request.query(RelationshipsQuery).id, most=RELATIONSHIPS_MOST)
    found = await request.site.database.read_slow(
        request.account_id, rules.familiar_followers, reader_id=request.account_id, account_ids=wanted
    )
    rendered = renderer(request)
    return Response(
        body=array(
            [
                b'{"id":"%d","accounts":%b}' % (account_id, await rendered.accounts(found[account_id]))
                for account_id in wanted
            ]
        )
    )


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def blocked(request: Request) -> Response:
    """View blocked accounts"""
    rows = await request.site.database.read(
        rules.blocked, account_id=request.account_id, page=accounts_page(request)
    )
    return await account_rows(request, rows)


@answers(list[entities.MutedAccount], takes=PageQuery, paged=True)
async def muted(request: Request) -> Response:
    """View muted accounts"""
    rows = await request.site.database.read(
        rules.muted, account_id=request.account_id, page=accounts_page(request), now_ms=request.now_ms
    )
    expiry_ms = {account_id: expires_at_ms for _, account_id, expires_at_ms in rows}
    bodies = await renderer(request).accounts_by_id(list(expiry_ms))
    body = array(
        b'%b,"mute_expires_at":%b}' % (account[:-1], _json_time(expiry_ms[account_id]))
        for account_id, account in bodies.items()
    )
    return paged(request, body, [row_id for row_id, *_ in rows])


def _json_time(time_ms: int) -> bytes:
    return f'"{convert.timestamp(time_ms)}"'.encode() if time_ms else b"null"


# Follow requests -----------------------------------------------------------------------------------------


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def follow_requests(request: Request) -> Response:
    """View pending follow requests"""
    rows = await request.site.database.read(
        rules.follow_requests, account_id=request.account_id, page=accounts_page(request)
    )
    return await account_rows(request, rows)


@answers(entities.Relationship)
async def authorize_follow(request: Request) -> Response:
    """Accept a follow request"""
    return _related(
        await request.site.database.write(
            rules.accept_follow,
            account_id=request.account_id,
            follower_id=request.id(),
            now_ms=request.now_ms,
        )
    )


@answers(entities.Relationship)
async def reject_follow(request: Request) -> Response:
    """Reject a follow request"""
    return _related(
        await request.site.database.write(
            rules.reject_follow,
            account_id=request.account_id,
            follower_id=request.id(),
            now_ms=request.now_ms,
        )
    )
