"""An app asks whether the address of who signed up with it is confirmed, and for the mail once more."""

from __future__ import annotations

import msgspec

from stormpetrel.api.entities import Entity
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Forbidden
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import mail as rules


class Nothing(Entity, frozen=True):
    """An empty object."""


class NewConfirmation(msgspec.Struct):
    """`email`: another address, where the first was mistyped."""

    email: str | None = None


@answers(Nothing, takes=NewConfirmation)
async def confirmations(request: Request) -> Response:
    """Send the mail that confirms the address once more"""
    given = await request.input(NewConfirmation)
    assert request.access is not None
    if request.access.confirmed:
        raise Forbidden("This method is only available while the e-mail is awaiting confirmation")
    await request.site.database.write(
        rules.send_confirmation,
        account_id=request.account_id,
        link=request.site.fresh_link(),
        email=given.email,
        now_ms=request.now_ms,
    )
    return json(Nothing())


@answers(bool)
async def check_confirmation(request: Request) -> Response:
    """Whether the address is confirmed"""
    assert request.access is not None
    return json(request.access.confirmed)
