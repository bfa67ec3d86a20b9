"""The texts of the repository stay as plain as CONTRIBUTING.md asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import plain_english
from tools.plain_english import comments, count, docstrings, groups, per_thousand, places

MOST_PER_THOUSAND = {
    "nobody, somebody, everybody": 0.2,
    "what is … as a noun": 0.2,
    "is told, said, kept": 0.7,
    "whom, whoever": 0.2,
}
"""The level of uvicorn, mitmproxy and aiosmtpd."""


def test_every_turn_has_a_limit():
    assert MOST_PER_THOUSAND.keys() == plain_english.TURNS.keys()


@pytest.mark.parametrize("group", ["code", "tests", "docs", "pages"])
def test_texts_stay_plain(group):
    paths = groups()[group]
    assert len(paths) > 10
    found = per_thousand(paths)
    over = {turn: found[turn] for turn in found if found[turn] > MOST_PER_THOUSAND[turn]}
    if over:
        where = [f"{path}:{line}: {text}" for path in paths for line, text in places(path)]
        pytest.fail("\n".join([str(over), *where]))


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("Nobody may read it", "nobody, somebody, everybody"),
        ("Drops what is left", "what is … as a noun"),
        ("The owner is told", "is told, said, kept"),
        ("For whoever asks", "whom, whoever"),
    ],
)
def test_each_turn_is_counted(text, turn):
    words, found = count([text, "The server notifies the owner."])
    assert (words, found[turn], sum(found.values())) == (len(text.split()) + 5, 1, 1)


def test_a_question_is_no_noun():
    assert not sum(count(["What is served first?"])[1].values())


def test_docstrings_comments_and_pages_are_read_and_code_is_not(tmp_path: Path):
    source = '"""One: nobody."""\nnobody = "nobody"  # two: nobody `nobody`\nX = 1\n"""Three: nobody."""\n'
    assert [line for line, _ in docstrings(source)] == [1, 4]
    assert [(line, text.split()) for line, text in comments(source)] == [(2, ["two:", "nobody"])]
    page = tmp_path / "page.md"
    page.write_text("Nobody\n\n```\nnobody\n```\n\nand `nobody`, everybody\n")
    assert [line for line, _ in places(page)] == [1, 7]
    template = tmp_path / "page.html"
    template.write_text('<a title="x">{% if nobody %}{{ nobody }}\nNobody here</a>')
    assert [line for line, _ in places(template)] == [2]
