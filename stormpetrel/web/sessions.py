"""Start a browser's session, and set the device cookie that identifies the browser later."""

from __future__ import annotations

import secrets

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.browser import browser_name
from stormpetrel.rules import access as access_rules
from stormpetrel.rules.access import SESSION_AGE_S
from stormpetrel.shield.cookies import COOKIE_NAME, mint
from stormpetrel.shield.marks import DEVICE_AGE_S, DEVICE_COOKIE, Mark, mint_device


async def signed_in(request: Request, *, account_id: int, after: str) -> Response:
    """Start a session with a new id, replacing the browser's previous one, and redirect to `after`."""
    session_id = await request.site.database.write(
        access_rules.start_session,
        account_id=account_id,
        now_ms=request.now_ms,
        instead_of=request.access.session_id if request.access is not None else None,
        browser=browser_name(request.headers.get("user-agent", "")),
        network=request.network_slot,
    )
    response = redirect(after)
    device = know_device(request, response, account_id=account_id)
    set_session(
        request,
        response,
        session_id=session_id,
        account_id=account_id,
        # The shield counts the session as being as old as this account's device cookie.
        since_s=device.issued_at_s if device is not None else request.now_ms // 1000,
    )
    return response


def know_device(request: Request, response: Response, *, account_id: int) -> Mark | None:
    """Return this account's existing device cookie; if there is none, set one and return None.

    The cookie stays after signing out and grants no access. It puts the next sign-in to this account before
    those of strangers, with a budget of its own (rules/guesses.py).
    """
    device = request.known_device(account_id)
    if device is not None:
        return device
    cookie = mint_device(
        request.site.secret,
        mark_id=secrets.randbits(64),
        account_id=account_id,
        at_s=request.now_ms // 1000,
    )
    response.set_cookie(DEVICE_COOKIE, cookie, max_age_s=DEVICE_AGE_S, secure=request.site.https)
    return None


def set_session(
    request: Request, response: Response, *, session_id: int, account_id: int, since_s: int
) -> None:
    """Set the session cookie; `since_s`: the time since which its owner has used this browser."""
    cookie = mint(
        request.site.secret,
        session_id=session_id,
        account_id=account_id,
        issued_at_s=since_s,
    )
    response.set_cookie(COOKIE_NAME, cookie, max_age_s=SESSION_AGE_S, secure=request.site.https)
