"""The SMPP provider against npm smpp as the carrier: outgoing and incoming messages."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import subprocess
import sys

import pytest

from stormpetrel.config_sms import RouteConfig, SmppKeys
from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import (
    Accepted,
    LinkState,
    Rejected,
    SubmitFailed,
    Throttled,
    UnitState,
)
from stormpetrel.gateway.providers.smpp import KIND
from stormpetrel.sms.user_data import Coding, text_of
from tests.gateway.carrier import message, running_carrier
from tests.gateway.providers.smpp_parts import PHONE, bound, read, run, units, until
from tests.gateway.smpp_receiver import stored_texts, unsettled_keys
from tests.repository import ROOT
from tests.waiting import eventually

# Outgoing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bind", ["transceiver", "pair"])
def test_a_message_is_accepted_and_its_receipts_by_text_and_parameters_have_its_id(port, inbox, bind):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox, bind=bind) as provider:
                for shape in ("text", "tlv", "both"):
                    carrier.set(receipts=shape)
                    result = await provider.send(units("hello")[0])
                    assert isinstance(result, Accepted)
                    await until(lambda: inbox.receipts)
                    receipt = inbox.receipts.pop()
                    assert (receipt.carrier_id, receipt.state) == (result.carrier_id, UnitState.DELIVERED)
            sent = carrier.all("submitted")[0]["pdu"]
            assert (sent["source_addr"], sent["destination_addr"]) == ("40404", PHONE)
            assert sent["short_message"]["message"] == "hello"
            assert {event["command"] for event in carrier.all("bound")} == (
                {"bind_transceiver"} if bind == "transceiver" else {"bind_transmitter", "bind_receiver"}
            )

    run(work())


def test_receipts_are_asked_for_only_where_the_unit_wants_one(port, inbox):
    async def work():
        with running_carrier(port=port, receipts="") as carrier:
            async with bound(port, inbox) as provider:
                await provider.send(units("a")[0])
                await provider.send(units("b", wants_receipt=False)[0])
                assert [event["pdu"]["registered_delivery"] for event in carrier.all("submitted")] == [1, 0]

    run(work())


def test_a_receipt_may_come_before_the_response_and_write_the_id_in_decimal(port, inbox):
    async def work():
        with running_carrier(port=port, receipt_after_ms=0, receipt_radix=10):
            async with bound(port, inbox, id_radix="dec") as provider:
                result = await provider.send(units("hello")[0])
                await until(lambda: inbox.receipts)
                assert inbox.receipts[0].carrier_id == result.carrier_id == str(0xA0000)

    run(work())


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("ENROUTE", "sent"),
        ("ACCEPTD", "sent"),
        ("UNKNOWN", "sent"),
        ("UNDELIV", "failed"),
        ("EXPIRED", "failed"),
    ],
)
def test_each_state_of_a_receipt_has_its_meaning(port, inbox, stat, state):
    async def work():
        with running_carrier(port=port, receipt_state=stat):
            async with bound(port, inbox) as provider:
                await provider.send(units("hello")[0])
                await until(lambda: inbox.receipts)
                assert inbox.receipts[0].state.value == state
                assert bool(inbox.receipts[0].error) == (state == "failed")

    run(work())


GEORGIAN = "გამარჯობა, ეს არის გრძელი შეტყობინება, რომელიც რამდენიმე ნაწილად იყოფა. " * 4


@pytest.mark.parametrize("way", ["udh", "sar", "payload"])
def test_a_long_georgian_text_is_whole_at_the_other_side(port, inbox, way):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox, long=way) as provider:
                parts = units(GEORGIAN, kind=provider.capabilities.reference_kind)
                if way == "payload":
                    assert not provider.capabilities.by_part
                    octets = b"".join(part.octets for part in parts)
                    whole = dataclasses.replace(
                        parts[0], text=GEORGIAN, octets=octets, segments=len(parts), total=1
                    )
                    parts = [whole]
                # The parts of a message overtake each other.
                for result in await asyncio.gather(*(provider.send(part) for part in reversed(parts))):
                    assert isinstance(result, Accepted)
            found = {}
            for event in carrier.all("submitted"):
                pdu = event["pdu"]
                place, text = 1, pdu["short_message"]["message"]
                if way == "udh":
                    element = bytes.fromhex(pdu["short_message"]["udh"][0]["hex"])
                    assert element[:2] == bytes([0, 3])
                    assert element[2:4] == bytes([7, len(parts)])
                    place = element[4]
                elif way == "sar":
                    assert (pdu["sar_msg_ref_num"], pdu["sar_total_segments"]) == (7, len(parts))
                    place = pdu["sar_segment_seqnum"]
                else:
                    text = pdu["message_payload"]["message"]
                found[place] = text
            assert "".join(found[place] for place in sorted(found)) == GEORGIAN

    run(work())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((0x58, Throttled), (0x14, Throttled), (0x0B, Rejected), (0x65, Rejected), (0xC3, Rejected)),
        *((0x08, SubmitFailed), (0x45, SubmitFailed), (0x64, SubmitFailed), (0x412, SubmitFailed)),
    ],
)
def test_each_error_of_a_submission_has_its_meaning(port, inbox, status, kind):
    async def work():
        with running_carrier(port=port, status=status):
            async with bound(port, inbox) as provider:
                assert isinstance(await provider.send(units("hello")[0]), kind)

    run(work())


def test_a_number_that_does_not_fit_into_smpp_is_rejected(port, inbox):
    async def work():
        with running_carrier(port=port):
            async with bound(port, inbox) as provider:
                assert isinstance(await provider.send(units("a", receiver="1" * 30)[0]), Rejected)
                assert isinstance(await provider.send(units("a")[0]), Accepted)

    run(work())


async def send_until_accepted(provider, unit):
    while isinstance(result := await provider.send(unit), Throttled):
        await asyncio.sleep(result.after_s)
    return result


async def _through_a_narrow_carrier(port, inbox, count):
    with running_carrier(port=port, rate=100) as carrier:
        async with bound(port, inbox) as provider:
            sends = [send_until_accepted(provider, units(f"text {n}")[0]) for n in range(count)]
            results = await asyncio.gather(*sends)
            assert all(isinstance(result, Accepted) for result in results)
            assert len({result.carrier_id for result in results}) == count
            await until(lambda: len(inbox.receipts) == count)
            assert {receipt.carrier_id for receipt in inbox.receipts} == {r.carrier_id for r in results}
        assert len(carrier.all("submitted")) == count
        assert carrier.all("refused")


def test_a_carrier_of_100_a_second_gets_every_text_once_and_sends_every_receipt(port, inbox):
    run(_through_a_narrow_carrier(port, inbox, 200))


@pytest.mark.prove
def test_a_carrier_of_100_a_second_gets_1000_texts_once_and_sends_1000_receipts(port, inbox):
    run(_through_a_narrow_carrier(port, inbox, 1_000))


def test_no_more_than_the_window_is_unanswered(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox, window=5) as provider:
                carrier.set(answers=False)
                sends = asyncio.gather(*(provider.send(units("a")[0]) for _ in range(10)))
                await read(carrier, "ignored", 5)
                carrier.enquire()
                await read(carrier, "alive")
                assert len(carrier.all("ignored")) == 5
                carrier.drop()
                # Those that waited for a place in the window were not submitted: no attempt.
                assert [type(result) for result in await sends] == [SubmitFailed] * 5 + [Throttled] * 5

    run(work())


# Incoming ------------------------------------------------------------------------------------------------


def test_a_message_is_stored_and_then_acknowledged(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                carrier.deliver(message(PHONE, "40404", "გამარჯობა"))
                carrier.deliver(
                    message(PHONE, "40404", short_message={"hex": b"@ \x00".hex()}, data_coding=0)
                )
                carrier.deliver(
                    message(
                        PHONE,
                        "40404",
                        message_payload={"hex": b"data".hex()},
                        data_coding=3,
                    )
                    | {"command": "data_sm"}
                )
                await until(lambda: len(carrier.acknowledged()) == 3)

    run(work())


def test_the_carriers_alphabet_is_that_of_data_coding_0(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            for charset, octets in (("gsm", b"\x00\x05"), ("latin1", b"@\xe9"), ("ucs2", b"\0@\0\xe9")):
                async with bound(port, inbox, charset=charset):
                    carrier.deliver(
                        message(PHONE, charset, short_message={"hex": octets.hex()}, data_coding=0)
                    )
                    await until(lambda charset=charset: inbox.receivers[-1:] == [charset])
        assert inbox.texts == ["@é"] * 3

    run(work())


def test_a_part_of_a_long_message_keeps_its_header_and_addresses(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                octets = bytes([5, 0, 3, 9, 2, 1]) + "გამ".encode("utf-16-be")
                carrier.deliver(
                    message(
                        PHONE, "40404", short_message={"hex": octets.hex()}, esm_class=0x40, data_coding=8
                    )
                )
                await until(lambda: inbox.stored)
        (incoming,) = inbox.stored.values()
        assert (incoming.sender, incoming.receiver, incoming.sender_type) == (PHONE, "40404", 1)
        assert (incoming.part.coding, text_of([incoming.part])) == (Coding.UCS2, "გამ")
        header = incoming.part.header.concatenation
        assert (header.reference, header.total, header.number) == (9, 2, 1)

    run(work())


def test_messages_are_stored_side_by_side(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                inbox.delay_s = 0.5
                carrier.deliver(*(message(PHONE, "40404", f"text {n}") for n in range(50)))
                await until(lambda: len(carrier.acknowledged()) == 50)
                assert inbox.most_at_once == 50

    run(work())


def test_what_cannot_be_stored_stays_with_the_carrier(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox) as provider:
                inbox.is_full = True
                carrier.deliver(message(PHONE, "40404", "hello"))
                assert isinstance(await provider.send(units("hello")[0]), Accepted)
                await read(carrier, "acknowledged", 4)
                assert {event["status"] for event in carrier.all("acknowledged")} == {0x64}
                inbox.is_full = False
                await until(lambda: len(carrier.acknowledged()) == 2)
                assert inbox.texts == ["hello"]
                assert len(inbox.receipts) == 1

    run(work())


def test_more_messages_than_fit_into_memory_stay_with_the_carrier(port, inbox, monkeypatch):
    monkeypatch.setattr("stormpetrel.gateway.providers.smpp.MOST_UNSTORED", 10)

    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                inbox.delay_s = 0.1
                carrier.deliver(*(message(PHONE, "40404", f"text {n}") for n in range(30)))
                await until(lambda: len(carrier.acknowledged()) == 30)
                assert inbox.most_at_once == 10
                assert sorted(inbox.texts) == sorted(f"text {n}" for n in range(30))

    run(work())


def test_a_report_that_names_no_message_is_no_text(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                for kind in (0x04, 0x08, 0x10, 0x20):
                    carrier.deliver(message(PHONE, "40404", "seen", esm_class=kind))
                await until(lambda: len(carrier.acknowledged()) == 4)
                assert inbox.receipts == []
                # A receipt of a carrier that does not set the type.
                carrier.deliver(message(PHONE, "40404", "id:7 stat:DELIVRD", receipted_message_id="7"))
                await until(lambda: len(inbox.receipts) == 1)
                assert inbox.stored == {}

    run(work())


# Redelivery --------------------------------------------------------------------------------------------


def test_a_message_whose_acknowledgement_was_lost_with_its_link_is_stored_once(port, inbox):
    async def work():
        with running_carrier(port=port, loses_answers=True) as carrier:
            async with bound(port, inbox):
                # Two of the same text on one link are two messages, and so they are when both come again.
                carrier.deliver(message(PHONE, "40404", "ok"), message(PHONE, "40404", "ok"))
                await until(lambda: len(inbox.stored) == 2)
                carrier.drop()
                await read(carrier, "bound", 2)
                carrier.drop()
                carrier.set(loses_answers=False)
                await until(lambda: len(carrier.acknowledged()) == 2)
                # The third one is new.
                carrier.deliver(message(PHONE, "40404", "ok"))
                await until(lambda: len(carrier.acknowledged()) == 3)
                assert inbox.texts == ["ok"] * 3

    run(work())


def test_the_same_text_after_a_reconnect_is_a_second_message(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                carrier.deliver(message(PHONE, "40404", "ok"))
                await read(carrier, "acknowledged")
                # The carrier is heard after the acknowledgement was written.
                carrier.enquire()
                await read(carrier, "alive")
                carrier.drop()
                await read(carrier, "bound", 2)
                carrier.deliver(message(PHONE, "40404", "ok"))
                await read(carrier, "acknowledged", 2)
                assert inbox.texts == ["ok", "ok"]

    run(work())


def test_a_message_that_comes_again_before_it_is_stored_is_stored_once(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                inbox.delay_s = 1.5
                carrier.deliver(message(PHONE, "40404", "slow"))
                await until(lambda: inbox.most_at_once)
                carrier.drop()
                await until(lambda: len(carrier.acknowledged()) == 1)
                assert inbox.most_at_once == 1
                assert inbox.texts == ["slow"]

    run(work())


@pytest.mark.prove
def test_a_silent_link_may_have_lost_what_was_acknowledged_on_it(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox, enquire_link_s=0.5, dead_s=5.5):
                carrier.set(loses_answers=True)
                carrier.deliver(message(PHONE, "40404", "hello"))
                await until(lambda: inbox.stored)
                carrier.freeze()
                carrier.set(loses_answers=False)
                await until(lambda: len(carrier.acknowledged()) == 1)
                assert inbox.texts == ["hello"]

    run(work())


def test_a_burst_over_dropped_links_is_stored_exactly_once(port, inbox):
    async def work():
        count = 1_000
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                inbox.delay_s = 0.02
                carrier.deliver(*(message(PHONE, "40404", f"text {n}") for n in range(count)))
                for drops in range(1, 4):
                    await until(lambda drops=drops: len(inbox.stored) >= 250 * drops)
                    carrier.drop()
                await until(lambda: len(carrier.acknowledged()) == count)
                assert sorted(inbox.texts) == sorted(f"text {n}" for n in range(count))

    run(work())


@pytest.mark.parametrize("count", [600, pytest.param(6_000, marks=pytest.mark.prove)])
def test_a_burst_over_killed_processes_is_stored_exactly_once(port, tmp_path, count):
    path = tmp_path / "inbox.db"
    with running_carrier(port=port) as carrier:
        carrier.deliver(*(message(PHONE, "40404", f"text {n}") for n in range(count)))
        for kills in range(4):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.gateway.smpp_receiver", str(port), str(path)], cwd=ROOT
            )
            try:
                wanted = count * (kills + 1) // 4
                eventually(lambda wanted=wanted: len(stored_texts(path)) >= wanted)
                if kills == 3:
                    carrier.wait_for("acknowledged", count)
                    eventually(carrier.acknowledged, lambda ids: len(ids) == count)
            finally:
                process.kill()
                process.wait()
        assert sorted(stored_texts(path)) == sorted(f"text {n}" for n in range(count))


def test_after_a_kill_only_what_was_just_acknowledged_can_be_a_redelivery(port, tmp_path):
    path = tmp_path / "inbox.db"

    @contextlib.contextmanager
    def receiver():
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.smpp_receiver", str(port), str(path)], cwd=ROOT
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()

    with running_carrier(port=port) as carrier:
        with receiver():
            carrier.deliver(message(PHONE, "40404", "old"))
            carrier.wait_for("acknowledged", 1)
            carrier.enquire()
            carrier.wait_for("alive")
            eventually(lambda: unsettled_keys(path), lambda keys: not keys)
            carrier.set(loses_answers=True)
            carrier.deliver(message(PHONE, "40404", "new"))
            eventually(lambda: stored_texts(path), lambda texts: len(texts) == 2)
        carrier.set(loses_answers=False)
        with receiver():
            carrier.wait_for("acknowledged", 2)
            carrier.deliver(message(PHONE, "40404", "old"), message(PHONE, "40404", "new"))
            carrier.wait_for("acknowledged", 4)
        assert sorted(stored_texts(path)) == ["new", "new", "old", "old"]


def test_the_gateway_finds_the_provider_by_its_kind():
    config = RouteConfig(name="one", keys=SmppKeys(host="127.0.0.1", system_id="storm"))
    assert KIND.keys is SmppKeys
    assert KIND.make(config).capabilities.window == 50
    assert KIND.make(config).state is LinkState.CONNECTING


@pytest.mark.parametrize(
    ("key", "value"), [("host", ""), ("system_id", ""), ("system_id", "x" * 16), ("password", "пароль" * 20)]
)
def test_a_key_that_no_bind_can_carry_is_named_without_its_value(key, value):
    keys = SmppKeys(**({"host": "127.0.0.1", "system_id": "storm"} | {key: value}))
    with pytest.raises(SetupError, match=rf"sms\.route\.one\.{key} ") as caught:
        KIND.make(RouteConfig(name="one", keys=keys))
    assert not value or value not in str(caught.value)
