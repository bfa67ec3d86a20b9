"""A17: `kill -9` of server processes in the middle of another attack."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, Behaviour, World

ORDER = ("web", "watch", "store", "sms")
"""A web worker; the watch; the store, or the courier if the store is a file; the role of text messages."""


def kills(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A17: kill one of each, spread over the middle of the phase. `scale` has no effect."""
    for number, victim in enumerate(ORDER):
        share = 0.3 + 0.13 * number + rng.uniform(-0.03, 0.03)
        yield AttackRequest(world.seconds * share, "", behaviour=Behaviour.KILL, victim=victim)
