"""The instance's status page beside a run: what it shows each second, and how long it lies (G10).

The page lies in a second in which it calls a channel operational although that channel's people succeeded in less
than TRUE_SHARE of their requests, in the last WINDOW_S and in the WINDOW_S before: a page may need ten seconds to
turn, because it learns of a fault from the requests that fail. A shorter fault may be in both; so it lies only until
the requests of LATELY_S, if they are enough to say so, show that the fault is over.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stormpetrel.drill.loopback import Address, TrafficBudget, start_socket
from stormpetrel.drill.percentile import percentile
from stormpetrel.drill.record import OK, Line, PageLook

EVERY_S = 1.0
PATIENCE_S = 5.0
TRUE_SHARE = 0.95
WINDOW_S = 10.0
LATELY_S = 5.0
MIN_LINES = 10
"""Fewer requests of a channel in a window say nothing about it."""
OPERATIONAL = "operational"
PEOPLE = {
    "Web pages": ("web", "returning", "new"),
    "Apps": ("apps",),
    "Posting": ("posting",),
    "Live updates": ("streaming",),
    "Sign-in": ("sign_in",),
    "Feeds": ("feeds",),
    "SMS in": ("sms_in",),
    "SMS out": ("sms_answers", "sms_deliveries"),
}
"""The page's channels by name, and whose requests (record.CHANNELS) show the truth about each."""
MAX_BYTES = 262_144
_REQUEST = "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_VERDICT = re.compile(r'^stormpetrel_phase\{verdict="(\w+)"\} 1$', re.MULTILINE)
_MEANS = re.compile(r'^stormpetrel_phase_means\{vector="(\w+)"\} 1$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PageScore:
    """`looks`: how often the page was read. `reached`: how often it answered, and `p99_ms`: within this time; None if
    never. `lies_s`: by channel, in seconds.
    """

    looks: int
    reached: int
    lies_s: dict[str, int]
    p99_ms: float | None

    @property
    def lie_seconds(self) -> int:
        """Return the seconds of all channels together."""
        return sum(self.lies_s.values())


class StatusReader:
    """Reads the page each second in a thread of its own, until `stop`. `begin_s`: monotonic time of second 0."""

    def __init__(self, target: Address, *, begin_s: float, seconds: float) -> None:
        self.looks: list[PageLook] = []
        self._target = target
        self._begin_s = begin_s
        self._seconds = seconds
        self._budget = TrafficBudget(2 * int(seconds / EVERY_S) + 2, begin_s + seconds + PATIENCE_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status-reader", daemon=True)

    def __enter__(self) -> StatusReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = self._begin_s
        while due_s < self._begin_s + self._seconds:
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            at_s = time.monotonic()
            shown = self._shown()
            ms = (time.monotonic() - at_s) * 1000
            self.looks.append(
                PageLook(at_s - self._begin_s, ms, shown, *(self._traffic() if shown else ("", ())))
            )
            due_s = max(due_s + EVERY_S, time.monotonic())

    def _shown(self) -> dict[str, str]:
        """Return the state of each channel by name; empty if the page cannot be read."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            body = self._get("/api/v2/components.json")
            return {str(one["name"]): str(one["status"]) for one in json.loads(body)["components"]}
        return {}

    def _traffic(self) -> tuple[str, tuple[str, ...]]:
        """Return the watch's verdict on the traffic and the means of attack; "" if they cannot be read."""
        metrics = self._get("/metrics").decode(errors="replace")
        verdicts = _VERDICT.findall(metrics)
        return (verdicts[0] if verdicts else ""), tuple(sorted(_MEANS.findall(metrics)))

    def _get(self, path: str) -> bytes:
        """Return the body of a document; empty if it cannot be read."""
        with contextlib.suppress(OSError):
            sock, _ = start_socket(self._target, source="", budget=self._budget)
            with sock:
                sock.settimeout(PATIENCE_S)
                sock.sendall(_REQUEST.format(path).encode())
                data = b""
                while len(data) < MAX_BYTES and (more := sock.recv(65_536)):
                    data += more
            head, _, body = data.partition(b"\r\n\r\n")
            if b" 200 " in head.partition(b"\r\n")[0] + b" ":
                return body
        return b""


def page_score(lines: Iterable[Line], looks: Sequence[PageLook]) -> PageScore | None:
    """Return how true the page was; None if it was not read."""
    if not looks:
        return None
    channels = {channel: name for name, of in PEOPLE.items() for channel in of}
    asked: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in lines:
        if not one.is_retry and one.channel in channels:
            asked[channels[one.channel]].append((one.t, one.outcome == OK))
    truths = {name: _Truth(sorted(found)) for name, found in asked.items()}
    lies: defaultdict[str, int] = defaultdict(int)
    for look in looks:
        for name in _green(look.shown):
            truth = truths.get(name)
            if truth is not None and truth.is_lie(look.t):
                lies[name] += 1
    answered_ms = [one.ms for one in looks if one.shown]
    return PageScore(len(looks), len(answered_ms), dict(lies), percentile(99, answered_ms))


def _green(shown: Mapping[str, str]) -> list[str]:
    return [name for name, status in shown.items() if status == OPERATIONAL]


class _Truth:
    """A channel's requests as (time, succeeded), in the order of time."""

    def __init__(self, requests: Sequence[tuple[float, bool]]) -> None:
        self._times = [t for t, _ in requests]
        self._good = [0]
        for _, ok in requests:
            self._good.append(self._good[-1] + ok)

    def is_lie(self, t: float) -> bool:
        """Return True if a page lies that calls the channel operational at `t`."""
        return self.is_bad(t) and self.is_bad(t - WINDOW_S) and not self.is_over(t)

    def is_bad(self, t: float) -> bool:
        """Return True if too few requests of the WINDOW_S before `t` succeeded."""
        good, count = self._counted(t - WINDOW_S, t)
        return count >= MIN_LINES and good < TRUE_SHARE * count

    def is_over(self, t: float) -> bool:
        """Return True if enough requests of the LATELY_S before `t` succeeded."""
        good, count = self._counted(t - LATELY_S, t)
        return count >= MIN_LINES and good >= TRUE_SHARE * count

    def _counted(self, from_t: float, until_t: float) -> tuple[int, int]:
        """Return how many requests of a time succeeded, and how many there were."""
        first, last = bisect_left(self._times, from_t), bisect_left(self._times, until_t)
        return self._good[last] - self._good[first], last - first
