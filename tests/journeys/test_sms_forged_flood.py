"""A flood of forged senders: real people's texts are posts within seconds, and the money stays within its cap."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.gateway.carrier import PASSWORD, message, running_carrier
from tests.gateway.texting_carrier import TO, WINDOW, CarrierPlace, Member, carrier_place
from tests.ports import reserved_ports
from tests.waiting import eventually

WITHIN_S = 5.0
PRICE, CAP = Decimal("0.0125"), Decimal("3.00")
"""The cap is no multiple of the price, and is reached long before all strangers are answered."""
RESERVE = Decimal("0.1")
STRANGER_SHARE = Decimal("0.25")


def forged_settings(port: int) -> dict[str, object]:
    """Return the settings of a second carrier with low trust, of prices and of the cap."""
    return {
        "sms_route_two_provider": "smpp",
        "sms_route_two_trust": "aggregator",
        "sms_route_two_sender": TO,
        "sms_route_two_host": "127.0.0.1",
        "sms_route_two_port": port,
        "sms_route_two_system_id": "storm",
        "sms_route_two_password": PASSWORD,
        "sms_route_two_price": PRICE,
        "sms_route_one_price": PRICE,
        "sms_cap_day": CAP,
        # All forged numbers have one prefix. They may use the whole share, so that it is used up.
        "sms_prefix_share": 1,
        "sms_in_per_minute": 20,
        "sms_in_per_hour": 200,
    }


def times_to_post(place: CarrierPlace, members: list[Member], *, every_s: float) -> list[float]:
    """Let each member text once; return the seconds until each text is in the API."""
    took = [0.0] * len(members)

    def text(place_in_line: int) -> None:
        member = members[place_in_line]
        began_s = time.monotonic()
        place.carrier.deliver(member.text(f"I am {place_in_line}"))
        eventually(member.posts, lambda posts: posts == [f"I am {place_in_line}"], 60)
        took[place_in_line] = time.monotonic() - began_s

    threads = []
    for number in range(len(members)):
        threads.append(threading.Thread(target=text, args=(number,)))
        threads[-1].start()
        time.sleep(every_s)
    for thread in threads:
        thread.join()
    return took


@pytest.mark.parametrize(
    ("forged", "people"), [(1500, 10), pytest.param(10_000, 100, marks=pytest.mark.prove)]
)
def test_forged_texts_delay_no_person_and_spend_no_more_than_the_cap(
    tmp_path: Path, sqlite_url: str, forged: int, people: int
) -> None:
    with (
        reserved_ports(1) as (port,),
        running_carrier(port=port, window=WINDOW) as other,
        carrier_place(tmp_path, sqlite_url, **forged_settings(port)) as place,
    ):
        members = place.add_members(people)
        other.wait_for("bound")
        place.carrier.wait_for("bound")
        words = ("HELP", "START", "FOLLOW {}", "STATUS", "I am a stranger", "STOP", "I am {}")
        flood = []
        for number in range(forged):
            # Every tenth is in the name of a member, without the PIN that this route asks for.
            member = members[number % people]
            sender = member.number if number % 10 == 0 else f"+1555{5_000_000 + number:07}"
            text = words[number % len(words)].format(member.person.username)
            flood.append(message(sender[1:], TO, f"{text} forged" if number % 10 == 0 else text))
        began_s = time.monotonic()
        other.deliver(*flood)
        took = times_to_post(place, members, every_s=min(0.05, 5 / people))
        lasted_s = time.monotonic() - began_s
        eventually(lambda: len(other.acknowledged()), lambda count: count >= forged, 120)
        eventually(place.status, lambda found: not found["inbox"]["waiting"], 120)
        time.sleep(2)
        records = [one for one in place.log("out") if one["state"] in ("sent", "delivered", "sending")]
        money = place.status()["money"]
        posts = {member.number: member.posts() for member in members}
    assert posts == {member.number: [f"I am {number}"] for number, member in enumerate(members)}
    assert max(took) < WITHIN_S
    submitted = len(other.all("submitted")) + len(place.carrier.all("submitted"))
    spent = sum(Decimal(one["price"]) for one in records)
    assert spent == PRICE * submitted == Decimal(money["spent_today"])
    assert Decimal(money["reserved"]) == 0
    # Forged numbers have used up the share of strangers; members and answers about security have the rest.
    assert CAP * STRANGER_SHARE * (1 - RESERVE) - 4 * PRICE < spent <= CAP
    print(
        f"{people} of {people} posted beside {forged} forged, slowest {max(took):.2f} s, in {lasted_s:.1f} s; "
        f"spent {spent} of {CAP} for {submitted} units"
    )
