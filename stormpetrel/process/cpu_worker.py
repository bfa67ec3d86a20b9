"""Work that occupies a core for long, in a niced child process: hashing passwords, and drawing initials.

One CPU-bound thread beside the loop raised a hot page's p99 from 0.4 to 60 ms; a separate process does not.
Each web worker has a SEQPACKET socket pair to the child, made before the fork. A job is (id, kind, urgency,
deadline, arguments). Its urgency is the shield's lane of the visit that asks (shield/classify.py): a member who
signs in does not wait behind strangers who sign up. The most urgent class is served first, and each class has its
own bounded queue. A job that finds no room, or would start after its deadline, is answered with Busy.

When the child dies, the supervisor notifies the callers (`announce_death`), whose calls raise Busy, and
starts a new child on the same sockets. Nothing here logs the contents of a job.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import secrets
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from stormpetrel.cpu import current_meter
from stormpetrel.errors import Busy, Invalid
from stormpetrel.media import initials
from stormpetrel.model import second_factor
from stormpetrel.model.password import normal_form, password_weakness

log = logging.getLogger(__name__)

# OWASP Password Storage Cheat Sheet, Argon2id, the setting with the least memory that it allows with t=2:
# 19 MiB, 2 iterations, parallelism 1. Measured here: 21 ms; argon2-cffi's own default takes 180 ms.
MEMORY_KIB = 19 * 1024
ITERATIONS = 2
PARALLELISM = 1
MAX_PASSWORD_BYTES = 1024
"""Longer passwords are refused: no one types them, and the sender must not choose the hashing time."""

NICENESS = 10
CLASSES = 8
"""Urgencies 0 (first) to 7: the seven lanes of the shield, and DRAWING."""
DRAWING = CLASSES - 1
"""The urgency of a picture of an initial."""
NEWEST_FIRST = 4
"""From this urgency on, which is that of strangers, the newest job is served first, and the oldest is dropped when
the class is full: in a flood some are served in time, instead of all of them too late."""
WAITING_PER_CLASS = 64
"""At 21 ms each, a full class is 1.3 s of work."""
DEADLINE_S = 10.0
"""How long a job may wait by default."""
IN_FLIGHT_PER_WORKER = 256
JOB_BYTES = 16 * 1024
_BUFFER_BYTES = 1024 * 1024

_hasher = PasswordHasher(
    time_cost=ITERATIONS,
    memory_cost=MEMORY_KIB,
    parallelism=PARALLELISM,
    hash_len=32,
    salt_len=16,
    type=Type.ID,
)

DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$c3Rvcm1wZXRyZWwtbm9ib2R5$RM1ypcVRkmgg5xrsyCC2TuVMTQjPJdNG0lQ8nO5Iaho"
)
"""The hash of no password. Verify against it for unknown accounts, so that timing reveals nothing."""


def hash_password_now(password: str) -> str:
    """Return the Argon2id hash of `password` in its normal form, in PHC format; takes 20 ms of this thread.

    Raise Invalid when it is too long.
    """
    if _too_long(password):
        raise Invalid("The password is too long", fields={"password": "is too long"})
    return _hasher.hash(normal_form(password))


def verify_password_now(password_hash: str, password: str) -> bool:
    """Return True if `password` matches `password_hash`; False for an invalid hash. Takes 20 ms."""
    if _too_long(password):
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def _too_long(password: str) -> bool:
    """Return True if it is too long, or not encodable (a lone surrogate)."""
    try:
        return len(password.encode()) > MAX_PASSWORD_BYTES
    except UnicodeEncodeError:
        return True


KINDS: dict[str, Callable[..., Any]] = {
    "hash_password": hash_password_now,
    "verify_password": verify_password_now,
    "password_weakness": password_weakness,
    "totp_offer": second_factor.totp_offer,
    "totp_accept": second_factor.totp_accept,
    "totp_step": second_factor.totp_step,
    "passkey_accept": second_factor.passkey_accept,
    "passkey_count": second_factor.passkey_count,
    "draw_initial": initials.draw,
}
"""The child's jobs. Arguments and results must be msgpack types."""


class _Job(msgspec.Struct, array_like=True, frozen=True):
    id: int
    kind: str
    urgency: int
    deadline_at_s: float  # of CLOCK_MONOTONIC, which all processes of a machine share
    args: list[Any]


class _Answer(msgspec.Struct, array_like=True, frozen=True):
    """`outcome`: done, busy or failed. `id` 0: the child and all calls died. `cpu_s`: the job's CPU time."""

    id: int
    outcome: str
    result: Any = None
    retry_after_s: int = 0
    cpu_s: float = 0.0


_encode = msgspec.msgpack.Encoder().encode
_decode_job = msgspec.msgpack.Decoder(_Job).decode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode


class HeavyHub:
    """The socket pairs between each worker and the child, made before the fork, held by the supervisor."""

    def __init__(self, workers: Iterable[str]) -> None:
        self.workers: dict[str, socket.socket] = {}
        self.child: dict[str, socket.socket] = {}
        for name in workers:
            self.workers[name], self.child[name] = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for end in (self.workers[name], self.child[name]):
                end.settimeout(0)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)

    def close_all_but(self, name: str | None, *, child: bool = False) -> None:
        """Close all ends except worker `name`'s; keep the child's ends open if this is the `child`."""
        for owner, end in self.workers.items():
            if owner != name:
                end.close()
        if not child:
            for end in self.child.values():
                end.close()

    def announce_death(self) -> None:
        """Drop the jobs that no child has read, and notify the callers that they get no answers."""
        died = _encode(_Answer(0, "busy", retry_after_s=1))
        for end in self.child.values():
            try:
                while end.recv(JOB_BYTES):
                    pass
            except BlockingIOError:
                pass
            try:
                end.send(died)
            except BlockingIOError:
                # That worker reads nothing at all; its calls end at their own deadlines.
                log.warning("cannot notify a worker that the heavy process died: its buffer is full")


class Heavy:
    """A web worker's side. Construct it after the fork, `attach` it in the loop."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        # Random, so that an answer for a dead worker's job never matches one of ours.
        self._ids = itertools.count(secrets.randbits(62) + 1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to read answers in `loop`."""
        self._loop = loop
        loop.add_reader(self._end.fileno(), self._readable)

    def close(self) -> None:
        """Stop reading; calls in flight raise Busy."""
        if self._loop is not None:
            self._loop.remove_reader(self._end.fileno())
        self._fail_all(1)

    async def hash_password(self, password: str, *, urgency: int) -> str:
        """Return the Argon2id hash. Raise Invalid for a password too long, Busy when there is no room."""
        if _too_long(password):
            raise Invalid("The password is too long", fields={"password": "is too long"})
        result = await self.call("hash_password", password, urgency=urgency)
        assert isinstance(result, str)
        return result

    async def verify_password(self, password_hash: str, password: str, *, urgency: int) -> bool:
        """Return True if the password matches the hash; False for an invalid hash. Raise Busy.

        If the account does not exist, pass DUMMY_HASH.
        """
        if _too_long(password):
            return False
        return await self.call("verify_password", password_hash, password, urgency=urgency) is True

    async def draw_initial(self, tint: str, letter: str) -> bytes:
        """Return the PNG of a letter on a colour, after all more urgent jobs. Raise Busy."""
        result = await self.call("draw_initial", tint, letter, urgency=DRAWING)
        assert isinstance(result, bytes)
        return result

    async def call(self, kind: str, *args: Any, urgency: int, deadline_s: float = DEADLINE_S) -> Any:
        """Run job `kind` (a key of KINDS) in the child and return its result.

        Raise Busy when too many jobs wait, when it would begin later than in `deadline_s`, or when the child
        dies.
        """
        if self._loop is None:
            raise RuntimeError("attach comes first")
        if len(self._calls) >= IN_FLIGHT_PER_WORKER:
            raise Busy
        job_id = next(self._ids)
        job = _encode(_Job(job_id, kind, urgency, time.monotonic() + deadline_s, list(args)))
        if len(job) > JOB_BYTES:
            raise ValueError(f"a job has {len(job)} bytes, {JOB_BYTES} at most")
        try:
            self._end.send(job)
        except OSError as error:
            raise Busy from error
        future: asyncio.Future[_Answer] = self._loop.create_future()
        self._calls[job_id] = future
        try:
            # The child enforces the deadline; twice as long means that it hangs.
            async with asyncio.timeout(deadline_s * 2):
                answer = await future
        except TimeoutError as error:
            raise Busy from error
        finally:
            self._calls.pop(job_id, None)
        meter = current_meter.get()
        if meter is not None:
            meter.add(answer.cpu_s)
        if answer.outcome == "done":
            return answer.result
        if answer.outcome == "busy":
            raise Busy(retry_after_s=answer.retry_after_s)
        raise RuntimeError(f"heavy job {kind} failed: {answer.result}")

    def _readable(self) -> None:
        while True:
            try:
                data = self._end.recv(JOB_BYTES)
            except BlockingIOError:
                return
            answer = _decode_answer(data)
            if answer.id == 0:
                self._fail_all(answer.retry_after_s)
                continue
            future = self._calls.get(answer.id)
            if future is not None and not future.done():
                future.set_result(answer)

    def _fail_all(self, retry_after_s: int) -> None:
        for job_id, future in self._calls.items():
            if not future.done():
                future.set_result(_Answer(job_id, "busy", retry_after_s=retry_after_s))


class _Queues:
    """Waiting jobs by class."""

    def __init__(self) -> None:
        self._classes: tuple[deque[tuple[_Job, socket.socket]], ...] = tuple(deque() for _ in range(CLASSES))
        self.job_s = 0.025
        """A running mean of a job's duration."""

    def put(self, job: _Job, end: socket.socket) -> tuple[_Job, socket.socket] | None:
        """Queue a job; return the one that has no room: this one, or the oldest of a class served newest first."""
        urgency = min(max(job.urgency, 0), CLASSES - 1)
        waiting = self._classes[urgency]
        dropped = None
        if len(waiting) >= WAITING_PER_CLASS:
            if urgency < NEWEST_FIRST:
                return job, end
            dropped = waiting.popleft()
        waiting.append((job, end))
        return dropped

    def get(self) -> tuple[_Job, socket.socket] | None:
        """Return the next job, or None."""
        for urgency, waiting in enumerate(self._classes):
            if waiting:
                return waiting.popleft() if urgency < NEWEST_FIRST else waiting.pop()
        return None

    def __len__(self) -> int:
        return sum(map(len, self._classes))

    @property
    def retry_after_s(self) -> int:
        """Return the time until the waiting jobs will be done, 1 to 30 s."""
        return min(max(1, round(len(self) * self.job_s + 0.5)), 30)


def run_child(ends: Iterable[socket.socket]) -> None:
    """Serve jobs from the workers' `ends` until SIGTERM: the main loop of the child."""
    os.nice(NICENESS)
    selector = selectors.DefaultSelector()
    for end in ends:
        selector.register(end, selectors.EVENT_READ)
    stop_reader, stop_writer = socket.socketpair()
    stop_writer.settimeout(0)
    selector.register(stop_reader, selectors.EVENT_READ)
    signal.set_wakeup_fd(stop_writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    queues = _Queues()
    while True:
        for key, _ in selector.select(0 if len(queues) else None):
            if key.fileobj is stop_reader:
                # The supervisor sends it after the workers have ended: no caller waits for an answer.
                return
            assert isinstance(key.fileobj, socket.socket)
            _take(key.fileobj, queues)
        next_job = queues.get()
        if next_job is not None:
            _send(next_job[1], _perform(next_job[0], queues))


def _take(end: socket.socket, queues: _Queues) -> None:
    while True:
        try:
            data = end.recv(JOB_BYTES)
        except BlockingIOError:
            return
        dropped = queues.put(_decode_job(data), end)
        if dropped is not None:
            job, caller = dropped
            _send(caller, _Answer(job.id, "busy", retry_after_s=queues.retry_after_s))


def _perform(job: _Job, queues: _Queues) -> _Answer:
    started_at_s = time.monotonic()
    if started_at_s > job.deadline_at_s:
        return _Answer(job.id, "busy", retry_after_s=queues.retry_after_s)
    began_s = time.process_time()
    try:
        result = KINDS[job.kind](*job.args)
    except Exception as error:  # one bad job must not affect the others; its text may contain the password
        log.error("heavy job %s failed: %s", job.kind, type(error).__name__)
        return _Answer(job.id, "failed", type(error).__name__, cpu_s=time.process_time() - began_s)
    queues.job_s += (time.monotonic() - started_at_s - queues.job_s) * 0.1
    return _Answer(job.id, "done", result, cpu_s=time.process_time() - began_s)


def _send(end: socket.socket, answer: _Answer) -> None:
    try:
        end.send(_encode(answer))
    except OSError:
        log.warning("a worker did not accept the result of a heavy job")
