"""The documents of the status page by path, rendered from memory when they are asked for, at most once a second."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.insight.html import POLICY as REPORT_POLICY
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.process.document import HTML, Document
from stormpetrel.storage.insight_folder import FORMS
from stormpetrel.watch.status import badge, feed, summary
from stormpetrel.watch.status.page import POLICY, history_page, incident_page, status_page
from stormpetrel.watch.status.view import PublicReport, StatusView

FRESH_S = 1.0
"""With FRESH_S here and MAX_AGE_S in caches no document is older than 5 s, and neither is a measurement."""
MAX_AGE_S = 2
MAX_DOCUMENTS = 256
_INCIDENT = re.compile(r"incidents/([0-9a-f]{1,32})\Z")
_REPORT = re.compile(r"insight/(\d{1,9})(?:\.(md|json|csv))?\Z")
_MONTH = re.compile(r"history/(\d{4})-(\d\d)\Z")
_BADGE = re.compile(r"badge/([a-z_]{1,20})\.svg\Z")


class StatusSite:
    """The documents. `view` returns the present data, `clock_s` a monotonic time."""

    def __init__(self, view: Callable[[], StatusView], *, clock_s: Callable[[], float]) -> None:
        self._view = view
        self._clock_s = clock_s
        self._documents: BoundedTable[str, tuple[float, Document]] = BoundedTable(
            MAX_DOCUMENTS, evicts=Eviction.OLDEST
        )
        self._viewed: tuple[float, StatusView] | None = None

    def find(self, path: str) -> Document | None:
        """Return the document of a path of a request; None if there is none."""
        if not path.startswith("/"):
            return None
        now_s = self._clock_s()
        stored = self._documents.get(path)
        if stored is not None and now_s - stored[0] < FRESH_S:
            return stored[1]
        document = rendered(path[1:], self._present(now_s))
        if document is not None:
            self._documents.put(path, (now_s, document))
        return document

    def _present(self, now_s: float) -> StatusView:
        if self._viewed is None or now_s - self._viewed[0] >= FRESH_S:
            self._viewed = (now_s, self._view())
        return self._viewed[1]


def rendered(path: str, view: StatusView) -> Document | None:
    """Return a document of the view by its path without the first slash; None if there is none."""
    if path == "":
        return _html(status_page(view))
    endpoint = summary.ENDPOINTS.get(path)
    if endpoint is not None:
        return _public(summary.CONTENT_TYPE, summary.encoded(endpoint(view)))
    if path == "history.atom":
        return _public(feed.CONTENT_TYPE, feed.atom(view))
    if path == "badge.svg":
        return _public(badge.CONTENT_TYPE, badge.overall_badge(view))
    if found := _BADGE.match(path):
        body = badge.channel_badge(view, found[1])
        return None if body is None else _public(badge.CONTENT_TYPE, body)
    if found := _REPORT.match(path):
        report = next((one for one in view.reports if one.number == int(found[1])), None)
        return None if report is None else _report(report, found[2] or "html")
    if found := _INCIDENT.match(path):
        incident = next((one for one in view.incidents if one.id == found[1]), None)
        return None if incident is None else _html(incident_page(view, incident))
    return _history(path, view)


def paths(view: StatusView) -> list[str]:
    """Return the paths of all documents of a view, without the first slash."""
    now = datetime.fromtimestamp(view.now_epoch_s, UTC)
    months = {f"{datetime.fromtimestamp(one.started_ms / 1000, UTC):%Y-%m}" for one in view.incidents}
    return [
        "",
        *summary.ENDPOINTS,
        "history.atom",
        "badge.svg",
        *(f"badge/{one.channel}.svg" for one in view.channels if one.channel in CHANNEL_NAMES),
        "history",
        *(f"history/{month}" for month in sorted(months | {f"{now:%Y-%m}"})),
        *(f"incidents/{one.id}" for one in view.incidents),
        *(f"insight/{one.number}{end}" for one in view.reports for end in ("", ".md", ".json", ".csv")),
    ]


def _history(path: str, view: StatusView) -> Document | None:
    now = datetime.fromtimestamp(view.now_epoch_s, UTC)
    if path == "history":
        return _html(history_page(view, now.year, now.month, root=""))
    found = _MONTH.match(path)
    if found is None or not (2000 <= int(found[1]) <= now.year and 1 <= int(found[2]) <= 12):
        return None
    return _html(history_page(view, int(found[1]), int(found[2]), root="../"))


def _report(report: PublicReport, form: str) -> Document:
    if form == "html":
        policy = f"{REPORT_POLICY}; frame-ancestors 'none'"
        return Document(HTML, report.forms[form], policy=policy, max_age_s=MAX_AGE_S)
    return _public(FORMS[form], report.forms[form])


def _html(body: bytes) -> Document:
    return Document(HTML, body, policy=POLICY, max_age_s=MAX_AGE_S)


def _public(content_type: str, body: bytes) -> Document:
    return Document(content_type, body, is_public=True, max_age_s=MAX_AGE_S)
