"""A day of a person with an old phone: from signing up by text to stopping a lost phone from the web."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stormpetrel.rules import phones
from tests.gateway.phones import Texting, route_settings
from tests.people import Place, now_ms
from tests.waiting import eventually


@pytest.fixture(scope="module")
def drop_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def place_settings(drop_directory: Path) -> dict[str, object]:
    return route_settings(drop_directory)


@pytest.fixture(scope="module")
def texting(place: Place, drop_directory: Path) -> Iterator[Texting]:
    return Texting(place, drop_directory)


def test_a_day_by_phone(texting: Texting) -> None:
    place = texting.place
    phone = texting.phone()
    town = place.person("town")

    # She signs up by text, and follows the town.
    assert "Reply with a name" in phone.ask("Start")
    name = f"keto{phone.number[-6:]}"
    assert f"@{name}" in phone.ask(name)
    assert f"@{town.username}" in phone.ask(f"follow @{town.username}")
    town.post("The water comes back at noon")
    assert phone.next_text() == f"@{town.username}: The water comes back at noon #1"

    # Nothing wakes her at night: all hours but one are quiet, and a post waits.
    phone.ask("QUIET 0-23")
    assert phone.show()["quiet"] == "0-23"
    town.post("A car is parked in front of the fire station")
    eventually(lambda: phone.show()["waiting"], lambda waiting: waiting == 1)
    assert len(phone.texts()) == phone.seen
    phone.ask("QUIET OFF")

    # She reports in Georgian, in 300 characters that her phone sends in parts.
    report = ("ხიდი ჩაკეტილია, შემოვლითი გზა მუშაობს. " * 8)[:300].strip()
    record = phone.effect(report)
    assert record["effect"] == "post"
    status = place.visitor.get(f"/api/v1/statuses/{record['status_id']}").json()
    assert status["account"]["username"] == name
    assert report in status["content"].replace("<p>", "").replace("</p>", "")

    # A reader answers, she answers back by the tag of the text.
    reader = place.person("reader")
    answer = reader.post(f"@{name} Is the detour open at night?", in_reply_to_id=status["id"])
    text = eventually(phone.texts, lambda found: any("detour" in one for one in found))[-1]
    tag = text.rpartition("#")[2]
    reply = phone.effect(f"R {tag} Yes, until six")
    found = place.visitor.get(f"/api/v1/statuses/{reply['status_id']}").json()
    assert found["in_reply_to_id"] == answer["id"]
    assert found["mentions"][0]["username"] == reader.username

    # The phone is lost. From the web it is stopped: nobody posts from it, and nothing is sent to it.
    linked = place.write(phones.phone_with, number=phone.number, keys=texting.keys)
    assert linked is not None
    place.write(phones.stop_all, phone=linked, now_ms=now_ms())
    lost = phone.effect("a thief writes")
    assert (lost["effect"], lost["error"]) == ("none", "locked")
    before = len(phone.texts())
    town.post("Nothing of this reaches the thief")
    assert phone.show()["stopped"] is True
    assert phone.show()["waiting"] == 0
    assert len(phone.texts()) == before
