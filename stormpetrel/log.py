"""Logs: one JSON object a line on stderr, made with the standard library.

    {"at": "2026-01-31T12:00:00.123Z", "level": "info", "role": "web-0", "pid": 4711, "from": "stormpetrel.serve",
     "text": "…", and what the call gave as `extra`}

What goes into a line is up to the call, and no call may give it a password, a token or a secret.
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
    """A record as one line of JSON; a traceback becomes the text `traceback` in it."""

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
        # ASCII only: what strangers send can neither break a line nor steer the terminal that shows it.
        return json.dumps(line, default=str, separators=(",", ":"))


class StderrHandler(logging.Handler):
    """Writes each line in one call, so that lines of several processes do not get mixed.

    When stderr is gone (a closed terminal), lines are dropped: nobody reads them, and serving goes on.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode()
        except Exception:  # as logging itself does: a bad log call must not break who made it
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
    """Sends every logger's lines of `level` (a key of LEVELS) and above to stderr, marked with `role`.

    Calling it again, as a forked process does, replaces what was set before.
    """
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter(role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(capture=True)
