"""Texts the codes that people request on the web to sign in with their phone.

A code is drawn here and stored as a hash, so that no database has it. A role that is killed between the two stores
sends no code: its owner requests another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from stormpetrel.clock import now_ms
from stormpetrel.gateway.answers import answer
from stormpetrel.gateway.code_budget import spend_code
from stormpetrel.gateway.outcome import PhoneContext
from stormpetrel.gateway.polling import work_until
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.rules import phone_sign_in
from stormpetrel.sms.split import split
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.sms_spool import outbox
from stormpetrel.storage.sms_spool.file import SpoolDb
from stormpetrel.storage.sms_spool.outbox import SECURITY

LOOK_EVERY_S = 0.5
AT_ONCE = 32
EXPIRES_MS = 600_000
URGENCY = 1
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class SignInText:
    """A code to text: the request's id, the phone's route and number, and the text."""

    sign_in_id: int
    route: str
    number: str
    text: str


@dataclass(slots=True)
class SignInCodes:
    """Sends codes until it is stopped. `draw_code` returns a random one."""

    spool: SpoolThread
    context: PhoneContext
    routes: frozenset[str]
    draw_code: Callable[[], str]
    database: Callable[[], Database | None]
    on_texts: Callable[[], None]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        await work_until(stop, self.once, every_s=LOOK_EVERY_S)

    async def once(self) -> int:
        """Handle some requests; return how many codes are queued. Raise Busy or NotStored."""
        db = self.database()
        if db is None or not self.routes:
            return 0
        if not await db.read(phone_sign_in.waiting, now_ms=now_ms(), count=1):
            return 0
        texts = await db.write_as(URGENCY, TIMEOUT_S, choose, self.context, self.draw_code, now_ms())
        if texts:
            await self.spool.call(self._put, texts, now_ms())
            self.on_texts()
        return len(texts)

    def _put(self, db: SpoolDb, texts: list[SignInText], at_ms: int) -> None:
        for one in texts:
            if outbox.has_stopped_since(db, number=one.number):
                # The store does not know of this STOP yet.
                continue
            route = one.route if one.route in self.routes else min(self.routes)
            outbox.put(
                db, key=f"s:{one.sign_in_id}", route=route, number=one.number, text=one.text, kind="nonce",
                lane=SECURITY, segments=len(split(one.text)), now_ms=at_ms, expires_ms=at_ms + EXPIRES_MS,
            )  # fmt: skip


def choose(
    connection: Connection, context: PhoneContext, draw_code: Callable[[], str], now_ms: int
) -> list[SignInText]:
    """Handle waiting requests, and return the codes to text; at most so many per prefix and day, as for linking."""
    texts = []
    for sign_in in phone_sign_in.waiting(connection, now_ms=now_ms, count=AT_ONCE):
        phone = phone_sign_in.phone_for(connection, sign_in=sign_in, now_ms=now_ms)
        if phone is None or phone.account_id is None:
            continue
        try:
            number = context.keys.open(phone.sealed_number)
        except ValueError:
            continue  # sealed with another secret: it cannot be texted
        account_id = phone.account_id
        is_known = sign_in.by_device_of == account_id
        if not spend_code(
            connection, context, number=number, account_id=account_id, is_known=is_known, now_ms=now_ms
        ):
            continue
        code = draw_code()
        phone_sign_in.put_code(
            connection, sign_in_id=sign_in.id, account_id=phone.account_id, code=code, keys=context.keys,
            now_ms=now_ms,
        )  # fmt: skip
        text = answer("sign-in", phone.language, site=context.title, code=code)
        texts.append(SignInText(sign_in.id, phone.route, number, text))
    return texts
