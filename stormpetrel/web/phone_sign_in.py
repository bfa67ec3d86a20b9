"""Sign in with a code that is texted to the phone: the form for the number, and the form for the code.

The pages are the same for every number, whether it belongs to an account or not. A code works only in the browser
that requested it, which has the request's id in a cookie.
"""

from __future__ import annotations

from stormpetrel.errors import TooMany
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.phone import SIGN_IN_MS, PhoneKeys, clean_code
from stormpetrel.model.quota import network_of, slot
from stormpetrel.rules import phone_sign_in as rules
from stormpetrel.shield.cookies import seal, unseal
from stormpetrel.shield.marks import device_in
from stormpetrel.sms.numbers import NumberError, normalized_number
from stormpetrel.web.links import asked_next, next_query, same_site
from stormpetrel.web.own_password import prove_phone
from stormpetrel.web.render import pages_of
from stormpetrel.web.second_step import enter

PHONE_CODE_COOKIE = "stormpetrel_phone_code"
NO_NUMBER = "Enter your number with + and the country code."
WRONG_CODE = "Wrong code, or it has expired. You can request another one."
_PERSON = b"petrel.phonecode"
_MOST_TYPED = 64


def has_phones(request: Request) -> bool:
    """Return True if the instance has a route that can text a code."""
    return any(route.enabled for route in request.site.config.sms.routes)


async def show(request: Request) -> Response:
    return _number_page(request, after=asked_next(request))


def _number_page(
    request: Request, *, after: str, number: str = "", problem: str = "", status: int = 200
) -> Response:
    return pages_of(request).page(
        request,
        "sign_in_phone.html",
        status=status,
        after=after,
        number=number,
        problem=problem,
        has_phones=has_phones(request),
    )


async def ask(request: Request) -> Response:
    """Request a code, with the same response after the same work for every number."""
    form = await request.form()
    after = same_site(form.get("next", "/"))
    typed = form.get("number", "").strip()[:_MOST_TYPED]
    if not has_phones(request):
        return _number_page(request, after=after)
    try:
        number = normalized_number(typed)
    except NumberError:
        return _number_page(request, after=after, number=typed, problem=NO_NUMBER, status=422)
    site = request.site
    network = network_of(request.address)
    device = device_in(site.secret, request.headers.get("cookie", ""), epoch_s=request.now_ms / 1000)
    requester = rules.CodeRequester(
        network=slot(site.secret, f"network {network}"),
        pair=slot(site.secret, f"phone {number} {network}"),
        device=None if device is None else slot(site.secret, f"device of {device.account_id}"),
        device_account_id=0 if device is None else device.account_id,
    )
    try:
        sign_in_id = await site.database.write(
            rules.want_code,
            number_hash=PhoneKeys(site.secret).number_hash(number),
            requester=requester,
            now_ms=request.now_ms,
        )
    except TooMany as refusal:
        page = _number_page(
            request, after=after, number=typed, problem=f"{rules.ENOUGH}.", status=refusal.status
        )
        page.headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        return page
    response = redirect(f"/auth/sign_in/phone/code{next_query(after)}")
    value = seal(site.secret, _PERSON, sign_in_id, request.now_ms // 1000, 0)
    response.set_cookie(PHONE_CODE_COOKIE, value, max_age_s=SIGN_IN_MS // 1000, secure=site.https)
    return response


def _sign_in_id(request: Request) -> int | None:
    """Return the id of this browser's request for a code, or None."""
    value = request.cookies.get(PHONE_CODE_COOKIE, "").encode("ascii", "replace")
    fields = unseal(request.site.secret, _PERSON, value)
    return None if fields is None else fields[0]


async def show_code(request: Request) -> Response:
    """Show the form for the code; redirect to the form for the number if this browser has requested none."""
    after = asked_next(request)
    if _sign_in_id(request) is None:
        return redirect(f"/auth/sign_in/phone{next_query(after)}")
    return _code_page(request, after=after)


def _code_page(request: Request, *, after: str, problem: str = "", status: int = 200) -> Response:
    return pages_of(request).page(
        request,
        "sign_in_phone_code.html",
        status=status,
        after=after,
        problem=problem,
        minutes=SIGN_IN_MS // 60_000,
    )


async def answer(request: Request) -> Response:
    """Check the code, then sign in, or ask for the second factor."""
    form = await request.form()
    after = same_site(form.get("next", "/"))
    sign_in_id = _sign_in_id(request)
    if sign_in_id is None:
        return redirect(f"/auth/sign_in/phone{next_query(after)}")
    user = await request.site.database.write(
        rules.use_code,
        sign_in_id=sign_in_id,
        code=clean_code(form.get("code", "")[:_MOST_TYPED]),
        keys=PhoneKeys(request.site.secret),
        now_ms=request.now_ms,
    )
    if user is None:
        return _code_page(request, after=after, problem=WRONG_CODE, status=422)
    response = await enter(request, user=user, after=after)
    response.delete_cookie(PHONE_CODE_COOKIE, secure=request.site.https)
    await prove_phone(request, response, user=user)
    return response
