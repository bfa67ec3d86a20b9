"""The errand of a canary on each channel: a request that a person would make, and that leaves nothing behind.

| channel | person | request | healthy when |
|---|---|---|---|
| web | both | the public timeline's page; a member's is not answered from the cache | 200 |
| apps | member | the public timeline over the API, with the canaries' own token | 200 |
| posting | member | create and revoke a token: two writes through the writer that stores posts | 200 and 200 |
| streaming | member | the public stream, until its first line | 200 and the line |
| sign_in | both | the form, then a sign-in with an impossible name: form and password checks | 200, then 422 |
| | member | then the writes of posting, for the session that a right password would store | 200 and 200 |
| media | member | a file of no one: its look-up, and whether the store answers | 204 |
| feeds | visitor | the Atom feed of an unused hashtag | 200 |
| sms_in | member | a message to the sms role's loopback route (gateway/canary.py) | 200, and a route can receive |
| sms_out | member | HELP to it, until its answer is sent there | within ANSWER_S, and a route can send |

The mark of a request (shield/canary.py) has it wait in the class of its person, like anyone of that class.
Those of SMS are run where a route is in use.

Posting creates no post: a post would be seen, counted, delivered and found, and its account would be among
the members. The errand shares with posts everything that fails in an attack or on a full disk: the way in,
the class, the writer and its commit.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from stormpetrel.rules.canaries import CanaryCredentials
from stormpetrel.shield.canary import MEDIA_KEY, Person
from stormpetrel.storage.sms_spool.canary import ROUTE
from stormpetrel.watch.probe_client import ProbeClient, ProbeResponse

USER_AGENT = "stormpetrel-canary"
FEED = "/tags/stormpetrelcanary/feed.atom"
NOBODY = "nobody, a canary"
"""Not a valid username, because of its spaces, so no account can have it."""
ANSWER_S = 5.0
"""A text is answered within this time, also under attack."""
LOOK_MIN_S, LOOK_MAX_S = 0.02, 0.3
_FORM = "application/x-www-form-urlencoded"
_CSRF = re.compile(rb'name="csrf" value="([0-9a-f]+)"')


class ProbeFailed(Exception):
    """An errand got a wrong result. `refused`: the shield refused it, with 429 or 503."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


class TokenUnknown(ProbeFailed):
    """The canaries' application or token does not exist (any more) and must be registered."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary's door and credentials; `mark` returns the header that identifies a person's canary to the workers.

    `sms_door`: the port of the sms role; None if no route is configured.
    """

    door: ProbeClient
    known: CanaryCredentials
    mark: Callable[[Person], dict[str, str]]
    sms_door: ProbeClient | None = None

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Return the probes of the channels that exist here."""
        return tuple(one for one in PROBES if self.sms_door is not None or one.channel not in SMS_CHANNELS)

    async def ask_sms(self, method: str, key: str, *, body: bytes = b"") -> dict[str, bool]:
        """Return the facts that the sms role's loopback route answers. Raise ProbeFailed, NoAnswer."""
        assert self.sms_door is not None, "these errands are run only with a route"
        target = f"/sms/{ROUTE}?key={key}"
        answer = await self.sms_door.ask(
            method, target, headers={"User-Agent": USER_AGENT, **self.mark("member")}, body=body
        )
        if answer.status != 200:
            raise ProbeFailed(f"the sms role answered {answer.status}", refused=answer.status == 503)
        try:
            return dict(json.loads(answer.body))
        except (ValueError, TypeError) as error:
            raise ProbeFailed("the sms role's answer cannot be read") from error

    async def ask(
        self,
        method: str,
        target: str,
        *,
        person: Person,
        expect: int,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        first_of_stream: bytes | None = None,
    ) -> ProbeResponse:
        """Return the answer, if it has the expected status. Raise ProbeFailed, NoAnswer."""
        sent = {"User-Agent": USER_AGENT, **self.mark(person), **(headers or {})}
        body = b""
        if form is not None:
            sent["Content-Type"] = _FORM
            body = urlencode(form).encode()
        answer = await self.door.ask(method, target, headers=sent, body=body, first_of_stream=first_of_stream)
        if answer.status == expect:
            return answer
        said = f"{method} {target.partition('?')[0]} answered {answer.status}"
        if answer.status == 401:
            raise TokenUnknown(said)
        raise ProbeFailed(said, refused=answer.status in (429, 503))


async def web(canary: Canary, person: Person) -> None:
    """Open a page."""
    headers = {"Accept": "text/html"}
    if person == "member":
        # A page for a request with a credential is not answered from the cache. No page heeds this one.
        headers["Authorization"] = f"Bearer {canary.known.token}"
    await canary.ask("GET", "/public", person=person, expect=200, headers=headers)


async def apps(canary: Canary, person: Person) -> None:
    """Call the API with a token."""
    bearer = {"Authorization": f"Bearer {canary.known.token}"}
    answer = await canary.ask(
        "GET", "/api/v1/timelines/public?limit=1", person=person, expect=200, headers=bearer
    )
    try:
        if isinstance(json.loads(answer.body), list):
            return
    except ValueError as error:
        raise ProbeFailed("the API's answer is not JSON") from error
    raise ProbeFailed("the API's answer is not a list")


async def posting(canary: Canary, person: Person) -> None:
    """Make two writes: create a token and revoke it."""
    own = {"client_id": canary.known.client_id, "client_secret": canary.known.client_secret}
    answer = await canary.ask(
        "POST",
        "/oauth/token",
        person=person,
        expect=200,
        form={**own, "grant_type": "client_credentials", "scope": "read"},
    )
    try:
        token = json.loads(answer.body)["access_token"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProbeFailed("cannot read the token response") from error
    await canary.ask("POST", "/oauth/revoke", person=person, expect=200, form={**own, "token": str(token)})


async def streaming(canary: Canary, person: Person) -> None:
    """Open a stream and read its first line."""
    await canary.ask("GET", "/api/v1/streaming/public", person=person, expect=200, first_of_stream=b":)\n")


async def sign_in(canary: Canary, person: Person) -> None:
    """Send the form with an impossible name and expect it back with an error; make the writes of a session."""
    form = await canary.ask("GET", "/auth/sign_in", person=person, expect=200)
    found = _CSRF.search(form.body)
    if found is None:
        raise ProbeFailed("the sign-in page has no form")
    cookies = "; ".join(value.partition(";")[0] for name, value in form.headers if name == "set-cookie")
    await canary.ask(
        "POST",
        "/auth/sign_in",
        person=person,
        expect=422,
        form={"csrf": found[1].decode(), "user[email]": NOBODY, "user[password]": "none", "next": "/"},
        headers={"Cookie": cookies},
    )
    if person == "member":
        # A right password stores a session, by the same writer.
        await posting(canary, person)


async def media(canary: Canary, person: Person) -> None:
    """Ask for a file."""
    await canary.ask("GET", f"/media/{MEDIA_KEY}", person=person, expect=204)


async def feeds(canary: Canary, person: Person) -> None:
    """Fetch a feed."""
    await canary.ask("GET", FEED, person=person, expect=200)


async def sms_in(canary: Canary, person: Person) -> None:
    """Let the sms role store a message that has no effect."""
    facts = await canary.ask_sms("POST", secrets.token_hex(8))
    if not facts.get("receives"):
        raise ProbeFailed("no route of text messages is connected")


async def sms_out(canary: Canary, person: Person) -> None:
    """Send HELP and wait until the answer has left."""
    key = secrets.token_hex(8)
    await canary.ask_sms("POST", key, body=b"HELP")
    wait_s = LOOK_MIN_S
    # The deadline of the errand (canaries.PATIENCE_OF) ends the wait.
    while not (facts := await canary.ask_sms("GET", key)).get("answered"):
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, LOOK_MAX_S)
    if not facts.get("sends"):
        raise ProbeFailed("no route of text messages can send")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a canary of one channel does, in the class of one person. `name`: unique, for the journal."""

    name: str
    channel: str
    person: Person
    errand: Callable[[Canary, Person], Awaitable[None]]


SMS_CHANNELS = frozenset({"sms_in", "sms_out"})
PROBES = (
    Probe("web", "web", "member", web),
    Probe("web_visitor", "web", "visitor", web),
    Probe("apps", "apps", "member", apps),
    Probe("posting", "posting", "member", posting),
    Probe("streaming", "streaming", "member", streaming),
    Probe("sign_in", "sign_in", "member", sign_in),
    Probe("sign_in_visitor", "sign_in", "visitor", sign_in),
    Probe("media", "media", "member", media),
    Probe("feeds", "feeds", "visitor", feeds),
    Probe("sms_in", "sms_in", "member", sms_in),
    Probe("sms_out", "sms_out", "member", sms_out),
)
