"""Resolves the hosts of webhooks. Their owners run the name servers, and one may never answer.

The system's resolver blocks a thread for up to half a minute, and asyncio has six threads for it on two cores: six
such hosts would stop all webhooks. So each look-up has its own thread, and each domain only a few. Some threads are
kept for hosts that were resolved before.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stormpetrel.model.public_address import literal_address
from stormpetrel.own_thread import in_own_thread

RESOLVE_S = 6.0
"""Callers wait this long. A resolver repeats a lost packet after 5 s."""
PER_DOMAIN = 2
"""Look-ups at once below one domain: subdomains are free for its owner."""
AT_ONCE = 64
"""Look-ups at once, and so threads."""
KEPT = 16
"""Of these, places for hosts that were resolved before: strangers can name any number of hosts that hang."""
MAX_REMEMBERED = 4096
_SHARED_LABELS = frozenset(
    (
        "ac ad asn co com edu eu gen go gob gouv gov govt gv id ind info ltd me mil name ne net nom or org plc "
        "sch web"
    ).split()
)
"""Labels below which registries of countries give names to strangers, as in co.uk."""
_SHARED = frozenset(
    {"eu.org", "co.com", "uk.com", "us.com", "eu.com", "de.com", "jpn.com", "uk.net", "us.org"}
)
"""The same below domains that are no country's."""


class NameUnresolved(Exception):
    """The host has no address, or its name servers did not answer in time. The message is the reason."""


class NoPlaceToResolve(Exception):
    """Other look-ups take the places: no fault of the host. The message is the reason."""


@dataclass(frozen=True, slots=True)
class _LookUp:
    """A look-up in its thread. `domain`: of the host (_domain_of). `began_s`: monotonic."""

    found: asyncio.Future[list[str]]
    domain: str
    began_s: float


def system_addresses(host: str) -> list[str]:
    """Return the addresses of a host from the system's resolver, which may block for long.

    Raise OSError or UnicodeError.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class NameResolver:
    """The look-ups in progress of one event loop. `look_up` blocks and returns the addresses of a host."""

    def __init__(self, look_up: Callable[[str], list[str]] = system_addresses) -> None:
        self._look_up = look_up
        self._running: dict[str, _LookUp] = {}
        # The hosts whose last look-up succeeded in time, the newest last.
        self._resolved: dict[str, None] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the host's addresses. Raise NameUnresolved.

        Raise NoPlaceToResolve if other look-ups take the places, at once if those of its domain hang. Callers that
        need the same host at the same time share one look-up.
        """
        literal = literal_address(host)
        if literal is not None:
            return [literal]
        running = self._running.get(host)
        try:
            async with asyncio.timeout(RESOLVE_S):
                while running is None:
                    await self._wait_for_place(host)
                    running = self._running.get(host) or self._begin(host)
                # A caller that gives up must not cancel the look-up for the others.
                return await asyncio.shield(running.found)
        except TimeoutError:
            # A look-up that began late had too little time.
            if running is None or time.monotonic() - running.began_s < RESOLVE_S / 2:
                raise NoPlaceToResolve("too many other names are being resolved") from None
            self._resolved.pop(host, None)
            raise NameUnresolved("the host's name was not resolved in time") from None
        except (OSError, UnicodeError):
            raise NameUnresolved("the host's name could not be resolved") from None

    async def _wait_for_place(self, host: str) -> None:
        """Return when the host's look-up may begin. Raise NoPlaceToResolve if those below its domain hang."""
        domain = _domain_of(host)
        most = AT_ONCE if host in self._resolved else AT_ONCE - KEPT
        while True:
            same = [one for one in self._running.values() if one.domain == domain]
            if len(same) >= PER_DOMAIN:
                if all(time.monotonic() - one.began_s > RESOLVE_S for one in same):
                    raise NoPlaceToResolve("the name servers of the host's domain do not answer")
                waits_for = same
            elif len(self._running) >= most:
                waits_for = list(self._running.values())
            else:
                return
            await asyncio.wait([one.found for one in waits_for], return_when=asyncio.FIRST_COMPLETED)

    def _begin(self, host: str) -> _LookUp:
        found = in_own_thread(partial(self._look_up, host))
        running = self._running[host] = _LookUp(found, _domain_of(host), time.monotonic())
        found.add_done_callback(partial(self._ended, host))
        return running

    def _ended(self, host: str, found: asyncio.Future[list[str]]) -> None:
        running = self._running.pop(host)
        self._resolved.pop(host, None)
        # Reads the error: all callers may have given up, and asyncio would log it.
        if found.exception() is not None or time.monotonic() - running.began_s > RESOLVE_S:
            return
        self._resolved[host] = None
        if len(self._resolved) > MAX_REMEMBERED:
            del self._resolved[next(iter(self._resolved))]


def _domain_of(host: str) -> str:
    """Return the domain whose owner runs the host's name servers: the last two labels, or three below co.uk."""
    labels = host.split(".")
    second, top = labels[-2:] if len(labels) > 1 else ("", host)
    is_shared = (len(top) == 2 and second in _SHARED_LABELS) or f"{second}.{top}" in _SHARED
    return ".".join(labels[-3 if is_shared else -2 :])
