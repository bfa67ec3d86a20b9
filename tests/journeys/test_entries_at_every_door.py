"""An operator's entry is valid at every door or at none: the command line, the control socket, another machine's
message, the saved rules, and the worker's shield."""

from __future__ import annotations

import asyncio
import time

import pytest

from stormpetrel.control.entries import checked
from stormpetrel.control.messages import AskRule, Done
from stormpetrel.errors import SetupError
from stormpetrel.shield.entries import InvalidEntry
from stormpetrel.shield.orders import Overrides
from stormpetrel.shield.reports import Directions, OperatorEntry
from stormpetrel.storage.journal import Direction
from stormpetrel.watch.journal_writer import Remembered
from stormpetrel.watch.orders import OperatorRules
from stormpetrel.watch.role import restored
from tests.watch.watching import a_watch, asked

VALID = [
    ("address", "192.0.2.7"),
    ("address", " 192.0.2.7/24 "),
    ("address", "2001:DB8::/32"),
    ("address", "fe80::1%eth0"),
    ("address", "::ffff:192.0.2.7"),
    ("account", "117340000000000000"),
    ("token", "ABCDEF0123456789"),
    ("application", "Tusky for Äpfel"),
]
INVALID = [
    ("address", "nowhere"),
    ("address", "0.0.0.0/0"),
    ("address", "10.0.0.0/15"),
    ("address", "::ffff:0:0/96"),
    ("address", "2001::/31"),
    ("account", "-7"),
    ("account", "٣"),
    ("account", "9" * 21),
    ("token", "abcdef012345678"),
    ("token", "a" * 65),
    ("token", "g" * 16),
    ("application", ""),
    ("application", "x" * 201),
    ("application", "a\x1b[31m"),
    ("planet", "Earth"),
]


def at_the_command_line(entry: OperatorEntry) -> bool:
    try:
        checked(entry, now_epoch_s=time.time())
    except SetupError:
        return False
    return True


def from_another_machine(entry: OperatorEntry) -> bool:
    return OperatorRules().merge("deny", entry, set_at_epoch_s=time.time())


def from_the_saved_rules(entry: OperatorEntry) -> bool:
    saved = Direction("deny", entry.kind, entry.value, int(entry.expires_epoch_s * 1000), entry.reason)
    cluster = restored(Remembered(directions=(saved,)), now_epoch_s=time.time())
    return bool(cluster.orders.said("deny"))


def in_the_shield(entry: OperatorEntry) -> bool:
    try:
        return Overrides().take(Directions(1, time.time() + 10, denied=(entry,)))
    except InvalidEntry:
        return False


@pytest.mark.parametrize(
    ("kind", "value", "is_valid"),
    [*((kind, value, True) for kind, value in VALID), *((kind, value, False) for kind, value in INVALID)],
)
def test_an_entry_is_valid_at_every_door_or_at_none(tmp_path, kind, value, is_valid):
    entry = OperatorEntry(kind, value, time.time() + 60, "a test")

    async def at_the_control_socket() -> bool:
        async with a_watch(tmp_path):
            return isinstance(await asked(tmp_path, AskRule("deny", entry)), Done)

    doors = (at_the_command_line, from_another_machine, from_the_saved_rules, in_the_shield)
    taken = {door.__name__: door(entry) for door in doors}
    taken["at_the_control_socket"] = asyncio.run(at_the_control_socket())
    assert set(taken.values()) == {is_valid}, taken


def test_an_invalid_saved_rule_leaves_the_others_in_force(caplog):
    expires_ms = int((time.time() + 60) * 1000)
    saved = (
        Direction("deny", "address", "0.0.0.0/0", expires_ms, "too wide"),
        Direction("allow", "account", "7", expires_ms, "the mayor"),
    )
    cluster = restored(Remembered(directions=saved), now_epoch_s=time.time())
    assert [one.value for one in cluster.orders.said("allow")] == ["7"]
    assert cluster.orders.said("deny") == ()
    assert "a saved rule about address 0.0.0.0/0 was dropped: 0.0.0.0/0 is too wide" in caplog.text
