"""A21: feeds, notifications and searches from many networks, as against microblogging services in April 2026."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.credentials import invented_token
from stormpetrel.drill.vectors.heads import BROWSERS, TOOLS, app_agent, browse, call, fetch

PER_S = 800.0
ADDRESSES = 20_000
"""Each address sends a request in 25 s: less than a person who reads."""
_WORDS = "storm harbour news freedom vote march square water light night radio signal river".split()


def many_networks(world: World, rng: Random) -> Iterator[AttackRequest]:
    """Half of the requests are for feeds, a quarter for notifications with invented tokens, a quarter searches."""
    agent = app_agent(world.community.victim.app)
    for at_s in arrivals(rng, PER_S * world.scale, world.seconds):
        match rng.randrange(4):
            case 0 | 1:
                data = fetch(world.host, _feed(world, rng), rng.choice(TOOLS))
            case 2:
                path = f"/api/v1/notifications?limit=40&max_id={rng.getrandbits(62)}"
                data = call(world.host, path, agent, invented_token(rng))
            case _:
                words = "+".join(rng.sample(_WORDS, rng.randint(1, 3)))
                data = (
                    browse(world.host, f"/search?q={words}", rng.choice(BROWSERS))
                    if rng.random() < 0.5
                    else call(world.host, f"/api/v2/search?q={words}&limit=40", agent)
                )
        yield AttackRequest(at_s, scattered(172, 2, rng.randrange(ADDRESSES)), (data,))


def _feed(world: World, rng: Random) -> str:
    """Return the path of a feed: of an account, or of a hashtag that may not exist, so that it is not in memory."""
    if rng.random() < 0.5:
        return f"/@{rng.choice(world.community.names)}/feed.atom"
    return f"/tags/{rng.choice(_WORDS)}{rng.randrange(2000)}/feed.atom"
