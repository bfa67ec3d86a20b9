"""The texts of the gateway: complete in every language, short, and with the words that the law asks for."""

from __future__ import annotations

import string

import pytest

from stormpetrel.gateway.answers import (
    ERRORS,
    LANGUAGES,
    LEGAL,
    answer,
    asked,
    attachments,
    catalog,
    done,
    error,
)
from stormpetrel.gateway.command_words import LANGUAGE_NAMES, Verb
from stormpetrel.gateway.commands import parse
from stormpetrel.model.media import MediaKind
from stormpetrel.sms.split import split

VALUES = {
    "site": "Stormpetrel",
    "contact": "help@example.org",
    "name": "robin_42",
    "near": "UNFOLLOW robin_42",
    "display": "Robin",
    "bio": "",
    "value": "Robin",
    "code": "482913",
    "tag": 123,
    "most": 500,
    "per_day": 20,
    "minutes": 10,
    "left": 4,
    "part": 2,
    "posts": 120,
    "followers": 45,
    "following": 33,
    "waiting": 12,
    "time": "18:00",
    "start": 22,
    "end": 7,
}
SENT_KINDS = (
    "help stopped started linked nonce ask-name ask confirm locked saved stranger whois stats".split()
)


def placeholders(text):
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_catalog_has_every_key_with_the_same_values(language):
    english, other = catalog("en"), catalog(language)
    assert list(other) == list(english)
    for key, text in other.items():
        assert placeholders(text) == placeholders(english[key]), key
        assert text == text.strip() != "", key
    assert set(LANGUAGES) == set(LANGUAGE_NAMES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_one_segment_and_those_by_law_at_most_two(language):
    sizes = {key: split(answer(key, language, **VALUES)) for key in catalog(language)}
    texts = {key: "".join(segments.texts) for key, segments in sizes.items()}
    for keys in (sizes.keys() - LEGAL, LEGAL):
        longest = max(keys, key=lambda key: (sizes[key].coding.value, len(texts[key])))
        print(f"{language}: {len(texts[longest])} {sizes[longest].coding.name} {longest}: {texts[longest]}")
    over = {key: texts[key] for key in sizes if len(sizes[key]) > (2 if key in LEGAL else 1)}
    assert not over


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_that_begin_a_subscription_name_what_the_law_asks_for(language):
    for key in LEGAL - {"help"}:
        text = answer(key, language, **VALUES)
        for part in ("Stormpetrel", "20", "HELP", "STOP"):
            assert part in text, (key, part)
    assert "help@example.org" in answer("help", language, **VALUES)
    assert "Msg & data rates may apply" in answer("confirm", "en", **VALUES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_word_and_every_kind_has_a_text(language):
    assert {key.removeprefix("error-") for key in catalog(language) if key.startswith("error-")} == ERRORS
    for word in ERRORS:
        assert error(word, language, **VALUES)
    assert set(SENT_KINDS) <= set(catalog(language))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("follow bob", "You follow @bob. OFF bob stops the SMS."),
        ("on", "SMS is on. OFF turns it off."),
        ("on bob", "Posts of @bob now come by SMS."),
        ("quiet 22-7", "No SMS from 22:00 to 7:00."),
        ("set quiet off", "Quiet hours are off."),
        ("digest 18:00", "Your digest comes at 18:00."),
        ("digest off", "The digest is off."),
        ("set name Bob {x}", "Your name is now Bob {x}."),
        ("set language english", "Messages now come in English."),
        ("no", "OK, cancelled."),
    ],
)
def test_a_command_has_its_answer(text, expected):
    assert done(parse(text), "en") == expected


@pytest.mark.parametrize("verb", "follow unfollow on off leave del set block mute report".split())
def test_each_command_that_changes_a_setting_has_a_text(verb):
    assert Verb(verb)
    assert any(key == f"done-{verb}" or key.startswith(f"done-{verb}-") for key in catalog("en"))


def test_a_message_that_resembles_a_command_is_asked_about():
    assert asked(parse("folow bob"), "en", site="Stormpetrel").startswith(
        "Did you mean FOLLOW bob? Reply YES."
    )
    assert "reply STOP" in asked(parse("please stop"), "en", site="Stormpetrel")
    assert asked(parse("follow"), "en", site="Stormpetrel").startswith("FOLLOW is not complete")


def test_other_languages_get_english_and_regions_their_language():
    assert answer("done-no", "de") == answer("done-no", "") == "OK, cancelled."
    assert answer("done-no", "fr-CA") == answer("done-no", "fr") != "OK, cancelled."


def test_an_empty_value_leaves_no_space_at_the_end():
    assert answer("whois", "en", **VALUES) == "@robin_42 Robin: 120 posts, 45 followers."


def test_a_missing_value_is_an_error():
    with pytest.raises(KeyError):
        answer("done-follow", "en")


def test_attachments_are_described_or_named():
    media = [(MediaKind.IMAGE, " A boat "), (MediaKind.GIFV, ""), (MediaKind.AUDIO, " ")]
    assert attachments(media, "es") == ["A boat", "Video", "Audio"]


def test_posts_and_reactions_have_no_text_because_each_would_cost_money():
    for verb in "post reply dm rt like".split():
        assert not any(key.startswith(f"done-{verb}") for key in catalog("en"))
