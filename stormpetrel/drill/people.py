"""The people's process: an open loop of arrivals, each a person who wants something at that moment.

    python -m stormpetrel.drill.people PLAN OUT

Arrivals are Poisson processes, drawn before the run starts; a slow server delays none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TextIO

import uvloop

from stormpetrel.drill import community as communities
from stormpetrel.drill import wants
from stormpetrel.drill.audience import StreamAudience
from stormpetrel.drill.carrier import SmsCarrier, cap_cents
from stormpetrel.drill.client import Caller, Client, Course
from stormpetrel.drill.community import HOMES, Community, Member
from stormpetrel.drill.loopback import TrafficBudget, neighbour, resolve
from stormpetrel.drill.people_plan import PeoplePlan
from stormpetrel.drill.phones import QUESTIONS, PhonePeople
from stormpetrel.drill.record import Line, bill_json
from stormpetrel.drill.search import look_for
from stormpetrel.drill.tls import TlsName
from stormpetrel.drill.wire import Broken, connect, request

RATES_PER_S = {
    "own": 20.0,
    "carrier": 15.0,
    "school": 5.0,
    "tor": 2.5,
    "web": 6.0,
    "posting": 3.0,
    "streaming": 1.0,
    "returning": 3.0,
    "new": 1.0,
    "feeds": 1.5,
    "sign_in": 0.5,
    "sign_up": 0.1,
    "sms": 1.0,
}
"""Arrivals a second: of requests, of pages (web, with assets about 10 requests), of visitors (new, with pages and
assets about 6 requests), of reconnects (streaming), of text messages (sms; 3 to 4 texts come back). About 70 requests
a second in all."""
IMPATIENT_SHARE = 0.1
ANONYMOUS_AT_SCHOOL = 100
ANONYMOUS_ON_TOR = 60
MEMBERS_AT_SCHOOL = 0.5
MEMBERS_ON_TOR = 0.4
FEED_READERS = 80
HOSTED_READERS = 30
"""Feed readers that are hosted services: they share two addresses."""
RETURNING = 300
WEB_POSTS = 0.4
HOT_VISITS = 0.3
"""Share of visits that go to the activist's page."""
COLD_CACHE = 0.3
"""Share of members' browsers that must fetch a page's assets once."""
KNOWN_DEVICES = 0.7
MISTYPED = 0.1
MAX_PAGES = 3
THINK_S = (1.0, 4.0)
LEAD_S = 11.0
"""Time before the run in which streams are opened and members look in; nothing is counted."""
LOOKS_BEFORE = {"own": 2, "carrier": 2, "school": 2, "tor": 2, "posting": 6}
LOOKS_PER_S = 280
"""Members have used their apps today, before the attack: each looks in this often, on a separate connection.
Members who post look in most."""
TAIL_S = 16.0
"""Time after the run for requests under way to end (the longest patience is 15 s)."""
CONNECTIONS_PER_S = 400
"""Much more than these people need: a guard against mistakes."""


class Crowd:
    """All legitimate people, and what each does when their turn comes."""

    def __init__(
        self, course: Course, community: Community, seed: int, *, texting: Course | None = None
    ) -> None:
        self.course = course
        self.community = community
        self.seed = seed
        self.rng = Random(f"drill people {seed}")  # noqa: S311 - who wants what, not a secret
        self.audience = StreamAudience(course, community, Random(self.rng.random()))  # noqa: S311
        self.phones = PhonePeople(texting or course, community, Random(self.rng.random()))  # noqa: S311
        self.posted: dict[str, Member] = {}
        self._members = {
            kind: [self._member(one) for one in community.of(kind)]
            for kind in ("own", "carrier", "school", "tor", "web", "posting", "sign_in")
        }
        self._browsers = {kind: self._members[kind] for kind in ("web",)}
        self._posters_web = [self._member(one, by_web=True) for one in community.of("posting")]
        self._visitors = self._make_visitors()
        self._readers = [self._reader(number) for number in range(FEED_READERS)]
        self._newest: dict[str, list[str]] = {}
        self._has_assets: set[int] = set()
        self._validators: dict[str, tuple[tuple[str, str], ...]] = {}
        self._number = 0
        self._watching: set[asyncio.Task[None]] = set()
        self._clients: list[Client] = []

    # The people

    def _client(self, who: Caller, address: str, headers: tuple[tuple[str, str], ...]) -> Client:
        return Client(
            self.course,
            who,
            address=address,
            impatient=self.rng.random() < IMPATIENT_SHARE,
            headers=headers,
        )

    def _member(self, one: Member, *, by_web: bool = False) -> tuple[Client, Member]:
        is_browser = by_web or one.kind in ("web", "sign_in")
        kind = one.kind if one.kind in ("carrier", "school", "tor") else "own"
        who = Caller(one.kind, one.name, "" if is_browser else one.app, kind)
        if not is_browser:
            headers = (("Authorization", f"Bearer {one.token}"), ("User-Agent", f"{one.app}/1.0"))
            return self._client(who, one.address, headers), one
        client = self._client(who, one.address, _BROWSER)
        if one.session and one.kind != "sign_in":
            client.jar[self.community.cookies["session"]] = one.session
        if one.device and self.community.cookies["device"]:
            client.jar[self.community.cookies["device"]] = one.device
        return client, one

    def _make_visitors(self) -> dict[str, list[Client]]:
        school, tor = self.community.shared.school, self.community.shared.tor
        found: dict[str, list[Client]] = {"returning": [], "school": [], "tor": []}
        for number in range(RETURNING):
            address = neighbour(HOMES["visitor"], number * 37)
            client = self._client(Caller("returning", f"visitor-{number}", known=True), address, _BROWSER)
            if number < len(self.community.visitors) and self.community.cookies["visitor"]:
                client.jar[self.community.cookies["visitor"]] = self.community.visitors[number]
            found["returning"].append(client)
        for number in range(ANONYMOUS_AT_SCHOOL):
            who = Caller("school", f"pupil-{number}", address_kind="school", known=False)
            found["school"].append(self._client(who, school[number % len(school)], _BROWSER))
        for number in range(ANONYMOUS_ON_TOR):
            who = Caller("tor", f"tor-{number}", address_kind="tor", known=False)
            found["tor"].append(self._client(who, tor[number % len(tor)], _BROWSER))
        return found

    def _reader(self, number: int) -> Client:
        address = neighbour(HOMES["feeds"], number % 2 if number < HOSTED_READERS else number * 37)
        who = Caller("feeds", f"reader-{number}", known=True)
        return self._client(who, address, (("User-Agent", "FeedReader/2.1"),))

    # Their actions

    async def app(self, kind: str, at_s: float) -> None:
        """Look at the app as a random member of this kind."""
        client, member = self.rng.choice(self._members[kind])
        newest = self._newest.get(member.name, [])
        chance = self.rng.random()
        if chance < 0.6 or not newest:
            answer = await client.ask(wants.home(newest[0] if newest and chance < 0.45 else ""), at_s)
            if answer is not None and (ids := wants.ids_in(answer)):
                self._newest[member.name] = ids[:5]
        elif chance < 0.85:
            await client.ask(wants.notifications(), at_s)
        else:
            await client.ask(wants.context(self.rng.choice(newest)), at_s)

    async def shared(self, kind: str, at_s: float) -> None:
        """Act as a client behind a shared address: a member with an app, or a visitor."""
        members = MEMBERS_AT_SCHOOL if kind == "school" else MEMBERS_ON_TOR
        if self.rng.random() < members:
            await self.app(kind, at_s)
        else:
            await self._view(self.rng.choice(self._visitors[kind]), self._public_page(), at_s)

    async def web(self, kind: str, at_s: float) -> None:
        """Open a page in the browser as a random member."""
        client, _ = self.rng.choice(self._members[kind])
        path = self.rng.choice(("/", "/", "/", "/notifications", "/public", self._profile()))
        answer = await client.ask(wants.page(path, "web"), at_s)
        if answer is not None and id(client) not in self._has_assets:
            self._has_assets.add(id(client))
            if self.rng.random() < COLD_CACHE:
                await self._assets(client, wants.assets_of(answer), "web")

    async def post(self, _kind: str, at_s: float) -> None:
        """Post from an app or by the form."""
        text = self._new_text()
        number = self.rng.randrange(len(self._members["posting"]))
        if self.rng.random() >= WEB_POSTS:
            client, member = self._members["posting"][number]
            self.posted[text] = member
            answer = await client.ask(wants.post_by_app(text, f"key-{text[:40]}"), at_s)
        else:
            client, member = self._posters_web[number]
            page = await client.ask(wants.form_page("/compose", "web"), at_s)
            want = wants.post_by_form(page, text, origin=self.course.origin) if page is not None else None
            if want is None:
                return
            self.posted[text] = member
            answer = await client.ask(want, time.monotonic())
        if answer is not None:
            self.expect(member.account_id, text, at_s)

    def expect(self, poster_id: str, text: str, at_s: float) -> None:
        """Expect a post that was acknowledged now at the phones and the listeners that get its author's posts."""
        self.phones.expect_post(poster_id, text, at_s)
        task = asyncio.create_task(self.audience.expect(poster_id, text, at_s))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    def _new_text(self) -> str:
        self._number += 1
        return f"drill-{self.seed}-{os.getpid()}-{self._number} and this is what happened today"

    async def write_text(self, _kind: str, at_s: float) -> None:
        """Write to the instance from a phone: a post, or a command that is answered."""
        if self.rng.random() < QUESTIONS:
            await self.phones.ask(at_s)
            return
        member, text = self.phones.any(), self._new_text()
        self.posted[text] = member
        await self.phones.post(member, text, at_s)

    async def reconnect(self, _kind: str, at_s: float) -> None:
        """Let a listener change networks."""
        await self.audience.any().change(at_s)

    async def visit_again(self, _kind: str, at_s: float) -> None:
        """Open a public page as a returning visitor."""
        await self._view(self.rng.choice(self._visitors["returning"]), self._public_page(), at_s)

    async def visit(self, _kind: str, at_s: float) -> None:
        """Open one to three pages with assets, as a visitor who is new to the server."""
        self._number += 1
        address = neighbour(HOMES["new"], self._number * 53)
        client = self._client(Caller("new", f"new-{self._number}", known=False), address, _BROWSER)
        try:
            for _ in range(self.rng.randint(1, MAX_PAGES)):
                if not await self._view(client, self._public_page(), at_s):
                    return
                await asyncio.sleep(self.rng.uniform(*THINK_S))
                at_s = time.monotonic()
        finally:
            client.close()

    async def read_feed(self, _kind: str, at_s: float) -> None:
        """Check a feed for updates."""
        number = self.rng.randrange(len(self._readers))
        path = f"{self._profile(number)}/feed.atom"
        answer = await self._readers[number].ask(wants.feed(path, self._validators.get(path, ())), at_s)
        if answer is not None and answer.status == 200:
            self._validators[path] = tuple(
                (name, value)
                for name, header in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
                if (value := answer.header(header))
            )

    async def sign_in(self, kind: str, at_s: float) -> None:
        """Sign in, mostly from a known device and now and then with a mistyped password."""
        people = self._members[kind]
        known = int(len(people) * KNOWN_DEVICES)
        pick = self.rng.randrange(known) if self.rng.random() < KNOWN_DEVICES else -1
        client, member = people[pick if pick >= 0 else self.rng.randrange(known, len(people))]
        page = await client.ask(wants.form_page("/auth/sign_in", "sign_in"), at_s)
        if page is None:
            return
        session = self.community.cookies["session"]
        want = wants.sign_in(
            page,
            member.email,
            member.password,
            origin=self.course.origin,
            cookie=session,
            mistyped=self.rng.random() < MISTYPED,
        )
        if want is not None:
            await client.ask(want, time.monotonic())
        # The next person to sign in with this client starts signed out.
        client.jar.pop(session, None)

    async def sign_up(self, _kind: str, at_s: float) -> None:
        """Sign up; half of the people come from the carrier's shared addresses."""
        self._number += 1
        address = neighbour(HOMES["new"], self._number * 53)
        kind = "own"
        if self.rng.random() < 0.5:
            address, kind = self.rng.choice(self.community.shared.carrier), "carrier"
        name = f"joins_{self.seed}_{os.getpid()}_{self._number}"
        client = self._client(Caller("sign_up", name, address_kind=kind, known=False), address, _BROWSER)
        try:
            page = await client.ask(wants.form_page("/auth/sign_up", "sign_up"), at_s)
            want = (
                wants.sign_up(page, name, origin=self.course.origin, cookie=self.community.cookies["session"])
                if page is not None
                else None
            )
            if want is not None:
                await client.ask(want, time.monotonic())
        finally:
            client.close()

    async def _view(self, client: Client, path: str, at_s: float) -> bool:
        """Open a page as a visitor, with its assets on the first visit. Return False if it failed."""
        cookie = self.community.cookies["visitor"]
        been_here = client.who.kind == "returning" or (bool(cookie) and cookie in client.jar)
        channel = "returning" if been_here else "new"
        is_hot = path == f"/@{self.community.victim.name}"
        answer = await client.ask(wants.page(path, channel, is_hot=is_hot), at_s)
        if answer is None:
            return False
        if client.who.kind != "returning" and id(client) not in self._has_assets:
            self._has_assets.add(id(client))
            await self._assets(client, wants.assets_of(answer), channel)
        return True

    async def _assets(self, client: Client, paths: list[str], channel: str) -> None:
        for path in paths:
            await client.ask(wants.asset(path, channel), time.monotonic())

    def _profile(self, number: int | None = None) -> str:
        names = self.community.names
        return f"/@{names[number % len(names)] if number is not None else self.rng.choice(names)}"

    def _public_page(self) -> str:
        if self.rng.random() < HOT_VISITS:
            return f"/@{self.community.victim.name}"
        victim = self.community.victim
        return self.rng.choice(
            ("/public", "/about", self._profile(), f"/@{victim.name}/{self.rng.choice(victim.post_ids)}")
        )

    async def look_in(self) -> None:
        """Let every app look in several times before the run, LOOKS_PER_S in total. This is not counted."""
        members = [
            member for kind, looks in LOOKS_BEFORE.items() for _, member in self._members[kind] * looks
        ]
        self.rng.shuffle(members)
        looking: set[asyncio.Task[None]] = set()
        started_s = time.monotonic()
        for number, member in enumerate(members):
            task = asyncio.create_task(self._look(member))
            looking.add(task)
            task.add_done_callback(looking.discard)
            await asyncio.sleep(max(0.0, started_s + number / LOOKS_PER_S - time.monotonic()))
        if looking:
            await asyncio.wait(looking)

    async def _look(self, member: Member) -> None:
        headers = {"Authorization": f"Bearer {member.token}", "Connection": "close"}
        data = request("GET", "/api/v1/accounts/verify_credentials", host=self.course.host, headers=headers)
        with contextlib.suppress(OSError, Broken, TimeoutError):
            exchange = await connect(
                self.course.target,
                source=member.address,
                budget=self.course.budget,
                tls=self.course.tls_client(),
            )
            try:
                await exchange.send(data, timeout_s=wants.READ_PATIENCE_S)
            finally:
                exchange.close()

    # The run

    def doing(self, kind: str) -> Callable[[str, float], Awaitable[None]]:
        """Return the action for an arrival of this kind."""
        return {
            "own": self.app,
            "carrier": self.app,
            "school": self.shared,
            "tor": self.shared,
            "web": self.web,
            "posting": self.post,
            "streaming": self.reconnect,
            "returning": self.visit_again,
            "new": self.visit,
            "feeds": self.read_feed,
            "sign_in": self.sign_in,
            "sign_up": self.sign_up,
            "sms": self.write_text,
        }[kind]

    async def finish(self) -> None:
        """Wait until it is known of each acknowledged post which listeners and phones received it in time."""
        while self._watching:
            await asyncio.wait(self._watching)
        await self.phones.finish()

    def close(self) -> None:
        """Close the audience's streams."""
        self.audience.close()


_BROWSER = (
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept-Language", "en"),
)


def arrivals(rng: Random, seconds: float, scale: float) -> list[tuple[float, str]]:
    """Return (second, kind) of all arrivals in time order, from independent Poisson processes."""
    found: list[tuple[float, str]] = []
    for kind, rate in RATES_PER_S.items():
        t = 0.0
        while (t := t + rng.expovariate(rate * scale)) < seconds:
            found.append((t, kind))
    return sorted(found)


async def run(plan: PeoplePlan, out: TextIO) -> None:
    """Play the scenario, then look for every post."""
    community = communities.load(Path(plan.community), https=bool(plan.certificate))
    seconds = plan.scenario.seconds
    course = Course(
        target=resolve(plan.host, plan.port),
        host=plan.name or f"{plan.host}:{plan.port}",
        start_s=plan.start_s,
        budget=TrafficBudget.of(
            connections=int((seconds + 120) * CONNECTIONS_PER_S), seconds=seconds + LEAD_S + 180
        ),
        phase_at=lambda t: plan.scenario.at(t).name,
        put=lambda line: _put(out, line),
        tls=TlsName(Path(plan.certificate), plan.name) if plan.certificate else None,
    )
    texting = replace(
        course, target=resolve(plan.host, plan.sms_port), host=f"{plan.host}:{plan.sms_port}", tls=None
    )
    crowd = Crowd(course, community, plan.seed, texting=texting)
    carrier = SmsCarrier(texting.target, course.budget, crowd.phones.hear, cap_cents(seconds))
    rng = Random(f"drill arrivals {plan.seed}")  # noqa: S311 - when, not a secret
    due = arrivals(rng, seconds, plan.scale)
    if plan.carrier_port:
        await carrier.open(plan.carrier_port)
    else:
        due = [(t, kind) for t, kind in due if kind != "sms"]
    gc.collect()
    gc.freeze()
    flushing = asyncio.create_task(_flush(out))
    opening = asyncio.gather(crowd.audience.open_all(), crowd.look_in())
    tasks: set[asyncio.Task[None]] = set()
    for t, kind in due:
        at_s = plan.start_s + t
        if (wait_s := at_s - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        task = asyncio.create_task(_act(crowd.doing(kind), kind, at_s))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.sleep(max(0.0, plan.start_s + seconds - time.monotonic()))
    await opening
    if tasks:
        await asyncio.wait(tasks, timeout=TAIL_S)
    await crowd.finish()
    crowd.close()
    await carrier.close()
    out.write(f"{bill_json(replace(carrier.bill, doubled=crowd.phones.doubled))}\n")
    await look_for(course, crowd.posted, out)
    flushing.cancel()


async def _act(doing: Callable[[str, float], Awaitable[None]], kind: str, at_s: float) -> None:
    await doing(kind, at_s)


def _put(out: TextIO, line: Line) -> None:
    out.write(f"{line.to_json()}\n")


async def _flush(out: TextIO) -> None:
    while True:
        await asyncio.sleep(0.5)
        out.flush()


def main(arguments: list[str]) -> int:
    """Run the plan in the first file and write lines to the second."""
    plan = PeoplePlan.load(Path(arguments[0]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Some thousand apps and streams keep their connections open; many systems allow 1,024 by default.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(PermissionError):
        # Real people use their own machines: here at least they should not wait behind the attackers.
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    with open(arguments[1], "w", encoding="utf-8") as out:
        uvloop.run(run(plan, out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
