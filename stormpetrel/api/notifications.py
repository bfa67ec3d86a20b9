"""`/api/v1/notifications/…` and `/api/v1/markers`: what others did, and how far one has read."""

from __future__ import annotations

import msgspec

from stormpetrel.api import convert
from stormpetrel.api.entities import (
    Marker,
    Markers,
    Nothing,
    Notification,
    NotificationCount,
    NotificationPolicy,
)
from stormpetrel.api.paging import (
    ACCOUNTS_DEFAULT,
    ACCOUNTS_MOST,
    Id,
    PageQuery,
    one_id,
    page_of,
)
from stormpetrel.api.render import array, renderer
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json, paged
from stormpetrel.model.notification import Kind
from stormpetrel.rules import notifications as rules
from stormpetrel.storage.connection import Connection

COUNT_DEFAULT = 100
COUNT_MOST = 1000
TIMELINES = ("home", "notifications")


class NotificationsQuery(PageQuery, kw_only=True):
    types: list[str] = []
    exclude_types: list[str] = []
    account_id: Id | None = None


@answers(list[Notification], takes=NotificationsQuery, paged=True)
async def index(request: Request) -> Response:
    """What others did that concerns one"""
    query = request.query(NotificationsQuery)
    page = page_of(query, default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST)
    # Types that we do not know are ignored: newer apps ask for what older servers lack.
    kinds = kinds_of(query.types) if query.types else None
    if kinds == []:
        return Response(body=b"[]")
    found = await request.site.database.read(
        rules.notifications,
        account_id=request.account_id,
        page=page,
        now_ms=request.now_ms,
        kinds=kinds,
        exclude=kinds_of(query.exclude_types),
        from_account_id=one_id(query.account_id, "account_id"),
    )
    bodies = await renderer(request).notifications(found, reader_id=request.account_id)
    return paged(request, array(bodies), [notification.id for notification in found])


def kinds_of(names: list[str]) -> list[Kind]:
    """The kinds of these names; those that we do not know are left out."""
    return [convert.KINDS[name] for name in names if name in convert.KINDS]


@answers(Notification)
async def show(request: Request) -> Response:
    """A notification"""
    notification = await request.site.database.read(
        rules.notification, account_id=request.account_id, notification_id=request.id()
    )
    bodies = await renderer(request).notifications([notification], reader_id=request.account_id)
    if not bodies:
        raise NotFound
    return Response(body=bodies[0])


@answers(Nothing)
async def dismiss(request: Request) -> Response:
    """Remove a notification"""
    await request.site.database.write(
        rules.dismiss, account_id=request.account_id, notification_id=request.id()
    )
    return Response(body=b"{}")


@answers(Nothing)
async def clear(request: Request) -> Response:
    """Remove all notifications"""
    await request.site.database.write(rules.clear, account_id=request.account_id)
    return Response(body=b"{}")


class CountQuery(msgspec.Struct):
    limit: int = COUNT_DEFAULT


@answers(NotificationCount, takes=CountQuery)
async def unread_count(request: Request) -> Response:
    """How many notifications are newer than the marker"""
    limit = min(max(request.query(CountQuery).limit, 1), COUNT_MOST)
    count = await request.site.database.read(
        rules.unread_count, account_id=request.account_id, limit=limit, now_ms=request.now_ms
    )
    return json(NotificationCount(count=count))


@answers(NotificationPolicy)
async def policy(request: Request) -> Response:
    """Which notifications are held back: none, but silenced strangers are not told of"""
    return json(NotificationPolicy())


# Markers -------------------------------------------------------------------------------------------------


class MarkersQuery(msgspec.Struct):
    timeline: list[str] = []


class MarkerInput(msgspec.Struct):
    last_read_id: Id | None = None


class MarkersInput(msgspec.Struct):
    home: MarkerInput | None = None
    notifications: MarkerInput | None = None


@answers(Markers, takes=MarkersQuery)
async def markers(request: Request) -> Response:
    """How far timelines were read"""
    wanted = [name for name in request.query(MarkersQuery).timeline if name in TIMELINES]
    found = await request.site.database.read(rules.markers, account_id=request.account_id, timelines=wanted)
    return json({marker.timeline: convert.marker(marker) for marker in found})


@answers(Markers, takes=MarkersInput)
async def set_markers(request: Request) -> Response:
    """Remember how far timelines were read"""
    given = await request.input(MarkersInput)
    read_to = {}
    for name, marker in (("home", given.home), ("notifications", given.notifications)):
        last_read_id = one_id(marker.last_read_id, f"{name}[last_read_id]") if marker else None
        if last_read_id is not None:
            read_to[name] = last_read_id
    return json(
        await request.site.database.write(
            _set_markers, account_id=request.account_id, read_to=read_to, now_ms=request.now_ms
        )
    )


def _set_markers(
    connection: Connection, *, account_id: int, read_to: dict[str, int], now_ms: int
) -> dict[str, Marker]:
    """Both in one transaction: an app sends them together."""
    return {
        name: convert.marker(
            rules.set_marker(
                connection, account_id=account_id, timeline=name, last_read_id=last_read_id, now_ms=now_ms
            )
        )
        for name, last_read_id in read_to.items()
    }
