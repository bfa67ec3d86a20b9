"""`GET /api/v1/preferences`: the defaults for reading and posting."""

from __future__ import annotations

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Preferences
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.post import Visibility
from stormpetrel.rules import accounts as rules


@answers(Preferences)
async def show(request: Request) -> Response:
    """View the defaults for reading and posting"""
    request.keep_finished((request.account_id,))
    account = await request.site.database.read(rules.account, account_id=request.account_id)
    return json(
        Preferences(
            default_visibility=convert.VISIBILITY_NAMES[Visibility(account.default_visibility)],
            default_sensitive=account.default_sensitive,
            default_language=account.default_language or None,
        )
    )
