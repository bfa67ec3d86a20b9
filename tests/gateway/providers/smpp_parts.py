"""An inbox, units and a provider for tests of SMPP."""

from __future__ import annotations

import asyncio
import contextlib

from stormpetrel.config_sms import RouteConfig, SmppKeys
from stormpetrel.gateway.provider import (
    LinkState,
    NotStored,
    Unit,
)
from stormpetrel.gateway.providers.smpp import SmppProvider
from stormpetrel.sms.split import split
from stormpetrel.sms.udh import ReferenceKind
from stormpetrel.sms.user_data import text_of
from tests.gateway.carrier import PASSWORD

PHONE = "15551234567"


class Inbox:
    """An Inbound in memory. It outlives providers, as the spool outlives processes."""

    def __init__(self):
        self.stored = {}
        self.receipts = []
        self.open_keys = {}
        self.is_full = False
        self.delay_s = 0.0
        self.most_at_once = self._at_once = 0

    async def message(self, incoming):
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.delay_s)
            if self.is_full:
                raise NotStored
            assert incoming.is_unsettled
            self.open_keys[incoming.key] = None
            return self.stored.setdefault(incoming.key, incoming) is incoming
        finally:
            self._at_once -= 1

    async def receipt(self, receipt):
        if self.is_full:
            raise NotStored
        self.receipts.append(receipt)

    async def unsettled(self):
        return list(self.open_keys)

    async def settled(self, keys):
        for key in keys:
            self.open_keys.pop(key, None)

    @property
    def receivers(self):
        return [incoming.receiver for incoming in self.stored.values()]

    @property
    def texts(self):
        return [text_of([incoming.part]) for incoming in self.stored.values()]


def provider_of(port, *, dead_s=10.0, **keys):
    settings = {"host": "127.0.0.1", "port": port, "system_id": "storm", "password": PASSWORD}
    return SmppProvider(RouteConfig(name="one", keys=SmppKeys(**(settings | keys))), dead_s=dead_s)


async def until(is_so, within_s=30.0):
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def bound(port, inbox, **keys):
    provider = provider_of(port, **keys)
    await provider.start(inbox)
    try:
        await until(lambda: provider.state is LinkState.UP)
        yield provider
    finally:
        await provider.stop()


def units(text, *, kind=ReferenceKind.UDH_8, receiver="+" + PHONE, name="m", **values):
    parts = split(text, kind=kind)
    return [
        Unit(
            id=f"{name}-{number}",
            receiver=receiver,
            sender="40404",
            text=part,
            coding=parts.coding,
            octets=octets,
            segments=1,
            number=number,
            total=len(parts),
            reference=7,
            **values,
        )
        for number, (part, octets) in enumerate(zip(parts.texts, parts.octets, strict=True), 1)
    ]


def run(work):
    asyncio.run(work)


async def read(carrier, event, count=1):
    return await asyncio.to_thread(carrier.wait_for, event, count)
