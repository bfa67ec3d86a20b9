"""All vectors by name, with their rates at a scale of 1 on a machine with two cores."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.drill.vectors import (
    credentials,
    crowd,
    dear,
    floods,
    http2,
    kills,
    networks,
    pumping,
    shared,
    sign_ins,
    sockets,
    writes,
)
from stormpetrel.drill.vectors.attack_requests import AttackRequestsOf

MAX_CONNECTIONS_PER_S = 4000.0
"""Limit for new connections of all vectors of a phase together: more would measure the generator."""


@dataclass(frozen=True, slots=True)
class Vector:
    """`per_s`: requests, or connections that send no request; `connections_per_s`: new ones, at most.

    `sockets`: maximum of open sockets, times the scale; 0: no limit.
    """

    name: str
    about: str
    per_s: float
    connections_per_s: float
    attack_requests: AttackRequestsOf
    sockets: int = 0


CATALOGUE = {
    vector.name: vector
    for vector in (
        Vector("A1", "the crowd at one page", crowd.CROWD_PER_S, crowd.CROWD_PER_S / 2, crowd.crowd),
        Vector("A2", "bots at the same page", crowd.BOTS_PER_S, crowd.BOTS_PER_S, crowd.bots),
        Vector("A3", "few sources, dynamic pages", floods.FEW_PER_S, floods.FEW_PER_S, floods.few),
        Vector("A4", "wide and slow", floods.WIDE_PER_S, floods.WIDE_PER_S, floods.wide),
        Vector("A5", "sign-ins and tokens", sign_ins.PER_S, sign_ins.PER_S, sign_ins.sign_ins),
        Vector("A6", "inside shared addresses", shared.INSIDE_PER_S, shared.INSIDE_PER_S, shared.inside),
        Vector(
            "A7", "abused credentials", credentials.ABUSED_PER_S, credentials.ABUSED_PER_S, credentials.abused
        ),
        Vector(
            "A8", "forged credentials", credentials.FORGED_PER_S, credentials.FORGED_PER_S, credentials.forged
        ),
        Vector("A9", "pumping of text messages", pumping.PER_S, pumping.PER_S, pumping.pumping),
        Vector(
            "A10", "slow sockets", sockets.SLOW_PER_S, sockets.SLOW_PER_S, sockets.slow, sockets.SLOW_SOCKETS
        ),
        Vector(
            "A11",
            "streams",
            sockets.STREAMS_PER_S,
            sockets.STREAMS_PER_S,
            sockets.streams,
            sockets.STREAM_SOCKETS,
        ),
        Vector("A12", "a flood of posts", writes.PER_S, writes.PER_S, writes.writes),
        Vector("A15", "connection churn in pulses", sockets.CHURN_PER_S, sockets.CHURN_PER_S, sockets.churn),
        Vector("A16", "provocation", shared.PROVOCATION_PER_S, shared.PROVOCATION_PER_S, shared.provocation),
        Vector("A17", "kill -9", 0.0, 0.0, kills.kills),
        Vector("A18", "expensive bodies", dear.BODIES_PER_S, dear.BODY_SOURCES, dear.bodies),
        Vector("A19", "one account's password", dear.GUESSES_PER_S, dear.GUESSES_PER_S, dear.guesses),
        Vector("A20", "filling the store", dear.FILLING_PER_S, dear.FILLING_PER_S, dear.filling),
        Vector("A21", "feeds, notifications, search", networks.PER_S, networks.PER_S, networks.many_networks),
        Vector(
            "A22", "WebSockets, soon left", sockets.SOCKETS_PER_S, sockets.SOCKETS_PER_S, sockets.websockets
        ),
        Vector("A23", "TLS handshakes, left", sockets.HELLOS_PER_S, sockets.HELLOS_PER_S, sockets.hellos),
        Vector("A24", "abuse of HTTP/2", http2.PER_S, http2.PER_S, http2.abuse),
    )
}


def within_cap(vectors: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Return a phase's vectors with their scales, reduced by a common factor if they exceed the cap."""
    wanted = sum(CATALOGUE[name].connections_per_s * scale for name, scale in vectors)
    factor = min(1.0, MAX_CONNECTIONS_PER_S / wanted) if wanted else 1.0
    return tuple((name, scale * factor) for name, scale in vectors)
