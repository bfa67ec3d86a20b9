"""The parts of a vector: attack requests in time order, and what the attacker may know of the instance.

A vector is a function from a World and a random generator to an iterator of attack requests. It opens no socket
(engine.py does), so the same seed gives the same sequence, and a test can check a minute of an attack at
once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random

from stormpetrel.drill.community import Community

AttackRequestsOf = Callable[["World", Random], Iterator["AttackRequest"]]


class Behaviour(Enum):
    """The behaviour of an attacker's connection."""

    ASK = "asks, and reads the answer; with several requests, one after the other's answer"
    SLOW_SEND = (
        "sends `requests[0]`, then a byte of `requests[1]` every `pace_s`, until closed or the phase is over"
    )
    SILENT = "sends nothing, until it is closed or the phase is over"
    NO_READ = "sends everything and reads nothing, until it is closed or the phase is over"
    LISTEN = "sends and reads what comes, until it is closed or `hold_s` or the phase is over"
    RESET = "sends, and resets the connection at once"
    HELLO = "begins a TLS handshake, and resets the connection once the server has answered"
    HTTP2 = "sends frames of HTTP/2 and drops what comes, until it is closed or `hold_s` or the phase is over"
    KILL = "no connection: `kill -9` of the process that `victim` names"


@dataclass(frozen=True, slots=True)
class AttackRequest:
    """One connection, or one request on a reused connection.

    `at_s`: seconds since the phase began. `source`: the source address. `requests`: prepared bytes. `keep`:
    the connection is reused for the next attack request with the same value; empty: closed after use. `pace_s`: the
    pause between an answer and the next request (ASK), or between two bytes (SLOW_SEND). `is_sms`: it goes to the
    port of the sms role.
    """

    at_s: float
    source: str
    requests: tuple[bytes, ...] = ()
    behaviour: Behaviour = Behaviour.ASK
    keep: str = ""
    pace_s: float = 0.0
    hold_s: float = 0.0
    victim: str = ""
    is_sms: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A sign-in form fetched before: the browser's cookie and the token that belongs to it."""

    cookie: str
    token: str


@dataclass(frozen=True, slots=True)
class World:
    """The attackers' knowledge. `host`: the Host header. `scale`: rate factor. `seconds`: of the phase.

    `turn`: number of the phase in the run; addresses that must be new differ in each. `forms`: sign-in forms,
    empty if none could be fetched (sign-ins are then sent without a form and fail sooner).
    """

    host: str
    community: Community
    scale: float
    seconds: float
    turn: int = 0
    forms: tuple[Form, ...] = ()


def arrivals(rng: Random, rate_per_s: float, seconds: float, *, ramp_s: float = 0.0) -> Iterator[float]:
    """Yield times of a Poisson process in [0, seconds); the rate grows linearly from 0 within `ramp_s`."""
    if rate_per_s <= 0:
        return
    at_s = rng.expovariate(rate_per_s)
    while at_s < seconds:
        # Thinning: keep each event of the full-rate process with the probability that the ramp has reached.
        if at_s >= ramp_s or rng.random() * ramp_s < at_s:
            yield at_s
        at_s += rng.expovariate(rate_per_s)


def together(*streams: Iterable[AttackRequest]) -> Iterator[AttackRequest]:
    """Merge several streams of attack requests in time order."""
    return heapq.merge(*streams, key=lambda attack_request: attack_request.at_s)


_NETWORK = 65_024
"""Number of addresses in 127.x.0.0/16 that end in neither .0 nor .255."""
_STRIDE = 40_503
"""Coprime to _NETWORK: steps of it visit every address once, and consecutive numbers are far apart."""


def scattered(first_octet: int, octets: int, number: int) -> str:
    """Return address `number` of an attacker's own networks 127.first_octet …, spread out like a botnet's.

    Different for each number below `octets` * 65,024; then the addresses repeat.
    """
    number %= octets * _NETWORK
    within, which = divmod(number, octets)
    high, low = divmod(within * _STRIDE % _NETWORK, 254)
    return f"127.{first_octet + which}.{high}.{low + 1}"
