"""Makes a report: reads the two files, and renders both editions in all forms."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

from stormpetrel.errors import SetupError
from stormpetrel.insight.countries import countries_of
from stormpetrel.insight.csv_form import csv_text
from stormpetrel.insight.document import InsightReport, plain
from stormpetrel.insight.edition import public_data
from stormpetrel.insight.html import html
from stormpetrel.insight.json_form import json_text
from stormpetrel.insight.markdown import markdown
from stormpetrel.insight.sections import report_of
from stormpetrel.insight.words import ForbiddenWord, findings
from stormpetrel.model.attack import AttackSpan
from stormpetrel.model.insight import EDITIONS, ReportData, ReportWindow
from stormpetrel.storage.insight import identities_in_journal, read_report_data
from stormpetrel.storage.insight_folder import FORMS, InsightFolder, ReportAbout

_STYLESHEET = re.compile(r"<style>.*?</style>", re.DOTALL)
MAX_FINDINGS = 5
"""How many words a refusal to publish names."""


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report in one edition, with the data that it shows."""

    report: InsightReport
    data: ReportData

    def form(self, name: str) -> str:
        """Return the text of a form, one of FORMS."""
        match name:
            case "html":
                return html(self.report)
            case "md":
                return markdown(self.report)
            case "json":
                return json_text(self.report, self.data)
            case _:
                return csv_text(self.data)


def window_of(span: AttackSpan, *, now_ms: int, last_moment_ms: int = 0) -> ReportWindow:
    """Return the time of an attack. One that is not over lasts until the last moment that was recorded, or until now.

    If the watch was stopped in an attack, its end is not known.
    """
    until_ms = span.ended_ms or min(now_ms, last_moment_ms or now_ms)
    return ReportWindow(span.onset_ms, until_ms, now_ms, is_over=span.ended_ms > 0)


def read(data_dir: Path, window: ReportWindow, *, domain: str, countries: str = "") -> ReportData:
    """Return the data of a report, for the internal edition. `countries`: the operator's table, or "".

    Raise InsightUnreadable, and SetupError for a table that cannot be read.
    """
    data = read_report_data(data_dir, window, domain=domain)
    return replace(data, countries=countries_of(data_dir, window, table=countries)) if countries else data


def made(data: ReportData, *, edition: str) -> MadeReport:
    """Return an edition of the report."""
    shown = public_data(data) if edition == "public" else data
    return MadeReport(report_of(shown, edition=edition), shown)


def store(data_dir: Path, number: int, data: ReportData) -> ReportAbout:
    """Write both editions of the report about an attack to the folder. Raise OSError."""
    files: dict[tuple[str, str], str] = {}
    summary: tuple[str, ...] = ()
    for edition in EDITIONS:
        one = made(data, edition=edition)
        summary = tuple(plain(line) for line in one.report.summary)
        files |= {(edition, form): one.form(form) for form in FORMS}
    window = data.window
    about = ReportAbout(number, window.from_ms, window.until_ms, window.made_ms, summary)
    InsightFolder(data_dir).write(about, files)
    return about


def publish(data_dir: Path, number: int, *, domain: str) -> None:
    """Make the public edition of a report public. Raise SetupError if there is none, or if it names anyone.

    All forms are checked as they are stored: an operator may have edited them.
    """
    folder = InsightFolder(data_dir)
    if folder.report(number) is None:
        raise SetupError(f"there is no report about attack {number} (stormpetrel insight list)")
    identities = identities_in_journal(data_dir)
    for form in FORMS:
        body = folder.read(number, "public", form)
        if body is None:
            raise SetupError(f"the public edition of report {number} has no file in the form {form}")
        found = found_in(body.decode(errors="replace"), domain=domain, identities=identities)
        if found:
            raise SetupError(
                f"the report is not published: in its {form} file, "
                + "; ".join(str(one) for one in found[:MAX_FINDINGS])
            )
    folder.publish(number)


def withdraw(data_dir: Path, number: int) -> None:
    """End the publication of a report. Raise SetupError if there is no such report: a wrong number must not look as
    if the public one were gone.
    """
    folder = InsightFolder(data_dir)
    if folder.report(number) is None and not folder.is_published(number):
        raise SetupError(f"there is no report about attack {number} (stormpetrel insight list)")
    folder.withdraw(number)


def found_in(text: str, *, domain: str, identities: frozenset[str] = frozenset()) -> list[ForbiddenWord]:
    """Return the words that a public text may not have. The server's own name is no finding.

    `text`: in any form. The stylesheet of a page is left out: "@media" is not an account.
    """
    shown = unescape(_STYLESHEET.sub("", text)).replace(domain, "this server")
    return list(findings(shown, identities=identities))
