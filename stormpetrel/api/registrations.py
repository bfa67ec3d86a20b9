"""`POST /api/v1/accounts`: sign up in an app."""

from __future__ import annotations

import secrets

import msgspec

from stormpetrel.api.apps import SECRET_BYTES
from stormpetrel.api.json.entities import Token
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NOT_ACCEPTED, Forbidden
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.access import new_token, secret_hash
from stormpetrel.model.account import clean_address, email_problem, username_problem
from stormpetrel.model.mail import NewLink
from stormpetrel.model.password import password_problem
from stormpetrel.rules import access as access_rules
from stormpetrel.rules import accounts as rules
from stormpetrel.storage.engine.connection import Connection


class NewAccount(msgspec.Struct):
    username: str = ""
    email: str = ""
    password: str = ""
    agreement: bool = False
    locale: str = "en"
    reason: str = ""


@answers(Token, takes=NewAccount)
async def create(request: Request) -> Response:
    """Sign up; the response is a token of the new account"""
    given = await request.input(NewAccount)
    site = request.site
    if site.config.registration != "open":
        # With approval there is no token to return; when registration is closed, all sign-ups are refused.
        raise Forbidden("You can't sign up from an app on this server. Please sign up in the browser")
    problems = {
        "username": username_problem(given.username),
        "email": email_problem(clean_address(given.email)),
        "password": password_problem(given.password),
        "agreement": None if given.agreement else NOT_ACCEPTED,
    }
    fields = {name: problem for name, problem in problems.items() if problem}
    if not fields:
        weakness = await site.passwords.problem(
            given.password, username=given.username, email=given.email, urgency=request.urgency
        )
        fields = {"password": weakness} if weakness else {}
    if fields:
        # Check before hashing the password: a hash costs 20 ms, checking the text almost nothing.
        raise rules.invalid_fields(fields)
    password_hash = await site.heavy.hash_password(given.password, urgency=request.urgency)
    access_token = new_token(lambda: secrets.token_urlsafe(SECRET_BYTES))
    assert request.access is not None
    await site.database.write(
        _sign_up,
        given=given,
        password_hash=password_hash,
        application_id=request.access.application_id,
        scopes=request.access.scopes,
        token_hash=secret_hash(access_token),
        confirmation=site.fresh_link() if site.config.confirms_addresses else None,
        network=request.network_slot,
        now_ms=request.now_ms,
    )
    return json(
        Token(
            access_token=access_token,
            token_type="Bearer",
            scope=" ".join(request.access.scopes),
            created_at=request.now_ms // 1000,
        )
    )


def _sign_up(
    connection: Connection,
    *,
    given: NewAccount,
    password_hash: str,
    application_id: int | None,
    scopes: tuple[str, ...],
    token_hash: bytes,
    confirmation: NewLink | None,
    network: int,
    now_ms: int,
) -> None:
    """Create account and token in one transaction: an app must not get one without the other."""
    account = rules.sign_up(
        connection,
        username=given.username,
        email=given.email,
        password_hash=password_hash,
        reason=given.reason,
        locale=given.locale,
        registration="open",
        now_ms=now_ms,
        confirmation=confirmation,
        network=network,
    )
    access_rules.create_token(
        connection,
        account_id=account.id,
        application_id=application_id,
        scopes=scopes,
        token_hash=token_hash,
        now_ms=now_ms,
    )
