"""Asks the accounts behind the hot pages of a new report whether it may name them, and knows those that agreed.

The store may be down: then they are asked later, and the accounts that agreed stay as they were last read. After a
start, none is named until the store has answered.
"""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import Any

from stormpetrel import clock
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.config import Config
from stormpetrel.errors import StormpetrelError
from stormpetrel.insight.naming import agreed, with_accounts
from stormpetrel.model.naming import NamingQuestion, hot_accounts
from stormpetrel.own_thread import in_own_thread
from stormpetrel.rules import naming as rules
from stormpetrel.storage.engine.connection import connect, transaction
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.storage.engine.slots import connected
from stormpetrel.storage.insight_folder import MAX_PUBLISHED, InsightFolder
from stormpetrel.watch.status.view import PublicReport

EVERY_S = 5.0
"""An answer is on the status page this long after it was given, at most."""
ASKED_WITHIN_MS = 86_400_000
"""Accounts are asked about reports that were made in this time: not about all of the past after an update."""

log = logging.getLogger(__name__)

Agreed = dict[int, tuple[NamingQuestion, ...]]
"""Questions whose accounts agreed, by the beginning of the attack."""


class NamedAccounts:
    """See the module."""

    def __init__(self, config: Config) -> None:
        self._url = config.database_url
        self._folder = InsightFolder(config.data_dir)
        self._agreed: Agreed = {}
        self._named: BoundedTable[int, tuple[PublicReport, tuple[NamingQuestion, ...], PublicReport]]
        self._named = BoundedTable(MAX_PUBLISHED, evicts=Eviction.OLDEST)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask and read answers until `stop` is set."""
        is_well = True
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            step = in_own_thread(self._step)
            # A store that hangs must not delay the end of the watch.
            both: set[asyncio.Future[Any]] = {step, stopping}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                break
            try:
                self._agreed = step.result()
                is_well = True
            except Exception as error:
                if not (isinstance(error, StormpetrelError | OSError) or store_failed(error)):
                    raise
                if is_well:
                    log.warning("accounts behind hot pages cannot be asked now: %s", error)
                is_well = False
            await asyncio.wait({stopping}, timeout=EVERY_S)
        stopping.cancel()

    def named(self, report: PublicReport) -> PublicReport:
        """Return a public report with the accounts that agreed to be named in it."""
        questions = self._agreed.get(report.from_ms, ())
        if not questions:
            return report
        known = self._named.get(report.number)
        if known is not None and known[0] is report and known[1] == questions:
            return known[2]
        forms = {
            form: with_accounts(body, form, questions, edition="public")
            for form, body in report.forms.items()
        }
        named = PublicReport(report.number, report.from_ms, report.summary, forms)
        self._named.put(report.number, (report, questions, named))
        return named

    # In a thread

    def _step(self) -> Agreed:
        reports = self._folder.reports()
        for report in reports:
            is_new = clock.now_ms() - report.made_ms < ASKED_WITHIN_MS
            if is_new and not self._folder.is_asked(report.number):
                shares = self._shares(report.number)
                if shares:
                    self._ask(shares, began_ms=report.from_ms, ended_ms=report.until_ms)
                self._folder.set_asked(report.number)
        began = [report.from_ms for report in reports if report.is_published]
        return self._answers(began) if began else {}

    def _shares(self, number: int) -> dict[str, float]:
        """Return the accounts behind the hot pages of a report, with their part of its requests."""
        body = self._folder.read(number, "internal", "json")
        try:
            found = json.loads(body or b"{}")
            pages = {
                row["key"]["page"]: row["numbers"]["sampled"]["value"] or 0
                for row in found["tables"]["pages"]
            }
            return hot_accounts(pages, requests=found["numbers"]["sampled"]["value"] or 0)
        except (ValueError, KeyError, TypeError) as error:
            # An operator may edit the files.
            log.warning("the pages of report %d cannot be read: %s", number, error)
            return {}

    def _ask(self, shares: dict[str, float], *, began_ms: int, ended_ms: int) -> None:
        ask = partial(rules.ask, shares=shares, began_ms=began_ms, ended_ms=ended_ms, now_ms=clock.now_ms())
        with connected(self._url) as connection, transaction(connection):
            ask(connection)

    def _answers(self, began: list[int]) -> Agreed:
        connection = connect(self._url, writes=False)
        try:
            questions = rules.questions_about(connection, from_ms=min(began), until_ms=max(began))
        finally:
            connection.close()
        found: dict[int, list[NamingQuestion]] = {}
        for one in agreed(questions):
            found.setdefault(one.began_ms, []).append(one)
        return {began_ms: tuple(some) for began_ms, some in found.items()}
