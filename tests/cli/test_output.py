"""The displayed progress of long work never goes back, even if the reported figures do."""

from __future__ import annotations

import pytest

from stormpetrel.cli import output
from stormpetrel.cli.output import Progress


@pytest.fixture
def told(monkeypatch, capsys):
    """Return a function that reports each call as progress and returns the lines shown."""
    monkeypatch.setattr(output, "LINE_EVERY_S", 0.0)

    def tell(*calls):
        progress = Progress("work")
        for call in calls:
            progress.at(*call)
        progress.end()
        return capsys.readouterr().err.splitlines()

    return tell


def test_progress_never_passes_a_hundred_percent(told):
    assert told((74, 60, "late")) == ["work: 100 % (late)"]


def test_progress_never_goes_back(told):
    assert told((5, 10, "first"), (1, 10, "second"), (6, 10, "third")) == [
        "work: 50 % (first)",
        "work: 50 % (second)",
        "work: 60 % (third)",
    ]


def test_where_the_whole_is_not_known_there_is_no_percentage(told):
    assert told((0, 0, "planning"), (1200, 0, "media files")) == ["work: planning", "work: 1,200 media files"]
