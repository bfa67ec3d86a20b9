"""The memory of the sms role: its own, beside what it shares with the other processes, idle and after many texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.gateway.texting_carrier import CarrierPlace, carrier_place
from tests.processes import named
from tests.waiting import eventually

MOST_MB = 40.0


def memory_mb(place: CarrierPlace) -> Mapping[str, float]:
    """Return the proportional and the private memory of the sms process."""
    (pid,) = named(place.instance.pid, "petrel-sms")
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    kb = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB", lines, re.MULTILINE)}
    return {"pss": kb["Pss"] / 1024, "private": (kb["Private_Clean"] + kb["Private_Dirty"]) / 1024}


@pytest.mark.parametrize("texts", [1000, pytest.param(20_000, marks=pytest.mark.prove)])
def test_the_role_needs_little_memory_of_its_own(tmp_path: Path, sqlite_url: str, texts: int) -> None:
    with carrier_place(tmp_path, sqlite_url) as place:
        members = place.add_members(10)
        place.carrier.wait_for("bound")
        idle = memory_mb(place)
        place.send([(f"+1555{6_000_000 + number % 1000:07}", f"out {number}") for number in range(texts)])
        place.carrier.deliver(*(members[number % 10].text(f"in {number}") for number in range(texts)))
        eventually(lambda: len(place.carrier.acknowledged()), lambda count: count >= texts, 120)
        place.wait_until_done(300)
        busy = memory_mb(place)
    shown = ", ".join(f"{name} {idle[name]:.1f} and {busy[name]:.1f} MB" for name in idle)
    print(f"idle and after {texts} in and {texts} out: {shown}")
    assert busy["private"] < MOST_MB
