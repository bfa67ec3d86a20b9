"""A5: guess passwords for real names, and request tokens. Each check costs the server 20 ms and more."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.heads import BROWSERS, TOOLS, submit

PER_S = 60.0
ADDRESSES = 2000
_FORM_SHARE = 0.7
_PASSWORDS = ("123456", "password", "qwerty", "letmein", "dragon", "iloveyou", "sunshine", "princess")


def sign_ins(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A5: seven of ten use the form, the rest the token endpoint."""
    for at_s in arrivals(rng, PER_S * world.scale, world.seconds):
        source = scattered(164, 1, rng.randrange(ADDRESSES))
        name = rng.choice(world.community.names)
        password = f"{rng.choice(_PASSWORDS)}{rng.randrange(10_000)}"
        if rng.random() < _FORM_SHARE:
            data = sign_in(world, rng, name=name, password=password, agent=rng.choice(BROWSERS))
        else:
            data = ask_token(world, rng, name=name, password=password)
        yield AttackRequest(at_s, source, (data,))


def sign_in(world: World, rng: Random, *, name: str, password: str, agent: str) -> bytes:
    """Return the sign-in form filled in, with the cookie of the browser that fetched it."""
    fields = {"user[email]": name, "user[password]": password, "next": "/"}
    cookies: dict[str, str] = {}
    # Drawn in any case, so that the sequence stays the same with and without forms.
    drawn = rng.random()
    if world.forms:
        shown = world.forms[int(drawn * len(world.forms))]
        fields["csrf"] = shown.token
        cookies["Cookie"] = shown.cookie
    return submit(world.host, "/auth/sign_in", agent, fields, cookies)


def ask_token(world: World, rng: Random, *, name: str, password: str) -> bytes:
    """Request a token with a wrong password, code or application secret."""
    fields = {"client_id": f"{rng.getrandbits(256):064x}", "client_secret": f"{rng.getrandbits(256):064x}"}
    match rng.randrange(3):
        case 0:
            fields |= {"grant_type": "password", "username": name, "password": password}
        case 1:
            fields |= {"grant_type": "authorization_code", "code": f"{rng.getrandbits(192):048x}"}
        case _:
            fields |= {"grant_type": "client_credentials"}
    return submit(world.host, "/oauth/token", rng.choice(TOOLS), fields)
