"""A12: accounts made today write as fast as they can, joined by an account with ten thousand followers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from stormpetrel.drill.community import Member
from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals
from stormpetrel.drill.vectors.heads import app_agent
from stormpetrel.drill.wire import request

PER_S = 100.0
ACCOUNTS = 100
_POPULAR_SHARE = 0.1
"""Share of the popular account's posts; each goes into ten thousand timelines."""


def writes(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A12: posts with a mention and a hashtag, favourites, follows; one reused connection per account."""
    newcomers = [one for one in world.community.newcomers if one.token][:ACCOUNTS]
    for at_s in arrivals(rng, PER_S * world.scale, world.seconds):
        one = world.community.popular if rng.random() < _POPULAR_SHARE else rng.choice(newcomers)
        if one is world.community.popular or rng.random() < 0.8:
            data = _post(world, rng, one)
        else:
            data = _act(world, rng, one)
        yield AttackRequest(at_s, one.address, (data,), keep=f"{one.address} {one.name}")


def _post(world: World, rng: Random, one: Member) -> bytes:
    text = (
        f"@{world.community.victim.name} {rng.getrandbits(64):x} "
        f"#{rng.choice(world.community.tags)} http://spam.example/{rng.getrandbits(32):x}"
    )
    return _write(world, one, "/api/v1/statuses", json.dumps({"status": text}).encode())


def _act(world: World, rng: Random, one: Member) -> bytes:
    victim = world.community.victim
    path = rng.choice(
        (
            f"/api/v1/statuses/{rng.choice(victim.post_ids)}/favourite",
            f"/api/v1/accounts/{victim.account_id}/follow",
            f"/api/v1/accounts/{victim.account_id}/unfollow",
        )
    )
    return _write(world, one, path, b"{}")


def _write(world: World, one: Member, path: str, body: bytes) -> bytes:
    headers = {
        "User-Agent": app_agent(one.app),
        "Authorization": f"Bearer {one.token}",
        "Content-Type": "application/json",
    }
    return request("POST", path, host=world.host, headers=headers, body=body)
