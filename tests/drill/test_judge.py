"""Judging answers: every way to reject a client is a refusal, and only an honest refusal honours the
contract.
"""

from __future__ import annotations

import pytest

from stormpetrel.drill.audience import take_frame
from stormpetrel.drill.judge import ExpectedRequest, ResponseFamily, ResponseVerdict, judge
from stormpetrel.drill.record import FAILED, OK, REFUSED
from stormpetrel.drill.wire import WireResponse

JSON, HTML, TEXT = "application/json; charset=utf-8", "text/html; charset=utf-8", "text/plain"


def want(family: ResponseFamily) -> ExpectedRequest:
    return ExpectedRequest("GET", "/", "apps", family, 5.0, lambda answer: answer.body == b"right")


def answer(status: int, kind: str, body: bytes = b"", *more: str) -> WireResponse:
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *more, ""])
    return WireResponse(status, head.encode(), body, len(body), 0.0, 0.0)


ERROR = b'{"error": "Server busy"}'
LATER = "Retry-After: 3"


@pytest.mark.parametrize(
    ("family", "given", "wanted"),
    [
        (ResponseFamily.API, answer(200, JSON, b"right"), ResponseVerdict(OK)),
        (ResponseFamily.API, answer(429, JSON, ERROR, LATER), ResponseVerdict(REFUSED, True, 3.0)),
        (ResponseFamily.API, answer(503, JSON, ERROR, LATER), ResponseVerdict(REFUSED, True, 3.0)),
        (ResponseFamily.API, answer(503, JSON, ERROR), ResponseVerdict(REFUSED, False)),
        (ResponseFamily.API, answer(503, JSON, ERROR, "Retry-After: 0"), ResponseVerdict(REFUSED, False)),
        (
            ResponseFamily.API,
            answer(503, JSON, ERROR, "Retry-After: 999999"),
            ResponseVerdict(REFUSED, False),
        ),
        (ResponseFamily.API, answer(429, HTML, b"<p>slow down", LATER), ResponseVerdict(REFUSED, False, 3.0)),
        (ResponseFamily.API, answer(429, JSON, b"slow down", LATER), ResponseVerdict(REFUSED, False, 3.0)),
        (ResponseFamily.API, answer(429, JSON, b"[]", LATER), ResponseVerdict(REFUSED, False, 3.0)),
        (ResponseFamily.API, answer(200, HTML, b"are you human?"), ResponseVerdict(REFUSED, False)),
        (ResponseFamily.API, answer(302, TEXT, b"", "Location: /"), ResponseVerdict(REFUSED, False)),
        (ResponseFamily.API, answer(403, JSON, ERROR), ResponseVerdict(REFUSED, False)),
        (ResponseFamily.API, answer(500, JSON, ERROR), ResponseVerdict(FAILED)),
        (ResponseFamily.API, answer(500, HTML), ResponseVerdict(FAILED)),
        (ResponseFamily.API, answer(404, JSON, ERROR), ResponseVerdict(FAILED)),
        (ResponseFamily.FEED, answer(503, TEXT, b"Busy", LATER), ResponseVerdict(REFUSED, True, 3.0)),
        (ResponseFamily.FEED, answer(503, HTML, b"Busy", LATER), ResponseVerdict(REFUSED, False, 3.0)),
        (ResponseFamily.FEED, answer(200, HTML, b"are you human?"), ResponseVerdict(REFUSED, False)),
        (ResponseFamily.PAGE, answer(503, HTML, b"Busy", LATER), ResponseVerdict(REFUSED, None, 3.0)),
        (ResponseFamily.PAGE, answer(200, HTML, b"are you human?"), ResponseVerdict(REFUSED)),
        (ResponseFamily.PAGE, answer(403, HTML, b"no"), ResponseVerdict(REFUSED)),
        (ResponseFamily.PAGE, answer(502, HTML, b"bad gateway"), ResponseVerdict(FAILED)),
        (ResponseFamily.PAGE, answer(200, HTML, b"right"), ResponseVerdict(OK)),
    ],
)
def test_the_verdict_on_an_answer(
    family: ResponseFamily, given: WireResponse, wanted: ResponseVerdict
) -> None:
    assert judge(want(family), given) == wanted


@pytest.mark.parametrize("length", [0, 5, 125, 126, 300, 70_000])
def test_frames_are_taken_whole_whatever_their_length(length: int) -> None:
    payload = b"x" * length
    if length < 126:
        head = bytes([0x81, length])
    elif length < 65_536:
        head = bytes([0x81, 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([0x81, 127]) + length.to_bytes(8, "big")
    whole = head + payload
    assert take_frame(whole + b"next") == (1, payload, b"next")
    for cut in range(0, len(whole), max(1, len(whole) // 7)):
        assert take_frame(whole[:cut]) is None
