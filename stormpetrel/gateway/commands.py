"""Commands by SMS: reads the request in a message.

A message is a command only if all of it fits the grammar; every other message is a post. Letter case, width and
spaces do not matter. The words of each command by language are in gateway/command_words.py.

    FOLLOW bob  UNFOLLOW bob  GET bob  WHOIS bob  LEAVE bob  BLOCK bob  MUTE bob  REPORT bob  ON [bob]  OFF [bob]
    R 3 text  LIKE 3  LIKE bob  RT 3  RT bob  MORE [3]  D bob text  POST text  .text  DEL  STATUS  STATS  LOCK
    QUIET 22-7  QUIET OFF  DIGEST 18:00  DIGEST OFF  SET NAME|BIO|LANGUAGE|QUIET value  GO 482913  YES  NO

Some posts look like commands ("On fire", "R 3 people hurt"). The parser returns the command; the gateway finds no
such account or delivery, and its answer explains how to post the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from stormpetrel.gateway import command_words
from stormpetrel.gateway.command_words import Verb
from stormpetrel.model import characters
from stormpetrel.model.account import MAX_USERNAME, username_problem
from stormpetrel.sms.keywords import OptKeyword, recognise

ALL = frozenset(command_words.WORDS)
"""The languages that have command words, ISO 639-1."""

MOST_CHARACTERS = 80
"""A longer message can only be a command that carries a text: a post, a reply, a direct message, a setting."""
MOST_TAG = 99_999


@dataclass(frozen=True, slots=True)
class TextCommand:
    """A parsed message.

    `name`: a username in lower case without "@"; the receiver of a direct message may be no valid one. `tag`: the
    number of a delivery. `text`: the text to post or send, unchanged; the value of a setting; the code of GO; for
    QUIET "22-7" or "off", for DIGEST "18:00" or "off". `key`: for SET one of name, bio, language and quiet; for
    CONFIRM yes or no. `error`: the error word of a command that cannot be carried out: empty, bad-time or
    not-understood. `near`: the command that the message resembles, such as "FOLLOW bob", or only its word; `verb` is
    NONE then. Ask, and do not post.
    """

    verb: Verb
    name: str = ""
    tag: int | None = None
    text: str = ""
    key: str = ""
    error: str = ""
    near: str = ""


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The words of a message, folded, and its text from each of them on, as written."""

    words: tuple[str, ...]
    tails: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    def after(self, count: int) -> _Arguments:
        return _Arguments(self.words[count:], self.tails[count:])

    def text_from(self, place: int) -> str:
        return self.tails[place] if place < len(self.tails) else ""


_Entry = tuple[Verb, str]  # with the `key` of CONFIRM
_Table = dict[str, _Entry]

_TOKEN = re.compile(r"\S+")
_MOST_TOKENS = 8  # a command word has at most three words, and a command without text at most five arguments
_MOST_TOKEN_CHARACTERS = 64
_ARABIC_MARKS = re.compile("[\u0640\u064b-\u0652]")  # written or left out as the writer likes
_CODE = re.compile(r"\d{5,8}|\d{10}")
_CODE_DIGITS = (6, 10)  # of the codes that the web shows
_HOUR = r"(\d{1,2})(?::?(\d\d))?\s?([ap]m)?"
_HOURS = re.compile(rf"{_HOUR}\s?[-‐‑‒–—−]\s?{_HOUR}")
_TIME = re.compile(_HOUR)
_RECEIVER = re.compile(r"@.+|\+?\w[\w.@+-]*")  # also what is no username: an address, a telephone number
_TIME_LIKE = re.compile(r"[\d\s:.apm‐‑‒–—−-]+")
_POINTS = ".．。"


def parse(text: str, *, languages: Iterable[str] = ALL) -> TextCommand:
    """Return the command of the message, or a POST with its text. Never raises.

    `languages`: the languages whose command words count; English always does, and so do the words that stop, start
    and explain messages in every language.
    """
    opt = recognise(text)
    if opt is not None:
        return _OPT[opt.keyword]
    message = characters.trimmed(text)
    if message[:1] and message[0] in _POINTS and not _continues_point(message[1:2]):
        return _post(message[1:])
    arguments = _arguments(message)
    if len(arguments) == 0:
        return _post(message)
    table = _table(frozenset(languages))
    is_short = len(message) <= MOST_CHARACTERS
    found = _command(arguments, table, is_short=is_short)
    if found is None and is_short:
        found = _near(arguments, table)
    return found or _post(message)


def _continues_point(after: str) -> bool:
    """Return True if the point before this character is part of the text: "...", ".5"."""
    return after != "" and (after in _POINTS or after.isdigit())


def _command(arguments: _Arguments, table: _Table, *, is_short: bool) -> TextCommand | None:
    for count in (3, 2, 1):
        if count > len(arguments):
            continue
        words = " ".join(arguments.words[:count])
        entry = table.get(words) or _direct_entry(words, table)
        if entry is None or not (is_short or entry[0] in _WITH_TEXT):
            continue
        found = _FORMS[entry[0]](entry, arguments.after(count))
        if found is not None:
            return found
    if len(arguments) == 1:
        entry = table.get(arguments.words[0].rstrip(".!"))
        if entry is not None and entry[0] in _POINTED:
            return TextCommand(entry[0], key=entry[1])
    return None


def _direct_entry(words: str, table: _Table) -> _Entry | None:
    """Return the entry of "DM:", which must not make a post of a direct message. "D:" may begin one."""
    entry = table.get(words.rstrip(":")) if len(words) > len("d:") else None
    return entry if entry is not None and entry[0] is Verb.DM else None


def _key(word: str) -> str:
    return _ARABIC_MARKS.sub("", characters.fold(word).replace("’", "'"))


def _arguments(message: str) -> _Arguments:
    words: list[str] = []
    tails: list[str] = []
    for match in _TOKEN.finditer(message):
        if len(words) == _MOST_TOKENS:
            break
        word = _key(match[0][:_MOST_TOKEN_CHARACTERS])
        if word:  # a token of direction marks has none
            words.append(word)
            tails.append(message[match.start() :])
    return _Arguments(tuple(words), tuple(tails))


@lru_cache(maxsize=128)
def _table(languages: frozenset[str]) -> _Table:
    """Return the folded words of the languages. Where two languages differ, the later one in WORDS yields."""
    table: _Table = {}
    for language, verbs in command_words.WORDS.items():
        if language != "en" and language not in languages:
            continue
        entries = [((verb, ""), words) for verb, words in verbs.items()]
        entries.append(((Verb.CONFIRM, "yes"), command_words.YES[language]))
        entries.append(((Verb.CONFIRM, "no"), command_words.NO[language]))
        for entry, words in entries:
            for word in words:
                table.setdefault(_key(word), entry)
    return table


# The forms of commands. Each returns None if the arguments do not fit: then the message is a post.


def _post(text: str) -> TextCommand:
    trimmed = characters.trimmed(text)
    return TextCommand(Verb.POST, text=trimmed, error="empty" if characters.is_blank(trimmed) else "")


def _alone(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    return TextCommand(entry[0], key=entry[1]) if len(arguments) == 0 else None


def _with_name(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    name = _name_of(arguments.words[0]) if len(arguments) == 1 else None
    return TextCommand(entry[0], name=name) if name else None


def _alone_or_with_name(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    return _alone(entry, arguments) or _with_name(entry, arguments)


def _with_tag(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    tag = _tag_of(arguments.words[0]) if len(arguments) == 1 else None
    return TextCommand(entry[0], tag=tag) if tag else None


def _alone_or_with_tag(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    return _alone(entry, arguments) or _with_tag(entry, arguments)


def _with_tag_or_name(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    return _with_tag(entry, arguments) or _with_name(entry, arguments)


def _posted(entry: _Entry, arguments: _Arguments) -> TextCommand:
    return _post(arguments.text_from(0))


def _reply(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    tag = _tag_of(arguments.words[0]) if len(arguments) else None
    if tag is None:
        return None
    text = arguments.text_from(1)
    return TextCommand(Verb.REPLY, tag=tag, text=text, error="" if text else "empty")


def _direct_message(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    """Take any word as the receiver: a message to a mistyped name must not become public."""
    word = arguments.words[0].rstrip(":,;") if len(arguments) else ""
    if not _RECEIVER.fullmatch(word):
        return None
    text = arguments.text_from(1)
    return TextCommand(Verb.DM, name=word.removeprefix("@"), text=text, error="" if text else "empty")


def _quiet(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    return _timed(entry[0], arguments, _hours_of)


def _digest(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    return _timed(entry[0], arguments, _time_of)


def _timed(verb: Verb, arguments: _Arguments, read: Callable[[str], str | None]) -> TextCommand | None:
    value = " ".join(arguments.words)
    if value in _OFF:
        return TextCommand(verb, text="off")
    if not value[:1].isdigit() or len(arguments) > 5:
        return None
    time = read(value)
    if time is None:
        # "Quiet 3 days now" is a post.
        return TextCommand(verb, error="bad-time") if _TIME_LIKE.fullmatch(value) else None
    return TextCommand(verb, text=time)


def _setting(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    key = _SETTING_KEYS.get(arguments.words[0]) if len(arguments) else None
    if key is None:
        return None
    text = arguments.text_from(1)
    value = " ".join(arguments.words[1:])
    if not text:
        return TextCommand(Verb.SET, key=key, error="empty")
    if key == "language":
        language = _LANGUAGES.get(value)
        return TextCommand(Verb.SET, key=key, text=language or "", error="" if language else "not-understood")
    if key == "quiet":
        hours = "off" if value in _OFF else _hours_of(value)
        return TextCommand(Verb.SET, key=key, text=hours or "", error="" if hours else "bad-time")
    return TextCommand(Verb.SET, key=key, text=text)


def _code(entry: _Entry, arguments: _Arguments) -> TextCommand | None:
    code = "".join(arguments.words).replace("-", "").rstrip(".")
    return TextCommand(Verb.GO, text=_ascii_digits(code)) if _CODE.fullmatch(code) else None


def _name_of(word: str) -> str | None:
    name = word.removeprefix("@")
    return None if len(name) > MAX_USERNAME or username_problem(name) else name


def _tag_of(word: str) -> int | None:
    digits = word.removeprefix("#").rstrip(":,")
    if not digits.isdecimal() or len(digits) > len(str(MOST_TAG)):
        return None
    tag = int(digits)
    return tag if 1 <= tag <= MOST_TAG else None


def _ascii_digits(text: str) -> str:
    return "".join(str(int(digit)) for digit in text)


def _hour_of(hour: str, minutes: str | None, half: str | None) -> tuple[int, int] | None:
    """Return hour and minute of a time of day; None if there is no such time. 24:00 is 0:00."""
    number, minute = int(hour), int(minutes or 0)
    if half is not None:
        if not 1 <= number <= 12:
            return None
        number = number % 12 + (12 if half == "pm" else 0)
    if number > 24 or minute > 59 or (number == 24 and minute):
        return None
    return number % 24, minute


def _time_of(value: str) -> str | None:
    """Return a time of day as "18:00", or None."""
    match = _TIME.fullmatch(value)
    time = _hour_of(*match.groups()) if match else None
    return f"{time[0]:02}:{time[1]:02}" if time else None


def _hours_of(value: str) -> str | None:
    """Return two full hours that differ as "22-7", or None."""
    match = _HOURS.fullmatch(value)
    if match is None:
        return None
    begin, end = _hour_of(*match.groups()[:3]), _hour_of(*match.groups()[3:])
    if begin is None or end is None or begin == end or begin[1] or end[1]:
        return None
    return f"{begin[0]}-{end[0]}"


_OPT = {
    OptKeyword.STOP: TextCommand(Verb.STOP),
    OptKeyword.START: TextCommand(Verb.START),
    OptKeyword.HELP: TextCommand(Verb.HELP),
    OptKeyword.NEAR_STOP: TextCommand(Verb.NONE, near="STOP"),
}
_OFF = frozenset(_key(word) for verbs in command_words.WORDS.values() for word in verbs[Verb.OFF])
_SETTING_KEYS = {
    _key(word): key
    for settings in command_words.SETTINGS.values()
    for key, words in settings.items()
    for word in words
}
_LANGUAGES = {
    _key(name): code for code, names in command_words.LANGUAGE_NAMES.items() for name in (code, *names)
}

_POINTED = frozenset({Verb.LOCK, Verb.CONFIRM})  # a point that the phone adds must not make a post of them
_WITH_TEXT = frozenset({Verb.POST, Verb.REPLY, Verb.DM, Verb.SET})
_FORMS: dict[Verb, Callable[[_Entry, _Arguments], TextCommand | None]] = {
    **dict.fromkeys((Verb.DEL, Verb.STATUS, Verb.STATS, Verb.LOCK, Verb.CONFIRM), _alone),
    **dict.fromkeys((Verb.FOLLOW, Verb.UNFOLLOW, Verb.LEAVE, Verb.GET, Verb.WHOIS), _with_name),
    **dict.fromkeys((Verb.BLOCK, Verb.MUTE, Verb.REPORT), _with_name),
    **dict.fromkeys((Verb.ON, Verb.OFF, Verb.SIGNUP), _alone_or_with_name),
    **dict.fromkeys((Verb.RT, Verb.LIKE), _with_tag_or_name),
    Verb.MORE: _alone_or_with_tag,
    Verb.POST: _posted,
    Verb.REPLY: _reply,
    Verb.DM: _direct_message,
    Verb.QUIET: _quiet,
    Verb.DIGEST: _digest,
    Verb.SET: _setting,
    Verb.GO: _code,
}

# Messages that resemble a command.

_ASKED = frozenset({Verb.FOLLOW, Verb.UNFOLLOW, Verb.BLOCK, Verb.REPORT, Verb.WHOIS, Verb.QUIET, Verb.DIGEST})
_LEAST_FOR_SLIP = 4  # letters of a word in which a slip is looked for
_LEAST_FOR_SUBSTITUTION = 6  # "Black cat" is not a mistyped BLOCK


def _near(arguments: _Arguments, table: _Table) -> TextCommand | None:
    """Return NONE with the command that the message resembles: a mistyped or incomplete command, or a bare code.

    Only messages of one or two words are compared: "Fallow fields all around" is a post.
    """
    first = arguments.words[0]
    if len(arguments) == 1:
        code = first.rstrip(".")
        if len(code) in _CODE_DIGITS and code.isdecimal():
            return TextCommand(Verb.NONE, near=f"GO {_ascii_digits(code)}")
        verb = table.get(first, (Verb.NONE, ""))[0]
        is_asked = verb in _ASKED and len(first) >= _LEAST_FOR_SLIP
        return TextCommand(Verb.NONE, near=_english(verb)) if is_asked else None
    if len(arguments) != 2:
        return None
    entry = table.get(first) if first in table else _mistyped(first, table)
    if entry is None or entry[0] in _WITH_TEXT:
        return None
    if first in table and entry[0] not in _ASKED:
        return None
    second = (arguments.words[1].rstrip("."),)  # a phone may add the point
    found = _FORMS[entry[0]](entry, _Arguments(second, second))
    if found is None or found.error:
        return None
    value = found.name or (str(found.tag) if found.tag else found.text)
    return TextCommand(Verb.NONE, near=f"{_english(entry[0])} {value}")


def _english(verb: Verb) -> str:
    return command_words.WORDS["en"][verb][0].upper()


def _mistyped(word: str, table: _Table) -> _Entry | None:
    if word in command_words.ORDINARY_WORDS:
        return None
    return next((entry for known, entry in table.items() if _is_slip(word, known)), None)


def _is_slip(word: str, known: str) -> bool:
    """Return True if one letter is missing or added, two are swapped, or in a long word one is another.

    Another last letter, or an "s" or "d" after it, makes another form of the word ("Likes cats"), and is no slip.
    """
    if len(known) < _LEAST_FOR_SLIP or abs(len(word) - len(known)) > 1 or word == known:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), None)
    if start is None:
        return len(word) < len(known) or word[-1] not in "sd"
    if start == 0:
        return False
    if len(word) > len(known):
        return word[start + 1 :] == known[start:]
    if len(word) < len(known):
        return word[start:] == known[start + 1 :]
    is_swap = (
        word[start : start + 2] == known[start : start + 2][::-1] and word[start + 2 :] == known[start + 2 :]
    )
    is_inner = start + 1 < len(known)
    is_other = is_inner and len(known) >= _LEAST_FOR_SUBSTITUTION and word[start + 1 :] == known[start + 1 :]
    return is_swap or is_other
