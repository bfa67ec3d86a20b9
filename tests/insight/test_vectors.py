"""The words for each means of attack."""

from __future__ import annotations

from stormpetrel.insight.vectors import WORDS, words_of
from stormpetrel.insight.vocabulary import MEASURES
from stormpetrel.model.attack import UNKNOWN_VECTOR, VECTORS
from stormpetrel.watch.phases.cohorts import COHORTS
from stormpetrel.watch.phases.measures import figure_name
from stormpetrel.watch.phases.vectors import RULES
from stormpetrel.watch.phases.verdict import SIGNS


def test_every_vector_that_the_watch_can_name_has_words_and_advice():
    assert set(WORDS) == {*VECTORS, UNKNOWN_VECTOR}
    for words in WORDS.values():
        assert words.title
        assert words.about
        assert words.advice.endswith(".")
        assert words.command.startswith("stormpetrel ")


def test_a_vector_of_a_later_release_is_shown_as_unknown():
    assert words_of("a_new_one") is WORDS[UNKNOWN_VECTOR]


def test_every_figure_that_the_watch_may_give_as_evidence_has_words():
    rates = {figure_name(name) for name in COHORTS} | {
        figure_name(name) for rule in RULES for name in rule.of
    }
    features = {need.feature for rule in RULES for need in rule.needs} | {name for name, _ in SIGNS}
    assert rates | features <= set(MEASURES)
