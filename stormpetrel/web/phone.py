"""The settings of the reader's phone: linking it by a code, switches, times, the PIN, and the accounts it gets."""

from __future__ import annotations

import secrets
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from stormpetrel.config_sms import RouteConfig
from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.phone import (
    CODE_DIGITS,
    CODE_MS,
    LONG_CODE_DIGITS,
    MAX_SEGMENTS,
    SILENT_MS,
    TEXT_LANGUAGES,
    Phone,
    PhoneKeys,
)
from stormpetrel.rules import phones as rules
from stormpetrel.rules.phones import PhoneChange
from stormpetrel.sms.numbers import masked
from stormpetrel.web.compose import LANGUAGES
from stormpetrel.web.own_password import WRONG_PASSWORD, is_owner, proof_of
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PAGE = "/settings/phone"
_DONE = {
    "saved": "Saved.",
    "posting": "Posting by SMS is on.",
    "no-posting": "Posting by SMS is off.",
    "stopped": "Stopped. Nothing is texted to your phone, and nothing from it is posted.",
    "started": "Texts to your phone are on again.",
    "pin": "Your PIN is set.",
    "no-pin": "Your PIN has been removed.",
    "off": "Posts of this account are not texted any more.",
    "unlinked": "Your phone has been unlinked.",
}


@dataclass(frozen=True, slots=True)
class PhoneView:
    """The data of the page. `number` is masked; "" without a phone."""

    reader: Reader | None
    phone: Phone | None
    number: str
    texted: list[Account]
    zones: tuple[str, ...]


def read_phone(connection: Connection, *, reader_id: int, keys: PhoneKeys, now_ms: int) -> PhoneView:
    """Read the reader, the phone, and the accounts whose posts are texted."""
    reader = read_reader(connection, reader_id=reader_id, now_ms=now_ms)
    phone = rules.phone_of(connection, account_id=reader_id)
    if phone is None:
        return PhoneView(reader, None, "", [], ())
    texted = rules.texted_accounts(connection, account_id=reader_id)
    return PhoneView(reader, phone, masked_number(phone, keys), texted, _zones())


def masked_number(phone: Phone, keys: PhoneKeys) -> str:
    """Return the number with its country code and last two digits; "…" if it was sealed with another secret."""
    try:
        return masked(keys.open(phone.sealed_number))
    except ValueError:
        return "…"


@cache
def _zones() -> tuple[str, ...]:
    """Return the names of time zones that people know, such as Europe/Berlin, and UTC."""
    names = zoneinfo.available_timezones()
    return ("UTC", *sorted(name for name in names if "/" in name and not name.startswith("Etc/")))


def _keys(request: Request) -> PhoneKeys:
    return PhoneKeys(request.site.secret)


def senders(routes: tuple[RouteConfig, ...]) -> list[str]:
    """Return the numbers to text to, one for each route in use that has one."""
    return list(dict.fromkeys(route.sender for route in routes if route.enabled and route.sender))


async def show(request: Request) -> Response:
    return await _page(request)


async def _page(
    request: Request,
    *,
    code: str = "",
    typed: PhoneChange | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    seen = await request.site.database.read(
        read_phone, reader_id=request.account_id, keys=_keys(request), now_ms=request.now_ms
    )
    routes = request.site.config.sms.routes
    own = next((route for route in routes if seen.phone and route.name == seen.phone.route), None)
    found = problems or {}
    return pages_of(request).page(
        request,
        "phone.html",
        status=422 if problems else 200,
        reader=seen.reader,
        phone=None if seen.phone is None else _shown(seen.phone, typed),
        number=seen.number,
        proof=await proof_of(request),
        texted=seen.texted,
        zones=seen.zones,
        is_pin_locked=seen.phone is not None and seen.phone.pin_locked_until_ms > request.now_ms,
        needs_pin=own is not None and own.trust == "aggregator",
        was_silent=seen.phone is not None and request.now_ms - seen.phone.heard_at_ms > SILENT_MS,
        senders=senders((own,) if own is not None and own.sender else routes),
        has_routes=any(route.enabled for route in routes),
        code=code,
        minutes=CODE_MS // 60_000,
        code_until_ms=request.now_ms + CODE_MS,
        languages=[pair for pair in LANGUAGES if pair[0] in TEXT_LANGUAGES],
        max_segments=MAX_SEGMENTS,
        problems={
            name: found.get(name, "") for name in ("quiet", "digest", "zone", "pin", "current_password")
        },
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )


def _shown(phone: Phone, typed: PhoneChange | None) -> Phone:
    """Return the phone with the values that were typed, so that a refused form keeps them."""
    # As the gateway does for its answers: otherwise a browser would choose the first language of the list.
    language = phone.language.replace("_", "-").partition("-")[0].lower()
    phone = replace(phone, language=language if language in TEXT_LANGUAGES else "en")
    if typed is None:
        return phone
    names = ("delivers", "quiet", "digest", "zone", "language", "segments")
    values: dict[str, Any] = {name: getattr(typed, name) for name in names}
    return replace(phone, **{name: value for name, value in values.items() if value is not None})


async def code(request: Request) -> Response:
    """POST /settings/phone/code: show a new code. Only its hash is stored, so it is shown once.

    The field `long` asks for a long one, which works while too many wrong ones are sent.
    """
    is_long = "long" in await request.form()
    digits = LONG_CODE_DIGITS if is_long else CODE_DIGITS
    drawn = secrets.randbelow(10**digits)
    if not senders(request.site.config.sms.routes):
        return await _page(request)
    new = await request.site.database.write(
        rules.new_code,
        account_id=request.account_id,
        keys=_keys(request),
        draw=drawn,
        digits=digits,
        now_ms=request.now_ms,
    )
    return await _page(request, code=new)


def change_own(
    connection: Connection, *, account_id: int, wanted: PhoneChange, keys: PhoneKeys, now_ms: int
) -> None:
    """Change settings of the account's phone. Raise NotFound without one, Invalid with `fields`."""
    phone = rules.own_phone(connection, account_id=account_id)
    rules.change(connection, phone=phone, wanted=wanted, keys=keys, now_ms=now_ms)


def act_on_own(connection: Connection, *, account_id: int, rule: Callable[..., Any], now_ms: int) -> None:
    """Run a rule on the account's phone. Raise NotFound without one."""
    rule(connection, phone=rules.own_phone(connection, account_id=account_id), now_ms=now_ms)


async def _change(request: Request, wanted: PhoneChange, done: str) -> Response:
    try:
        await request.site.database.write(
            change_own,
            account_id=request.account_id,
            wanted=wanted,
            keys=_keys(request),
            now_ms=request.now_ms,
        )
    except Invalid as refusal:
        return await _page(request, typed=wanted, problems=refusal.fields)
    return redirect(f"{PAGE}?done={done}")


async def _act(request: Request, rule: Callable[..., Any], done: str) -> Response:
    await request.site.database.write(
        act_on_own, account_id=request.account_id, rule=rule, now_ms=request.now_ms
    )
    return redirect(f"{PAGE}?done={done}")


async def save(request: Request) -> Response:
    """POST /settings/phone: save the times and the form of deliveries."""
    form = await request.form()
    segments = form.get("segments", "")
    wanted = PhoneChange(
        # Browsers do not send an unchecked box.
        delivers="delivers" in form,
        quiet=form.get("quiet", "")[:32],
        digest=form.get("digest", "")[:32],
        zone=form.get("zone", "").strip()[:64],
        language=form.get("language") if form.get("language") in TEXT_LANGUAGES else None,
        segments=int(segments) if segments in {str(n) for n in range(1, MAX_SEGMENTS + 1)} else None,
    )
    return await _change(request, wanted, "saved")


async def posting(request: Request) -> Response:
    """POST /settings/phone/posting: allow or refuse posts from the phone."""
    if (await request.form()).get("posts") == "on":
        return await _act(request, rules.unlock, "posting")
    return await _act(request, rules.lock, "no-posting")


async def stop(request: Request) -> Response:
    """POST /settings/phone/stop: stop deliveries and posting at once."""
    return await _act(request, rules.stop_all, "stopped")


async def start(request: Request) -> Response:
    """POST /settings/phone/start: deliver again. Posting stays as it is."""
    return await _act(request, rules.start, "started")


async def pin(request: Request) -> Response:
    """POST /settings/phone/pin: set, change or remove the PIN, after checking the password."""
    form = await request.form()
    new = "" if "remove" in form else form.get("pin", "").strip()[:64]
    if not await is_owner(request, form):
        return await _page(request, problems={"current_password": WRONG_PASSWORD})
    if not new and "remove" not in form:
        return await _page(request, problems={"pin": "must have 4 to 8 digits"})
    return await _change(request, PhoneChange(pin=new), "pin" if new else "no-pin")


async def text_no_more(request: Request) -> Response:
    """POST /settings/phone/accounts/ID/off: stop texting the posts of an account."""
    await request.site.database.write(
        rules.text_no_more,
        account_id=request.account_id,
        followed_id=request.id(),
    )
    return redirect(f"{PAGE}?done=off")


async def unlink(request: Request) -> Response:
    """POST /settings/phone/unlink: remove the phone with its settings."""
    return await _act(request, rules.unlink, "unlinked")
