"""An inbox in memory, and values of the tests of providers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import uvloop

from stormpetrel.config_sms import KEYS, RouteConfig
from stormpetrel.gateway.provider import Incoming, NotStored, Unit, UnitReceipt
from stormpetrel.sms.split import split


class MemoryInbox:
    """Stores each key once, as the gateway does. `is_full`: refuse everything."""

    def __init__(self) -> None:
        self.messages: list[Incoming] = []
        self.receipts: list[UnitReceipt] = []
        self.repeated = 0
        self.is_full = False

    async def message(self, incoming: Incoming) -> bool:
        await asyncio.sleep(0)
        if self.is_full:
            raise NotStored
        if any(known.key == incoming.key for known in self.messages):
            self.repeated += 1
            return False
        self.messages.append(incoming)
        return True

    async def receipt(self, receipt: UnitReceipt) -> None:
        if self.is_full:
            raise NotStored
        self.receipts.append(receipt)

    @property
    def texts(self) -> list[str | None]:
        return [message.text for message in self.messages]


def run(main: Callable[[], Awaitable[Any]], within_s: float = 60.0) -> Any:
    """Run `main` on a new loop, the one that the server uses."""

    async def bounded() -> Any:
        async with asyncio.timeout(within_s):
            return await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def until(is_so: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait for an action of the provider."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.01)


def route(provider: str, *, name: str = "main", sender: str = "40404", **keys: Any) -> RouteConfig:
    return RouteConfig(name=name, provider=provider, sender=sender, keys=KEYS[provider](**keys))


def unit(text: str = "hello", *, id: str = "u1", receiver: str = "+15551234567", **more: Any) -> Unit:
    """Return a whole message of the gateway."""
    segments = split(text)
    whole = Unit(
        id=id,
        receiver=receiver,
        sender="40404",
        text=text,
        coding=segments.coding,
        octets=b"".join(segments.octets),
        segments=len(segments),
    )
    return replace(whole, **more)
