"""What a vector is made of: shots, in the order of time, and what it may know of the place that it attacks.

A vector is a function from a World and dice to an iterator of shots. It opens no socket (attackers.py does), so
the same seed gives the same sequence, and a test can look at a minute of an attack in a blink.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random

from stormpetrel.drill.community import Community

ShotsOf = Callable[["World", Random], Iterator["Shot"]]


class Manner(Enum):
    """How a shot behaves once it is connected."""

    ASK = "asks, and reads the answer; with several requests, one after the other's answer"
    DRIP = "sends `requests[0]`, then a byte of `requests[1]` every `pace_s`, until it is closed or the phase is over"
    SILENT = "sends nothing, until it is closed or the phase is over"
    DEAF = "sends everything and reads nothing, until it is closed or the phase is over"
    LISTEN = "sends and reads what comes, until it is closed or `hold_s` or the phase is over"
    VANISH = "sends, and resets the connection at once"
    KILL = "no connection: `kill -9` of the process that `victim` names"


@dataclass(frozen=True, slots=True)
class Shot:
    """One connection, or one request on a kept one.

    `at_s`: seconds since the phase began. `source`: the address that it comes from. `requests`: prepared bytes.
    `keep`: whose connection may be used again for the next shot with the same word; empty: closed after use.
    `pace_s`: the pause between an answer and the next request (ASK), or between two bytes (DRIP).
    """

    at_s: float
    source: str
    requests: tuple[bytes, ...] = ()
    manner: Manner = Manner.ASK
    keep: str = ""
    pace_s: float = 0.0
    hold_s: float = 0.0
    victim: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A sign-in form that was fetched before: the browser's cookie and the token that belongs to it."""

    cookie: str
    token: str


@dataclass(frozen=True, slots=True)
class World:
    """What attackers know. `host`: the Host header. `scale`: factor on the rate. `seconds`: of the phase.

    `turn`: which phase of the run it is; addresses that must be new are others in each. `forms`: sign-in forms,
    none when none could be fetched (then sign-ins are sent without, and fail sooner).
    """

    host: str
    community: Community
    scale: float
    seconds: float
    turn: int = 0
    forms: tuple[Form, ...] = ()


def arrivals(rng: Random, rate_per_s: float, seconds: float, *, ramp_s: float = 0.0) -> Iterator[float]:
    """Moments of a Poisson process in [0, seconds); with a ramp its rate grows evenly from 0 within `ramp_s`."""
    if rate_per_s <= 0:
        return
    at_s = rng.expovariate(rate_per_s)
    while at_s < seconds:
        # Thinning: of a process with the full rate, each moment stays with the share that the ramp has reached.
        if at_s >= ramp_s or rng.random() * ramp_s < at_s:
            yield at_s
        at_s += rng.expovariate(rate_per_s)


def together(*streams: Iterable[Shot]) -> Iterator[Shot]:
    """Several streams of shots as one, in the order of time."""
    return heapq.merge(*streams, key=lambda shot: shot.at_s)


_NETWORK = 65_024
"""Addresses in 127.x.0.0/16 that end in neither .0 nor .255."""
_STRIDE = 40_503
"""No factor of _NETWORK: steps of it visit every address once, and neighbours in number are strangers in space."""


def scattered(first_octet: int, octets: int, number: int) -> str:
    """Address `number` of an attacker's own networks 127.first_octet … : spread out as a botnet's are.

    Different for each number below `octets` * 65,024, then again from the beginning.
    """
    number %= octets * _NETWORK
    within, which = divmod(number, octets)
    high, low = divmod(within * _STRIDE % _NETWORK, 254)
    return f"127.{first_octet + which}.{high}.{low + 1}"
