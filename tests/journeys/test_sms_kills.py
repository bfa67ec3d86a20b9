"""No text is lost, and no post is doubled, by kill -9 of all processes and by carriers that drop the connection."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.gateway.texting_carrier import WINDOW, CarrierPlace, carrier_place, submitted_texts

SENDERS = 20


def exchange_across_faults(
    place: CarrierPlace, *, messages: int, kills: int, drops: int, within_s: float
) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Let texts come in and go out across faults; return the posts in the API, and what the carrier has accepted.

    Each fault comes when a further part of the messages is acknowledged and of the texts accepted.
    """
    members = place.add_members(SENDERS)
    incoming = [members[number % SENDERS].text(f"in {number}") for number in range(messages)]
    outgoing = [(f"+1555{3_000_000 + number % 97:07}", f"out {number}") for number in range(messages)]
    carrier = place.carrier
    carrier.wait_for("bound")
    place.send(outgoing)
    carrier.deliver(*incoming)
    faults = [fault for pair in itertools.zip_longest(["kill"] * kills, ["drop"] * drops) for fault in pair]
    for number, fault in enumerate((fault for fault in faults if fault), start=1):
        part = messages * number // (kills + drops + 1)
        end_s = time.monotonic() + within_s
        while min(len(carrier.acknowledged()), len(carrier.all("submitted"))) < part:
            assert time.monotonic() < end_s, f"fault {number} was not reached"
            time.sleep(0.005)
        if fault == "kill":
            place.restart_by_kill()
        else:
            carrier.drop()
    ids = {one["id"] for one in incoming}
    end_s = time.monotonic() + within_s
    while not ids <= set(carrier.acknowledged()):
        assert time.monotonic() < end_s, f"{len(ids - set(carrier.acknowledged()))} are not acknowledged"
        time.sleep(0.05)
    place.wait_until_done(within_s)
    posts = Counter(text for member in members for text in member.posts())
    return posts, submitted_texts(carrier)


def check(posts: Counter[str], accepted: Counter[tuple[str, str]], *, messages: int, faults: int) -> int:
    """Check that nothing is lost and no post doubled; return how many texts the carrier got more than once."""
    assert posts == Counter(f"in {number}" for number in range(messages))
    assert {text for _, text in accepted} == {f"out {number}" for number in range(messages)}
    doubled = accepted.total() - len(accepted)
    assert doubled <= WINDOW * faults
    return doubled


def test_kills_and_drops_lose_no_text_and_double_no_post(tmp_path: Path, sqlite_url: str) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        posts, accepted = exchange_across_faults(place, messages=300, kills=1, drops=1, within_s=30)
    check(posts, accepted, messages=300, faults=2)


@pytest.mark.prove
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_three_kills_and_three_drops_lose_none_of_12000_texts(
    request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    url = request.getfixturevalue(f"{store}_url")
    with carrier_place(tmp_path, url) as place:
        posts, accepted = exchange_across_faults(place, messages=6000, kills=3, drops=3, within_s=300)
    doubled = check(posts, accepted, messages=6000, faults=6)
    print(f"{store}: 0 lost, posts once, {doubled} texts twice (limit {WINDOW * 6})")
