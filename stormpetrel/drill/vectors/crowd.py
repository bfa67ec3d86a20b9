"""A1 and A2: the August 2009 crowd, sent to one page by links in spam, and bots that open the same page."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.heads import BROWSERS, TOOLS, browse, fetch

CROWD_PER_S = 1500.0
"""Requests, by people who send 1 to 3 each, so half as many people arrive per second."""
CROWD_RAMP_S = 20.0
_RAMP_SHARE = 0.5
"""In a phase shorter than two ramps, the ramp takes half of it."""
_PEOPLE_PER_TURN = 200_000
_HOT_SHARE = 0.7
BOTS_PER_S = 1000.0
BOT_ADDRESSES = 2000


def victim_pages(world: World) -> tuple[str, ...]:
    """Return the victim's page, then three of his posts."""
    victim = world.community.victim
    return (f"/@{victim.name}", *(f"/@{victim.name}/{post_id}" for post_id in victim.post_ids[:3]))


def crowd(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A1: every address is new; each opens a page, reads it, and perhaps opens one or two more."""
    pages = victim_pages(world)
    came_from = {"Referer": "http://mail.example/inbox"}
    prepared = [[browse(world.host, path, agent, came_from) for path in pages] for agent in BROWSERS]
    people_per_s = CROWD_PER_S * world.scale / 2
    ramp_s = min(CROWD_RAMP_S, world.seconds * _RAMP_SHARE)
    number = world.turn * _PEOPLE_PER_TURN
    for at_s in arrivals(rng, people_per_s, world.seconds, ramp_s=ramp_s):
        number += 1
        browser = rng.choice(prepared)
        first = 0 if rng.random() < _HOT_SHARE else rng.randrange(len(browser))
        asked = (first, *rng.sample(range(len(browser)), rng.randrange(3)))
        yield AttackRequest(
            at_s,
            scattered(144, 16, number),
            tuple(browser[page] for page in asked),
            pace_s=rng.uniform(0.5, 3.0),
        )


def bots(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A2: the same pages with a random query, which defeats caches that key on the query; no assets."""
    pages = victim_pages(world)
    for at_s in arrivals(rng, BOTS_PER_S * world.scale, world.seconds):
        page = pages[0] if rng.random() < _HOT_SHARE else rng.choice(pages)
        path = f"{page}?{rng.choice('abcdefgh')}={rng.getrandbits(40):x}&utm_source={rng.getrandbits(24):x}"
        yield AttackRequest(
            at_s,
            scattered(160, 1, rng.randrange(BOT_ADDRESSES)),
            (fetch(world.host, path, rng.choice(TOOLS)),),
        )
