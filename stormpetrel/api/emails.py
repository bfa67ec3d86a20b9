"""Confirmation of the address of an account that signed up in an app: check it, and resend the mail."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json.entities import Nothing
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Forbidden
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.rules import mail as rules


class NewConfirmation(msgspec.Struct):
    """`email`: a new address, if the first was mistyped."""

    email: str | None = None


@answers(Nothing, takes=NewConfirmation)
async def confirmations(request: Request) -> Response:
    """Resend the confirmation mail"""
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
    """Check if the mail address is confirmed"""
    assert request.access is not None
    return json(request.access.confirmed)
