"""After STOP the carrier gets one confirmation and nothing else, also no text that was queued before."""

from __future__ import annotations

import time
from pathlib import Path

from tests.gateway.texting_carrier import CarrierPlace, carrier_place
from tests.waiting import eventually

SETTLED_S = 1.5
"""More than the role takes to look for deliveries, for texts of commands, and for texts whose time has come."""


def texts_to(place: CarrierPlace, number: str) -> list[str]:
    """Return the texts that the carrier has accepted for the number, in order."""
    return [
        event["pdu"]["short_message"]["message"]
        for event in place.carrier.all("submitted")
        if event["pdu"]["destination_addr"] == number[1:]
    ]


def effect_of(place: CarrierPlace, number: str, text: str) -> str:
    """Let the phone text, and return the effect."""
    before = len(place.log("in", "--number", number))
    place.carrier.deliver(next(one for one in place.members if one.number == number).text(text))
    found = eventually(
        lambda: place.log("in", "--number", number)[before:],
        lambda records: records and records[0]["state"] == "done",
    )
    return str(found[0]["effect"])


def test_nothing_follows_stop_but_its_confirmation(tmp_path: Path, sqlite_url: str) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        stopping, other = place.add_members(2)
        author = place.place.person("author")
        place.carrier.wait_for("bound")
        for member in (stopping, other):
            assert effect_of(place, member.number, f"FOLLOW {author.username}") == "follow"
            eventually(lambda member=member: len(texts_to(place, member.number)) == 1)
        place.instance.run_cli("sms", "pause", "one")
        time.sleep(SETTLED_S)
        place.send(
            [(member.number, f"queued {number}") for number in range(3) for member in (stopping, other)]
        )
        author.post("queued post")
        queued = eventually(
            lambda: place.log("out"), lambda found: sum(one["state"] == "queued" for one in found) == 8
        )
        assert {one["number"] for one in queued} == {stopping.number, other.number}
        assert effect_of(place, stopping.number, "stop!") == "stop"
        author.post("post after it")
        time.sleep(SETTLED_S)
        place.instance.run_cli("sms", "resume", "one")
        eventually(lambda: len(texts_to(place, other.number)) == 6)
        time.sleep(SETTLED_S)
        (confirmation,) = texts_to(place, stopping.number)[1:]
        assert "START" in confirmation
        commands = {
            "STOP": "stop", "WHOIS nino": "whois", f"WHOIS {author.username}": "whois", "Stop the war": "post",
        }  # fmt: skip
        for text, effect in commands.items():
            assert effect_of(place, stopping.number, text) == effect
        assert stopping.posts() == ["Stop the war"]
        place.instance.run_cli("sms", "send", stopping.number, "by the operator", expect_exit=1)
        time.sleep(SETTLED_S)
        assert texts_to(place, stopping.number)[2:] == []
