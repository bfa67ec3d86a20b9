"""`/api/v1/conversations/…`: direct posts, grouped by conversation."""

from __future__ import annotations

from collections.abc import Callable

from stormpetrel.api.json.entities import Conversation, Nothing
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import PageQuery, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.conversation import Conversation as Marked
from stormpetrel.rules import conversations as rules


@answers(list[Conversation], takes=PageQuery, paged=True)
async def index(request: Request) -> Response:
    """View conversations, the one with the newest post first"""
    found = await request.site.database.read(
        rules.conversations,
        account_id=request.account_id,
        page=page_of(request.query(PageQuery)),
        now_ms=request.now_ms,
    )
    bodies = await renderer(request).conversations(found, reader_id=request.account_id)
    return paged(request, array(bodies), [one.place for one in found])


@answers(Conversation)
async def read(request: Request) -> Response:
    """Mark a conversation as read"""
    return await _marked(request, rules.mark_read)


@answers(Conversation)
async def unread(request: Request) -> Response:
    """Mark a conversation as unread"""
    return await _marked(request, rules.mark_unread)


async def _marked(request: Request, rule: Callable[..., Marked]) -> Response:
    found = await request.site.database.write(
        rule,
        account_id=request.account_id,
        conversation_id=request.id(),
        now_ms=request.now_ms,
    )
    bodies = await renderer(request).conversations([found], reader_id=request.account_id)
    if not bodies:
        raise NotFound
    return Response(body=bodies[0])


@answers(Nothing)
async def remove(request: Request) -> Response:
    """Remove a conversation from the list; a new post restores it"""
    await request.site.database.write(
        rules.remove, account_id=request.account_id, conversation_id=request.id()
    )
    return Response(body=b"{}")
