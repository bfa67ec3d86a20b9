"""Reports of a worker to `watch` each second, and its directions in return. Plain values, ready for JSON.

Counts cover the time since the last report (`period_s`), so merging is adding; a reader that needs totals
adds them up. Identities are text, from `identity_text`. Times are seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from stormpetrel.shield.evidence import Evidence

CLASSES = ("K0", "K1", "K2", "K3", "K4")
OUTCOMES = ("served", "cached", "refused", "gone")
"""Ran at the application, answered from memory, refused by the shield, left while waiting."""
FAILED, EXCESS = "failed", "excess"
"""Counted besides, of known clients: those of `served` that got an error of the server (5xx), and those of `refused`
and `gone` whose client asked for too much, or left before the wait can have been the reason."""
CHANNELS = ("web", "apps", "posting", "streaming", "sign_in", "feeds", "new", "returning")
"""web: pages for signed-in users; apps: the API with a credential; posting: every write with a credential;
sign_in: signing in and up; new and returning: visitors without and with an older cookie."""
FEEDS = "feeds"
MAX_OFFENDERS = 256
MAX_SOURCES = 4_096
"""Addresses in one report, where a guard runs: as many as a worker counts apart in a second."""
MAX_REFUSALS = 512
"""Refusals of people that a report lists one by one; it has sums of further ones."""
MAX_SUMS = 256
"""Named applications, channels and policy lines among the sums; further applications share a sum."""
MAX_PREFIXES = 1024
MAX_PAGES = 20
"""Paths in one report: those with most answers from memory."""
MAX_APPLICATIONS = 256
"""Names of applications counted in one report; further ones are counted together as OTHER_APPLICATIONS."""
OTHER_APPLICATIONS = "(others)"
MIN_HASH_CHARACTERS = 16
"""A token is named by at least this many hexadecimal digits of its SHA-256."""

ALLOWED_KINDS = ("token", "account", "address", "application")


@dataclass(frozen=True, slots=True)
class Offender:
    """One of the heaviest users of CPU time. `ignored`: how often it came back before its Retry-After."""

    identity: str
    cpu_s: float
    requests: int
    refused: int
    ignored: int


class StrangerSource(NamedTuple):
    """The strangers of one address in a second. `network`: the address, or the /64 of an IPv6 address.

    `ignored`: how often in a row the most patient client there came back before its Retry-After; clients that wait
    count too. -1: a client there is exempt, because members use its network.
    """

    network: str
    refused: int
    ignored: int


class HeldSample(NamedTuple):
    """Clients that wait as they were asked to, as hashes: all whose hash is a multiple of `one_in` (held.py)."""

    one_in: int
    clients: tuple[int, ...]


NO_CLIENTS = HeldSample(1, ())


@dataclass(frozen=True, slots=True)
class IdentityRefusal:
    """A refusal of a client with a credential: collateral, unless it was demoted for its own excess.

    `application`: the name of its OAuth client, "" for a session. `because`: the policy line.
    """

    at_epoch_s: float
    identity: str
    application: str
    channel: str
    because: str


@dataclass(frozen=True, slots=True)
class RefusalSum:
    """Refusals of clients with a credential beyond MAX_REFUSALS: their number, and when the last one was sent."""

    at_epoch_s: float
    application: str
    channel: str
    because: str
    count: int


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One worker's last second.

    `classes`, `channels`, `applications`: counts by name and outcome (OUTCOMES). `because`: refusals by
    policy line, including the edge's own. `known`: `channels` of the classes K0 to K2 alone, of clients from
    before the attack, also with FAILED and EXCESS. `known_applications`: the same by application, in the channel
    `apps`. `held`: a sample of the clients of `known` by channel that were refused, and wait as they were asked to.
    `new_readers`, `held_readers`: the same of the feed readers in K3, which this worker does not know from before.
    `streaming_members`: accounts with an open stream, now. `pages`: answers from memory by path, the MAX_PAGES
    hottest. `waiting`: how many requests wait now, by class. `worst_wait_s`: the longest wait for a slot in the
    period. `loop_lag_s`: the worst lateness of the loop's tick. `writer_wait_s`: how long the write that waits
    longest for the database's writer has waited. `overload_since_epoch_s`, `onset_epoch_s`: 0 if there is none.
    `prefixes`: networks with credentialed activity since the last report, with the day (days since 1970).
    `sources`: if the directions want them. `sheltered`: other networks that clients from before the attack came
    from since the last report.
    `evidence`: for naming an attack.
    """

    worker: int
    sequence: int
    started_epoch_s: float
    at_epoch_s: float
    period_s: float
    mode: str
    running: int
    connections: int
    worst_wait_s: float
    loop_lag_s: float
    writer_wait_s: float
    overload_since_epoch_s: float
    onset_epoch_s: float
    directions_version: int
    paused: bool
    demoted: int
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    channels: dict[str, dict[str, int]] = field(default_factory=dict)
    applications: dict[str, dict[str, int]] = field(default_factory=dict)
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    known_applications: dict[str, dict[str, int]] = field(default_factory=dict)
    because: dict[str, int] = field(default_factory=dict)
    held: dict[str, HeldSample] = field(default_factory=dict)
    new_readers: dict[str, int] = field(default_factory=dict)
    held_readers: HeldSample = NO_CLIENTS
    streaming_members: int = 0
    pages: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    offenders: tuple[Offender, ...] = ()
    refusals: tuple[IdentityRefusal, ...] = ()
    more_refusals: tuple[RefusalSum, ...] = ()
    prefixes: tuple[tuple[str, int], ...] = ()
    sources: tuple[StrangerSource, ...] = ()
    sheltered: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True)
class OperatorEntry:
    """One allow or deny. `kind`: one of ALLOWED_KINDS.

    `value`: token: the beginning of the SHA-256 in hexadecimal, at least MIN_HASH_CHARACTERS; account: its
    id; address: an address or a network ("192.0.2.0/24"); application: its exact name.
    """

    kind: str
    value: str
    expires_epoch_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Directions:
    """The complete directions of `watch`, replacing the previous ones. Void after `expires_epoch_s`.

    `version` rises; an older one is ignored. A denied entry never matches a credential older than the onset,
    nor the operator: the shield ensures that. `offenders`: merged over all workers, for the last second.
    `onset_epoch_s`: when the present attack began, 0 for none. `is_calm`: the watch knows that there is none; without
    it, it does not know of one. `known_prefixes`: with their last day, sent when a worker starts; if empty, the
    known ones stay. `wants_sources`: there is an attack and a guard runs, so reports list `sources`.
    """

    version: int
    expires_epoch_s: float
    allowed: tuple[OperatorEntry, ...] = ()
    denied: tuple[OperatorEntry, ...] = ()
    paused_until_epoch_s: float = 0.0
    offenders: tuple[Offender, ...] = ()
    onset_epoch_s: float = 0.0
    is_calm: bool = False
    known_prefixes: tuple[tuple[str, int], ...] = ()
    wants_sources: bool = False


def identity_text(kind: str, value: int | str | bytes) -> str:
    """Return an identity as text: "account:12", "device:9", "visitor:5", "token:ab12…", "address:192.0.2.1".

    A token is named by MIN_HASH_CHARACTERS digits of its hash, never by itself.
    """
    if isinstance(value, bytes):
        return f"{kind}:{value.hex()[:MIN_HASH_CHARACTERS]}"
    return f"{kind}:{value}"
