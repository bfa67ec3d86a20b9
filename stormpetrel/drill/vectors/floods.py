"""A3 and A4: few sources with the most expensive requests, and many slow sources with uncached requests."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.heads import BROWSERS, TOOLS, browse, call, fetch

FEW_PER_S = 1500.0
FEW_ADDRESSES = 50
_FEW_CONNECTIONS = 8
"""Connections that each source reuses; it opens more only when all of them wait for an answer."""
WIDE_PER_S = 300.0
WIDE_ADDRESSES = 5000
_WORDS = "storm harbour news freedom vote march square water light night radio signal river".split()


def few(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A3: dynamic pages over reused connections, each at another depth, so that no answer is reusable."""
    for at_s in arrivals(rng, FEW_PER_S * world.scale, world.seconds):
        source = scattered(161, 1, rng.randrange(FEW_ADDRESSES))
        yield AttackRequest(
            at_s,
            source,
            (dynamic_page(world, rng, rng.choice(BROWSERS)),),
            keep=f"{source} {rng.randrange(_FEW_CONNECTIONS)}",
        )


def dynamic_page(world: World, rng: Random, agent: str) -> bytes:
    """Return the request for a public page or API answer deep in a timeline, which must be rendered."""
    deep = rng.getrandbits(62)
    name = rng.choice(world.community.names)
    tag = rng.choice(world.community.tags)
    match rng.randrange(5):
        case 0:
            return browse(world.host, f"/public?max_id={deep}", agent)
        case 1:
            return browse(world.host, f"/@{name}?max_id={deep}", agent)
        case 2:
            return call(world.host, f"/api/v1/timelines/public?limit=40&max_id={deep}", agent)
        case 3:
            return browse(world.host, f"/tags/{tag}?max_id={deep}", agent)
        case _:
            return call(world.host, f"/api/v1/timelines/tag/{tag}?limit=40&max_id={deep}", agent)


def wide(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A4: search, hashtags, deep paging, unknown paths; each address sends about one request in 15 s."""
    for at_s in arrivals(rng, WIDE_PER_S * world.scale, world.seconds):
        source = scattered(162, 2, rng.randrange(WIDE_ADDRESSES))
        yield AttackRequest(at_s, source, (_slow_question(world, rng),))


def _slow_question(world: World, rng: Random) -> bytes:
    agent = rng.choice(BROWSERS)
    name = rng.choice(world.community.names)
    match rng.randrange(6):
        case 0:
            words = "+".join(rng.sample(_WORDS, rng.randint(1, 3)))
            return browse(world.host, f"/search?q={words}", agent)
        case 1:
            return call(world.host, f"/api/v2/search?q={rng.choice(_WORDS)}&limit=40", agent)
        case 2:
            return browse(world.host, f"/tags/{rng.choice(_WORDS)}{rng.randrange(1000)}", agent)
        case 3:
            return browse(world.host, f"/@{name}/followers?max_id={rng.getrandbits(62)}", agent)
        case 4:
            return dynamic_page(world, rng, agent)
        case _:
            unknown = (
                f"/@{name}/{rng.getrandbits(62)}" if rng.random() < 0.5 else f"/{rng.getrandbits(48):x}.php"
            )
            return fetch(world.host, unknown, rng.choice(TOOLS))
