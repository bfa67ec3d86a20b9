"""The linter of public editions: which words it finds, and which it leaves alone."""

from __future__ import annotations

import pytest

from stormpetrel.insight import vectors, vocabulary, words
from stormpetrel.insight.words import FORBIDDEN, findings, is_plain_name


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_every_word_of_the_table_is_found_in_any_case_and_as_a_whole_word(kind):
    for word in FORBIDDEN[kind].replace("[0-9]+", "28").split("|"):
        for text in (word, word.upper(), f"seen: {word.lower()}."):
            assert kind in {one.kind for one in findings(text)}, text
        assert not [one for one in findings(f"x{word}x") if one.kind == kind]


def test_a_finding_names_the_line_and_the_words_around_it():
    found = list(findings("Calm.\nIt was a flood by hackers, they say."))
    assert [(one.kind, one.word, one.line) for one in found] == [("an actor", "hackers", 2)]
    assert str(found[0]) == "line 2: 'hackers' names an actor: It was a flood by hackers, they say."


def test_the_words_of_the_reports_themselves_are_allowed():
    texts = [
        text for one in vectors.WORDS.values() for text in (one.title, one.about, one.advice, one.command)
    ]
    for table in (value for value in vars(vocabulary).values() if isinstance(value, dict)):
        texts += [text for text in table.values() if isinstance(text, str)]
    assert [str(one) for text in texts for one in findings(text)] == []


@pytest.mark.parametrize(
    "text", ["at 17:46:40 UTC", "1,332,000 requests", "99.96 %", "version 1.2.3", "attack-3.json"]
)
def test_times_and_numbers_are_no_addresses(text):
    assert list(findings(text)) == []


@pytest.mark.parametrize("name", ["Tusky", "Mastodon for Android", "Ivory 2.1"])
def test_plain_names_of_applications_are_public(name):
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name",
    ["ana@example.org", "@ana", "2001:db8::1", "Kremlin client", "9f86d081884c7d659a2f", "", "x" * 40],
)
def test_names_that_could_be_a_person_or_place_are_not(name):
    assert not is_plain_name(name)


def test_a_private_identity_is_found_wherever_it_is():
    found = list(words.findings("rows,worker web-7,1", identities=["web-7", "abcd", "xy"]))
    assert [(one.kind, one.word) for one in found] == [("a client", "web-7")]
