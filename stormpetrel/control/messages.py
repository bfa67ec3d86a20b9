"""Messages on the control socket: from workers, to workers, from commands, to commands.

A connection begins with `Hello` (a worker) or with an `Ask…` (a command, which gets one answer).
"""

from __future__ import annotations

import msgspec

from stormpetrel.model.incident import Incident
from stormpetrel.shield.reports import Directions, IdentityRefusal, OperatorEntry, WorkerReport

# Between workers and watch --------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """A worker's first message. `name`: of its process, for example web-0."""

    name: str
    pid: int


class ReportMessage(msgspec.Struct, frozen=True, tag="report"):
    """A worker's last second."""

    report: WorkerReport


class Standing(msgspec.Struct, frozen=True, tag="standing"):
    """A worker's answer to `Look`: what it knows of one identity now.

    `lane`: the class its requests wait in, "" if unknown. `limit`, `remaining`: its ceiling in five minutes
    here, 0 and 0 without one. `is_demoted`: it waits in the lowest class for its excess.
    """

    number: int
    lane: str
    limit: int
    remaining: int
    is_demoted: bool


class Direct(msgspec.Struct, frozen=True, tag="directions"):
    """The workers' directions from now on."""

    directions: Directions


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Asks a worker about an identity in report form (`account:12`). `created_epoch_s`: of its credential."""

    number: int
    identity: str
    created_epoch_s: float


class AudienceHello(msgspec.Struct, frozen=True, tag="audience-hello"):
    """The first message of a process that counts visitors. `name`: of the process."""

    name: str


class AudiencePeriods(msgspec.Struct, frozen=True, tag="audience-periods"):
    """The names of the periods to count in: those that run, and those that begin soon.

    Their keys are in files (storage/audience_folder.py): a key in a message would leave copies in memory.
    """

    names: tuple[str, ...]


class AudienceNews(msgspec.Struct, frozen=True, tag="audience-news"):
    """What a process has counted since its last message; the fields are those of audience.counter.CounterNews."""

    updates: list[tuple[str, int, bytes, bytes]]
    counts: dict[str, int]
    announced: dict[str, int]


class TextCounts(msgspec.Struct, frozen=True, tag="text-counts"):
    """Text messages of the last second; the only message of its connection.

    `strangers`: from numbers without an account. `received`: from all. `sent`: accepted by the providers.
    `networks`: where providers' webhooks come from.
    """

    strangers: int
    received: int = 0
    sent: int = 0
    networks: tuple[str, ...] = ()


FromWorker = ReportMessage | Standing
ToWorker = Direct | Look

# From commands --------------------------------------------------------------------------------------------


class AskStatus(msgspec.Struct, frozen=True, tag="ask-status"):
    """Asks for the watch's `Status`."""


class AskWhy(msgspec.Struct, frozen=True, tag="ask-why"):
    """Asks how the shield treats an identity.

    `names`: (kind, value) pairs by which an allow or deny may name it, as in shield.reports.OperatorEntry.
    `identities`: the identities its requests queue as (`account:12`); workers are asked about the first.
    `application`: ask about all users of this application instead. `created_epoch_s`: when the credential
    was made, 0 if there is none.
    """

    names: tuple[tuple[str, str], ...]
    identities: tuple[str, ...] = ()
    application: str = ""
    created_epoch_s: float = 0.0


class AskRule(msgspec.Struct, frozen=True, tag="ask-rule"):
    """`verdict`: allow, deny, or none to withdraw the entry.

    `session`: the address from which the operator gives the order, or "". `is_forced`: deny it even if it holds that
    address, this machine's, or a trusted proxy's.
    """

    verdict: str
    entry: OperatorEntry
    session: str = ""
    is_forced: bool = False


class AskPause(msgspec.Struct, frozen=True, tag="ask-pause"):
    """Suspends denies and demotions until then; 0 ends a pause."""

    until_epoch_s: float


class IncidentChange(msgspec.Struct, frozen=True, tag="incident"):
    """A change of an incident or maintenance of the status page, by an operator.

    `action`: start or schedule (with `name`), update, resolve, begin, complete or cancel (of `id`, or its
    beginning). Empty fields stay as they are. `from_ms`, `until_ms`: of maintenance.
    """

    action: str
    id: str = ""
    name: str = ""
    body: str = ""
    status: str = ""
    impact: str = ""
    channels: tuple[str, ...] = ()
    from_ms: int = 0
    until_ms: int = 0


Ask = AskStatus | AskWhy | AskRule | AskPause | IncidentChange
First = Hello | AudienceHello | TextCounts | AskStatus | AskWhy | AskRule | AskPause | IncidentChange

# To commands ----------------------------------------------------------------------------------------------


class WorkerState(msgspec.Struct, frozen=True):
    """A worker's last known state."""

    name: str
    pid: int
    age_s: float
    running: int
    waiting: int
    worst_wait_s: float
    loop_lag_s: float
    directions_version: int


class CanaryState(msgspec.Struct, frozen=True):
    """A channel as one of its canaries saw it last. `outcome`: ok, refused, failed or timeout; "" before the first.

    `person`: whose class it waits in, member or visitor. `failures`: consecutive ones. `in_row`: how many results in
    a row succeeded, or did not.
    `is_first`: there was no other result before the row. `changes`: how often its last results changed between
    success and failure.
    """

    channel: str
    person: str
    outcome: str
    at_epoch_s: float
    ms: float
    detail: str
    failures: int = 0
    in_row: int = 0
    is_first: bool = True
    changes: int = 0


class LoadPoint(msgspec.Struct, frozen=True, array_like=True):
    """One second of all workers together: requests, refusals, and the longest wait for a slot in ms."""

    requests: int
    refused: int
    wait_ms: float


class PhaseState(msgspec.Struct, frozen=True):
    """The present phase. `verdict`, `attack_share`, `vectors`: as in model.attack.AttackPhase; `text`: in words."""

    began_epoch_s: float
    verdict: str
    attack_share: float
    vectors: tuple[str, ...]
    text: str


class GuardState(msgspec.Struct, frozen=True):
    """The guard, the kernel's help. `packets`: dropped since it started. `refused`: entries beyond its own limits.

    `problem`: why the kernel does not have its list. `off_because`: why nothing is listed, with `off_until_epoch_s`
    if it is for a fixed time.
    """

    is_running: bool = False
    listed: int = 0
    packets: int = 0
    packets_per_s: float = 0.0
    refused: int = 0
    problem: str = ""
    off_because: str = ""
    off_until_epoch_s: float = 0.0


class StatusMessage(msgspec.Struct, frozen=True, tag="status"):
    """The state of the instance. Rates are per second, over the last ten seconds.

    `load`: the last minutes (cluster_state.LOAD_S), second by second, oldest first.
    """

    mode: str
    onset_epoch_s: float
    overload_since_epoch_s: float
    paused_until_epoch_s: float
    version: int
    workers: tuple[WorkerState, ...]
    canaries: tuple[CanaryState, ...]
    classes: dict[str, dict[str, float]]
    channels: dict[str, dict[str, float]]
    applications: dict[str, dict[str, float]]
    because: dict[str, float]
    pages: dict[str, float]
    """Answers from memory by path, the hottest first."""
    offenders: tuple[OffenderState, ...]
    allowed: tuple[OperatorEntry, ...]
    denied: tuple[OperatorEntry, ...]
    load: tuple[LoadPoint, ...]
    journal_problem: str
    """The reason why the journal cannot be written; "" if it can."""
    phase: PhaseState | None = None
    """The present phase of the traffic; None while nothing is unusual."""
    guard: GuardState | None = None


class OffenderState(msgspec.Struct, frozen=True):
    """One of the heaviest users, over all workers and the last ten seconds."""

    identity: str
    cpu_s: float
    requests: int
    refused: int
    ignored: int


class Why(msgspec.Struct, frozen=True, tag="why"):
    """How the shield treats an identity now. `lane`: the class, "" if no worker knows it."""

    lane: str
    limit: int
    remaining: int
    is_demoted: bool
    onset_epoch_s: float
    allowed: OperatorEntry | None
    denied: OperatorEntry | None
    refusals: tuple[IdentityRefusal, ...]
    """The latest, newest first."""
    refused_count: int
    """Refusals since `since_epoch_s`, when the watch started."""
    since_epoch_s: float
    blocked_until_epoch_s: float = 0.0
    """Until when the guard drops the packets of this address; 0 if it does not."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is in force. `workers`: how many were notified; `kept`: True if it outlives a restart of watch."""

    workers: int
    kept: bool


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The command failed."""

    text: str


class IncidentStored(msgspec.Struct, frozen=True, tag="incident-stored"):
    """The incident after a change, which is stored durably."""

    incident: Incident


Answer = StatusMessage | Why | Done | Failed | IncidentStored

decode_first = msgspec.msgpack.Decoder(First).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_audience_news = msgspec.msgpack.Decoder(AudienceNews).decode
decode_audience_periods = msgspec.msgpack.Decoder(AudiencePeriods).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
