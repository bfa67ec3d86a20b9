"""A7 and A8: abused real credentials, and invented ones."""

from __future__ import annotations

import string
from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.crowd import victim_pages
from stormpetrel.drill.vectors.heads import BROWSERS, app_agent, browse, call

ABUSED_PER_S = 500.0
SLEEPERS = 60
SESSION_ADDRESSES = 500
_SESSION_SHARE = 0.4
FORGED_PER_S = 1000.0
FORGED_ADDRESSES = 1000
_URL_SAFE = string.ascii_letters + string.digits + "-_"


def abused(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A7: sleepers' tokens request the most expensive answers, each from its usual address; one stolen
    session opens pages from 500 addresses."""
    sleepers = [one for one in world.community.sleepers if one.token][:SLEEPERS]
    session = next(
        one.session for one in (*world.community.sleepers, *world.community.members) if one.session
    )
    cookie = {"Cookie": f"{world.community.cookies['session']}={session}"}
    agents = {one.name: app_agent(one.app) for one in sleepers}
    for at_s in arrivals(rng, ABUSED_PER_S * world.scale, world.seconds):
        if rng.random() < _SESSION_SHARE:
            source = scattered(165, 1, rng.randrange(SESSION_ADDRESSES))
            path = rng.choice(("/", "/", f"/?max_id={rng.getrandbits(62)}", "/notifications", "/bookmarks"))
            yield AttackRequest(
                at_s, source, (browse(world.host, path, BROWSERS[0], cookie),), keep=f"{source} session"
            )
        else:
            one = rng.choice(sleepers)
            data = call(world.host, _costly(world, rng), agents[one.name], one.token)
            yield AttackRequest(at_s, one.address, (data,), keep=f"{one.address} {one.name}")


def _costly(world: World, rng: Random) -> str:
    victim = world.community.victim
    match rng.randrange(5):
        case 0:
            return f"/api/v1/timelines/home?limit=40&max_id={rng.getrandbits(62)}"
        case 1:
            return f"/api/v2/search?q={rng.choice(world.community.tags)}&limit=40&resolve=false"
        case 2:
            return f"/api/v1/accounts/{victim.account_id}/followers?limit=80"
        case 3:
            return f"/api/v1/statuses/{rng.choice(victim.post_ids)}/context"
        case _:
            return "/api/v1/notifications?limit=80"


def forged(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A8: tokens and session cookies that have the right form but were never issued."""
    name = world.community.cookies["session"]
    pages = ("/", "/notifications", *victim_pages(world))
    agent = app_agent(world.community.victim.app)
    for at_s in arrivals(rng, FORGED_PER_S * world.scale, world.seconds):
        if rng.random() < 0.5:
            path = rng.choice(("/api/v1/timelines/home", "/api/v1/notifications", "/api/v1/timelines/public"))
            data = call(world.host, path, agent, token=invented_token(rng))
        else:
            cookie = {"Cookie": f"{name}={_invented(rng, 54)}"}
            data = browse(world.host, rng.choice(pages), rng.choice(BROWSERS), cookie)
        yield AttackRequest(at_s, scattered(166, 1, rng.randrange(FORGED_ADDRESSES)), (data,))


def invented_token(rng: Random) -> str:
    """Return a token that has the right form but was never issued."""
    return _invented(rng, 43)


def _invented(rng: Random, characters: int) -> str:
    return "".join(rng.choices(_URL_SAFE, k=characters))
