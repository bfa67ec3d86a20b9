"""A9: texts from forged numbers that want answers and codes. Their owner earns by each answer."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.carrier import GATEWAY, message
from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals
from stormpetrel.drill.wire import request

PER_S = 25.0
_PREFIXES = ("+26132", "+37120", "+37255", "+99559")
"""Of the numbers; networks with expensive endings are usual."""
_AGAIN = 0.3
"""Share of texts from a number that has written before."""


def pumping(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A9: texts through the carrier, which relays what forgers send; most from a new number."""
    numbers: list[str] = []
    for at_s in arrivals(rng, PER_S * world.scale, world.seconds):
        if not numbers or rng.random() >= _AGAIN:
            prefix = rng.choice(_PREFIXES)
            numbers.append(f"{prefix}{rng.randrange(10**7):07d}")
            number = numbers[-1]
        else:
            number = rng.choice(numbers)
        path = message(number, _text(world, rng), f"{rng.getrandbits(64):016x}")
        yield AttackRequest(at_s, GATEWAY, (request("GET", path, host=world.host),), is_sms=True)


def _text(world: World, rng: Random) -> str:
    return rng.choice(
        (
            "START",
            "HELP",
            "STATUS",
            f"GO {rng.randrange(10**6):06d}",
            f"FOLLOW {world.community.victim.name}",
            f"hello {rng.getrandbits(32):x}",
        )
    )
