"""Clients by the name of their browser (User-Agent): the parts of an address, and known feed readers."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.shield.identify import Identity

PARTS = 16
"""Parts of an address, by the browser's name."""
READERS = 4096
MAX_AGENT_BYTES = 128

_FeedReader = tuple[str, bytes]
Headers = Sequence[tuple[bytes, bytes]]


class AddressParts:
    """Divides an address into PARTS parts by the browser's name. Caches the latest READERS results.

    Many people share an address. Without parts, one of them who takes too much would demote every newcomer there. A
    client that changes the name with each request is demoted part by part; places in the queue and ceilings are still
    the whole address's.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[int | str, bytes], Identity] = {}

    def __len__(self) -> int:
        return len(self._found)

    def of(self, identity: Identity, headers: Headers) -> Identity:
        """Return the part of an address that is demoted alone: clients there whose browser has the same name."""
        agent = _agent(headers)
        key = (identity.value, agent)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= READERS:
                self._found.clear()
            found = self._found[key] = Identity("address", f"{identity.value} #{crc32(agent) % PARTS}")
        return found


class FeedReaders:
    """The (address, browser) of feed readers seen in calm: at most READERS, dropping the one learned first."""

    def __init__(self) -> None:
        # A set: each is stored as its own value.
        self._seen: BoundedTable[_FeedReader, _FeedReader] = BoundedTable(READERS, evicts=Eviction.OLDEST)

    def __len__(self) -> int:
        return len(self._seen)

    def is_known(self, address: str, headers: Headers, *, learn: bool) -> bool:
        """Return whether this feed reader was seen before; if not and `learn` is true, remember it."""
        reader = (address, _agent(headers))
        if reader in self._seen:
            return True
        if learn:
            self._seen.put(reader, reader)
        return False


def parts_of(identity: Identity) -> tuple[Identity, ...]:
    """Return the identities to demote for one: itself, or all parts of an address."""
    if identity.kind != "address":
        return (identity,)
    return tuple(Identity("address", f"{identity.value} #{part}") for part in range(PARTS))


def _agent(headers: Headers) -> bytes:
    for name, value in headers:
        if name == b"user-agent":
            return value[:MAX_AGENT_BYTES]
    return b""
