"""A modem behind gammu-smsd: the real program with its dummy phone, and its tables as other modems leave them."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import Accepted, LinkState, SubmitFailed, UnitReceipt, UnitState
from stormpetrel.gateway.providers.gammu import make
from stormpetrel.sms.user_data import Coding, text_of
from stormpetrel.storage import gammu_smsd
from tests.gateway.gammu import make_database, running_smsd
from tests.gateway.inbox import MemoryInbox, route, run, unit, until
from tests.parts import require

RECEIVED = """INSERT INTO inbox (ReceivingDateTime, Text, SenderNumber, Coding, UDH, TextDecoded, RecipientID)
    VALUES ('2026-11-29 12:00:00', ?, ?, ?, ?, ?, '')"""
SENT = """INSERT INTO sentitems (ID, SequencePosition, Text, UDH, SenderID, CreatorID, DestinationNumber, Status,
    StatusError, SendingDateTime)
    VALUES (?, ?, '', '', '', ?, '+15551234567', ?, ?, datetime('now', ?))"""


@pytest.fixture
def smsd(tmp_path):
    """The tables, without the program."""
    require("gammu")
    return make_database(tmp_path)


def served(smsd, body, inbox=None):
    """Run `body(provider, inbox)` while the provider runs."""
    inbox = inbox or MemoryInbox()

    async def main():
        provider = make(route("gammu", database=f"sqlite:///{smsd.path}"))
        await provider.start(inbox)
        try:
            await body(provider, inbox)
        finally:
            await provider.stop()

    run(main)


def test_a_real_smsd_receives_and_sends_each_message_once(tmp_path):
    require("gammu")
    texts = ["hello € there", "გამარჯობა 😀 " * 15, "x" * 400]

    async def body(provider, inbox):
        inbox.is_full = True
        smsd.receive("hello there")
        smsd.receive("გამარჯობა 😀 " * 4)
        await until(lambda: smsd.execute("SELECT 1 FROM inbox"))
        assert smsd.execute("SELECT 1 FROM inbox WHERE Processed = 'true'") == []
        inbox.is_full = False
        await until(lambda: len(inbox.messages) == 2)
        assert inbox.texts == ["hello there", "გამარჯობა 😀 " * 4]
        assert {(each.sender, each.receiver) for each in inbox.messages} == {("+15551234567", "40404")}
        await until(lambda: not smsd.execute("SELECT 1 FROM inbox WHERE Processed = 'false'"))

        for number, text in enumerate(texts):
            sent = unit(text, id=f"u{number} %")
            # The second time, as after a crash of the gateway before it stored the result.
            results = [await provider.send(sent), await provider.send(sent)]
            assert results == [Accepted(str(number + 1), sent.segments)] * 2
        await until(lambda: len(inbox.receipts) == 3)
        assert inbox.receipts == [
            UnitReceipt(UnitState.SENT, str(number + 1), f"u{number} %") for number in range(3)
        ]
        assert await provider.send(unit(texts[0], id="u0 %")) == Accepted("1", 1)
        rows = smsd.execute("SELECT ID, TextDecoded FROM sentitems ORDER BY ID, SequencePosition")
        assert ["".join(text for id, text in rows if id == each) for each in (1, 2, 3)] == texts
        assert smsd.execute("SELECT count(*) FROM outbox") == [(0,)]

    with running_smsd(tmp_path) as smsd:
        served(smsd, body)


def test_an_old_message_with_the_same_id_is_another_one(smsd):
    async def body(provider, inbox):
        assert await provider.send(unit("hello")) == Accepted("1", 1)
        assert await provider.send(unit("hello")) == Accepted("1", 1)
        assert await provider.send(unit("other")) == Accepted("2", 1)
        assert await provider.send(unit("hello", receiver="+15557654321")) == Accepted("3", 1)
        smsd.execute("UPDATE outbox SET InsertIntoDB = datetime('now', '-25 hours')")
        assert await provider.send(unit("hello")) == Accepted("4", 1)

    served(smsd, body)


def test_parts_keep_their_header_and_the_halves_of_a_pair_are_joined(smsd):
    for number, octets in ((1, "0061D83D"), (2, "DE000062")):
        smsd.execute(RECEIVED, (octets, "+1555", "Unicode_No_Compression", f"0500030702{number:02X}", "?"))
    smsd.execute(RECEIVED, ("00FF", "+1555", "8bit", "", ""))
    smsd.execute(RECEIVED, ("zz", "+1555", "8bit", "zz", ""))
    smsd.execute(RECEIVED, ("0061", "", "Default_No_Compression", "", "a"))

    async def body(provider, inbox):
        await until(lambda: not smsd.execute("SELECT 1 FROM inbox WHERE Processed = 'false'"))
        first, second, binary, broken = inbox.messages
        assert [each.part.header.concatenation.number for each in (first, second)] == [1, 2]
        assert text_of([first.part, second.part]) == "a😀b"
        assert (first.text, binary.text) == (None, None)
        assert (binary.part.coding, binary.part.octets, broken.part.octets) == (
            Coding.BINARY,
            b"\x00\xff",
            b"",
        )
        assert len({each.key for each in inbox.messages}) == 4

    served(smsd, body)


def test_statuses_of_the_parts_become_receipts_of_the_message_once(smsd):
    def put(id, *statuses, error=-1, age="-1 minute", creator=None):
        for position, status in enumerate(statuses, start=1):
            creator = creator or f"stormpetrel:u{id}"
            smsd.execute(SENT, (id, position, creator, status, error, age))

    put(1, "SendingOK", "SendingOK")
    put(2, "DeliveryOK", "DeliveryPending")
    put(3, "DeliveryOK", "DeliveryOK")
    put(4, "SendingOK", "SendingError", error=21)
    put(5, "SendingOKNoReport")
    put(6, "DeliveryFailed", age="-9 days")
    put(7, "SendingOK", creator="another program")
    put(8, "SendingOK", age="-9 days")

    async def body(provider, inbox):
        await until(lambda: len(inbox.receipts) == 7)
        assert [(each.unit_id, each.state.value, each.error) for each in inbox.receipts] == [
            ("u1", "sent", ""),
            ("u2", "sent", ""),
            ("u3", "delivered", ""),
            ("u4", "failed", "SendingError, SendingOK (21)"),
            ("u5", "sent", ""),
            ("u6", "failed", "DeliveryFailed (-1)"),
            ("u8", "sent", ""),
        ]
        smsd.execute("UPDATE sentitems SET Status = 'DeliveryOK' WHERE ID IN (1, 2)")
        await until(lambda: len(inbox.receipts) == 9)
        assert {(each.unit_id, each.state.value) for each in inbox.receipts[7:]} == {
            ("u1", "delivered"),
            ("u2", "delivered"),
        }

    served(smsd, body)

    async def restarted(provider, inbox):
        await asyncio.sleep(1.2)
        assert inbox.receipts == []

    served(smsd, restarted)


def test_a_receipt_that_could_not_be_stored_comes_again(smsd):
    smsd.execute(SENT, (1, 1, "stormpetrel:u1", "SendingOK", -1, "-1 minute"))
    inbox = MemoryInbox()
    inbox.is_full = True

    async def body(provider, inbox):
        await asyncio.sleep(0.3)
        inbox.is_full = False
        await until(lambda: inbox.receipts)

    served(smsd, body, inbox)


def test_a_lock_that_is_held_long_means_later_and_the_route_recovers(smsd, monkeypatch):
    monkeypatch.setattr(gammu_smsd, "BUSY_S", 0.1)
    smsd.execute(RECEIVED, ("0061", "+1555", "Default_No_Compression", "", "a"))

    async def body(provider, inbox):
        await until(lambda: not smsd.execute("SELECT 1 FROM inbox WHERE Processed = 'false'"))
        holder = sqlite3.connect(smsd.path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        result = await provider.send(unit())
        assert result == SubmitFailed("the database of gammu-smsd: database is locked", 1.0)
        await until(lambda: provider.state is LinkState.DOWN)
        holder.close()
        await until(lambda: provider.state is LinkState.UP)
        assert await provider.send(unit()) == Accepted("1", 1)

    served(smsd, body)


def test_an_absent_database_is_not_created_and_a_strange_one_not_changed(tmp_path):
    async def body(path):
        provider = make(route("gammu", database=f"sqlite:///{path}"))
        await provider.start(MemoryInbox())
        await until(lambda: provider.state is LinkState.DOWN)
        assert isinstance(await provider.send(unit()), SubmitFailed)
        await provider.stop()

    run(lambda: body(tmp_path / "absent? #.db"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "strange.db").write_bytes(b"x" * 5000)
    run(lambda: body(tmp_path / "strange.db"))
    assert (tmp_path / "strange.db").read_bytes() == b"x" * 5000


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "is missing"),
        ("smsd.db", "must be like sqlite:////"),
        ("sqlite:///", "must be"),
        ("mysql://x", "must be"),
    ],
)
def test_a_missing_or_wrong_database_is_named(url, problem):
    with pytest.raises(SetupError, match=rf"sms\.route\.main\.database {problem}"):
        make(route("gammu", database=url))
