"""The finished reports, files in `insight` in the data directory: each in two editions and four forms.

The watch writes them; administrators' pages and the status page read them. Only the owner may read the files. It is
bounded: reports of the newest MAX_REPORTS attacks stay, and those that were published.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

FOLDER_NAME = "insight"
FORMS = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
"""The ends of the files' names, and their content types."""
MAX_REPORTS = 50
MAX_PUBLISHED = 200
_NAME = re.compile(r"attack-(\d{1,9})\.about\Z")


@dataclass(frozen=True, slots=True)
class ReportAbout:
    """A line in the list of reports. `number`: of the attack. `summary`: the first sentences."""

    number: int
    from_ms: int
    until_ms: int
    made_ms: int
    summary: tuple[str, ...]
    is_published: bool = False


class InsightFolder:
    """The folder. Raises OSError."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FOLDER_NAME

    def write(self, about: ReportAbout, files: Mapping[tuple[str, str], str]) -> None:
        """Store a report. `files`: the texts by (edition, form). Its line is written last: then it is complete."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        for (edition, form), text in files.items():
            self._put(self._file(about.number, edition, form), text.encode())
        self._put(self._about(about.number), msgspec.json.encode(about))
        self._bound()

    def reports(self) -> list[ReportAbout]:
        """Return the reports, of the newest attack first. A file that cannot be read is left out."""
        found = []
        for number in self._numbers():
            about = self.report(number)
            if about is not None:
                found.append(about)
        return found

    def report(self, number: int) -> ReportAbout | None:
        """Return one report's line; None if there is no complete report."""
        try:
            about = msgspec.json.decode(self._about(number).read_bytes(), type=ReportAbout)
        except (OSError, msgspec.DecodeError):
            return None
        return replace(about, is_published=self.is_published(number))

    def read(self, number: int, edition: str, form: str) -> bytes | None:
        """Return a form of an edition; None if there is none."""
        try:
            return self._file(number, edition, form).read_bytes()
        except FileNotFoundError:
            return None

    def published(self) -> list[int]:
        """Return the numbers of the reports that are public, the newest first."""
        return [number for number in self._numbers() if self.is_published(number)]

    def is_published(self, number: int) -> bool:
        """Return whether the public edition is public."""
        return self._mark(number).exists()

    def publish(self, number: int) -> None:
        """Make the public edition public."""
        self._put(self._mark(number), b"")

    def withdraw(self, number: int) -> None:
        """End that."""
        self._mark(number).unlink(missing_ok=True)

    def is_asked(self, number: int) -> bool:
        """Return whether the accounts behind its hot pages were asked if the report may name them."""
        return self._asked(number).exists()

    def set_asked(self, number: int) -> None:
        """Note that they were asked."""
        self._put(self._asked(number), b"")

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted((int(found[1]) for name in names if (found := _NAME.match(name))), reverse=True)

    def _bound(self) -> None:
        numbers = self._numbers()
        kept = {*numbers[:MAX_REPORTS], *[n for n in numbers if self.is_published(n)][:MAX_PUBLISHED]}
        for number in set(numbers) - kept:
            for path in self.path.glob(f"attack-{number}[.-]*"):
                path.unlink(missing_ok=True)

    def _file(self, number: int, edition: str, form: str) -> Path:
        return self.path / f"attack-{number:d}-{edition}.{form}"

    def _about(self, number: int) -> Path:
        return self.path / f"attack-{number:d}.about"

    def _mark(self, number: int) -> Path:
        return self.path / f"attack-{number:d}.published"

    def _asked(self, number: int) -> Path:
        return self.path / f"attack-{number:d}.asked"

    def _put(self, path: Path, body: bytes) -> None:
        """Write a file as a whole: a reader never finds half of it, and a full disk leaves the old one."""
        new = path.with_name(f".{path.name}.new")
        try:
            handle = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise
