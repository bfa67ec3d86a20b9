"""Logs: one JSON object per line on stderr, made with the standard library.

    {"at": "2026-01-31T12:00:00.123Z", "level": "info", "role": "web-0", "pid": 42, "from": "stormpetrel.roles.serve",
     "text": "…", and the fields that the call passed as `extra`}

The call chooses the content; no call may log a password, a token or a secret.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; a traceback becomes the field `traceback`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "role": self.role,
            "pid": os.getpid(),
            "from": record.name,
            "text": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in line:
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # ASCII only: text from clients can neither break a line nor control the terminal that shows it.
        return json.dumps(line, default=str, separators=(",", ":"))


class StderrHandler(logging.Handler):
    """Writes each line in one call, so that lines of several processes do not mix.

    When stderr is closed (with its terminal), lines are dropped: no one can read them, and serving continues.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode()
        except Exception:  # as logging itself does: a bad log call must not break its caller
            self.handleError(record)
            return
        try:
            written = os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, line)
            while written < len(line):
                line = line[written:]
                written = os.write(2, line)
        except OSError:
            return


def configure(level: str, *, role: str) -> None:
    """Send every logger's lines of `level` (a key of LEVELS) and above to stderr, marked with `role`.

    A second call, as in a forked process, replaces the settings of the first.
    """
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter(role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(capture=True)
