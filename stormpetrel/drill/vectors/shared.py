"""A6 and A16: attackers behind the addresses of real people, and attacks that turn a defence on them.

A defence that limits by address, by application or by X-Forwarded-For cuts off the carrier, the school, Tor,
the gateway that brings text messages, or the victim himself.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.carrier import GATEWAY, message
from stormpetrel.drill.vectors.attack_requests import AttackRequest, World, arrivals, scattered
from stormpetrel.drill.vectors.crowd import victim_pages
from stormpetrel.drill.vectors.floods import dynamic_page
from stormpetrel.drill.vectors.heads import BROWSERS, TOOLS, app_agent, browse, call, fetch
from stormpetrel.drill.vectors.sign_ins import ask_token, sign_in
from stormpetrel.drill.wire import request

INSIDE_PER_S = 600.0
PROVOCATION_PER_S = 200.0
_FRAMERS = 500
"""Number of addresses that send forged headers."""


def inside(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A6: half from the carrier's addresses, a quarter each from the school's and Tor's."""
    homes = world.community.shared
    places = (homes.carrier, homes.carrier, homes.school, homes.tor)
    pages = victim_pages(world)
    for at_s in arrivals(rng, INSIDE_PER_S * world.scale, world.seconds):
        source = rng.choice(rng.choice(places))
        agent = rng.choice(BROWSERS)
        if rng.random() < 0.3:
            data = browse(world.host, f"{rng.choice(pages)}?r={rng.getrandbits(32):x}", agent)
        else:
            data = dynamic_page(world, rng, agent)
        yield AttackRequest(at_s, source, (data,))


def provocation(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A16: one of six kinds at random, so that no reaction to the first hides the others."""
    kinds = (
        _as_his_app_from_the_school,
        _in_his_name,
        _with_tokens_of_his_app,
        _as_him_at_the_form,
        _from_the_gateway,
        _as_the_gateway,
    )
    for at_s in arrivals(rng, PROVOCATION_PER_S * world.scale, world.seconds):
        kind = rng.choice(kinds)
        source, data = kind(world, rng)
        yield AttackRequest(at_s, source, (data,), is_sms=kind is _as_the_gateway)


def _as_his_app_from_the_school(world: World, rng: Random) -> tuple[str, bytes]:
    """Use the school's address and his app's name: a defence that blocks either helps the attacker."""
    agent = app_agent(world.community.victim.app)
    path = f"/api/v1/timelines/public?limit=40&max_id={rng.getrandbits(62)}"
    return rng.choice(world.community.shared.school), call(world.host, path, agent)


def _in_his_name(world: World, rng: Random) -> tuple[str, bytes]:
    """Use the attackers' own addresses, with headers that claim to forward for the victim's address."""
    address = world.community.victim.address
    said = {
        "X-Forwarded-For": address,
        "X-Real-IP": address,
        "Forwarded": f"for={address}",
        "True-Client-IP": address,
    }
    source = scattered(171, 1, rng.randrange(_FRAMERS))
    return source, fetch(world.host, f"/public?max_id={rng.getrandbits(62)}", rng.choice(TOOLS), said)


def _with_tokens_of_his_app(world: World, rng: Random) -> tuple[str, bytes]:
    """Send forged tokens with his application's name from the carrier's address."""
    agent = app_agent(world.community.victim.app)
    data = call(world.host, "/api/v1/timelines/home?limit=40", agent, token=f"{rng.getrandbits(256):064x}")
    return rng.choice(world.community.shared.carrier), data


def _as_him_at_the_form(world: World, rng: Random) -> tuple[str, bytes]:
    """Try wrong passwords for him from the school: locking accounts or addresses would lock him out."""
    name, password = world.community.victim.name, f"{rng.getrandbits(40):x}"
    if rng.random() < 0.9:
        # A password check costs 20 ms: more of them would repeat A5.
        data = ask_token(world, rng, name=name, password=password)
    else:
        data = sign_in(world, rng, name=name, password=password, agent=rng.choice(BROWSERS))
    return rng.choice(world.community.shared.school), data


def _from_the_gateway(world: World, rng: Random) -> tuple[str, bytes]:
    """Use the address of the text messages' gateway for a flood of the web: blocking it would cut off all phones."""
    return GATEWAY, fetch(world.host, f"/public?max_id={rng.getrandbits(62)}", rng.choice(TOOLS), {})


def _as_the_gateway(world: World, rng: Random) -> tuple[str, bytes]:
    """Send text messages with a wrong secret from the gateway's address."""
    path = message(
        f"+99559{rng.randrange(10**7):07d}", "hello", f"{rng.getrandbits(64):016x}", secret="guessed"
    )
    return GATEWAY, request("GET", path, host=world.host)
