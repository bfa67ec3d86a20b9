"""Resolves the hosts of webhooks. Their owners run the name servers, and one may never answer.

The system's resolver blocks a thread for up to half a minute, and asyncio has six threads for it on two cores: six
such hosts would stop all webhooks. So each look-up has its own thread, and each domain only a few.
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


class NameUnresolved(Exception):
    """The host has no address, or its name servers did not answer in time. The message is the reason."""


@dataclass(frozen=True, slots=True)
class _LookUp:
    """A look-up in its thread. `domain`: the last two labels of the host. `began_s`: monotonic."""

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

    async def addresses(self, host: str) -> list[str]:
        """Return the host's addresses. Raise NameUnresolved, at once if its domain's name servers hang.

        Callers that need the same host at the same time share one look-up.
        """
        literal = literal_address(host)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(RESOLVE_S):
                running = self._running.get(host)
                while running is None:
                    await self._wait_for_place(_domain_of(host))
                    running = self._running.get(host) or self._begin(host)
                # A caller that gives up must not cancel the look-up for the others.
                return await asyncio.shield(running.found)
        except TimeoutError:
            raise NameUnresolved("the host's name was not resolved in time") from None
        except (OSError, UnicodeError):
            raise NameUnresolved("the host's name could not be resolved") from None

    async def _wait_for_place(self, domain: str) -> None:
        """Return when another look-up below the domain may begin. Raise NameUnresolved if its look-ups hang."""
        while True:
            same = [one for one in self._running.values() if one.domain == domain]
            if len(same) >= PER_DOMAIN:
                if all(time.monotonic() - one.began_s > RESOLVE_S for one in same):
                    raise NameUnresolved("the name servers of the host's domain do not answer")
                waits_for = same
            elif len(self._running) >= AT_ONCE:
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
        del self._running[host]
        # Reads the error: all callers may have given up, and asyncio would log it.
        found.exception()


def _domain_of(host: str) -> str:
    return ".".join(host.split(".")[-2:])
