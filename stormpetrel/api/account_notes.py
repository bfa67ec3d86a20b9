"""Private notes on accounts, and accounts featured on the profile."""

from __future__ import annotations

import msgspec

from stormpetrel.api.accounts import account_rows
from stormpetrel.api.json import convert, entities
from stormpetrel.api.paging import ACCOUNTS_DEFAULT, ACCOUNTS_MOST, PageQuery, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import relationships as rules


class NoteInput(msgspec.Struct):
    comment: str = ""


@answers(entities.Relationship, takes=NoteInput)
async def note(request: Request) -> Response:
    """Set a private note on an account; an empty note removes it"""
    given = await request.input(NoteInput)
    found = await request.site.database.write(
        rules.note,
        account_id=request.account_id,
        target_id=request.id(),
        note=given.comment,
        now_ms=request.now_ms,
    )
    return json(convert.relationship(found))


@answers(entities.Relationship)
async def endorse(request: Request) -> Response:
    """Feature a followed account on the profile"""
    found = await request.site.database.write(
        rules.endorse, account_id=request.account_id, target_id=request.id(), now_ms=request.now_ms
    )
    return json(convert.relationship(found))


@answers(entities.Relationship)
async def unendorse(request: Request) -> Response:
    """Stop featuring an account on the profile"""
    found = await request.site.database.write(
        rules.unendorse, account_id=request.account_id, target_id=request.id(), now_ms=request.now_ms
    )
    return json(convert.relationship(found))


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def endorsements(request: Request) -> Response:
    """View the accounts featured on the caller's profile"""
    return await _endorsements(request, request.account_id)


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def endorsements_of(request: Request) -> Response:
    """View the accounts featured on an account's profile"""
    return await _endorsements(request, request.id())


async def _endorsements(request: Request, account_id: int) -> Response:
    rows = await request.site.database.read(
        rules.endorsements,
        reader_id=request.reader_id,
        account_id=account_id,
        page=page_of(request.query(PageQuery), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST),
    )
    return await account_rows(request, rows)
