"""Members with phones: they post and ask by text, and get the posts of a member they follow.

Three channels: `sms_in`, from the moment a message reaches the carrier until it is acknowledged; `sms_answers`, from
the same moment until the answer is at the carrier; `sms_deliveries`, from the acknowledgement of a post until it is
at the carrier as a text.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

from stormpetrel.drill.carrier import GATEWAY, message
from stormpetrel.drill.client import Caller, Client, Course
from stormpetrel.drill.community import Community, Member
from stormpetrel.drill.judge import ExpectedRequest, ResponseFamily
from stormpetrel.drill.record import LATE, OK, TIMEOUT, Line
from stormpetrel.drill.wire import WireResponse

ANSWER_S = 5.0
DELIVERY_S = 30.0
ACKNOWLEDGE_PATIENCE_S = 10.0
"""Smsbox and most services of this kind give up on a webhook after about this time, and try again later."""
QUESTIONS = 0.5
"""Share of messages that are commands with an answer; the others are posts."""
LOOK_EVERY_S = 0.1
_MARK = re.compile(r"drill-\d+-\d+-\d+")
_NAMED = re.compile(r"@\w+")


@dataclass(frozen=True, slots=True)
class ExpectedText:
    """A text that a phone should get. `since_s`: its time counts from then; `until_s`: too late after that."""

    channel: str
    member: Member
    sign: str
    intended_s: float
    since_s: float
    until_s: float


class PhonePeople:
    """All members with phones. `course`: of the port for webhooks."""

    def __init__(self, course: Course, community: Community, rng: Random) -> None:
        self._course = course
        self._rng = rng
        self._members = [one for one in community.of("sms") if one.phone]
        self._by_id = {one.account_id: one for one in self._members}
        self._followers = {
            poster: [self._by_id[one] for one in readers if one in self._by_id]
            for poster, readers in community.texts.items()
        }
        self._clients = {
            one.phone: Client(course, Caller("sms", one.name), address=GATEWAY, impatient=False, headers=())
            for one in self._members
        }
        self.doubled = 0
        self._expected: dict[str, list[ExpectedText]] = {}
        # By phone: the posts that came, by their mark, and the answers that are due, by the name in them.
        self._delivered: set[tuple[str, str]] = set()
        self._due: Counter[tuple[str, str]] = Counter()
        self._heard: dict[tuple[str, str], float] = {}

    def any(self) -> Member:
        """Return a random member with a phone."""
        return self._rng.choice(self._members)

    async def post(self, member: Member, text: str, at_s: float) -> WireResponse | None:
        """Post by text; return the acknowledgement, or None."""
        return await self._send(member, text, at_s, marked=text)

    async def ask(self, at_s: float) -> None:
        """Ask for an account, or for the member's own counts."""
        member = self.any()
        asks_own = self._rng.random() < 0.5
        other = member if asks_own else self.any()
        question = "STATS" if asks_own else f"WHOIS {other.name}"
        self._due[member.phone, f"@{other.name}"] += 1
        # Registered before it is sent: the answer may come before the acknowledgement.
        expected = ExpectedText("sms_answers", member, f"@{other.name}", at_s, at_s, at_s + ANSWER_S)
        self._expect(expected)
        if await self._send(member, question, at_s) is None:
            self._forget(expected)

    async def _send(self, member: Member, text: str, at_s: float, *, marked: str = "") -> WireResponse | None:
        want = ExpectedRequest(
            *("GET", message(member.phone, text, f"{self._rng.getrandbits(64):016x}"), "sms_in"),
            *(ResponseFamily.API, ACKNOWLEDGE_PATIENCE_S, lambda answer: 200 <= answer.status < 300),
            text=marked,
        )
        return await self._clients[member.phone].ask(want, at_s)

    def expect_post(self, poster_id: str, text: str, intended_s: float) -> None:
        """Expect a post that was acknowledged now at the phones of those who get its author's posts."""
        posted_s = time.monotonic()
        mark = _MARK.search(text)
        assert mark is not None, "posts of the drill carry their mark"
        for member in self._followers.get(poster_id, ()):
            expected = ExpectedText(
                "sms_deliveries", member, mark[0], intended_s, posted_s, posted_s + DELIVERY_S
            )
            heard_s = self._heard.pop((member.phone, mark[0]), None)
            if heard_s is not None:
                self._line(expected, max(heard_s, posted_s))
            else:
                self._expect(expected)

    def hear(self, number: str, text: str) -> None:
        """Take a text that arrived at the carrier."""
        now_s = time.monotonic()
        mark = _MARK.search(text)
        self._count(number, text, mark[0] if mark is not None else "")
        for expected in self._expected.get(number, ()):
            if expected.sign == mark[0] if mark is not None else expected.sign in text:
                self._forget(expected)
                self._line(expected, now_s)
                return
        if mark is not None:
            self._heard[number, mark[0]] = now_s

    def _count(self, number: str, text: str, mark: str) -> None:
        """Count a text that came more often than it was due: a post twice, or two answers to one question."""
        if number not in self._clients:
            return
        if mark:
            self.doubled += (number, mark) in self._delivered
            self._delivered.add((number, mark))
            return
        named = _NAMED.match(text)
        answer = (number, named[0] if named is not None else "")
        if answer in self._due:
            self.doubled += self._due[answer] <= 0
            self._due[answer] -= 1

    async def finish(self) -> None:
        """Wait until every text that is expected has come, or is too late."""
        while waiting := [one for texts in self._expected.values() for one in texts]:
            for one in waiting:
                # Texts that come late are lines too; those that never come, at the end of the longest wait.
                if time.monotonic() > one.since_s + DELIVERY_S:
                    self._forget(one)
                    self._line(one, None)
            await asyncio.sleep(LOOK_EVERY_S)
        for client in self._clients.values():
            client.close()

    def _expect(self, expected: ExpectedText) -> None:
        self._expected.setdefault(expected.member.phone, []).append(expected)

    def _forget(self, expected: ExpectedText) -> None:
        texts = self._expected.get(expected.member.phone, [])
        if expected in texts:
            texts.remove(expected)

    def _line(self, expected: ExpectedText, came_s: float | None) -> None:
        ended_s = came_s if came_s is not None else time.monotonic()
        outcome = TIMEOUT if came_s is None else OK if came_s <= expected.until_s else LATE
        t = expected.intended_s - self._course.start_s
        self._course.put(
            Line(
                t=t,
                phase=self._course.phase_at(t),
                kind="sms",
                channel=expected.channel,
                who=expected.member.name,
                app="",
                address_kind="own",
                status=0,
                ms=max(0.0, ended_s - expected.since_s) * 1000,
                late_ms=0.0,
                outcome=outcome,
                known=True,
            )
        )
