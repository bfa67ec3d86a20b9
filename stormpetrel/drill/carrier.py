"""A carrier of text messages behind a gateway that speaks as Kannel does, on loopback.

It takes the instance's texts at /cgi-bin/sendsms, hands them to `on_text`, reports each as delivered, and counts
segments itself: the bill must not rest on the instance's own count. What phones write, it passes on by requests
that `message` makes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.record import CarrierBill
from stormpetrel.drill.wire import Broken, connect, request

ROUTE = "drill"
SECRET = "only-for-the-drill"
SENDER = "40404"
GATEWAY = "127.49.1.1"
"""The address that the carrier's requests come from."""
CENTS = 1
"""Price of a segment."""
CAP_CENTS_PER_S = 10
"""The limit of money grows with the duration of the run: members need about 4 cents a second."""
CAP_CENTS_LEAST = 100
RECEIPT_PATIENCE_S = 10.0
MAX_HEAD_BYTES = 65_536
_DELIVERED = "1"
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")


def cap_cents(seconds: float) -> int:
    """Return the limit of money for a run of that duration."""
    return CAP_CENTS_LEAST + round(seconds * CAP_CENTS_PER_S)


def settings(port: int, *, seconds: float) -> dict[str, object]:
    """Return the settings of an instance whose carrier listens on `port`."""
    prefix = f"sms_route_{ROUTE}"
    return {
        f"{prefix}_provider": "kannel",
        f"{prefix}_trust": "network",
        f"{prefix}_sender": SENDER,
        f"{prefix}_send_url": f"http://127.0.0.1:{port}/cgi-bin/sendsms",
        # Only its query comes back, in the URLs of receipts.
        f"{prefix}_webhook_url": f"http://127.0.0.1/sms/{ROUTE}",
        f"{prefix}_username": "drill",
        f"{prefix}_password": "drill",
        f"{prefix}_secret": SECRET,
        f"{prefix}_price": f"{CENTS / 100:.2f}",
        "sms_cap_day": f"{cap_cents(seconds) / 100:.2f}",
        # The drill measures delivery, not how much one phone may get.
        "sms_out_per_hour": 10_000,
        "sms_out_per_day": 10_000,
    }


def message(number: str, text: str, message_id: str, *, secret: str = SECRET) -> str:
    """Return the path and query of the request that passes on what a phone wrote."""
    fields = {
        "secret": secret,
        "from": number,
        "to": SENDER,
        "text": text,
        "charset": "UTF-8",
        "coding": "0",
        "id": message_id,
    }
    return f"/sms/{ROUTE}?{urlencode(fields)}"


def segments(text: str) -> int:
    """Return how many segments a text has. Source: 3GPP TS 23.038 (characters), 23.040 (parts)."""
    if all(one in _GSM or one in _GSM_TWICE for one in text):
        length, alone, part = len(text) + sum(one in _GSM_TWICE for one in text), 160, 153
    else:
        length, alone, part = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= alone else -(-length // part)


@dataclass(slots=True)
class SmsCarrier:
    """The gateway's sendsms port. `webhooks`: the instance's port for receipts."""

    webhooks: Address
    budget: TrafficBudget
    on_text: Callable[[str, str], None]
    cap: int
    texts: int = 0
    cents: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _reporting: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def bill(self) -> CarrierBill:
        """Return what the instance owes by now."""
        return CarrierBill(self.texts, self.cents, self.cap)

    async def open(self, port: int) -> None:
        """Listen on a port of loopback that may be reserved by a socket that does not listen."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", port, reuse_port=True, limit=MAX_HEAD_BYTES
        )

    async def close(self) -> None:
        """Take nothing more, and close all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._reporting):
            task.cancel()
        for writer in tuple(self._writers):
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = self._answer(head.split(b" ", 2)[1].decode("latin-1"))
                writer.write(
                    f"HTTP/1.1 {202 if body.startswith('0:') else 404} -\r\nContent-Type: text/plain\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
        self._writers.discard(writer)
        writer.close()

    def _answer(self, target: str) -> str:
        url = urlsplit(target)
        fields = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path != "/cgi-bin/sendsms" or not {"to", "text"} <= set(fields):
            return "Not found"
        self.texts += 1
        self.cents += segments(fields["text"]) * CENTS
        if "dlr-url" in fields:
            task = asyncio.get_running_loop().create_task(self._report(fields["dlr-url"]))
            self._reporting.add(task)
            task.add_done_callback(self._reporting.discard)
        self.on_text(fields["to"], fields["text"])
        return "0: Accepted for delivery"

    async def _report(self, url: str) -> None:
        query = urlsplit(url).query.replace("%d", _DELIVERED).replace("%%", "%")
        data = request("GET", f"/sms/{ROUTE}?{query}", host=f"{self.webhooks.host}:{self.webhooks.port}")
        with contextlib.suppress(OSError, Broken, TimeoutError):
            exchange = await connect(self.webhooks, source=GATEWAY, budget=self.budget)
            try:
                await exchange.send(data, timeout_s=RECEIPT_PATIENCE_S)
            finally:
                exchange.close()
