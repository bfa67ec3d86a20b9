"""Names of hosts whose owners run the name servers: one that never answers delays only itself."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from stormpetrel.courier import name_resolver
from stormpetrel.courier.name_resolver import AT_ONCE, PER_DOMAIN, NameResolver, NameUnresolved


class NameServers:
    """The name servers of hosts: those below `slow.example` answer after `release` is set."""

    def __init__(self):
        self.release = threading.Event()
        self.asked = Counter()

    def __call__(self, host):
        self.asked[host] += 1
        if host.endswith("slow.example"):
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


async def failure(names, host):
    """Return the reason why a host is not resolved."""
    with pytest.raises(NameUnresolved) as failed:
        await names.addresses(host)
    return str(failed.value)


def test_hosts_that_hang_delay_no_other_host(servers):
    async def main():
        names = NameResolver(servers)
        hanging = [asyncio.create_task(failure(names, f"h{n}.a{n}.slow.example")) for n in range(AT_ONCE * 2)]
        await asyncio.sleep(0)
        assert await names.addresses("hooks.fine.test") == ["93.184.216.34"]
        assert not any(one.done() for one in hanging)
        assert set(await asyncio.gather(*hanging)) == {"the host's name was not resolved in time"}
        assert len(servers.asked) == PER_DOMAIN + 1
        # Its name servers are known to hang: callers do not wait for their turn.
        assert (
            await failure(names, "new.slow.example") == "the name servers of the host's domain do not answer"
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
