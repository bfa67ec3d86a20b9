"""`/api/v2/suggestions` and `/api/v1/suggestions`: accounts to follow."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json.entities import Account, Nothing, Suggestion
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import ACCOUNTS_DEFAULT, ACCOUNTS_MOST, PageQuery, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import suggestions as rules

_SOURCES = {"friends_of_friends": "past_interactions", "most_followed": "global"}
"""The older name of each reason, for apps that do not know `sources`."""

_encode = msgspec.json.Encoder().encode


class SuggestionsQuery(msgspec.Struct):
    limit: int | None = None


@answers(list[Suggestion], takes=SuggestionsQuery)
async def index(request: Request) -> Response:
    """View accounts to follow, with reasons"""
    why = dict(await _found(request))
    accounts = await renderer(request).accounts_by_id(tuple(why))
    return Response(
        body=array(
            b'{"source":%b,"sources":%b,"account":%b}'
            % (_encode(_SOURCES[why[account_id][0]]), _encode(why[account_id]), account)
            for account_id, account in accounts.items()
        )
    )


@answers(list[Account], takes=SuggestionsQuery)
async def v1_index(request: Request) -> Response:
    """View accounts to follow (version 1)"""
    found = await _found(request)
    return Response(body=await renderer(request).accounts([account_id for account_id, _ in found]))


async def _found(request: Request) -> list[tuple[int, tuple[str, ...]]]:
    query = PageQuery(limit=request.query(SuggestionsQuery).limit)
    return await request.site.database.read(
        rules.suggestions,
        reader_id=request.account_id,
        limit=page_of(query, default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST).limit,
        now_ms=request.now_ms,
    )


@answers(Nothing)
async def dismiss(request: Request) -> Response:
    """Dismiss a suggested account"""
    await request.site.database.write(rules.dismiss, account_id=request.account_id, target_id=request.id())
    return json({})
