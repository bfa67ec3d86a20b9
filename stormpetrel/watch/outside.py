"""The watch on another machine: the same status page, measured from there, without the database and the secret.

It uses the channels that a visitor can use. The others are unknown, and the page tells what the instance's own status
page says of them, and where the two differ. It needs nothing of the instance but its address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from stormpetrel import clock
from stormpetrel.config import Config
from stormpetrel.errors import SetupError
from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.process.health import serve_health
from stormpetrel.rules.canaries import CanaryCredentials
from stormpetrel.shield.canary import Person
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.canaries import Canaries
from stormpetrel.watch.probe_client import ProbeClient
from stormpetrel.watch.probes import Canary, Probe, ProbeFailed, feeds, streaming, web
from stormpetrel.watch.status.board import StatusBoard
from stormpetrel.watch.status.book import StatusBook, keep, new_incident_id
from stormpetrel.watch.status.channels import ChannelStatus
from stormpetrel.watch.status.export import keep_exported
from stormpetrel.watch.status.history import ChannelHistory
from stormpetrel.watch.status.site import StatusSite
from stormpetrel.watch.status.view import StatusView, view_of

SECOND_S = 1.0
INSIDE_EVERY_S = 5.0
INSIDE_PATIENCE_S = 4.0
MAX_TITLE = 100
INSIDE_SILENT_S = 30.0
"""What the instance said of itself longer ago than this is not shown."""
NOT_MEASURED = "Not measured from outside."

log = logging.getLogger(__name__)


async def apps(canary: Canary, person: Person) -> None:
    """Call the API without a token."""
    answer = await canary.ask("GET", "/api/v1/timelines/public?limit=1", person=person, expect=200)
    try:
        json.loads(answer.body)
    except ValueError as error:
        raise ProbeFailed("the API's answer is not JSON") from error


async def sign_in(canary: Canary, person: Person) -> None:
    """Open the form; a wrong password each few seconds would be a guess."""
    await canary.ask("GET", "/auth/sign_in", person=person, expect=200)


PROBES = (
    Probe("web", "web", "visitor", web),
    Probe("apps", "apps", "visitor", apps),
    Probe("streaming", "streaming", "visitor", streaming),
    Probe("sign_in", "sign_in", "visitor", sign_in),
    Probe("feeds", "feeds", "visitor", feeds),
)


@dataclass(slots=True)
class InsideView:
    """What the instance says of itself: its title, the address of its status page, the state of each channel."""

    title: str = ""
    page_url: str = ""
    states: dict[str, str] = field(default_factory=dict)
    at_s: float = float("-inf")

    def fresh(self, now_s: float) -> dict[str, str]:
        """Return the states by the name of the channel; empty without an answer of the last seconds."""
        return self.states if now_s - self.at_s < INSIDE_SILENT_S else {}


def client_of(url: str) -> tuple[ProbeClient, str]:
    """Return a client for an address, and the path of the address without a slash at its end. Raise SetupError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SetupError(f"{url} is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(f"{url} is not an address such as https://example.org")
    is_tls = parts.scheme == "https"
    client = ProbeClient(
        parts.hostname,
        port or (443 if is_tls else 80),
        parts.netloc,
        tls=ssl.create_default_context() if is_tls else None,
    )
    return client, parts.path.rstrip("/")


async def run(*, config: Config, of: str, sock: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. `of`: the address of the instance."""
    door, _ = client_of(of)
    inside = InsideView()
    book = StatusBook(config.data_dir)
    began_s = clock.now_s()
    stored = await book.load(now_ms=int(began_s * 1000))
    canaries = Canaries(
        Canary(door=door, known=CanaryCredentials("", "", ""), mark=lambda person: {}),
        register=_not_open,
        note=lambda note: log.info("%s", note.text),
        now_epoch_s=clock.now_s,
        probes=PROBES,
    )
    board = StatusBoard(
        canaries.channels,
        new_id=new_incident_id,
        now_epoch_s=began_s,
        incidents=stored.incidents,
        history=ChannelHistory(stored.days, stored.minutes),
    )
    loop = asyncio.get_running_loop()

    def view() -> StatusView:
        title = f"{inside.title or door.host_header} from outside"
        named = replace(config, public_url=of, title=title)
        shown = view_of(named, board, attack=Attack(), now_epoch_s=clock.now_s())
        return replace(shown, channels=compared(shown.channels, inside.fresh(loop.time())))

    site = StatusSite(view, clock_s=loop.time)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_health(sock, stop=stop, role="watch", documents=site.find))
            tasks.create_task(canaries.run(stop))
            tasks.create_task(_seconds(board, canaries, stop))
            tasks.create_task(keep(board, book, stop))
            tasks.create_task(keep_looking_inside(inside, of, stop))
            tasks.create_task(keep_exported(view, config, stop))
    finally:
        await book.close()


def compared(channels: Sequence[ChannelStatus], inside: dict[str, str]) -> tuple[ChannelStatus, ...]:
    """Return all channels, each with what the instance says of it where that differs or nothing is measured here."""
    measured = {one.channel: one for one in channels}
    found = []
    for channel, name in CHANNEL_NAMES.items():
        one = measured.get(channel)
        said = inside.get(name, "")
        if one is None:
            if inside and not said:
                # The instance does not have it, such as text messages.
                continue
            one = ChannelStatus(
                channel, ChannelState.UNKNOWN, 0.0, 0.0, reason=NOT_MEASURED, is_measured=False
            )
        if said and said != one.state.value:
            text = f"The instance itself says: {said.replace('_', ' ')}."
            one = replace(one, reason=f"{one.reason} {text}".strip())
        found.append(one)
    return tuple(found)


async def _not_open() -> None:
    """Raise ProbeFailed: the API asks for a token where a visitor should need none."""
    raise ProbeFailed("the API does not answer visitors")


async def _seconds(board: StatusBoard, canaries: Canaries, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while not await _paused(stop, SECOND_S):
        board.second(canaries.states, (), named=(), at_s=loop.time(), now_epoch_s=clock.now_s())


async def keep_looking_inside(inside: InsideView, of: str, stop: asyncio.Event) -> None:
    """Keep what the instance says of itself. That it says nothing is no failure of a channel."""
    while True:
        try:
            async with asyncio.timeout(INSIDE_PATIENCE_S):
                await look_inside(inside, of, now_s=asyncio.get_running_loop().time)
        except Exception as error:  # at the task's edge: no answer of the instance may end this watch
            log.debug("the instance's own status page cannot be read: %r", error)
        if await _paused(stop, INSIDE_EVERY_S):
            return


async def look_inside(inside: InsideView, of: str, *, now_s: Callable[[], float]) -> None:
    """Read title and page of the instance once, and the states of its channels. Raise what reading raises."""
    if not inside.page_url:
        client, path = client_of(of)
        answer = await client.ask("GET", f"{path}/api/v2/instance", headers={})
        found = json.loads(answer.body)
        inside.title = clean_title(str(found["title"]))
        named = str(found["configuration"]["urls"]["status"] or "")
        inside.page_url = status_address(named, is_tls=client.tls is not None)
    client, path = client_of(inside.page_url)
    answer = await client.ask("GET", f"{path}/api/v2/components.json", headers={})
    listed = json.loads(answer.body)["components"]
    known = {state.value for state in ChannelState}
    inside.states = {one["name"]: one["status"] for one in listed if one["status"] in known}
    inside.at_s = now_s()


def status_address(named: str, *, is_tls: bool) -> str:
    """Return the address of the status page that an instance names; "" if it may not be asked.

    This machine may reach servers that the instance does not. By https only a server with a certificate for that name
    gets a request, so an instance by https (`is_tls`) has its page by https, too.
    """
    return named if not is_tls or named.startswith("https://") else ""


def clean_title(title: str) -> str:
    """Return a title that another machine has sent as the pages may show it: short, and only printable characters."""
    kept = "".join(sign if sign.isprintable() else " " for sign in title[: 4 * MAX_TITLE])
    return " ".join(kept.split())[:MAX_TITLE]


async def _paused(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
