"""Names of hosts whose owners run the name servers: one that never answers delays only itself."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from stormpetrel.courier import name_resolver
from stormpetrel.courier.name_resolver import (
    AT_ONCE,
    KEPT,
    PER_DOMAIN,
    NameResolver,
    NameUnresolved,
    NoPlaceToResolve,
)


class NameServers:
    """The name servers of hosts: those in `slow` answer after `release` is set; by their ends."""

    def __init__(self):
        self.release = threading.Event()
        self.slow = ("slow.example",)
        self.asked = Counter()

    def __call__(self, host):
        self.asked[host] += 1
        if host.endswith(self.slow):
            self.release.wait(30)
        if host.startswith("missing"):
            raise OSError("no such name")
        return ["93.184.216.34"]


@pytest.fixture
def servers(monkeypatch):
    monkeypatch.setattr(name_resolver, "RESOLVE_S", 1.5)
    servers = NameServers()
    yield servers
    servers.release.set()


async def failure(names, host, kind=NameUnresolved):
    """Return the reason why a host is not resolved."""
    with pytest.raises(kind) as failed:
        await names.addresses(host)
    return str(failed.value)


def test_hosts_that_hang_delay_no_other_host(servers):
    async def main():
        names = NameResolver(servers)
        hanging = [
            asyncio.create_task(
                failure(
                    names, f"h{n}.a{n}.slow.example", NameUnresolved if n < PER_DOMAIN else NoPlaceToResolve
                )
            )
            for n in range(AT_ONCE * 2)
        ]
        await asyncio.sleep(0)
        assert await names.addresses("hooks.fine.test") == ["93.184.216.34"]
        assert not any(one.done() for one in hanging)
        reasons = await asyncio.gather(*hanging)
        assert set(reasons[:PER_DOMAIN]) == {"the host's name was not resolved in time"}
        assert set(reasons[PER_DOMAIN:]) == {"too many other names are being resolved"}
        assert len(servers.asked) == PER_DOMAIN + 1
        # Its name servers are known to hang: callers do not wait for their turn.
        assert (
            await failure(names, "new.slow.example", NoPlaceToResolve)
            == "the name servers of the host's domain do not answer"
        )
        servers.release.set()
        await asyncio.sleep(0.1)
        assert await names.addresses("again.slow.example") == ["93.184.216.34"]

    asyncio.run(main())


def test_calls_of_one_host_share_a_look_up(servers):
    async def main():
        names = NameResolver(servers)
        assert (
            await asyncio.gather(*(names.addresses("hooks.fine.test") for _ in range(20)))
            == [["93.184.216.34"]] * 20
        )
        assert servers.asked == {"hooks.fine.test": 1}
        assert (
            await asyncio.gather(*(names.addresses(f"h{n}.fine.test") for n in range(20)))
            == [["93.184.216.34"]] * 20
        )

    asyncio.run(main())


def test_a_name_that_does_not_exist_and_an_address(servers):
    async def main():
        names = NameResolver(servers)
        assert await failure(names, "missing.test") == "the host's name could not be resolved"
        assert await names.addresses("127.1") == ["127.0.0.1"]
        assert servers.asked == {"missing.test": 1}

    asyncio.run(main())


@pytest.mark.parametrize("suffix", ["co.uk", "com.au", "eu.org"])
def test_neighbours_below_one_public_suffix_do_not_wait_for_each_other(servers, suffix):
    servers.slow = (f"slow.{suffix}",)

    async def main():
        names = NameResolver(servers)
        hanging = [asyncio.create_task(failure(names, f"h{n}.slow.{suffix}")) for n in range(PER_DOMAIN)]
        await asyncio.gather(*hanging)
        assert await names.addresses(f"hooks.fine.{suffix}") == ["93.184.216.34"]
        await failure(names, f"more.slow.{suffix}", NoPlaceToResolve)

    asyncio.run(main())


def test_hosts_that_were_resolved_before_have_places_when_very_many_domains_hang(servers):
    async def main():
        names = NameResolver(servers)
        await names.addresses("hooks.fine.test")
        servers.slow = (".hangs",)
        hanging = [
            asyncio.create_task(failure(names, f"h.d{n}.hangs", Exception)) for n in range(AT_ONCE + KEPT)
        ]
        await asyncio.sleep(0.1)
        assert len(servers.asked) == AT_ONCE - KEPT + 1
        assert await names.addresses("hooks.fine.test") == ["93.184.216.34"]
        assert await failure(names, "new.test", NoPlaceToResolve) == "too many other names are being resolved"
        await asyncio.gather(*hanging)

    asyncio.run(main())


def test_a_host_that_answers_too_late_has_no_kept_place_any_more(servers):
    async def main():
        names = NameResolver(servers)
        await names.addresses("one.hangs")
        servers.slow = (".hangs",)
        await failure(names, "one.hangs")
        # The caller's time began before that of the look-up: on a busy machine, long before.
        await asyncio.sleep(0.5)
        servers.release.set()
        await asyncio.sleep(0.1)
        servers.release.clear()
        hanging = [
            asyncio.create_task(failure(names, f"h.d{n}.hangs", Exception)) for n in range(AT_ONCE - KEPT)
        ]
        await asyncio.gather(*hanging)
        await failure(names, "one.hangs", NoPlaceToResolve)

    asyncio.run(main())
