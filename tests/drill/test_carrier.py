"""The drill's carrier: what it takes, reports and bills."""

from __future__ import annotations

import asyncio

import pytest

from stormpetrel.drill.carrier import GATEWAY, SECRET, SmsCarrier, cap_cents, message, segments, settings
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.place import free_ports
from stormpetrel.drill.record import CarrierBill
from stormpetrel.drill.wire import WireResponse, connect, request
from stormpetrel.sms.split import split


@pytest.mark.parametrize(
    "text",
    ["", "x" * 160, "x" * 161, "x" * 306, "x" * 307, "€" * 80, "€" * 81, "მ" * 70, "მ" * 71, "😀" * 36],
)
def test_segments_are_those_of_the_standard_as_the_instance_counts_them(text: str) -> None:
    assert segments(text) == max(1, len(split(text)))


def test_the_limit_of_money_is_told_to_the_instance_in_whole_cents() -> None:
    assert settings(1, seconds=70.0)["sms_cap_day"] == "8.00"
    assert cap_cents(70.0) == 800


def test_a_text_is_taken_billed_and_reported_as_delivered() -> None:
    reported: list[str] = []

    async def webhooks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reported.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def run(port: int) -> tuple[list[WireResponse], list[tuple[str, str]], CarrierBill]:
        texts: list[tuple[str, str]] = []
        server = await asyncio.start_server(webhooks, "127.0.0.1", 0)
        there = Address("127.0.0.1", int(server.sockets[0].getsockname()[1]))
        budget = TrafficBudget.of(connections=10, seconds=30)
        carrier = SmsCarrier(there, budget, lambda number, text: texts.append((number, text)), 800)
        await carrier.open(port)
        exchange = await connect(Address("127.0.0.1", port), source=GATEWAY, budget=budget)
        answers = [
            await exchange.send(request("GET", path, host="carrier"), timeout_s=5)
            for path in (
                "/cgi-bin/sendsms?to=%2B995&text="
                + "x" * 161
                + "&dlr-url=http%3A//x/sms/drill%3Fref%3Do1%26dlr%3D%25d",
                "/cgi-bin/sendsms?to=%2B995&text=again",
                "/other",
            )
        ]
        while not reported:
            await asyncio.sleep(0.01)
        exchange.close()
        await carrier.close()
        server.close()
        return answers, texts, carrier.bill

    with free_ports(1) as (port,):
        answers, texts, bill = asyncio.run(run(port))
    assert [answer.status for answer in answers] == [202, 202, 404]
    assert answers[0].text == "0: Accepted for delivery"
    assert texts == [("+995", "x" * 161), ("+995", "again")]
    assert bill == CarrierBill(2, 3, 800)
    assert reported == ["/sms/drill?ref=o1&dlr=1"]


def test_a_message_of_a_phone_carries_the_secret_and_an_id() -> None:
    assert message("+99555", "hi & bye", "7").startswith(
        f"/sms/drill?secret={SECRET}&from=%2B99555&to=40404&text=hi+%26+bye&"
    )
    assert SECRET not in message("+99555", "hi", "7", secret="guessed")
