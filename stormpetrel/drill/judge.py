"""Judges answers from the person's view: served, refused or failed, and if a refusal kept the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from stormpetrel.drill.record import FAILED, OK, REFUSED
from stormpetrel.drill.wire import WireResponse

MAX_RETRY_AFTER_S = 3600
"""A Retry-After of more than an hour means "go away", not "come back later"."""


class ResponseFamily(StrEnum):
    """The kind of client, which decides the format of answers that it understands."""

    API = "api"
    FEED = "feed"
    PAGE = "page"


class ResponseVerdict(NamedTuple):
    """`contract`, `retry_after`: as in record.Line."""

    outcome: str
    contract: bool | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class ExpectedRequest:
    """One request of a legitimate person, and what would satisfy them.

    `patience_s`: how long they wait. `is_right(answer)`: True if it is right; refusals never
    are. `safe`: the client may retry automatically without harm.
    """

    method: str
    path: str
    channel: str
    family: ResponseFamily
    patience_s: float
    is_right: Callable[[WireResponse], bool]
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_hot: bool = False
    text: str = ""
    safe: bool = True


def judge(want: ExpectedRequest, answer: WireResponse) -> ResponseVerdict:
    """Return the verdict on a complete answer that came in time.

    All people here are legitimate, so anything that keeps them out is a refusal: 429 and 503, but also a 403,
    a redirect or page sent to an application, and a challenge served as 200.
    """
    kind = answer.header("content-type").partition(";")[0].lower()
    if answer.status in (429, 503):
        return ResponseVerdict(REFUSED, _keeps_contract(want, answer, kind), _retry_after(answer))
    if want.is_right(answer):
        return ResponseVerdict(OK)
    if want.family is not ResponseFamily.PAGE and (
        answer.status == 403 or 300 <= answer.status < 400 or (kind == "text/html" and answer.status < 500)
    ):
        return ResponseVerdict(REFUSED, contract=False, retry_after=_retry_after(answer))
    if want.family is ResponseFamily.PAGE and (
        answer.status == 403 or (answer.status == 200 and kind == "text/html")
    ):
        return ResponseVerdict(REFUSED, None, _retry_after(answer))
    return ResponseVerdict(FAILED)


def _keeps_contract(want: ExpectedRequest, answer: WireResponse, kind: str) -> bool | None:
    if want.family is ResponseFamily.PAGE:
        return None
    if _retry_after(answer) is None:
        return False
    if want.family is ResponseFamily.FEED:
        return kind == "text/plain"
    return kind == "application/json" and _is_error(answer.text)


def _is_error(text: str) -> bool:
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("error"), str) and bool(body["error"])


def _retry_after(answer: WireResponse) -> float | None:
    """Return seconds, 1 to an hour; None if absent or useless. HTTP's date form is unused here."""
    text = answer.header("retry-after")
    if not text.isdigit() or not 1 <= int(text) <= MAX_RETRY_AFTER_S:
        return None
    return float(text)
