"""The words of commands: every command in every language, each word with one meaning."""

from __future__ import annotations

import pytest

from stormpetrel.gateway.command_words import LANGUAGE_NAMES, NO, SETTINGS, WORDS, YES, Verb
from stormpetrel.sms.keywords import recognise

LANGUAGES = {"en", "es", "fr", "ru", "ka", "uk", "ar"}
WITHOUT_WORDS = {Verb.STOP, Verb.START, Verb.HELP, Verb.CONFIRM, Verb.NONE}


def test_every_language_has_a_word_for_every_command():
    for table in (WORDS, YES, NO, SETTINGS, LANGUAGE_NAMES):
        assert set(table) == LANGUAGES
    for language, verbs in WORDS.items():
        assert set(verbs) == set(Verb) - WITHOUT_WORDS, language
        assert all(verbs.values()), language
        assert set(SETTINGS[language]) == {"name", "bio", "language", "quiet"}


def test_a_word_means_the_same_in_all_languages():
    meanings: dict[str, object] = {}
    for language in sorted(LANGUAGES):
        named = [
            *WORDS[language].items(),
            ("yes", YES[language]),
            ("no", NO[language]),
        ]
        for meaning, words in named:
            for word in words:
                assert meanings.setdefault(word, meaning) == meaning, word


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_command_word_alone_stops_messages(language):
    for verb, words in WORDS[language].items():
        found = {recognise(word) for word in words} - {None}
        # Alone it starts messages, or asks whether to stop them; with a name it is the command.
        assert not found or verb in {Verb.SIGNUP, Verb.UNFOLLOW}
