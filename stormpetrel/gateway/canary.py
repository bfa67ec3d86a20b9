"""The far end of the watch's canary for text messages: a route that begins and ends in this process.

The watch posts a message to /sms/_canary with the mark of its requests (shield/canary.py), and asks there whether it
was answered. In between it takes the way of every message: the webhook server, the spool, the drain with the store,
the outbox, a sender. It reaches no carrier and costs nothing.

    POST ?key=HEX, body HELP     200 {"receives": true} after the commit; an empty body is stored without effect
    GET ?key=HEX                 200 {"answered": false, "sends": true}

`receives` and `sends`: whether any of the configured routes can, now.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qs

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.clock import now_ms
from stormpetrel.config_sms import RouteConfig
from stormpetrel.errors import Busy
from stormpetrel.gateway.provider import (
    Accepted,
    Capabilities,
    Forged,
    Inbound,
    Incoming,
    LinkState,
    NotStored,
    Provider,
    SendResult,
    Unit,
    UnitReceipt,
    Unreadable,
    WebhookAnswer,
    WebhookRequest,
)
from stormpetrel.gateway.sender import RouteSender
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.shield.canary import HEADER, person_of
from stormpetrel.storage import phone_queue
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.sms_spool import canary
from stormpetrel.storage.sms_spool.money import Caps

TEXT = b"HELP"
"""It is answered each time, and not without the store, unlike STATUS."""
KEEP_S = 15.0
"""The watch waits for at most 10 s."""
MOST_ANSWERED = 64
_KEY = re.compile("[0-9a-f]{16,64}")
_JSON = "application/json; charset=utf-8"


class CanaryRoute:
    """The loopback provider, what it hands over, and its sender. `notify` wakes the sender."""

    def __init__(
        self,
        *,
        secret: bytes,
        spool: SpoolThread,
        routes: Mapping[str, Provider],
        paused: Callable[[], set[str]],
        database: Callable[[], Database | None],
        on_stored: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._routes = routes
        self._paused = paused
        self._database = database
        self.inbound: Inbound = _CanaryInbound(spool, on_stored)
        self.provider = _CanaryProvider(secret, spool, self._receives, self._sends)
        self._sender = RouteSender(
            route=RouteConfig(name=canary.ROUTE, trust="network", sender=canary.NUMBER),
            provider=self.provider,
            spool=spool,
            caps=Caps(0, 0, 0, 0.0),
            paused=set,
            on_opt_out=lambda number: None,
        )
        self.notify = self._sender.notify

    def workers(self, stop: asyncio.Event) -> list[Awaitable[None]]:
        """Return what must run until `stop` is set."""
        return [self._sender.run(stop), self._prune(stop)]

    def _receives(self) -> bool:
        return any(
            hasattr(provider, "receive") or provider.state is LinkState.UP
            for provider in self._routes.values()
        )

    def _sends(self) -> bool:
        paused = self._paused()
        return any(
            provider.state is LinkState.UP and name not in paused for name, provider in self._routes.items()
        )

    async def _prune(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.prune(before_ms=now_ms() - int(KEEP_S * 1000))
            try:
                await asyncio.wait_for(stop.wait(), KEEP_S)
            except TimeoutError:
                continue

    async def prune(self, *, before_ms: int) -> None:
        """Delete the canary's messages from before that time, and their outcomes in the store."""
        try:
            keys = await self._spool.call(canary.prune, before_ms=before_ms)
            db = self._database()
            if keys and db is not None:
                await db.write_as(3, 10.0, _forget_outcomes, keys)
        except (Busy, NotStored):
            # An outcome that stays is deleted a week later, with those of people.
            return


class _CanaryInbound:
    """Stores the canary's messages."""

    def __init__(self, spool: SpoolThread, on_stored: Callable[[], None]) -> None:
        self._spool = spool
        self._on_stored = on_stored

    async def message(self, incoming: Incoming) -> bool:
        is_new = await self._spool.call(
            canary.put, key=f"{canary.ROUTE}:{incoming.key}", text=incoming.text or "", now_ms=now_ms()
        )
        self._on_stored()
        return is_new

    async def receipt(self, receipt: UnitReceipt) -> None:
        """Ignore it: this route has no receipts."""

    async def unsettled(self) -> list[str]:
        return []

    async def settled(self, keys: Sequence[str]) -> None:
        """Ignore them: this route sends nothing again."""


class _CanaryProvider:
    """Takes what the watch posts, and the texts to its number."""

    def __init__(
        self,
        secret: bytes,
        spool: SpoolThread,
        receives: Callable[[], bool],
        sends: Callable[[], bool],
    ) -> None:
        self._secret = secret
        self._spool = spool
        self._receives = receives
        self._sends = sends
        self._answered: BoundedTable[str, str] = BoundedTable(MOST_ANSWERED, evicts=Eviction.OLDEST)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(window=4, has_receipts=False)

    @property
    def state(self) -> LinkState:
        return LinkState.UP

    async def start(self, inbound: Inbound) -> None:
        """Do nothing: there is nothing to connect to."""

    async def stop(self) -> None:
        """Do nothing: there is nothing to disconnect from."""

    async def send(self, unit: Unit) -> SendResult:
        key = await self._spool.call(canary.message_key, message_id=int(unit.id.removeprefix("o")))
        self._answered.put(key, key)
        return Accepted(unit.id, unit.segments)

    def receive(self, request: WebhookRequest) -> tuple[list[Incoming | UnitReceipt], WebhookAnswer]:
        mark = request.headers.get(HEADER.decode(), "").encode("latin-1")
        if person_of(self._secret, mark, now_epoch_s=request.now_s) is None:
            raise Forged("the canary's mark is missing or wrong")
        key = parse_qs(request.query.decode("latin-1")).get("key", [""])[0]
        if not _KEY.fullmatch(key) or request.body not in (b"", TEXT):
            raise Unreadable("The canary sends a key and HELP")
        if request.method == "GET":
            is_answered = self._answered.get(f"{canary.ROUTE}:{key}") is not None
            return [], _said(answered=is_answered, sends=self._sends())
        incoming = Incoming(key, canary.NUMBER, canary.NUMBER, text=request.body.decode())
        return [incoming], _said(receives=self._receives())


def _said(**facts: bool) -> WebhookAnswer:
    return WebhookAnswer(json.dumps(facts).encode(), _JSON)


def _forget_outcomes(connection: Connection, keys: list[str]) -> None:
    for key in keys:
        phone_queue.forget_outcome(connection, key=key)
