"""What the gateway stores of a message: once, whole, without its PIN, and never a false OK."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stormpetrel.config import SmsConfig
from stormpetrel.config_sms import RouteConfig
from stormpetrel.gateway.inbound import NumberRates, PartsTable, RouteInbound
from stormpetrel.gateway.known_numbers import KnownNumbers
from stormpetrel.gateway.provider import Incoming, NotStored, UnitReceipt, UnitState
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.sms.split import split
from stormpetrel.sms.udh import Concatenation, ReferenceKind, Udh
from stormpetrel.sms.user_data import UserData
from stormpetrel.storage.sms_spool import inbox, outbox
from stormpetrel.storage.sms_spool.file import FILE_NAME, SpoolDb, open_spool
from stormpetrel.storage.sms_spool.state import KnownNumber

KEYS = PhoneKeys(b"k" * 32)
NUMBER = "+995599123456"


class Door:
    """One route's inbound with its spool. `known`: phones with a PIN."""

    def __init__(self, directory: Path, *, trust: str = "network", config: SmsConfig | None = None) -> None:
        config = config or SmsConfig()
        self.known = KnownNumbers(KEYS)
        self.parts = PartsTable(config.part_timeout_s, self.known.class_of)
        self.spool = SpoolThread(directory, on_open=self.parts.load)
        self.woken = 0
        self.opted_out: list[str] = []
        self.rates = NumberRates(config)
        self.inbound = self.route("carrier", trust)

    def route(self, name: str, trust: str = "network") -> RouteInbound:
        """Return the inbound of a route on the same spool."""
        return RouteInbound(
            RouteConfig(name=name, provider="smpp", trust=trust, country="GE", prices="+99555=0.05"),
            spool=self.spool,
            parts=self.parts,
            known=self.known,
            rates=self.rates,
            on_stored=self.wake,
            on_opt_out=self.opted_out.append,
        )

    def wake(self) -> None:
        self.woken += 1


def run(
    directory: Path,
    body: Callable[[Door], Awaitable[None]],
    *,
    trust: str = "network",
    config: SmsConfig | None = None,
) -> None:
    async def main() -> None:
        door = Door(directory, trust=trust, config=config)
        try:
            await body(door)
        finally:
            await door.spool.close()

    asyncio.run(main())


def stored(directory: Path) -> list[inbox.InboxMessage]:
    with open_spool(directory) as spool:
        found = [
            message
            for klass in (inbox.MEMBERS, inbox.STRANGERS)
            for message in inbox.waiting(spool.raw, klass=klass, after_id=0, count=100)
        ]
    return found


def parts_of(text: str, *, reference: int = 7) -> list[Incoming]:
    segments = split(text)
    return [
        Incoming(
            f"r{reference}p{number}", NUMBER, "40404",
            part=UserData(
                segments.coding, octets,
                Udh(Concatenation(ReferenceKind.UDH_8, reference, len(segments), number)),
            ),
        )
        for number, octets in enumerate(segments.octets, start=1)
    ]  # fmt: skip


def test_a_key_is_stored_once_for_each_route(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        assert await door.inbound.message(Incoming("k1", NUMBER, "40404", text="ok"))
        assert not await door.inbound.message(Incoming("k1", NUMBER, "40404", text="ok"))
        assert await door.inbound.message(Incoming("k2", NUMBER, "40404", text="ok"))
        assert door.woken == 2

    run(tmp_path, body)
    assert [(message.key, message.number, message.text) for message in stored(tmp_path)] == [
        ("carrier:k1", NUMBER, "ok"),
        ("carrier:k2", NUMBER, "ok"),
    ]


def test_a_national_number_of_the_route_is_the_international_one(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        await door.inbound.message(Incoming("k1", "599 12 34 56", "40404", text="ok", sender_type=2))

    run(tmp_path, body)
    assert [message.number for message in stored(tmp_path)] == [NUMBER]


@pytest.mark.parametrize("sender", ["MYBANK", "40404", "rcs:agent", "", "12"])
def test_a_sender_that_is_no_number_is_acknowledged_and_ignored(tmp_path: Path, sender: str) -> None:
    async def body(door: Door) -> None:
        assert await door.inbound.message(Incoming("k1", sender, "40404", text="ok"))

    run(tmp_path, body)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_parts_in_any_order_become_one_message(tmp_path: Path, order: tuple[int, ...]) -> None:
    text = "გამარჯობა, " * 15
    parts = parts_of(text)
    assert len(parts) == 3

    async def body(door: Door) -> None:
        for place in order:
            assert await door.inbound.message(parts[place])
            assert not await door.inbound.message(parts[place])

    run(tmp_path, body)
    assert [message.text for message in stored(tmp_path)] == [text]


def test_parts_outlive_the_process(tmp_path: Path) -> None:
    text = "x" * 300
    first, second = parts_of(text)

    async def begin(door: Door) -> None:
        await door.inbound.message(first)

    async def go_on(door: Door) -> None:
        assert not await door.inbound.message(first)
        await door.inbound.message(second)
        assert not await door.inbound.message(second)

    run(tmp_path, begin)
    run(tmp_path, go_on)
    assert [message.text for message in stored(tmp_path)] == [text]


def test_a_message_without_a_part_is_given_up_and_names_it(tmp_path: Path) -> None:
    parts = parts_of("y" * 400)

    async def body(door: Door) -> None:
        await door.inbound.message(parts[0])
        await door.inbound.message(parts[2])
        later_ms = int(time.time() * 1000) + 601_000
        assert await door.spool.call(door.parts.expire, later_ms) == 1

    run(tmp_path, body)
    (message,) = stored(tmp_path)
    assert (message.text, message.error, message.route) == ("2", "part-missing", "carrier")


def test_a_pin_reaches_no_byte_of_the_spool(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        await door.inbound.message(Incoming("k1", NUMBER, "40404", text="738291 the secret is out"))
        for part in parts_of("738291 " + "z" * 200):
            await door.inbound.message(part)
        for part in parts_of("738291 " + "ჰ" * 100, reference=9):
            await door.inbound.message(part)

    run(tmp_path, body, trust="aggregator")
    proof = KEYS.pin_hash(NUMBER, "738291")
    assert [(message.text, message.proof) for message in stored(tmp_path)] == [
        ("the secret is out", proof),
        ("z" * 200, proof),
        ("ჰ" * 100, proof),
    ]
    for path in tmp_path.glob(f"{FILE_NAME}*"):
        octets = path.read_bytes()
        assert b"738291" not in octets
        assert "738291".encode("utf-16-be") not in octets


def test_a_pin_in_the_wrong_place_is_not_stored_either(tmp_path: Path) -> None:
    texts = ("738291hello", "hello 738291", "PIN:٧٣٨٢٩١ hello", "(738291) hello", "call 7382915", "GO 482913")

    async def body(door: Door) -> None:
        door.known.put([KnownNumber(KEYS.number_hash(NUMBER), True, KEYS.pin_hash(NUMBER, "738291"), "en")])
        for place, text in enumerate(texts):
            await door.inbound.message(Incoming(f"k{place}", NUMBER, "40404", text=text))

    run(tmp_path, body, trust="aggregator")
    assert [message.text for message in stored(tmp_path)] == [
        "******hello", "hello ******", "PIN:****** hello", "(******) hello", "call 7382915", "GO 482913",
    ]  # fmt: skip


@pytest.mark.parametrize("letter", ["z", "ჰ"])
def test_a_pin_in_the_wrong_place_of_a_long_text_is_not_stored_either(tmp_path: Path, letter: str) -> None:
    size = len(split(letter * 400).texts[0])
    texts = [
        f"738291{letter * 200}",
        f"{letter * 200} 738291",
        # The PIN is cut between two parts.
        f"{letter * (size - 4)} 738291 {letter * 50}",
    ]

    async def body(door: Door) -> None:
        door.known.put([KnownNumber(KEYS.number_hash(NUMBER), True, KEYS.pin_hash(NUMBER, "738291"), "en")])
        for place, text in enumerate(texts):
            for part in parts_of(text, reference=place):
                await door.inbound.message(part)

    run(tmp_path, body, trust="aggregator")
    assert [message.text for message in stored(tmp_path)] == [
        text.replace("738291", "*" * 6) for text in texts
    ]
    for path in tmp_path.glob(f"{FILE_NAME}*"):
        octets = path.read_bytes()
        assert b"738291" not in octets
        assert "738291".encode("utf-16-be") not in octets


def test_digits_stay_in_the_text_where_no_pin_is_needed(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        door.known.put([KnownNumber(KEYS.number_hash(NUMBER), True, KEYS.pin_hash(NUMBER, "1234"), "en")])
        await door.inbound.message(Incoming("k1", NUMBER, "40404", text="2026 was a long year"))
        await door.inbound.message(Incoming("k2", NUMBER, "40404", text="1234 with the PIN"))

    run(tmp_path, body)
    assert [message.text for message in stored(tmp_path)] == ["2026 was a long year", "with the PIN"]


def test_a_number_over_its_limit_is_counted_and_dropped_but_never_stop(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        for place in range(5):
            await door.inbound.message(Incoming(f"k{place}", NUMBER, "40404", text="flood"))
        await door.inbound.message(Incoming("stop", NUMBER, "40404", text="STOP"))
        await door.inbound.message(Incoming("other", "+995599000000", "40404", text="hello"))

    run(tmp_path, body, config=SmsConfig(in_per_minute=2))
    assert [message.text for message in stored(tmp_path)] == ["flood", "flood", "STOP", "hello"]
    with open_spool(tmp_path) as spool:
        assert inbox.counts(spool.raw) == (7, 4, 3)


def test_nul_is_taken_out_of_a_text(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        await door.inbound.message(Incoming("k1", NUMBER, "40404", text="ST\0OP\0"))
        await door.inbound.message(Incoming("k2", NUMBER, "40404", text="\x001234 hello"))

    run(tmp_path, body, trust="aggregator")
    assert [(message.text, message.proof is None) for message in stored(tmp_path)] == [
        ("STOP", True),
        ("hello", False),
    ]


def test_help_over_the_limit_is_dropped_because_its_answer_costs_money(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        for place, text in enumerate(("HELP", "START", "HELP", "START", "please stop", "STOP")):
            await door.inbound.message(Incoming(f"k{place}", NUMBER, "40404", text=text))

    run(tmp_path, body, config=SmsConfig(in_per_minute=2))
    assert [message.text for message in stored(tmp_path)] == ["HELP", "START", "STOP"]


def test_parts_without_a_beginning_are_limited_too(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        for reference in range(100):
            await door.inbound.message(parts_of("y" * 400, reference=reference)[1])
        for part in parts_of("z" * 400, reference=200):
            await door.inbound.message(part)

    run(tmp_path, body, config=SmsConfig(in_per_minute=2))
    with open_spool(tmp_path) as spool:
        kept = len(inbox.parts(spool.raw)) + len(stored(tmp_path))
        assert kept == 21, "the first part of the last message, and twenty later ones"
        assert {message.klass for message in stored(tmp_path)} == {inbox.STRANGERS}


def test_a_locked_spool_refuses_and_stores_afterwards(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotStored):
            await door.inbound.message(Incoming("k1", NUMBER, "40404", text="hello"))
        other.execute("ROLLBACK")
        other.close()
        assert await door.inbound.message(Incoming("k1", NUMBER, "40404", text="hello"))

    run(tmp_path, body)
    assert len(stored(tmp_path)) == 1


def test_keys_that_may_come_again_are_known_until_they_are_settled(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        await door.inbound.message(Incoming("k1", NUMBER, "40404", text="a", is_unsettled=True))
        await door.inbound.message(Incoming("k2", NUMBER, "40404", text="b", is_unsettled=True))
        assert await door.inbound.unsettled() == ["k1", "k2"]
        await door.inbound.settled(["k1", "unknown"])
        assert await door.inbound.unsettled() == ["k2"]

    run(tmp_path, body)


def test_what_is_forged_on_one_route_does_not_use_up_the_share_of_another(tmp_path: Path) -> None:
    async def body(door: Door) -> None:
        forged = door.route("aggregator", "aggregator")
        for number in range(5):
            await forged.message(Incoming(f"f{number}", NUMBER, "40404", text=f"forged {number}"))
        await door.inbound.message(Incoming("own", NUMBER, "40404", text="own"))

    run(tmp_path, body, config=SmsConfig(in_per_minute=2))
    assert [message.text for message in stored(tmp_path)] == ["forged 0", "forged 1", "own"]


def test_forged_numbers_of_one_range_do_not_use_up_the_share_of_others(tmp_path: Path) -> None:
    member = "+995555000099"

    async def body(door: Door) -> None:
        door.known.put(
            [KnownNumber(KEYS.number_hash(member), has_account=True, pin_hash=None, language="en")]
        )
        # The first prefix is one of the price table, the others are countries.
        for place, number in enumerate(("+99555500000", "+99559900000", "+1555123456")):
            for digit in range(4):
                await door.inbound.message(
                    Incoming(f"{place}-{digit}", f"{number}{digit}", "40404", text=f"HELP {place}{digit}")
                )
        await door.inbound.message(Incoming("member", member, "40404", text="I am here"))
        await door.inbound.message(Incoming("stop", "+995555000007", "40404", text="STOP"))
        trusted = door.route("own", "device")
        await trusted.message(Incoming("device", "+995555000008", "40404", text="also here"))

    run(tmp_path, body, trust="aggregator", config=SmsConfig(in_per_prefix_minute=2))
    assert sorted(message.text for message in stored(tmp_path)) == [
        "HELP 00", "HELP 01", "HELP 10", "HELP 11", "HELP 20", "HELP 21", "I am here", "STOP", "also here",
    ]  # fmt: skip


def test_a_receipt_that_names_an_opt_out_stops_the_number_of_its_text(tmp_path: Path) -> None:
    opted_out = []

    def send(db: SpoolDb, number: str) -> str:
        message_id = outbox.put(
            db, key=number, route="carrier", number=number, text="news", kind="delivery", lane=3, segments=1,
            now_ms=1, expires_ms=10,
        )  # fmt: skip
        (message,) = outbox.queued(db, route="carrier", now_ms=1, count=1)
        (unit,) = outbox.begin(db, message=message, wants=[True], now_ms=1)
        outbox.accepted(db, unit=unit, carrier_id=f"c{message_id}", price=None, now_ms=1)
        return f"c{message_id}"

    async def body(door: Door) -> None:
        first = await door.spool.call(send, NUMBER)
        second = await door.spool.call(send, "+995599000002")
        await door.inbound.receipt(UnitReceipt(UnitState.FAILED, first, error="21610", has_opted_out=True))
        await door.inbound.receipt(UnitReceipt(UnitState.DELIVERED, second))
        await door.inbound.receipt(UnitReceipt(UnitState.FAILED, "unknown", has_opted_out=True))
        opted_out.extend(door.opted_out)

    run(tmp_path, body)
    assert opted_out == [NUMBER]


def test_stop_drops_waiting_texts_at_once_and_those_chosen_before_it(tmp_path: Path) -> None:
    def put(db: SpoolDb, key: str, lane: int) -> None:
        outbox.put(
            db, key=key, route="carrier", number=NUMBER, text=key, kind="delivery", lane=lane, segments=1,
            now_ms=1, expires_ms=2**60,
        )  # fmt: skip

    async def body(door: Door) -> None:
        await door.spool.call(put, "post", outbox.POSTS)
        await door.spool.call(put, "code", outbox.SECURITY)
        chosen_ms = int(time.time() * 1000)
        await door.inbound.message(Incoming("k1", NUMBER, "40404", text="Stop."))
        assert await door.spool.call(outbox.has_stopped_since, number=NUMBER, since_ms=chosen_ms)
        assert not await door.spool.call(outbox.has_stopped_since, number=NUMBER, since_ms=2**50)
        left = await door.spool.call(outbox.queued, route="carrier", now_ms=2, count=10)
        assert [message.text for message in left] == ["code"]

    run(tmp_path, body)
