"""Clients that were refused and wait as they were asked to: a sample for a report, and their number on all workers.

A client that two workers refused is one client. So a report has no numbers but a sample of clients, which the watch
joins. Each worker takes the same clients into its sample: those whose hash is a multiple of `one_in`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2b

from stormpetrel.shield.identify import Identity
from stormpetrel.shield.reports import HeldSample, identity_text

MAX_HELD = 20_000
"""Clients that wait as they were asked to; further ones are not noted."""
MAX_SAMPLE = 512
"""Up to this many clients are all in the sample, and counted exactly. Of more, it has about half to all of this many.
Their number is then an estimate within some 10 %."""


class HeldClients:
    """The clients of one worker, each in one of its channels until its Retry-After is over, or it is served."""

    __slots__ = ("_channels", "count")

    def __init__(self) -> None:
        # By channel and client: until when it waits, and its hash.
        self._channels: dict[str, dict[Identity, tuple[float, int]]] = {}
        self.count = 0
        """How many clients wait."""

    def asked_to_wait(self, identity: Identity, channel: str, *, until_s: float) -> None:
        """Note that the client was refused."""
        clients = self._channels.setdefault(channel, {})
        before = clients.get(identity)
        if before is not None:
            clients[identity] = until_s, before[1]
        elif self.count < MAX_HELD:
            self.count += 1
            clients[identity] = until_s, _hash(identity)

    def served(self, identity: Identity, channel: str) -> None:
        """Note that the client was served."""
        clients = self._channels.get(channel)
        if clients and clients.pop(identity, None) is not None:
            self.count -= 1

    def samples(self, *, at_s: float) -> dict[str, HeldSample]:
        """Return a sample of those that wait, by channel."""
        for channel, clients in list(self._channels.items()):
            over = [identity for identity, (until_s, _) in clients.items() if until_s <= at_s]
            for identity in over:
                del clients[identity]
            self.count -= len(over)
            if not clients:
                del self._channels[channel]
        return {channel: _sample(clients.values()) for channel, clients in self._channels.items()}


def clients_held(samples: Sequence[HeldSample]) -> int:
    """Return how many clients wait in all samples together, each counted once."""
    one_in = max((sample.one_in for sample in samples), default=1)
    return one_in * len({client for sample in samples for client in sample.clients if not client % one_in})


def _sample(clients: Collection[tuple[float, int]]) -> HeldSample:
    one_in = 1
    while len(clients) > MAX_SAMPLE * one_in:
        one_in *= 2
    return HeldSample(one_in, tuple([client for _, client in clients if not client % one_in]))


def _hash(identity: Identity) -> int:
    return int.from_bytes(blake2b(identity_text(*identity).encode(), digest_size=4).digest(), "big")
