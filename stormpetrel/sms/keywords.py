"""The words that stop, start and explain messages: by law and habit they work for anyone, in every language.

A message is such a word only as a whole: "Stop the war" is a post. Texts are compared as filters compare them
(NFKC and case folding, `model/characters.py`), because upper case is another alphabet in Georgian.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from stormpetrel.model import characters


class OptKeyword(enum.Enum):
    """NEAR_STOP: a request that is probably an opt-out. Ask what it means, and never post it."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    NEAR_STOP = "near stop"


@dataclass(frozen=True, slots=True)
class OptMessage:
    """A recognised message, and the language (ISO 639-1) of its word."""

    keyword: OptKeyword
    language: str


WORDS: dict[str, dict[OptKeyword, tuple[str, ...]]] = {
    "en": {
        # FCC 24-18 names stop, quit, end, revoke, opt out, cancel and unsubscribe.
        OptKeyword.STOP: (
            *("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE"),
            *("OPTOUT", "OPT OUT", "OPT-OUT"),
        ),
        OptKeyword.START: ("START", "UNSTOP", "SIGNUP"),
        OptKeyword.HELP: ("HELP", "INFO"),
        # Some carriers take REMOVE and TD as opt-outs; as whole posts they are also said of other things.
        OptKeyword.NEAR_STOP: (
            *(
                "stop it",
                "please stop",
                "stop please",
                "stop now",
                "just stop",
                "stop messages",
                "stop texts",
            ),
            *("stop texting", "stop texting me", "please stop texting me", "stop messaging me"),
            *("stop sending me messages", "stop sending me texts", "stop sending messages"),
            *("no more messages", "no more texts", "don't text me", "do not text me", "remove", "remove me"),
            *("please remove me", "take me off", "take me off your list", "remove me from your list"),
            *("unsubscribe me", "please unsubscribe", "please unsubscribe me", "opt me out", "cancel please"),
            *("please cancel", "td"),
        ),
    },
    "es": {
        OptKeyword.STOP: ("ALTO", "PARAR", "BAJA", "CANCELAR"),
        OptKeyword.HELP: ("AYUDA",),
        OptKeyword.NEAR_STOP: ("no más mensajes", "no mas mensajes", "dar de baja", "darme de baja"),
    },
    "fr": {
        OptKeyword.STOP: ("ARRET", "ARRÊT"),
        OptKeyword.HELP: ("AIDE",),
        OptKeyword.NEAR_STOP: ("plus de messages", "me désabonner", "désabonnement"),
    },
    "ru": {
        OptKeyword.STOP: ("СТОП", "ОТПИСКА"),
        OptKeyword.HELP: ("ПОМОЩЬ",),
        OptKeyword.NEAR_STOP: ("отписаться", "отпишите меня", "не пишите мне"),
    },
    "uk": {
        OptKeyword.STOP: ("ВІДПИСКА",),
        OptKeyword.HELP: ("ДОПОМОГА",),
        OptKeyword.NEAR_STOP: ("відписатися", "відпишіть мене", "не пишіть мені"),
    },
    "ka": {
        OptKeyword.STOP: ("სტოპ", "შეწყვეტა"),
        OptKeyword.HELP: ("დახმარება",),
    },
    "ar": {
        OptKeyword.STOP: ("توقف", "إلغاء", "الغاء"),
        OptKeyword.HELP: ("مساعدة",),
    },
}
"""The words by language. A word is listed once, under one language: СТОП is Ukrainian too."""

MOST_CHARACTERS = 60
"""No word is longer, with its quotes and spaces; a longer text is not compared."""

_QUOTES = r"\"'`´‘’‚‛“”„‟«»‹›"
_ENDS = re.compile(rf"^[\s{_QUOTES}]+|[\s{_QUOTES}.!。]+$")
_DASHES = re.compile("[‐‑‒–—−]")
_ARABIC_MARKS = re.compile("[\u0640\u064b-\u0652]")  # written or left out as the writer likes


def recognise(text: str) -> OptMessage | None:
    """Return the keyword of the message; None for every other message.

    Letter case, width, spaces and quotes around the word, and "." and "!" after it do not matter. A "." before
    it makes the message a post.
    """
    text = text.strip()
    if len(text) > MOST_CHARACTERS:
        return None
    return _TABLE.get(_key(text))


def _key(text: str) -> str:
    folded = characters.fold(text).replace("’", "'")
    plain = _ARABIC_MARKS.sub("", _DASHES.sub("-", folded))
    return " ".join(_ENDS.sub("", plain).split())


_TABLE = {
    _key(word): OptMessage(keyword, language)
    for language, keywords in WORDS.items()
    for keyword, words in keywords.items()
    for word in words
}
