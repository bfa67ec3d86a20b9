"""A full disk: carriers and webhooks are refused, never acknowledged, and all texts are stored when there is room."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.disks import small_disk
from tests.gateway.texting_carrier import TO, CarrierPlace, carrier_place

DISK_BYTES = 32_000_000
MEMBERS = 40
"""Each may post 300 times in some minutes."""
SECRET = "swordfish-and-salt"
ESME_RX_T_APPN = 0x64
CLIENT = httpx.Client(trust_env=False, timeout=15)
SETTINGS = {
    "sms_route_web_provider": "kannel",
    "sms_route_web_trust": "network",
    "sms_route_web_sender": TO,
    "sms_route_web_send_url": "http://127.0.0.1:9/cgi-bin/sendsms",
    "sms_route_web_webhook_url": "https://example.org/sms/web",
    "sms_route_web_username": "storm",
    "sms_route_web_password": "petrel",
    "sms_route_web_secret": SECRET,
}


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill the disk, to the last byte, for the block: also what SQLite gives back meanwhile."""
    filler = disk / "filler"
    stop, is_full = threading.Event(), threading.Event()

    def fill() -> None:
        with open(filler, "wb", buffering=0) as file:
            while not stop.is_set():
                try:
                    file.write(b"\0" * 4096)
                except OSError:
                    is_full.set()
                    stop.wait(0.01)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert is_full.wait(30)
        yield
    finally:
        stop.set()
        thread.join()
        filler.unlink()


def webhook(place: CarrierPlace, number: str, text: str) -> int:
    """Call the webhook of the route as Kannel does; return the status."""
    values = {"secret": SECRET, "from": number, "to": TO, "text": text, "id": text, "charset": "UTF-8"}
    return CLIENT.get(f"{place.instance.sms_url}/sms/web", params=values).status_code


def texts_by_webhook(place: CarrierPlace, texts: list[str]) -> Counter[int]:
    """Send texts until each is acknowledged; return how often each status came."""
    statuses: Counter[int] = Counter()

    def send(number: int) -> None:
        end_s = time.monotonic() + 60
        while True:
            status = webhook(place, place.members[number % len(place.members)].number, texts[number])
            statuses[status] += 1
            if status == 200:
                return
            assert time.monotonic() < end_s
            time.sleep(0.2)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(send, number) for number in range(len(texts))]:
            done.result()
    return statuses


@pytest.mark.parametrize("messages", [300, pytest.param(3000, marks=pytest.mark.prove)])
def test_nothing_is_acknowledged_on_a_full_disk_and_all_is_stored_when_there_is_room(
    tmp_path: Path, sqlite_url: str, messages: int
) -> None:
    disk = tmp_path / "data"
    with small_disk(disk, DISK_BYTES) as is_small:
        if not is_small:
            pytest.skip("only root can mount a small disk")
        with carrier_place(tmp_path, sqlite_url, **SETTINGS) as place:
            members = place.add_members(MEMBERS)
            carrier = place.carrier
            carrier.wait_for("bound")
            by_carrier = [members[number % MEMBERS].text(f"carrier {number}") for number in range(messages)]
            by_webhook = [f"webhook {number}" for number in range(messages)]
            with ThreadPoolExecutor(1) as pool:
                carrier.deliver(*by_carrier[: messages // 2])
                with full(disk):
                    carrier.deliver(*by_carrier[messages // 2 :])
                    statuses = pool.submit(texts_by_webhook, place, by_webhook)
                    time.sleep(3)
                    acknowledged = len(carrier.acknowledged())
                    time.sleep(1)
                    assert len(carrier.acknowledged()) == acknowledged < messages
                    assert webhook(place, members[0].number, "no room") == 503
                ids = {one["id"] for one in by_carrier}
                end_s = time.monotonic() + 60
                while not ids <= set(carrier.acknowledged()):
                    assert time.monotonic() < end_s
                    time.sleep(0.1)
                counted = statuses.result()
            place.wait_until_done(120)
            posts = Counter(text for member in members for text in member.posts())
    refused = Counter(event["status"] for event in carrier.all("acknowledged") if event["status"])
    print(f"{messages} by SMPP, refused: {dict(refused)}; {messages} by webhook, answers: {dict(counted)}")
    assert set(refused) == {ESME_RX_T_APPN}
    assert set(counted) == {200, 503}
    assert posts == Counter([f"carrier {number}" for number in range(messages)] + by_webhook)


def test_the_role_starts_on_a_full_disk_and_acknowledges_nothing(tmp_path: Path, sqlite_url: str) -> None:
    disk = tmp_path / "data"
    with small_disk(disk, DISK_BYTES) as is_small:
        if not is_small:
            pytest.skip("only root can mount a small disk")
        with carrier_place(tmp_path, sqlite_url, **SETTINGS) as place:
            (member,) = place.add_members(1)
            place.instance.kill()
            for path in disk.glob("sms.sqlite*"):
                path.unlink()
            with full(disk):
                place.instance.start("--role", "sms")
                assert webhook(place, member.number, "too early") == 503
            os.sync()
            assert texts_by_webhook(place, ["in time"])[200] == 1
            place.wait_until_done(120)
            place.instance.stop()
            place.instance.start()
            assert member.posts() == ["in time"]
