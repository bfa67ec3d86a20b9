"""`/api/v1/notifications/…` and `/api/v1/markers`: notifications and read positions."""

from __future__ import annotations

from typing import Any

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import (
    Marker,
    Markers,
    Nothing,
    Notification,
    NotificationCount,
)
from stormpetrel.api.json.notification_details import WITH_DETAILS
from stormpetrel.api.json.render import keep_finished, renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import (
    ACCOUNTS_DEFAULT,
    ACCOUNTS_MOST,
    Id,
    PageQuery,
    one_id,
    page_of,
)
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model import notification as model
from stormpetrel.model.notification import Kind
from stormpetrel.rules import notifications as rules
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

COUNT_DEFAULT = 100
COUNT_MOST = 1000
TIMELINES = ("home", "notifications")
HOT_NOTIFICATIONS = 40
"""Up to this many are read on the event loop (storage/engine/database.py: hot)."""


class NotificationsQuery(PageQuery, kw_only=True):
    types: list[str] = []
    exclude_types: list[str] = []
    account_id: Id | None = None


class ListQuery(NotificationsQuery, kw_only=True):
    """`include_filtered`: also notifications that wait in requests."""

    include_filtered: bool = False


@answers(list[Notification], takes=ListQuery, paged=True)
async def index(request: Request) -> Response:
    """View notifications"""
    query = request.query(ListQuery)
    page = page_of(query, default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST)
    # Ignore unknown types: newer apps request types that older servers lack.
    kinds = kinds_of(query.types) if query.types else None
    if kinds == []:
        return Response(body=b"[]")
    found = await request.site.database.read(
        _few if page.limit <= HOT_NOTIFICATIONS else rules.notifications,
        account_id=request.account_id,
        page=page,
        now_ms=request.now_ms,
        kinds=kinds,
        exclude=kinds_of(query.exclude_types),
        from_account_id=one_id(query.account_id, "account_id"),
        include_filtered=query.include_filtered,
    )
    bodies = await renderer(request).notifications(found, reader_id=request.account_id)
    # The details of reports and warnings change without an event, and filtered notifications come without one.
    if not query.include_filtered and not any(one.kind in WITH_DETAILS for one in found):
        post_ids = [one.post_id for one in found if one.post_id is not None]
        account_ids = [one.from_account_id for one in found]
        await keep_finished(request, post_ids, others=account_ids, obeys_mutes=True)
    return paged(request, array(bodies), [notification.id for notification in found])


@hot
def _few(connection: Connection, /, **wanted: Any) -> list[model.Notification]:
    """Run `rules.notifications` on the event loop; for at most HOT_NOTIFICATIONS."""
    return rules.notifications(connection, **wanted)


def kinds_of(names: list[str]) -> list[Kind]:
    """Return the kinds with these names; ignore unknown names."""
    return [convert.KINDS[name] for name in names if name in convert.KINDS]


@answers(Notification)
async def show(request: Request) -> Response:
    """View a notification"""
    notification = await request.site.database.read(
        rules.notification, account_id=request.account_id, notification_id=request.id()
    )
    bodies = await renderer(request).notifications([notification], reader_id=request.account_id)
    if not bodies:
        raise NotFound
    return Response(body=bodies[0])


@answers(Nothing)
async def dismiss(request: Request) -> Response:
    """Dismiss a notification"""
    await request.site.database.write(
        rules.dismiss, account_id=request.account_id, notification_id=request.id()
    )
    return Response(body=b"{}")


@answers(Nothing)
async def clear(request: Request) -> Response:
    """Dismiss all notifications"""
    await request.site.database.write(rules.clear, account_id=request.account_id)
    return Response(body=b"{}")


class CountQuery(msgspec.Struct):
    limit: int = COUNT_DEFAULT


@answers(NotificationCount, takes=CountQuery)
async def unread_count(request: Request) -> Response:
    """Count the notifications newer than the marker"""
    limit = min(max(request.query(CountQuery).limit, 1), COUNT_MOST)
    count = await request.site.database.read(
        rules.unread_count, account_id=request.account_id, limit=limit, now_ms=request.now_ms
    )
    await keep_finished(request, obeys_mutes=True)
    return json(NotificationCount(count=count))


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
    """View the read positions of timelines"""
    request.keep_finished()
    wanted = [name for name in request.query(MarkersQuery).timeline if name in TIMELINES]
    found = await request.site.database.read(rules.markers, account_id=request.account_id, timelines=wanted)
    return json({marker.timeline: convert.marker(marker) for marker in found})


@answers(Markers, takes=MarkersInput)
async def set_markers(request: Request) -> Response:
    """Save the read positions of timelines"""
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
    """Store both in one transaction: an app sends them together."""
    return {
        name: convert.marker(
            rules.set_marker(
                connection, account_id=account_id, timeline=name, last_read_id=last_read_id, now_ms=now_ms
            )
        )
        for name, last_read_id in read_to.items()
    }
