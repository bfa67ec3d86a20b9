"""Simulated stream listeners: hundreds of open streams, half WebSockets and half server-sent events.

A listener must receive a post of an account they follow within DEADLINE_S of its acknowledgement. Each pair
of a post and a listener is one line of the channel `streaming`, and so is each connection that is opened.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from random import Random

from stormpetrel.drill.client import Caller, Course
from stormpetrel.drill.community import Community, Member
from stormpetrel.drill.judge import ExpectedRequest, ResponseFamily, ResponseVerdict, judge
from stormpetrel.drill.loopback import BudgetSpent
from stormpetrel.drill.record import FAILED, LATE, OK, TIMEOUT, Line
from stormpetrel.drill.wire import Broken, Exchange, WireResponse, connect, request

DEADLINE_S = 5.0
CONNECT_PATIENCE_S = 10.0
OPENED_PER_S = 100
"""Rate at which the streams are opened before the run: like apps that reconnect after a restart."""
RECONNECT_AFTER_S = 2.0
"""Delay after a stream broke without a Retry-After."""
EXCUSED_S = 2.0
"""A post that arrives while a listener changes connections on purpose does not count as missed."""
_MARK = re.compile(rb"drill-\d+-\d+-\d+")
_PONG, _PING, _CLOSE = 0xA, 0x9, 0x8
_MASK = b"\x00\x00\x00\x00"


class StreamClient:
    """A listener with one stream, which is reopened whenever it ends."""

    def __init__(self, course: Course, member: Member, *, websocket: bool, rng: Random) -> None:
        self.course = course
        self.member = member
        self.websocket = websocket
        self.who = Caller("streaming", member.name, member.app)
        self.heard: dict[bytes, float] = {}
        self.excused_until_s = 0.0
        self._rng = rng
        self._tls = course.tls_client()
        self._exchange: Exchange | None = None
        self._buffer = b""
        self._closing = False
        self._again: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Return True while a stream is open."""
        return self._exchange is not None and self._exchange.is_open

    async def open(self, intended_s: float, *, is_retry: bool = False) -> None:
        """Open the stream; if that fails, retry later as an app does."""
        verdict, status = await self._open(intended_s)
        t = intended_s - self.course.start_s
        if t >= 0:
            self.course.put(self._line(t, intended_s, status, verdict, is_retry=is_retry))
        if verdict.outcome != OK:
            self._open_later(verdict.retry_after or RECONNECT_AFTER_S)

    async def change(self, intended_s: float) -> None:
        """Close the stream and reconnect, like a phone that changes networks."""
        self.excused_until_s = time.monotonic() + EXCUSED_S
        self._leave()
        await self.open(intended_s)

    def close(self) -> None:
        """Close the stream for good."""
        self._closing = True
        if self._again is not None:
            self._again.cancel()
        self._leave()

    def _leave(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    def _open_later(self, wait_s: float) -> None:
        if not self._closing:
            self._again = asyncio.get_running_loop().create_task(self._wait_and_open(wait_s))

    async def _wait_and_open(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s * (1 + self._rng.random() / 2))
        await self.open(time.monotonic(), is_retry=True)

    async def _open(self, intended_s: float) -> tuple[ResponseVerdict, int]:
        want = _want(self.websocket)
        try:
            exchange = await connect(
                self.course.target,
                source=self.member.address,
                budget=self.course.budget,
                timeout_s=CONNECT_PATIENCE_S,
                tls=self._tls,
            )
            self._buffer = b""
            answer = await exchange.stream(
                self._request(),
                timeout_s=max(0.01, CONNECT_PATIENCE_S - (time.monotonic() - intended_s)),
                on_bytes=self._on_frames if self.websocket else self._on_events,
                on_end=lambda: self._ended(exchange),
            )
        except TimeoutError:
            return ResponseVerdict(TIMEOUT), 0
        except (OSError, Broken, BudgetSpent):
            return ResponseVerdict(FAILED), 0
        verdict = judge(want, answer)
        if verdict.outcome == OK:
            self._leave()
            self._exchange = exchange
            if not exchange.is_open:
                self._ended(exchange)
        else:
            exchange.close()
        return verdict, answer.status

    def _ended(self, exchange: Exchange) -> None:
        if self._exchange is exchange:
            self._exchange = None
            self._open_later(RECONNECT_AFTER_S)

    def _request(self) -> bytes:
        headers = {"Authorization": f"Bearer {self.member.token}", "User-Agent": f"{self.member.app}/1.0"}
        if not self.websocket:
            headers["Accept"] = "text/event-stream"
            return request("GET", "/api/v1/streaming/user", host=self.course.host, headers=headers)
        headers |= {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(self._rng.randbytes(16)).decode(),
        }
        return request("GET", "/api/v1/streaming?stream=user", host=self.course.host, headers=headers)

    def _on_events(self, data: bytes) -> None:
        self._buffer += data
        whole, line, self._buffer = self._buffer.rpartition(b"\n")
        if line:
            self._hear(whole)

    def _on_frames(self, data: bytes) -> None:
        self._buffer += data
        while (frame := take_frame(self._buffer)) is not None:
            kind, payload, self._buffer = frame
            if kind == _PING and self._exchange is not None:
                self._exchange.write(bytes([0x80 | _PONG, 0x80 | len(payload)]) + _MASK + payload)
            elif kind == _CLOSE and self._exchange is not None:
                self._exchange.close()
                return
            else:
                self._hear(payload)

    def _hear(self, text: bytes) -> None:
        now_s = time.monotonic()
        for mark in _MARK.findall(text):
            self.heard.setdefault(mark, now_s)

    def _line(
        self,
        t: float,
        since_s: float,
        status: int,
        verdict: ResponseVerdict,
        *,
        ms: float = -1.0,
        is_retry: bool = False,
    ) -> Line:
        return Line(
            t=t,
            phase=self.course.phase_at(t),
            kind=self.who.kind,
            channel="streaming",
            who=self.who.name,
            app=self.who.app,
            address_kind="own",
            status=status,
            ms=ms if ms >= 0 else (time.monotonic() - since_s) * 1000,
            late_ms=0.0,
            outcome=verdict.outcome,
            contract=verdict.contract,
            retry_after=verdict.retry_after,
            is_retry=is_retry,
            known=True,
        )

    def tell_about(self, mark: bytes, posted_s: float, intended_s: float) -> None:
        """Record whether this listener received the post acknowledged at `posted_s`, DEADLINE_S ago."""
        heard_s = self.heard.pop(mark, None)
        if heard_s is None and self.excused_until_s > posted_s:
            return
        if heard_s is None:
            verdict, ms = ResponseVerdict(TIMEOUT), DEADLINE_S * 1000
        else:
            ms = max(0.0, heard_s - posted_s) * 1000
            verdict = ResponseVerdict(OK if heard_s - posted_s <= DEADLINE_S else LATE)
        t = intended_s - self.course.start_s
        self.course.put(self._line(t, posted_s, 0, verdict, ms=ms))


def _want(websocket: bool) -> ExpectedRequest:  # noqa: FBT001 - the one thing that it is about
    def is_right(answer: WireResponse) -> bool:
        if websocket:
            return answer.status == 101
        return answer.status == 200 and answer.header("content-type").startswith("text/event-stream")

    return ExpectedRequest(
        "GET", "/api/v1/streaming", "streaming", ResponseFamily.API, CONNECT_PATIENCE_S, is_right
    )


def take_frame(buffer: bytes) -> tuple[int, bytes, bytes] | None:
    """Return (kind, payload, rest) of the first complete frame from a server: unmasked (RFC 6455 §5.2)."""
    if len(buffer) < 2:
        return None
    length, at = buffer[1] & 0x7F, 2
    if length == 126:
        length, at = int.from_bytes(buffer[2:4], "big"), 4
    elif length == 127:
        length, at = int.from_bytes(buffer[2:10], "big"), 10
    if len(buffer) < at + length:
        return None
    return buffer[0] & 0x0F, buffer[at : at + length], buffer[at + length :]


class StreamAudience:
    """All listeners, and for each posting account those who follow it."""

    def __init__(self, course: Course, community: Community, rng: Random) -> None:
        self._rng = rng
        self.listeners = [
            StreamClient(course, member, websocket=number % 2 == 0, rng=Random(rng.random()))  # noqa: S311
            for number, member in enumerate(community.of("streaming"))
        ]
        self._followers: dict[str, list[StreamClient]] = {}
        by_id = {one.member.account_id: one for one in self.listeners}
        for listener_id, posters in community.listens.items():
            for poster in posters:
                if listener_id in by_id:
                    self._followers.setdefault(poster, []).append(by_id[listener_id])

    async def open_all(self) -> None:
        """Open every stream, OPENED_PER_S a second."""
        tasks = []
        for listener in self.listeners:
            tasks.append(asyncio.create_task(listener.open(time.monotonic())))
            await asyncio.sleep(1 / OPENED_PER_S)
        await asyncio.gather(*tasks)

    def any(self) -> StreamClient:
        """Return a random listener."""
        return self._rng.choice(self.listeners)

    async def expect(self, poster_id: str, text: str, intended_s: float) -> None:
        """Wait DEADLINE_S, then record which of the poster's followers received the post acknowledged now."""
        posted_s = time.monotonic()
        mark = _MARK.search(text.encode())
        assert mark is not None, "posts of the drill carry their mark"
        await asyncio.sleep(DEADLINE_S)
        for listener in self._followers.get(poster_id, ()):
            listener.tell_about(mark.group(), posted_s, intended_s)

    def close(self) -> None:
        """Close all streams."""
        for listener in self.listeners:
            listener.close()
