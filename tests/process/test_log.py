"""Each line of the log is one JSON object, for any logged value."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from stormpetrel.process.log import JsonFormatter


def line_of(*args, level=logging.INFO, error=None, **extra):
    record = logging.getLogger("a.b").makeRecord(
        "a.b",
        level,
        "f.py",
        1,
        args[0],
        args[1:],
        (type(error), error, error.__traceback__) if error else None,
    )
    for name, value in extra.items():
        setattr(record, name, value)
    text = JsonFormatter("web-1").format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_says_when_who_where_and_what():
    line = line_of("%s died", "sms", level=logging.ERROR)
    assert line.pop("at").endswith("Z")
    assert isinstance(line.pop("pid"), int)
    assert line == {"level": "error", "role": "web-1", "from": "a.b", "text": "sms died"}


def test_what_the_call_adds_is_there_and_cannot_replace_the_rest():
    line = line_of("x", request_id="r1", took_ms=1.5, role="fake", something=object)
    assert (line["request_id"], line["took_ms"], line["role"]) == ("r1", 1.5, "web-1")
    assert "object" in line["something"]


def test_an_error_comes_with_its_traceback_on_the_same_line():
    try:
        raise ValueError("line one\nline two")
    except ValueError as error:
        line = line_of("it failed", error=error)
    assert line["traceback"].endswith("ValueError: line one\nline two")


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_decides_and_configuring_again_replaces(level, count):
    program = (
        "import logging; from stormpetrel.process import log\n"
        f"log.configure('debug', role='a'); log.configure('{level}', role='b')\n"
        "for name in ('debug', 'info', 'warning', 'error'): getattr(logging, name)(name + '\\ud800')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["role"] for line in lines] == ["b"] * count


def test_a_closed_stderr_disturbs_nobody():
    program = (
        "import logging, os; from stormpetrel.process import log\n"
        "log.configure('info', role='a'); os.close(2); logging.info('x'); print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "still here\n"
