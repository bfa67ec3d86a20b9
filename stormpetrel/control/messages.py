"""What is said on the control socket: by workers, to workers, by commands, to commands.

A connection begins with `Hello` (a worker) or with an `Ask…` (a command, which gets one answer).
"""

from __future__ import annotations

import msgspec

from stormpetrel.shield.reports import Directions, Entry, Refusal, WorkerReport

# Between workers and watch --------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """A worker's first words. `name`: of its process, such as web-0."""

    name: str
    pid: int


class Report(msgspec.Struct, frozen=True, tag="report"):
    """A worker's last second."""

    report: WorkerReport


class Standing(msgspec.Struct, frozen=True, tag="standing"):
    """A worker's answer to `Look`: what it knows of one identity now.

    `lane`: the class its requests wait in, "" when it cannot tell. `limit`, `remaining`: its ceiling in five
    minutes here, 0 and 0 without one. `is_demoted`: it waits behind everybody for what it did.
    """

    number: int
    lane: str
    limit: int
    remaining: int
    is_demoted: bool


class Direct(msgspec.Struct, frozen=True, tag="directions"):
    """What the workers are to do from now on."""

    directions: Directions


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Asks a worker about an identity, written as in reports (`account:12`). `created_epoch_s`: of its credential."""

    number: int
    identity: str
    created_epoch_s: float


FromWorker = Report | Standing
ToWorker = Direct | Look

# From commands --------------------------------------------------------------------------------------------


class AskStatus(msgspec.Struct, frozen=True, tag="ask-status"):
    """How are things?"""


class AskWhy(msgspec.Struct, frozen=True, tag="ask-why"):
    """How does the shield see somebody?

    `names`: what an allow or deny may call it, (kind, value) as in shield.reports.Entry. `identities`: as which
    its requests are queued (`account:12`); the first is asked about at the workers. `application`: instead,
    everybody who uses it. `created_epoch_s`: when the credential was made, 0 when there is none.
    """

    names: tuple[tuple[str, str], ...]
    identities: tuple[str, ...] = ()
    application: str = ""
    created_epoch_s: float = 0.0


class AskRule(msgspec.Struct, frozen=True, tag="ask-rule"):
    """`verdict`: allow, deny, or none to take back what was said of the entry."""

    verdict: str
    entry: Entry


class AskPause(msgspec.Struct, frozen=True, tag="ask-pause"):
    """No denies and no demotions until then; 0 ends a pause."""

    until_epoch_s: float


Ask = AskStatus | AskWhy | AskRule | AskPause
First = Hello | AskStatus | AskWhy | AskRule | AskPause

# To commands ----------------------------------------------------------------------------------------------


class WorkerState(msgspec.Struct, frozen=True):
    """A worker as last heard of."""

    name: str
    pid: int
    age_s: float
    running: int
    waiting: int
    worst_wait_s: float
    loop_lag_s: float
    directions_version: int


class CanaryState(msgspec.Struct, frozen=True):
    """A channel as its canary saw it last. `outcome`: ok, refused, failed or timeout; "" before the first."""

    channel: str
    outcome: str
    at_epoch_s: float
    ms: float
    detail: str
    failures: int
    """In a row."""


class Status(msgspec.Struct, frozen=True, tag="status"):
    """How things are. Rates are per second, of the last ten seconds."""

    mode: str
    onset_epoch_s: float
    overload_since_epoch_s: float
    paused_until_epoch_s: float
    version: int
    workers: tuple[WorkerState, ...]
    canaries: tuple[CanaryState, ...]
    classes: dict[str, dict[str, float]]
    channels: dict[str, dict[str, float]]
    because: dict[str, float]
    offenders: tuple[OffenderState, ...]
    allowed: tuple[Entry, ...]
    denied: tuple[Entry, ...]
    journal_problem: str
    """Why nothing can be written down, "" when it can."""


class OffenderState(msgspec.Struct, frozen=True):
    """Who takes most, of all workers together, over the last ten seconds."""

    identity: str
    cpu_s: float
    requests: int
    refused: int
    ignored: int


class Why(msgspec.Struct, frozen=True, tag="why"):
    """How the shield sees somebody now. `lane`: the class, "" when no worker could tell."""

    lane: str
    limit: int
    remaining: int
    is_demoted: bool
    onset_epoch_s: float
    allowed: Entry | None
    denied: Entry | None
    refusals: tuple[Refusal, ...]
    """The latest, newest first."""
    refused_count: int
    """How often since `since_epoch_s`, when the watch started."""
    since_epoch_s: float


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is in force. `workers`: how many were told; `kept`: whether it outlives a restart of watch."""

    workers: int
    kept: bool


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It was not done."""

    text: str


Answer = Status | Why | Done | Failed

decode_first = msgspec.msgpack.Decoder(First).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
