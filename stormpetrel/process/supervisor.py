"""Forks processes, restarts them when they die, and ends them in order.

It knows no role (roles/serve.py does). It runs no thread and no loop: signals are blocked and waited for, so no
handler interrupts it, and an idle supervisor uses no CPU.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stormpetrel.errors import EnvironmentFailure, StormpetrelError

log = logging.getLogger(__name__)

DRAIN_S = 15.0
"""How long processes may take to finish work that has begun."""
STEADY_S = 10.0
"""A process that lived this long restarts at once; after an earlier death, the delay grows each time."""
BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 5.0

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
WAITED_FOR = STOP_SIGNALS | {signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Child:
    """A process to keep alive.

    `main` runs in it; when that returns or raises, the process ends. `on_death` runs in the supervisor before
    the restart. `load` runs in the supervisor before the first start, while the processes before it start
    already. `serves_others`: it ends after the processes without this flag.
    """

    name: str
    main: Callable[[], None]
    on_death: Callable[[], None]
    load: Callable[[], None] | None = None
    serves_others: bool = False
    pid: int = 0
    started_at_s: float = 0.0
    early_deaths: int = 0
    start_at_s: float = field(default=0.0)


def block_signals() -> set[signal.Signals]:
    """Block the signals that `supervise` waits for, before any slow work; return those blocked before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        # Started by nohup, to outlive its terminal. A blocked signal would be found pending.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    # A parent that ignores SIGCHLD passes that on, and the kernel would reap the children.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return {signal.Signals(number) for number in before}


def supervise(
    children: Sequence[Child], *, on_started: Callable[[], None], before_drain: Callable[[], None]
) -> None:
    """Keep `children` alive until SIGTERM, SIGINT or SIGHUP, then drain them; return when all have ended.

    Needs `block_signals`. A second SIGINT kills at once. Raise EnvironmentFailure when a process cannot be
    forked at the start.
    """
    try:
        for child in children:
            if child.load is not None:
                child.load()
            _start(child)
    except BaseException as error:
        _end(children, at_once=True)
        if isinstance(error, OSError):
            raise EnvironmentFailure(f"processes cannot be started: {error.strerror}") from error
        raise
    on_started()
    while True:
        now_s = time.monotonic()
        waiting = [child.start_at_s - now_s for child in children if not child.pid]
        got = signal.sigtimedwait(WAITED_FOR, max(0.0, min(waiting, default=3600.0)))
        if got is not None and got.si_signo in STOP_SIGNALS:
            break
        _reap(children, restart=True)
        _start_due(children)
    before_drain()
    _end(children, at_once=False)


def _start(child: Child) -> None:
    sys.stdout.flush()
    supervisor_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        exit_code = 1
        try:
            _become_child(child.name, supervisor_pid)
            child.main()
            exit_code = 0
        except StormpetrelError as error:
            log.error("%s", error.safe_text)
            exit_code = 3
        except BaseException:  # the process's edge: it is logged, and the supervisor starts another process
            log.exception("the process failed")
        finally:
            # Not sys.exit, which would tear down what the supervisor has set up.
            os._exit(exit_code)
    child.pid = pid
    child.started_at_s = time.monotonic()


def _become_child(name: str, supervisor_pid: int) -> None:
    """Die with the supervisor; react only to SIGTERM (the supervisor handles Ctrl-C for the group)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_NAME, f"petrel-{name}".encode()[:15], 0, 0, 0)
    if os.getppid() != supervisor_pid:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED_FOR)


def _start_due(children: Sequence[Child]) -> None:
    for child in children:
        if not child.pid and time.monotonic() >= child.start_at_s:
            try:
                _start(child)
            except OSError as error:
                log.error("cannot start %s: %s", child.name, error)
                child.start_at_s = time.monotonic() + BACKOFF_MAX_S


def _reap(children: Sequence[Child], *, restart: bool) -> None:
    """Record dead processes. One SIGCHLD may stand for several deaths, so check each child."""
    for child in children:
        if not child.pid:
            continue
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            continue
        child.pid = 0
        if not restart:
            continue
        child.on_death()
        now_s = time.monotonic()
        child.early_deaths = 0 if now_s - child.started_at_s >= STEADY_S else child.early_deaths + 1
        delay_s = backoff_s(child.early_deaths)
        child.start_at_s = now_s + delay_s
        log.error("%s died (%s); restarting in %.1f s", child.name, _how(status), delay_s)


def backoff_s(early_deaths: int) -> float:
    """Return the delay after so many deaths soon after the start: 0, 0, 0.1, 0.2, 0.4, … 5 s."""
    if early_deaths <= 1:
        return 0.0
    return min(BACKOFF_MIN_S * 2.0 ** min(early_deaths - 2, 16), BACKOFF_MAX_S)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


def _end(children: Sequence[Child], *, at_once: bool) -> None:
    """End all, those that serve others last; by SIGKILL if `at_once`, on another SIGINT or after DRAIN_S."""
    kill_at_s = time.monotonic() + (0.0 if at_once else DRAIN_S)
    _signal([child for child in children if not child.serves_others], signal.SIGTERM)
    told_last = False
    while True:
        _reap(children, restart=False)
        alive = [child for child in children if child.pid]
        if not alive:
            return
        if not told_last and all(child.serves_others for child in alive):
            _signal(alive, signal.SIGTERM)
            told_last = True
        left_s = kill_at_s - time.monotonic()
        if left_s <= 0:
            if not at_once:
                log.warning(
                    "killed because they did not stop in time: %s", ", ".join(child.name for child in alive)
                )
            _signal(alive, signal.SIGKILL)
            kill_at_s = float("inf")
        got = signal.sigtimedwait(WAITED_FOR, min(max(left_s, 0.0), DRAIN_S))
        if got is not None and got.si_signo == signal.SIGINT:
            _signal(alive, signal.SIGKILL)
            kill_at_s = float("inf")


def _signal(children: Sequence[Child], number: signal.Signals) -> None:
    for child in children:
        if child.pid:
            # Not reaped yet, so the pid still belongs to it.
            os.kill(child.pid, number)
