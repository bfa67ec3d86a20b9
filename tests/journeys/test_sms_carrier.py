"""Texts by a carrier that throttles or hangs, and how soon they arrive: through the roles, both ways."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.texting_carrier import CarrierPlace, carrier_place
from tests.waiting import eventually

REBIND_S = 45.0
LONG_TO, LONG = "+15554999999", "part of a long text, " * 12
IN_P95_S, OUT_P95_S = 1.0, 2.0


def percentile(values: list[float], part: float) -> float:
    """Return the value below which that part of the values is."""
    return sorted(values)[math.ceil(len(values) * part) - 1]


def delivered_by_throttling_carrier(
    place: CarrierPlace, texts: int, *, within_s: float
) -> list[dict[str, Any]]:
    """Send texts, every tenth in several parts; return their records when each has its receipt."""
    place.carrier.wait_for("bound")
    place.send(
        [
            # The long ones go to one phone, which joins the parts of each by its reference.
            (LONG_TO, f"{number} {LONG}")
            if number % 10 == 0
            else (f"+1555{4_000_000 + number:07}", f"{number}")
            for number in range(texts)
        ]
    )
    found: list[dict[str, Any]] = eventually(
        lambda: place.log("out"),
        lambda records: len(records) == texts and all(one["state"] == "delivered" for one in records),
        within_s,
    )
    return found


def long_texts(submitted: list[dict[str, Any]]) -> set[str]:
    """Return the texts that a phone makes of parts, joined by the number and the reference in their headers."""
    parts: dict[tuple[str, int], dict[int, str]] = {}
    for event in submitted:
        short = event["pdu"]["short_message"]
        if short.get("udh"):
            *_, reference, _, number = bytes.fromhex(short["udh"][0]["hex"])
            parts.setdefault((event["pdu"]["destination_addr"], reference), {})[number] = short["message"]
    return {"".join(found[number] for number in sorted(found)) for found in parts.values()}


def check_delivered(place: CarrierPlace, records: list[dict[str, Any]], receipts: str) -> str:
    """Check that each text went once and in whole, with its receipts; return the figures."""
    units = sum(one["segments"] for one in records)
    submitted = place.carrier.all("submitted")
    refused = place.carrier.all("refused")
    asked = [event for event in submitted if event["pdu"]["registered_delivery"] & 1]
    acknowledged = [one for one in place.carrier.acknowledged() if str(one).startswith("receipt-")]
    assert len(submitted) == units
    assert refused, "the carrier throttled nothing: the test proves nothing"
    assert {event["status"] for event in refused} == {0x58}
    assert len(asked) == (units if receipts == "all" else len(records))
    assert len(acknowledged) == len(set(acknowledged)) == len(asked)
    assert {one["attempts"] for one in records} == {1}
    assert long_texts(submitted) == {one["text"] for one in records if one["number"] == LONG_TO}
    return f"{len(records)} delivered, {units} units, {len(asked)} receipts, {len(refused)} throttled"


@pytest.mark.parametrize("receipts", ["all", "first", "last"])
def test_each_text_arrives_once_by_a_carrier_that_throttles(
    tmp_path: Path, sqlite_url: str, receipts: str
) -> None:
    carrier = {"rate": 60}
    with carrier_place(tmp_path, sqlite_url, carrier=carrier, sms_route_one_receipts=receipts) as place:
        records = delivered_by_throttling_carrier(place, 90, within_s=30)
        check_delivered(place, records, receipts)


@pytest.mark.prove
@pytest.mark.parametrize("receipts", ["all", "first", "last"])
def test_1000_of_1000_texts_arrive_by_a_carrier_of_100_a_second(
    tmp_path: Path, sqlite_url: str, receipts: str
) -> None:
    carrier = {"rate": 100}
    with carrier_place(tmp_path, sqlite_url, carrier=carrier, sms_route_one_receipts=receipts) as place:
        began_s = time.monotonic()
        records = delivered_by_throttling_carrier(place, 1000, within_s=120)
        took_s = time.monotonic() - began_s
        print(f"receipts={receipts}: {check_delivered(place, records, receipts)}, {took_s:.1f} s")


def check_rebinds(place: CarrierPlace, fault: str, *, within_s: float) -> float:
    """Let the link hang or freeze, with texts both ways meanwhile; return the seconds until the next bind."""
    (member,) = place.add_members(1)
    carrier = place.carrier
    carrier.wait_for("bound")
    carrier.deliver(member.text("before"))
    carrier.wait_for("acknowledged")
    began_s = time.monotonic()
    getattr(carrier, fault)()
    texts = [(member.number, f"during {number}") for number in range(5)]
    place.send(texts)
    carrier.deliver(member.text("during"))
    carrier.wait_for("bound", 2, within_s)
    took_s = time.monotonic() - began_s
    assert took_s < within_s
    arrived = lambda: {event["pdu"]["short_message"]["message"] for event in carrier.all("submitted")}  # noqa: E731
    eventually(arrived, lambda found: {text for _, text in texts} <= found)
    carrier.deliver(member.text("after"))
    eventually(member.posts, lambda posts: posts == ["before", "during", "after"])
    return took_s


def test_the_role_leaves_a_link_that_is_open_at_its_side_only(tmp_path: Path, sqlite_url: str) -> None:
    """With five link tests a second: one that is unanswered for 10 s ends the link."""
    with carrier_place(tmp_path, sqlite_url, sms_route_one_enquire_link_s=0.2) as place:
        check_rebinds(place, "freeze", within_s=20)


@pytest.mark.prove
@pytest.mark.parametrize("fault", ["hang", "freeze"])
def test_the_role_is_bound_again_45_s_after_a_carrier_hangs(
    tmp_path: Path, sqlite_url: str, fault: str
) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        print(f"{fault}: bound again after {check_rebinds(place, fault, within_s=REBIND_S):.1f} s")


def times_in(place: CarrierPlace, texts: int, *, every_s: float) -> list[float]:
    """Return how many seconds each text took from the carrier to the API."""
    (member,) = place.add_members(1)
    took = []
    for number in range(texts):
        began_s = time.monotonic()
        place.carrier.deliver(member.text(f"seen {number}"))
        eventually(
            lambda: member.person.get(f"/api/v1/accounts/{member.person.id}/statuses", limit=1),
            lambda found, number=number: found and found[0]["content"] == f"<p>seen {number}</p>",
        )
        took.append(time.monotonic() - began_s)
        time.sleep(every_s)
    return took


def times_out(place: CarrierPlace, posts: int, *, every_s: float) -> list[float]:
    """Return how many seconds each post took from the API to the carrier."""
    (reader,) = place.add_members(1)
    author = place.place.person("author")
    place.carrier.deliver(reader.text(f"FOLLOW {author.username}"))
    place.carrier.wait_for("submitted")
    before = len(place.carrier.all("submitted"))
    took = []
    for number in range(posts):
        began_s = time.monotonic()
        author.post(f"news {number}")
        found = place.carrier.wait_for("submitted", before + number + 1)
        took.append(time.monotonic() - began_s)
        assert f"news {number}" in found[-1]["pdu"]["short_message"]["message"]
        time.sleep(every_s)
    return took


@pytest.mark.parametrize("count", [15, pytest.param(200, marks=pytest.mark.prove)])
def test_a_text_is_seen_in_a_second_and_a_post_is_at_the_carrier_in_two(
    tmp_path: Path, sqlite_url: str, count: int
) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        place.carrier.wait_for("bound")
        took_in = times_in(place, count, every_s=0.05)
        took_out = times_out(place, count, every_s=0.05)
    p95_in, p95_out = percentile(took_in, 0.95), percentile(took_out, 0.95)
    print(
        f"{count} in: median {percentile(took_in, 0.5):.3f} s, p95 {p95_in:.3f} s; "
        f"out: median {percentile(took_out, 0.5):.3f} s, p95 {p95_out:.3f} s"
    )
    assert p95_in < IN_P95_S
    assert p95_out < OUT_P95_S
