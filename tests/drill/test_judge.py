"""Judging answers: every way to reject a client is a refusal, and only an honest refusal honours the
contract.
"""

from __future__ import annotations

import pytest

from stormpetrel.drill.audience import take_frame
from stormpetrel.drill.judge import Family, Verdict, Want, judge
from stormpetrel.drill.record import FAILED, OK, REFUSED
from stormpetrel.drill.wire import Answer

JSON, HTML, TEXT = "application/json; charset=utf-8", "text/html; charset=utf-8", "text/plain"


def want(family: Family) -> Want:
    return Want("GET", "/", "apps", family, 5.0, lambda answer: answer.body == b"right")


def answer(status: int, kind: str, body: bytes = b"", *more: str) -> Answer:
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *more, ""])
    return Answer(status, head.encode(), body, len(body), 0.0, 0.0)


ERROR = b'{"error": "Server busy"}'
LATER = "Retry-After: 3"


@pytest.mark.parametrize(
    ("family", "given", "wanted"),
    [
        (Family.API, answer(200, JSON, b"right"), Verdict(OK)),
        (Family.API, answer(429, JSON, ERROR, LATER), Verdict(REFUSED, True, 3.0)),
        (Family.API, answer(503, JSON, ERROR, LATER), Verdict(REFUSED, True, 3.0)),
        (Family.API, answer(503, JSON, ERROR), Verdict(REFUSED, False)),
        (Family.API, answer(503, JSON, ERROR, "Retry-After: 0"), Verdict(REFUSED, False)),
        (Family.API, answer(503, JSON, ERROR, "Retry-After: 999999"), Verdict(REFUSED, False)),
        (Family.API, answer(429, HTML, b"<p>slow down", LATER), Verdict(REFUSED, False, 3.0)),
        (Family.API, answer(429, JSON, b"slow down", LATER), Verdict(REFUSED, False, 3.0)),
        (Family.API, answer(429, JSON, b"[]", LATER), Verdict(REFUSED, False, 3.0)),
        (Family.API, answer(200, HTML, b"are you human?"), Verdict(REFUSED, False)),
        (Family.API, answer(302, TEXT, b"", "Location: /"), Verdict(REFUSED, False)),
        (Family.API, answer(403, JSON, ERROR), Verdict(REFUSED, False)),
        (Family.API, answer(500, JSON, ERROR), Verdict(FAILED)),
        (Family.API, answer(500, HTML), Verdict(FAILED)),
        (Family.API, answer(404, JSON, ERROR), Verdict(FAILED)),
        (Family.FEED, answer(503, TEXT, b"Busy", LATER), Verdict(REFUSED, True, 3.0)),
        (Family.FEED, answer(503, HTML, b"Busy", LATER), Verdict(REFUSED, False, 3.0)),
        (Family.FEED, answer(200, HTML, b"are you human?"), Verdict(REFUSED, False)),
        (Family.PAGE, answer(503, HTML, b"Busy", LATER), Verdict(REFUSED, None, 3.0)),
        (Family.PAGE, answer(200, HTML, b"are you human?"), Verdict(REFUSED)),
        (Family.PAGE, answer(403, HTML, b"no"), Verdict(REFUSED)),
        (Family.PAGE, answer(502, HTML, b"bad gateway"), Verdict(FAILED)),
        (Family.PAGE, answer(200, HTML, b"right"), Verdict(OK)),
    ],
)
def test_the_verdict_on_an_answer(family: Family, given: Answer, wanted: Verdict) -> None:
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
