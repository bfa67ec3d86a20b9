"""The second step of signing in: a code or a passkey, after the password or the link in a mail."""

from __future__ import annotations

from stormpetrel.errors import TooMany
from stormpetrel.http.passwords import TOO_OFTEN
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import User
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import second_factors as rules
from stormpetrel.shield.cookies import seal, unseal
from stormpetrel.shield.percent import quoted
from stormpetrel.web.links import asked_next, same_site, sign_in_path
from stormpetrel.web.own_password import password_mark
from stormpetrel.web.proofs import WRONG_CODE, options_to_use, proves
from stormpetrel.web.render import pages_of
from stormpetrel.web.sessions import signed_in

FIRST_STEP_COOKIE = "stormpetrel_first_step"
FIRST_STEP_S = 600
_PERSON = b"petrel.firststep"


async def enter(request: Request, *, user: User, after: str) -> Response:
    """Sign in a user who has passed the first step; redirect to the second if there is a second factor."""
    factors = await request.site.database.read(rules.factors, account_id=user.account_id)
    if not factors.any:
        return await signed_in(request, account_id=user.account_id, after=after)
    response = redirect(f"/auth/sign_in/second?next={quoted(after, safe=b'/')}")
    value = seal(request.site.secret, _PERSON, user.account_id, request.now_ms // 1000, password_mark(user))
    response.set_cookie(FIRST_STEP_COOKIE, value, max_age_s=FIRST_STEP_S, secure=request.site.https)
    return response


async def _first_step(request: Request) -> User | None:
    """Return the user whose first step this browser passed recently, or None."""
    value = request.cookies.get(FIRST_STEP_COOKIE, "").encode("ascii", "replace")
    fields = unseal(request.site.secret, _PERSON, value)
    if fields is None or request.now_ms // 1000 - fields[1] >= FIRST_STEP_S:
        return None
    user = await request.site.database.read(account_rules.known_user, account_id=fields[0])
    return user if user is not None and password_mark(user) == fields[2] else None


async def show(request: Request) -> Response:
    """Show the form for the code; redirect to the sign-in page if the first step is missing."""
    after = asked_next(request)
    user = await _first_step(request)
    if user is None:
        return redirect(sign_in_path(after))
    return await _page(request, user, after=after)


async def _page(
    request: Request, user: User, *, after: str, problem: str = "", status: int = 200
) -> Response:
    factors = await request.site.database.read(rules.factors, account_id=user.account_id)
    return pages_of(request).page(
        request,
        "second_step.html",
        status=status,
        after=after,
        problem=problem,
        has_app=factors.totp is not None,
        passkey=options_to_use(request, account_id=user.account_id, factors=factors),
    )


async def answer(request: Request) -> Response:
    """Check the code or passkey, then start the session."""
    form = await request.form()
    after = same_site(form.get("next", "/"))
    user = await _first_step(request)
    if user is None:
        return redirect(sign_in_path(after))
    try:
        right = await proves(request, form, account_id=user.account_id)
    except TooMany as refusal:
        page = await _page(request, user, after=after, problem=TOO_OFTEN, status=refusal.status)
        page.headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        return page
    if not right:
        return await _page(request, user, after=after, problem=WRONG_CODE, status=422)
    response = await signed_in(request, account_id=user.account_id, after=after)
    response.delete_cookie(FIRST_STEP_COOKIE, secure=request.site.https)
    return response
