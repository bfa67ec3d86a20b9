"""The watch's reports: it writes one when an attack has ended, and shows those that an operator published.

All files are read and written in a thread of its own. A disk that is full costs the report, which the journal then
says, and nothing else; it is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from stormpetrel import clock
from stormpetrel.config import Config
from stormpetrel.errors import SetupError
from stormpetrel.insight import make
from stormpetrel.model.attack import AttackSpan
from stormpetrel.storage.insight import InsightUnreadable, attacks_between
from stormpetrel.storage.insight_folder import FORMS, MAX_REPORTS, InsightFolder
from stormpetrel.storage.journal import Note
from stormpetrel.watch.naming import NamedAccounts
from stormpetrel.watch.status.view import PublicReport

EVERY_S = 1.0
AGAIN_S = 60.0
"""After a failure, the report is tried again after this long."""
MAX_SHOWN = 20
"""The newest published reports, which the status page holds in memory."""
SETTLE_S = 1.5
"""The last entries of the journal about an attack are written this long after its end."""
AttackCheck = Callable[[AttackSpan], Awaitable[list[Note]]]
"""Looks for losses of an attack that has ended, and returns notes for the journal."""

log = logging.getLogger(__name__)


class InsightKeeper:
    """See the module. `published`: the public editions that are public, of the newest attack first.

    `note` takes entries for the journal. `check` is called once for each attack that ended. `accounts` names those
    that agreed in the public editions.
    """

    def __init__(
        self, config: Config, *, note: Callable[[Note], None], check: AttackCheck, accounts: NamedAccounts
    ) -> None:
        self.published: tuple[PublicReport, ...] = ()
        self._data_dir = config.data_dir
        self._domain = config.domain
        self._countries = config.insight.countries
        self._folder = InsightFolder(config.data_dir)
        self._note = note
        self._check = check
        self._accounts = accounts
        self._loaded: tuple[PublicReport, ...] = ()
        self._checked: set[int] = set()
        self._failed_s: dict[int, float] = {}
        self._thread = ThreadPoolExecutor(1, "insight")

    async def run(self, stop: asyncio.Event) -> None:
        """Write and load reports until `stop` is set."""
        loop = asyncio.get_running_loop()
        try:
            while not stop.is_set():
                span = await loop.run_in_executor(self._thread, self._next, loop.time())
                if span is not None:
                    await self._report(span, stop)
                self._loaded = await loop.run_in_executor(self._thread, self._load)
                self.published = tuple(map(self._accounts.named, self._loaded))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EVERY_S)
        finally:
            self._thread.shutdown(wait=False)

    async def _report(self, span: AttackSpan, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        if span.number not in self._checked:
            self._checked.add(span.number)
            for note in await self._check(span):
                self._note(note)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SETTLE_S)
        problem = await loop.run_in_executor(self._thread, self._write, span)
        text = f"the report about attack {span.number} was written"
        if problem:
            text = f"the report about attack {span.number} could not be written: {problem}"
            log.warning("%s", text)
        if not problem or span.number not in self._failed_s:
            self._note(Note(at_ms=clock.now_ms(), kind="watch", text=text))
        if problem:
            self._failed_s[span.number] = loop.time()

    # In the thread

    def _next(self, at_s: float) -> AttackSpan | None:
        """Return the newest attack that has ended and has no report yet."""
        try:
            spans = attacks_between(self._data_dir, from_ms=0, until_ms=clock.now_ms())
            for span in reversed(spans[-MAX_REPORTS:]):
                if not span.ended_ms or at_s - self._failed_s.get(span.number, -AGAIN_S) < AGAIN_S:
                    continue
                if self._folder.report(span.number) is None:
                    return span
        except (InsightUnreadable, OSError) as error:
            log.debug("attacks cannot be read: %s", error)
        return None

    def _write(self, span: AttackSpan) -> str:
        """Write the report; return the problem, or ""."""
        try:
            window = make.window_of(span, now_ms=clock.now_ms())
            data = make.read(self._data_dir, window, domain=self._domain, countries=self._countries)
            make.store(self._data_dir, span.number, data)
        except (InsightUnreadable, SetupError) as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        except (
            Exception
        ):  # a task's outermost handler: a record that it cannot explain must not end the watch
            log.exception("the report about attack %d failed", span.number)
            return "an error; see the log"
        return ""

    def _load(self) -> tuple[PublicReport, ...]:
        """Return the published reports; those that are loaded are not read again."""
        loaded = {report.number: report for report in self._loaded}
        found: list[PublicReport] = []
        try:
            for number in self._folder.published()[:MAX_SHOWN]:
                report = loaded.get(number) or self._public(number)
                if report is not None:
                    found.append(report)
        except OSError as error:
            log.warning("published reports cannot be read: %s", error)
            return self._loaded
        return tuple(found)

    def _public(self, number: int) -> PublicReport | None:
        about = self._folder.report(number)
        forms = {form: self._folder.read(number, "public", form) for form in FORMS}
        if about is None or None in forms.values():
            return None
        bodies = {form: body for form, body in forms.items() if body is not None}
        return PublicReport(number, about.from_ms, about.summary[0], bodies)
