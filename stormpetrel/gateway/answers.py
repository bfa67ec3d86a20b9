"""The texts that the gateway sends, from the catalogs in gateway/texts/.

A key is a word of `kind` in the log, alone or with a detail: "stopped", "done-follow", "status-busy". The text for an
error word is under "error-" and this word. Deliveries are composed by gateway/compose.py; "picture", "video", "audio"
and "file" name attachments without a description in them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from stormpetrel.gateway.command_words import Verb
from stormpetrel.gateway.commands import TextCommand
from stormpetrel.model.media import MediaKind
from stormpetrel.model.phone import TEXT_LANGUAGES

LANGUAGES = TEXT_LANGUAGES
"""The languages that have a catalog."""

ERRORS = frozenset(
    "unlinked unknown-user unknown-tag not-understood too-long empty bad-time code-wrong locked name-taken "
    "name-invalid pin-needed pin-wrong pin-locked part-missing rate".split()
)
"""The error words of the log."""

LEGAL = frozenset({"help", "started", "linked", "linked-new", "ask-name", "confirm"})
"""HELP, and the texts that begin a subscription. They may have two segments.

Carriers of the USA ask for the name of the instance, the frequency, the costs, HELP and STOP in the latter, and for a
contact in the former.
"""

_MEDIA = {
    MediaKind.IMAGE: "picture",
    MediaKind.GIFV: "video",
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio",
    MediaKind.UNKNOWN: "file",
}


def answer(key: str, language: str, **values: object) -> str:
    """Return the text in that language ("pt-BR" counts as "pt"), in English if it has no catalog.

    Raise KeyError for an unknown key or a missing value.
    """
    return catalog(catalog_language(language))[key].format_map(values).rstrip()


def error(word: str, language: str, **values: object) -> str:
    """Return the text for an error word of the log."""
    return answer(f"error-{word}", language, **values)


def asked(command: TextCommand, language: str, *, site: str) -> str:
    """Return the question about a message that resembles a command: the text for a command with `near`."""
    if command.near == "STOP":
        return answer("ask-stop", language, site=site)
    key = "ask" if " " in command.near else "ask-incomplete"
    return answer(key, language, near=command.near)


def done(command: TextCommand, language: str, **values: object) -> str:
    """Return the text after a command was carried out. `values`: the name of the account that it was about, if any.

    START, LOCK, HELP and the commands that answer with data have keys of their own; KeyError for these.
    """
    key = f"done-{command.verb}"
    if command.verb in {Verb.QUIET, Verb.DIGEST} or command.key == "quiet":
        return _time_set(command, language)
    if command.verb is Verb.SET:
        key = f"done-set-{command.key}"
    elif command.verb in {Verb.ON, Verb.OFF} and command.name:
        key += "-name"
    elif command.verb is Verb.CONFIRM:
        key = "done-no"
    named = {"name": command.name} if command.name else {}
    return answer(key, language, **{**named, "value": command.text, **values})


def attachments(media: Iterable[tuple[MediaKind, str]], language: str) -> list[str]:
    """Return the description of each attachment, or the word for its kind, as `compose.content` takes them."""
    return [description.strip() or answer(_MEDIA[kind], language) for kind, description in media]


def catalog_language(language: str) -> str:
    """Return the language of the catalog that is used for a language code."""
    head = language.replace("_", "-").partition("-")[0].lower()
    return head if head in LANGUAGES else "en"


@cache
def catalog(language: str) -> dict[str, str]:
    """Return the texts of one of LANGUAGES by key; their values stand in braces."""
    file = files("stormpetrel").joinpath(f"gateway/texts/{language}.toml")
    return tomllib.loads(file.read_text("utf-8"))


def _time_set(command: TextCommand, language: str) -> str:
    verb = "quiet" if command.key == "quiet" else command.verb
    if command.text == "off":
        return answer(f"done-{verb}-off", language)
    if verb == Verb.DIGEST:
        return answer("done-digest", language, time=command.text)
    start, _, end = command.text.partition("-")
    return answer("done-quiet", language, start=start, end=end)
