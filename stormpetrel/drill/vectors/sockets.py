"""A10, A11, A15, A22, A23: attacks with connections instead of requests: slow ones, streams, and very short ones."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stormpetrel.drill.vectors.attack_requests import AttackRequest, Behaviour, World, arrivals, scattered
from stormpetrel.drill.vectors.crowd import victim_pages
from stormpetrel.drill.vectors.heads import BROWSERS, app_agent, browse, call
from stormpetrel.drill.wire import request

SLOW_PER_S = 100.0
SLOW_SOCKETS = 5000
SLOW_ADDRESSES = 1000
_PIPELINED = 200
"""Number of pages requested by a client that never reads: more than the kernel's buffers hold."""
STREAMS_PER_S = 200.0
STREAM_SOCKETS = 3000
STREAM_ADDRESSES = 1000
CHURN_PER_S = 3000.0
CHURN_ADDRESSES = 3000
PULSE_ON_S = 5.0
PULSE_OFF_S = 10.0
SOCKETS_PER_S = 300.0
SOCKET_ADDRESSES = 2000
HELLOS_PER_S = 800.0
HELLO_ADDRESSES = 3000


def slow(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A10: heads and bodies byte by byte, clients that do not read, and silent connections."""
    page = browse(world.host, victim_pages(world)[0], BROWSERS[1])
    beginning = page[: page.index(b"\r\n") + 2] + b"Host: " + world.host.encode() + b"\r\n"
    body = request(
        "POST",
        "/auth/sign_in",
        host=world.host,
        headers={"Content-Type": "application/x-www-form-urlencoded", "User-Agent": BROWSERS[2]},
        body=b"x" * 200_000,
    )
    head_end = body.index(b"\r\n\r\n") + 4
    more = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(200))
    for at_s in arrivals(rng, SLOW_PER_S * world.scale, world.seconds):
        source = scattered(167, 1, rng.randrange(SLOW_ADDRESSES))
        pace_s = rng.uniform(1.0, 4.0)
        match rng.randrange(4):
            case 0:
                yield AttackRequest(at_s, source, (beginning, more), Behaviour.SLOW_SEND, pace_s=pace_s)
            case 1:
                yield AttackRequest(
                    at_s,
                    source,
                    (body[:head_end], body[head_end:]),
                    Behaviour.SLOW_SEND,
                    pace_s=pace_s,
                )
            case 2:
                yield AttackRequest(at_s, source, (page * _PIPELINED,), Behaviour.NO_READ)
            case _:
                yield AttackRequest(at_s, source, (), Behaviour.SILENT)


def streams(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A11: streams that are opened, held for a while and replaced; a fifth with a sleeper's token."""
    sleepers = [one for one in world.community.sleepers if one.token]
    hold_s = STREAM_SOCKETS / STREAMS_PER_S
    tag = world.community.tags[0]
    for at_s in arrivals(rng, STREAMS_PER_S * world.scale, world.seconds):
        if sleepers and rng.random() < 0.2:
            one = rng.choice(sleepers)
            source, token, agent = one.address, one.token, app_agent(one.app)
            paths = ("/api/v1/streaming/user", "/api/v1/streaming?stream=user")
        else:
            source, token, agent = (
                scattered(168, 1, rng.randrange(STREAM_ADDRESSES)),
                "",
                rng.choice(BROWSERS),
            )
            paths = (
                rng.choice(("/api/v1/streaming/public", f"/api/v1/streaming/hashtag?tag={tag}")),
                "/api/v1/streaming?stream=public",
            )
        if rng.random() < 0.5:
            data = call(world.host, paths[0], agent, token, {"Accept": "text/event-stream"})
        else:
            data = call(world.host, paths[1], agent, token, _UPGRADE)
        yield AttackRequest(at_s, source, (data,), Behaviour.LISTEN, hold_s=rng.uniform(0.5, 1.5) * hold_s)


# RFC 6455's own example of a key: a server must accept any.
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def churn(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A15: connections that are reset at once, most after a request; 5 s of them, then a pause of 10 s."""
    page = browse(world.host, victim_pages(world)[0], BROWSERS[0])
    for at_s in arrivals(rng, CHURN_PER_S * world.scale, world.seconds):
        if at_s % (PULSE_ON_S + PULSE_OFF_S) < PULSE_ON_S:
            source = scattered(170, 1, rng.randrange(CHURN_ADDRESSES))
            yield AttackRequest(at_s, source, (page,) if rng.random() < 0.7 else (), Behaviour.RESET)


def websockets(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A22: WebSockets that are opened and left within half a second; a tenth with a sleeper's token."""
    sleepers = [one for one in world.community.sleepers if one.token]
    for at_s in arrivals(rng, SOCKETS_PER_S * world.scale, world.seconds):
        if sleepers and rng.random() < 0.1:
            one = rng.choice(sleepers)
            source, token, agent, stream = one.address, one.token, app_agent(one.app), "user"
        else:
            source, token = scattered(172, 1, rng.randrange(SOCKET_ADDRESSES)), ""
            agent, stream = rng.choice(BROWSERS), rng.choice(("public", "public:local"))
        data = call(world.host, f"/api/v1/streaming?stream={stream}", agent, token, _UPGRADE)
        yield AttackRequest(at_s, source, (data,), Behaviour.LISTEN, hold_s=rng.uniform(0.02, 0.5))


def hellos(world: World, rng: Random) -> Iterator[AttackRequest]:
    """A23: TLS handshakes that the client leaves after the server has signed its part."""
    for at_s in arrivals(rng, HELLOS_PER_S * world.scale, world.seconds):
        source = scattered(173, 1, rng.randrange(HELLO_ADDRESSES))
        yield AttackRequest(at_s, source, behaviour=Behaviour.HELLO)
