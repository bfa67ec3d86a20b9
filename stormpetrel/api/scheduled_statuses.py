"""`/api/v1/scheduled_statuses…`: scheduled posts."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Nothing
from stormpetrel.api.json.post_entities import ScheduledStatus
from stormpetrel.api.paging import PageQuery, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import scheduled as rules


def moment_of(text: str | None) -> int | None:
    """Return an ISO 8601 time as milliseconds since 1970 (default zone UTC), None for none. Raise Invalid."""
    if text is None or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "scheduled_at is not an ISO 8601 time", fields={"scheduled_at": "is not an ISO 8601 time"}
        ) from error


@answers(list[ScheduledStatus], takes=PageQuery, paged=True)
async def index(request: Request) -> Response:
    """View scheduled posts"""
    found = await request.site.database.read(
        rules.scheduled_posts, account_id=request.account_id, page=page_of(request.query(PageQuery))
    )
    body = msgspec.json.encode([convert.scheduled(one) for one in found])
    return paged(request, body, [one.id for one in found])


@answers(ScheduledStatus)
async def show(request: Request) -> Response:
    """View a scheduled post"""
    found = await request.site.database.read(
        rules.scheduled_post, account_id=request.account_id, scheduled_id=request.id()
    )
    return json(convert.scheduled(found))


class ScheduledInput(msgspec.Struct):
    scheduled_at: str | None = None


@answers(ScheduledStatus, takes=ScheduledInput)
async def update(request: Request) -> Response:
    """Reschedule a post"""
    due_at_ms = moment_of((await request.input(ScheduledInput)).scheduled_at)
    if due_at_ms is None:
        return await show(request)
    moved = await request.site.database.write(
        rules.reschedule,
        account_id=request.account_id,
        scheduled_id=request.id(),
        due_at_ms=due_at_ms,
        max_characters=request.site.config.posts.max_characters,
        domain=request.site.domain,
        now_ms=request.now_ms,
    )
    return json(convert.scheduled(moved))


@answers(Nothing)
async def delete(request: Request) -> Response:
    """Cancel a scheduled post"""
    await request.site.database.write(rules.cancel, account_id=request.account_id, scheduled_id=request.id())
    return json(Nothing())
