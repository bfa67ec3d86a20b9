"""One legitimate client: an app, a browser or a feed reader. When refused, it behaves as real ones do.

Latency counts from the moment the person wanted something, not from the moment the client sent the request.
The client heeds `Retry-After`; whatever its owner wants meanwhile counts as refused. One client in ten is
impatient and sends three retries at once instead. The others retry a refused request once the time is up. A
retry never counts as kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from stormpetrel.drill.judge import ExpectedRequest, ResponseVerdict, judge
from stormpetrel.drill.loopback import Address, BudgetSpent, TrafficBudget
from stormpetrel.drill.record import FAILED, LATE, OK, REFUSED, TIMEOUT, Line
from stormpetrel.drill.tls import TlsClient, TlsName
from stormpetrel.drill.wire import Broken, Exchange, WireResponse, connect, request

IMPATIENT_SHARE = 0.1
IMPATIENT_RETRIES = 3
RETRIES = 2
"""How often a patient client retries one request."""
RETRY_WITHIN_S = 60.0
"""A client that must wait longer than this gives up on the request."""
RETRY_UNASKED_S = 3.0
"""Delay after an error without Retry-After: the person presses the button again."""


@dataclass(slots=True)
class Course:
    """Settings that all clients of a run share: target, start, budget, and the function that takes lines.

    `tls`: how the front is reached; None: without TLS.
    """

    target: Address
    host: str
    start_s: float
    budget: TrafficBudget
    phase_at: Callable[[float], str]
    put: Callable[[Line], None]
    tls: TlsName | None = None

    @property
    def origin(self) -> str:
        """Return the origin as a browser names it."""
        return f"http://{self.host}" if self.tls is None else f"https://{self.host}"

    def tls_client(self) -> TlsClient | None:
        """Return the TLS memory of a new client; None without TLS."""
        return None if self.tls is None else self.tls.client()


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that a line is about (see record.Line)."""

    kind: str
    name: str
    app: str = ""
    address_kind: str = "own"
    known: bool = True


class Client:
    """A client with its connection, its cookies and its retry behaviour."""

    def __init__(
        self,
        course: Course,
        who: Caller,
        *,
        address: str,
        impatient: bool,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        self.course = course
        self.who = who
        self.address = address
        self.impatient = impatient
        self.jar: dict[str, str] = {}
        self._headers = headers
        self._tls = course.tls_client()
        self._kept: Exchange | None = None
        self._hold_until_s = 0.0
        self._retrying: set[asyncio.Task[WireResponse | None]] = set()

    async def ask(self, want: ExpectedRequest, intended_s: float) -> WireResponse | None:
        """Return the answer if right and in time; else return None and, if safe, retry in the background."""
        late_ms = (time.monotonic() - intended_s) * 1000
        if time.monotonic() < self._hold_until_s and not self.impatient:
            # The app still heeds Retry-After: it sends nothing, and its owner gets nothing.
            self._line(want, intended_s, late_ms, 0, ResponseVerdict(REFUSED))
            return None
        answer, verdict = await self._try(want, intended_s, late_ms)
        if verdict.outcome == OK:
            return answer
        if want.safe:
            self._retry(want, verdict)
        return None

    def close(self) -> None:
        """Close the connection and cancel pending retries."""
        for task in tuple(self._retrying):
            task.cancel()
        if self._kept is not None:
            self._kept.close()

    def _retry(self, want: ExpectedRequest, verdict: ResponseVerdict) -> None:
        if self.impatient:
            for _ in range(IMPATIENT_RETRIES):
                self._later(want, 0.0, left=0)
            return
        wait_s = verdict.retry_after if verdict.retry_after is not None else RETRY_UNASKED_S
        if verdict.retry_after is not None:
            self._hold_until_s = max(self._hold_until_s, time.monotonic() + wait_s)
        if wait_s <= RETRY_WITHIN_S:
            self._later(want, wait_s, left=RETRIES - 1)

    def _later(self, want: ExpectedRequest, wait_s: float, *, left: int) -> None:
        task = asyncio.get_running_loop().create_task(self._again(want, wait_s, left))
        self._retrying.add(task)
        task.add_done_callback(self._retrying.discard)

    async def _again(self, want: ExpectedRequest, wait_s: float, left: int) -> WireResponse | None:
        if wait_s:
            await asyncio.sleep(wait_s)
        intended_s = time.monotonic()
        answer, verdict = await self._try(want, intended_s, 0.0, is_retry=True)
        if verdict.outcome == OK:
            return answer
        if left and verdict.retry_after is not None and verdict.retry_after <= RETRY_WITHIN_S:
            self._hold_until_s = max(self._hold_until_s, time.monotonic() + verdict.retry_after)
            return await self._again(want, verdict.retry_after, left - 1)
        return None

    async def _try(
        self, want: ExpectedRequest, intended_s: float, late_ms: float, *, is_retry: bool = False
    ) -> tuple[WireResponse | None, ResponseVerdict]:
        left_s = want.patience_s - (time.monotonic() - intended_s)
        answer: WireResponse | None = None
        try:
            answer = await self._exchange(want, max(left_s, 0.01))
        except TimeoutError:
            verdict = ResponseVerdict(TIMEOUT)
        except (OSError, Broken):
            verdict = ResponseVerdict(FAILED)
        else:
            verdict = judge(want, answer)
            if verdict.outcome == OK and answer.done_s - intended_s > want.patience_s:
                verdict = ResponseVerdict(LATE)
            self.jar.update(answer.cookies())
        status = answer.status if answer is not None else 0
        self._line(want, intended_s, late_ms, status, verdict, is_retry=is_retry)
        return answer, verdict

    async def _exchange(self, want: ExpectedRequest, timeout_s: float) -> WireResponse:
        data = self._bytes(want)
        deadline_s = time.monotonic() + timeout_s
        kept, self._kept = self._kept, None
        if kept is not None and kept.is_open:
            try:
                answer = await kept.send(data, timeout_s=timeout_s)
            except Broken:
                # The server closed an idle connection while we wrote: every client retries that.
                if want.method != "GET":
                    raise
            else:
                self._keep(kept)
                return answer
        left_s = max(0.01, deadline_s - time.monotonic())
        try:
            exchange = await connect(
                self.course.target,
                source=self.address,
                budget=self.course.budget,
                timeout_s=left_s,
                tls=self._tls,
            )
        except BudgetSpent as error:
            raise OSError(str(error)) from error
        try:
            answer = await exchange.send(data, timeout_s=max(0.01, deadline_s - time.monotonic()))
        except BaseException:
            exchange.close()
            raise
        self._keep(exchange)
        return answer

    def _keep(self, exchange: Exchange) -> None:
        if not exchange.is_open:
            return
        if self._kept is None:
            self._kept = exchange
        else:
            exchange.close()

    def _bytes(self, want: ExpectedRequest) -> bytes:
        headers = dict(self._headers) | dict(want.headers)
        if self.jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        return request(want.method, want.path, host=self.course.host, headers=headers, body=want.body)

    def _line(
        self,
        want: ExpectedRequest,
        intended_s: float,
        late_ms: float,
        status: int,
        verdict: ResponseVerdict,
        *,
        is_retry: bool = False,
    ) -> None:
        t = intended_s - self.course.start_s
        self.course.put(
            Line(
                t=t,
                phase=self.course.phase_at(t),
                kind=self.who.kind,
                channel=want.channel,
                who=self.who.name,
                app=self.who.app,
                address_kind=self.who.address_kind,
                status=status,
                ms=(time.monotonic() - intended_s) * 1000,
                late_ms=late_ms,
                outcome=verdict.outcome,
                contract=verdict.contract,
                retry_after=verdict.retry_after,
                is_retry=is_retry,
                text=want.text if verdict.outcome == OK else "",
                is_hot=want.is_hot,
                known=self.who.known,
            )
        )
