"""A modem behind gammu-smsd, by the tables of its SQLite database.

An incoming message is marked as processed after it is stored. An outgoing one is put into the outbox once, whatever
happens: its row has our id. The statuses that smsd writes to its sent items become receipts.
"""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

from stormpetrel.config_sms import GammuKeys, RouteConfig
from stormpetrel.gateway.fields import plain_text
from stormpetrel.gateway.polling import Poller
from stormpetrel.gateway.provider import (
    Accepted,
    Capabilities,
    Inbound,
    Incoming,
    LinkState,
    ProviderKind,
    SendResult,
    SubmitFailed,
    Unit,
    UnitReceipt,
    UnitState,
)
from stormpetrel.gateway.route_checks import check_present, key_error
from stormpetrel.sms.split import split
from stormpetrel.sms.udh import Concatenation, ReferenceKind, header_of, separate
from stormpetrel.sms.user_data import Coding, UserData
from stormpetrel.storage.gammu_smsd import ReceivedText, SentText, SmsdDatabase, SmsdUnavailable, TextPart

INTERVAL_S = 0.5
BATCH = 64
_SCHEME = "sqlite:///"
_CODINGS = {Coding.GSM7: "Default_No_Compression", Coding.UCS2: "Unicode_No_Compression"}
_BINARY = "8bit"
_FAILED = {"SendingError", "DeliveryFailed", "Error"}
_DELIVERED = "DeliveryOK"
_WITHOUT_REPORT = "SendingOKNoReport"


class GammuProvider:
    """One modem."""

    def __init__(self, route: RouteConfig, path: Path) -> None:
        self._number = route.sender
        self._database = SmsdDatabase(path)
        self._inbound: Inbound | None = None
        self._poller = Poller(route.name, self._step, interval_s=INTERVAL_S)
        # Every message of the sent items below this id is settled.
        self._lowest_open_id = 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(window=8)

    @property
    def state(self) -> LinkState:
        return self._poller.state

    async def start(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._poller.start()

    async def stop(self) -> None:
        await self._poller.stop()

    async def send(self, unit: Unit) -> SendResult:
        segments = split(unit.text)
        # The same on each attempt, as it is made of the id.
        reference = (unit.reference or zlib.crc32(unit.id.encode())) & 0xFF
        total = len(segments)
        parts = [TextPart(segments.texts[0])]
        if total > 1:
            headers = (
                header_of(Concatenation(ReferenceKind.UDH_8, reference, total, number))
                for number in range(1, total + 1)
            )
            parts = [
                TextPart(text, header.hex().upper())
                for text, header in zip(segments.texts, headers, strict=True)
            ]
        try:
            id = await asyncio.to_thread(
                self._database.add,
                unit.id,
                unit.receiver,
                parts,
                coding=_CODINGS[segments.coding],
                wants_receipt=unit.wants_receipt,
            )
        except SmsdUnavailable as error:
            return SubmitFailed(str(error), 1.0)
        return Accepted(str(id), total)

    async def _step(self) -> bool:
        has_more = await self._take_messages()
        await self._take_reports()
        return has_more

    async def _take_messages(self) -> bool:
        assert self._inbound is not None
        rows = await asyncio.to_thread(self._database.unprocessed, BATCH)
        if not rows:
            return False
        # A row without a sender is no message of a person: it is only marked.
        messages = {row.id: self._incoming(row) for row in rows if row.sender}
        # All at once, in order, so that the gateway can commit them together.
        results = await asyncio.gather(
            *(self._inbound.message(each) for each in messages.values()), return_exceptions=True
        )
        failures = {
            id: result
            for id, result in zip(messages, results, strict=True)
            if isinstance(result, BaseException)
        }
        done = [row.id for row in rows if row.id not in failures]
        if done:
            await asyncio.to_thread(self._database.mark_processed, done)
        for failure in failures.values():
            raise failure
        return len(rows) == BATCH

    def _incoming(self, row: ReceivedText) -> Incoming:
        text: str | None = plain_text(row.text)
        part = None
        header, _ = separate(_octets(row.header))
        if row.coding == _BINARY:
            text, part = None, UserData(Coding.BINARY, _octets(row.octets), header)
        elif header.concatenation is not None:
            # UTF-16: of a pair that the phone has cut, each half is in another part.
            text, part = None, UserData(Coding.UCS2, _octets(row.octets), header)
        # smsd counts from 1 in a new database: the time keeps the keys apart.
        key = f"{row.id} {row.received_at}"
        return Incoming(key=key, sender=row.sender, receiver=self._number, text=text, part=part)

    async def _take_reports(self) -> None:
        assert self._inbound is not None
        sent, waiting_id = await asyncio.to_thread(self._database.sent, self._lowest_open_id)
        reports = []
        for each in sent:
            state = _state_of(each)
            if state.value != each.reported:
                error = f"{', '.join(sorted(each.statuses))} ({each.error})"
                await self._inbound.receipt(
                    UnitReceipt(
                        state,
                        carrier_id=str(each.id),
                        unit_id=each.unit_id,
                        error=error if state is UnitState.FAILED else "",
                    )
                )
                reports.append((each, state.value))
        if reports:
            await asyncio.to_thread(self._database.mark_reported, reports)
        open_ids = [each.id for each in sent if each.is_recent and not _is_settled(each)]
        if waiting_id is not None:
            open_ids.append(waiting_id)
        if open_ids:
            self._lowest_open_id = min(open_ids)
        elif sent:
            self._lowest_open_id = sent[-1].id + 1


def _state_of(sent: SentText) -> UnitState:
    if sent.statuses & _FAILED:
        return UnitState.FAILED
    return UnitState.DELIVERED if sent.statuses == {_DELIVERED} else UnitState.SENT


def _is_settled(sent: SentText) -> bool:
    return _state_of(sent) is not UnitState.SENT or sent.statuses == {_WITHOUT_REPORT}


def _octets(hexadecimal: str) -> bytes:
    try:
        return bytes.fromhex(hexadecimal)
    except ValueError:
        return b""


def make(route: RouteConfig) -> GammuProvider:
    """Return the provider. Raise SetupError. The database may be created later."""
    check_present(route, "database")
    url: str = route.keys.database
    path = url.removeprefix(_SCHEME)
    if path == url or not path:
        raise key_error(route, "database", "must be like sqlite:////var/lib/gammu/smsd.db")
    return GammuProvider(route, Path(path))


KIND = ProviderKind(GammuKeys, make)
