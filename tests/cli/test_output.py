"""The displayed progress of long work never goes back, even if the reported figures do."""

from __future__ import annotations

import json

import pytest

from stormpetrel.cli import output
from stormpetrel.cli.output import Progress, fitted, json_text, width


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


def test_json_has_no_character_that_controls_a_terminal_and_says_the_same():
    value = {"name": "Ünal 漢 \x1b[2J \x7f \x9b31m \u202e \U000e0041 \ud800", "list": ["a\nb"]}
    for text in (json_text(value), json_text(value, indent=2)):
        assert json.loads(text) == value
        assert "Ünal 漢" in text
        assert "\\u009b31m \\u202e \\udb40\\udc41 \\ud800" in text
        assert not set("\x1b\x7f\x9b\u202e\U000e0041\ud800") & set(text)


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("漢字", 4, "漢字"),
        ("漢字", 3, "漢…"),
        ("漢字", 2, "…"),
        ("", 0, ""),
    ],
)
def test_a_text_is_cut_by_the_columns_that_it_takes(text, columns, shown):
    assert fitted(text, columns, end="…") == shown
    assert width(shown) <= columns
