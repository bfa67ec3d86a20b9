"""The words for each means of attack."""

from __future__ import annotations

from stormpetrel.insight.vectors import WORDS, words_of
from stormpetrel.model.attack import UNKNOWN_VECTOR, VECTORS


def test_every_vector_that_the_watch_can_name_has_words_and_advice():
    assert set(WORDS) == {*VECTORS, UNKNOWN_VECTOR}
    for words in WORDS.values():
        assert words.title
        assert words.about
        assert words.advice.endswith(".")
        assert words.command.startswith("stormpetrel ")


def test_a_vector_of_a_later_release_is_shown_as_unknown():
    assert words_of("a_new_one") is WORDS[UNKNOWN_VECTOR]
