"""Opt-out, opt-in and help words: all languages, any case, whole messages only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.keywords import MOST_CHARACTERS, WORDS, OptKeyword, OptMessage, recognise

STOP, START, HELP, NEAR_STOP = OptKeyword
PAIRS = [
    (word, OptMessage(keyword, language))
    for language, keywords in WORDS.items()
    for keyword, words in keywords.items()
    for word in words
]
PROMISED_STOPS = (
    "STOP,STOPALL,STOP ALL,UNSUBSCRIBE,CANCEL,END,QUIT,REVOKE,OPTOUT,OPT OUT,OPT-OUT,ARRET,ARRÊT,ALTO,PARAR,BAJA,"
    "CANCELAR,СТОП,ОТПИСКА,ВІДПИСКА,სტოპ,შეწყვეტა,توقف,إلغاء"
)


def keyword(text):
    found = recognise(text)
    return found and found.keyword


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (PROMISED_STOPS, STOP),
        ("START,UNSTOP,SIGNUP", START),
        ("HELP,INFO,AIDE,AYUDA,ПОМОЩЬ,ДОПОМОГА,დახმარება,مساعدة", HELP),
        ("stop texting me,please stop,remove me,stop it,unsubscribe me,REMOVE,TD", NEAR_STOP),
    ],
)
def test_each_word_that_people_rely_on_is_recognised(words, expected):
    for word in words.split(","):
        assert keyword(word) is expected, word


@pytest.mark.parametrize(("word", "expected"), PAIRS)
def test_case_quotes_spaces_and_points_do_not_matter(word, expected):
    for form in (
        *(word.lower(), word.upper(), word.title(), word.swapcase()),
        *(f"  {word}\n", f"“{word}”", f"'{word}'.", f"«{word}!»", f"{word}!!!", f"{word} ."),
        word.replace(" ", "   "),
        *(f"\u200f{word}\ufeff", f"{word}{' ' * 100}", f"\n{' ' * 100}{word}"),
    ):
        assert recognise(form) == expected, form


def test_no_word_is_listed_twice():
    words = [word.casefold() for word, _ in PAIRS]
    assert len(words) == len(set(words))
    assert max(map(len, words)) + 10 < MOST_CHARACTERS


@pytest.mark.parametrize(
    "text",
    ["ＳＴＯＰ", "ｓｔｏｐ！", "ᲡᲢᲝᲞ", "arre\u0302t", "opt–out", "opt‑out", "توقّف", "تـوقف", "الغاء", "СтОп"],
)
def test_other_forms_of_the_same_letters_are_the_word(text):
    assert keyword(text) is STOP


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Stop the war",
            ".stop",
            ". stop",
            "“.stop”",
            "stop?",
            "stop, please!?",
            "stops",
            "s t o p",
            "#stop",
        ),
        *(
            "The end",
            "end of story",
            "on",
            "cancel culture",
            "help me move",
            "@stop",
            "стоп-кадр",
            "",
            " ",
            "!",
        ),
        *("stop " * 30, "non stop", "start a garden", "ბოლო სტოპ კადრი", "1", "unsubscribe from hate"),
    ],
)
def test_other_messages_are_posts(text):
    assert recognise(text) is None


@given(st.text(max_size=100))
def test_any_text_can_be_asked_about(text):
    found = recognise(text)
    assert found is None or found.language in WORDS
