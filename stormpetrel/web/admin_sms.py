"""The administrators' page of the sms role: routes, queues, receipts, money, failed texts, and an estimate of costs.

Its figures come from the spool of this machine, read in a thread and within a time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stormpetrel.config import SmsConfig
from stormpetrel.errors import Busy, Invalid, NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.moderation import Act
from stormpetrel.rules import moderation as moderation_rules
from stormpetrel.sms.numbers import masked
from stormpetrel.sms.split import split
from stormpetrel.sms.transliterate import for_gsm
from stormpetrel.sms.user_data import Coding
from stormpetrel.storage.sms_spool import panel as spool
from stormpetrel.storage.sms_spool.figures import LANES
from stormpetrel.storage.sms_spool.file import SpoolFailed
from stormpetrel.storage.sms_spool.panel import SpoolMissing, SpoolPanel
from stormpetrel.web.reader import read_admin
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PAGE = "/admin/sms"
MISSING = "There is no spool on this machine. Run the sms role here, or open this page on the machine where it runs."
UNREADABLE = "The spool could not be read in time. Reload the page in a moment."
UNWRITABLE = "The spool could not be written. Nothing was changed; try again in a moment."
MAX_TEXT = 1600
MAX_PHONES = 10_000_000
_ALPHABETS = {Coding.GSM7: "GSM 7-bit", Coding.UCS2: "Unicode (UCS-2)"}
_DONE = {
    "pause": "The route is paused. What waits stays in the queue.",
    "resume": "The route sends again.",
    "replay": "The text is queued again.",
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a text to `phones` phones. `rows`: route, prefix ("" for other numbers), price of a segment, of
    the text, and of all. `plain_parts`: segments with plain quotes and dashes, if these are fewer."""

    text: str
    phones: int
    parts: int
    alphabet: str
    plain_parts: int | None
    rows: tuple[tuple[str, str, str, str, str], ...]


async def show(request: Request) -> Response:
    return await _page(request)


async def _page(
    request: Request,
    *,
    estimated: Estimate | None = None,
    typed: tuple[str, str] = ("", "100"),
    problem: str = "",
) -> Response:
    reader = await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    config = request.site.config
    seen: SpoolPanel | None = None
    away = ""
    try:
        seen = await asyncio.to_thread(spool.read_panel, config.data_dir, config.sms, now_ms=request.now_ms)
    except SpoolMissing:
        away = MISSING
    except SpoolFailed:
        away = UNREADABLE
    return pages_of(request).page(
        request,
        "admin_sms.html",
        status=422 if problem else 200,
        reader=reader,
        panel=seen,
        away=away,
        lanes={str(lane): name for lane, name in LANES.items()},
        numbers=() if seen is None else [(masked(one), spent) for one, spent in seen.numbers],
        failed=() if seen is None else [(one, masked(one.number)) for one in seen.failed],
        currency=config.sms.currency,
        estimated=estimated,
        typed=typed,
        max_text=MAX_TEXT,
        max_phones=MAX_PHONES,
        problem=problem,
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )


async def _write(request: Request, work: Callable[..., Any], **values: Any) -> Any:
    """Check that the reader is an administrator, and change the spool. Raise Invalid or Busy."""
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    try:
        return await asyncio.to_thread(work, request.site.config.data_dir, **values)
    except SpoolMissing:
        raise Invalid(MISSING.partition(".")[0]) from None
    except SpoolFailed as error:
        raise Busy(UNWRITABLE) from error


def note(connection: Connection, *, reader_id: int, act: Act, about: str, now_ms: int) -> None:
    """Add a line to the audit log."""
    actor = moderation_rules.moderator(connection, account_id=reader_id)
    moderation_rules.note(connection, actor, act, reason=about, now_ms=now_ms)


async def _note(request: Request, act: Act, about: str) -> None:
    await request.site.database.write(
        note, reader_id=request.account_id, act=act, about=about, now_ms=request.now_ms
    )


async def change_route(request: Request) -> Response:
    """POST /admin/sms/routes/NAME/VERB: pause or resume a route."""
    name, verb = request.parameters["name"], request.parameters["verb"]
    if verb not in ("pause", "resume") or name not in {
        route.name for route in request.site.config.sms.routes
    }:
        raise NotFound
    await _write(request, spool.pause, route=name, is_paused=verb == "pause")
    await _note(request, Act.PAUSE_ROUTE if verb == "pause" else Act.RESUME_ROUTE, f"SMS route {name}")
    return redirect(f"{PAGE}?done={verb}")


async def replay(request: Request) -> Response:
    """POST /admin/sms/texts/ID/replay: send a failed text again."""
    if not await _write(request, spool.replay, message_id=request.id(), now_ms=request.now_ms):
        raise NotFound("This text did not fail, or is queued again already")
    await _note(request, Act.REPLAY_TEXT, f"text o{request.id()}")
    return redirect(f"{PAGE}?done=replay")


async def estimate(request: Request) -> Response:
    """POST /admin/sms/estimate: show what a text would cost. Nothing is sent."""
    form = await request.form()
    text, count = form.get("text", ""), form.get("phones", "")
    if not text.strip() or len(text) > MAX_TEXT:
        problem = f"Write a text of at most {MAX_TEXT} characters."
    elif not (count.isascii() and count.isdigit() and len(count) <= 8 and 1 <= int(count) <= MAX_PHONES):
        problem = f"The number of phones must be 1 to {MAX_PHONES:,}."
    else:
        found = estimate_of(text.replace("\r\n", "\n"), int(count), request.site.config.sms)
        return await _page(request, estimated=found, typed=(text, count))
    return await _page(request, typed=(text[:MAX_TEXT], count[:8]), problem=problem)


def estimate_of(text: str, phones: int, config: SmsConfig) -> Estimate:
    """Return the segments of a text, and its price on each route in use and for each prefix with a price."""
    segments = split(text)
    parts = len(segments)
    plain_parts = len(split(for_gsm(text)))
    rows: list[tuple[str, str, str, str, str]] = []
    for route in config.routes:
        if not route.enabled:
            continue
        for prefix, price in (*sorted(route.prefix_prices.items()), ("", route.price)):
            text_price = price * parts
            rows.append((route.name, prefix, _plain(price), _plain(text_price), _plain(text_price * phones)))
    return Estimate(
        text=text,
        phones=phones,
        parts=parts,
        alphabet=_ALPHABETS[segments.coding],
        plain_parts=plain_parts if plain_parts < parts else None,
        rows=tuple(rows),
    )


def _plain(amount: Decimal) -> str:
    """Return an amount without an exponent or trailing zeros: "0.05", "120"."""
    return format(amount.normalize(), "f")
