"""The sms role while the store is missing, locked or stopped: texts are acknowledged, and posted later, in order."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.texting_carrier import CarrierPlace, Member, carrier_place
from tests.waiting import eventually

SENDERS = 10
PROOF_S = 20
ACKNOWLEDGED_P99_S, ACKNOWLEDGED_ON_BUSY_MACHINE_S = 0.5, 5.0
"""The first in the proofs, which have the machine to themselves; a short test runs beside others."""


def text_in_meanwhile(place: CarrierPlace, *, seconds: float, per_s: float) -> list[tuple[Member, str]]:
    """Let texts come in for a time, each acknowledged before the next; return them in order.

    The order is promised for the texts that are acknowledged on one link.
    """
    texts: list[tuple[Member, str]] = []
    took: list[float] = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s or len(texts) < SENDERS:
        member = place.members[len(texts) % SENDERS]
        text = f"meanwhile {len(texts)}"
        began_s = time.monotonic()
        one = member.text(text)
        place.carrier.deliver(one)
        eventually(lambda one=one: one["id"] in place.carrier.acknowledged(), within_s=10)
        took.append(time.monotonic() - began_s)
        texts.append((member, text))
        time.sleep(max(0.0, 1 / per_s - took[-1]))
    limit_s = ACKNOWLEDGED_P99_S if seconds >= PROOF_S else ACKNOWLEDGED_ON_BUSY_MACHINE_S
    assert sorted(took)[int(len(took) * 0.99) - 1] < limit_s, max(took)
    return texts


def check_posts(place: CarrierPlace, texts: list[tuple[Member, str]], *, within_s: float = 30.0) -> None:
    """Check that each text is one post, and that the posts of a member are in the order of the texts."""
    place.wait_until_done(within_s)
    for member in place.members:
        assert member.posts() == [text for owner, text in texts if owner is member]


@contextlib.contextmanager
def missing(database_url: str) -> Iterator[None]:
    """Move the files of an SQLite database away for the block."""
    path = Path(database_url.removeprefix("sqlite:///"))
    files = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    moved = [one.rename(one.with_name(f"away-{one.name}")) for one in files if one.exists()]
    try:
        yield
    finally:
        for one in moved:
            one.rename(one.with_name(one.name.removeprefix("away-")))


@contextlib.contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Hold the write lock of an SQLite database, as another program, for the block."""
    connection = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.prove)])
def test_the_sms_role_starts_without_the_database_and_posts_when_it_is_there(
    tmp_path: Path, sqlite_url: str, seconds: int
) -> None:
    """Its spool does not know the phones yet: it was never with the database."""
    with carrier_place(tmp_path, sqlite_url) as place:
        place.add_members(SENDERS)
        place.instance.kill()
        for path in place.data_dir.glob("sms.sqlite*"):
            path.unlink()
        with missing(sqlite_url):
            place.instance.start("--role", "sms")
            texts = text_in_meanwhile(place, seconds=seconds, per_s=20)
            assert place.status()["inbox"] == {"stored": len(texts), "waiting": len(texts), "dropped": 0}
        texts += text_in_meanwhile(place, seconds=1, per_s=20)
        place.wait_until_done()
        place.instance.stop()
        place.instance.start()
        check_posts(place, texts)
    assert "does not exist; texts are stored until it is there" in place.instance.log


@pytest.mark.parametrize("seconds", [4, pytest.param(PROOF_S, marks=pytest.mark.prove)])
def test_texts_are_acknowledged_while_another_program_has_the_database_locked(
    tmp_path: Path, sqlite_url: str, seconds: int
) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        place.add_members(SENDERS)
        place.carrier.wait_for("bound")
        with locked(sqlite_url):
            texts = text_in_meanwhile(place, seconds=seconds, per_s=20)
        texts += text_in_meanwhile(place, seconds=1, per_s=20)
        check_posts(place, texts)


def test_the_sms_role_starts_while_another_program_has_the_database_locked(
    tmp_path: Path, sqlite_url: str
) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        place.add_members(SENDERS)
        place.instance.kill()
        with locked(sqlite_url):
            place.instance.start("--role", "sms")
            texts = text_in_meanwhile(place, seconds=1, per_s=20)
        place.wait_until_done()
        place.instance.stop()
        place.instance.start()
        check_posts(place, texts)


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.prove)])
def test_texts_are_acknowledged_while_postgresql_is_stopped(
    tmp_path: Path, own_postgresql: Any, seconds: int
) -> None:
    url, stop, start = own_postgresql
    with carrier_place(tmp_path, url) as place:
        place.add_members(SENDERS)
        place.carrier.wait_for("bound")
        texts = text_in_meanwhile(place, seconds=1, per_s=20)
        stop()
        texts += text_in_meanwhile(place, seconds=seconds, per_s=20)
        place.instance.kill()
        place.instance.start("--role", "sms")
        texts += text_in_meanwhile(place, seconds=1, per_s=20)
        start()
        texts += text_in_meanwhile(place, seconds=1, per_s=20)
        place.wait_until_done()
        place.instance.stop()
        place.instance.start()
        check_posts(place, texts)
