"""A linter over the words of a public edition: it may name no culprit, no country and no client.

The table has words that name or suggest an actor. A report states measurements; who sent the requests is not
measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FORBIDDEN = {
    "an actor": (
        "hacker|hackers|hacktivist|hacktivists|criminal|criminals|cybercriminal|cybercriminals|terrorist|terrorists|"
        "script kiddie|script kiddies|threat actor|threat actors|culprit is|perpetrator|perpetrators|adversary|"
        "adversaries|enemy|enemies|gang|gangs|mafia|troll army|troll farm|mercenaries|spies|Anonymous Sudan|KillNet|"
        "NoName057|Lizard Squad|Fancy Bear|Lazarus Group|APT[0-9]+"
    ),
    "a state": (
        "state-sponsored|state sponsored|state-backed|nation-state|nation state|government-backed|secret service|"
        "intelligence service|military|Kremlin|Pentagon|FSB|GRU|NSA|CIA|Mossad|PLA"
    ),
    "a country or people": (
        "Afghanistan|Albania|Algeria|Argentina|Armenia|Australia|Austria|Azerbaijan|Bangladesh|Belarus|Belgium|"
        "Brazil|Bulgaria|Canada|Chile|China|Colombia|Croatia|Cuba|Cyprus|Czechia|Denmark|Egypt|Estonia|Ethiopia|"
        "Finland|France|Georgia|Germany|Greece|Hungary|Iceland|India|Indonesia|Iran|Iraq|Ireland|Israel|Italy|Japan|"
        "Kazakhstan|Kenya|Korea|Kosovo|Kuwait|Latvia|Lebanon|Libya|Lithuania|Malaysia|Mexico|Moldova|Mongolia|"
        "Morocco|Myanmar|Nepal|Netherlands|Nigeria|Norway|Pakistan|Palestine|Peru|Philippines|Poland|Portugal|Qatar|"
        "Romania|Russia|Saudi Arabia|Serbia|Singapore|Slovakia|Slovenia|Somalia|South Africa|Spain|Sudan|Sweden|"
        "Switzerland|Syria|Taiwan|Thailand|Tunisia|Turkey|Türkiye|Ukraine|United Kingdom|United States|Uzbekistan|"
        "Venezuela|Vietnam|Yemen|Zimbabwe|America|Britain|England|Europe|Asia|Africa|"
        "Russian|Russians|Chinese|Iranian|Iranians|American|Americans|Ukrainian|Ukrainians|Israeli|Israelis|"
        "British|Turkish|Indian|Indians|Pakistani|Belarusian|Georgian|North Korean|Arab|Arabs"
    ),
    "guilt": (
        "to blame|guilty|revenge|retaliation|motive|motives|politically motivated|orchestrated by|carried out by"
    ),
}
"""Kind → words, as alternatives of a pattern. They are found as whole words, in any case."""
_PATTERNS = {
    kind: re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE) for kind, words in FORBIDDEN.items()
}
_SHAPES = {
    "an address": re.compile(
        r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|(?<![\w:])(?:[0-9a-f]{1,4}:){3,}[0-9a-f:]*|"
        r"(?<![\w:])[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*::[0-9a-f:]*",
        re.IGNORECASE,
    ),
    "an account": re.compile(r"(?<![\w/])/?@\w+|\b(?:account|device|visitor|token):[0-9a-f]+"),
    "a mail address": re.compile(r"[\w.+-]+@[\w-]+\.\w+"),
    "a token": re.compile(r"(?<![\w.])(?=[0-9]*[a-f])[0-9a-f]{16,}\b", re.IGNORECASE),
    "a phone number": re.compile(r"(?<![\w,.])\+\d{7,15}\b"),
}


@dataclass(frozen=True, slots=True)
class ForbiddenWord:
    """A word that a public edition may not have. `kind`: as in FORBIDDEN. `line`: from 1."""

    kind: str
    word: str
    line: int
    place: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.word!r} names {self.kind}: {self.place}"


def findings(text: str, *, identities: Iterable[str] = ()) -> Iterator[ForbiddenWord]:
    """Yield every forbidden word of a text with its place.

    `identities`: those of the journal ("account:12", "token:ab12…", addresses), which are searched for as they are.
    """
    private = tuple(identity for identity in identities if len(identity) >= 4 and not identity.isalpha())
    for number, line in enumerate(text.splitlines(), start=1):
        for kind, pattern in (*_PATTERNS.items(), *_SHAPES.items()):
            for found in pattern.finditer(line):
                yield ForbiddenWord(kind, found[0], number, _around(line, found.start()))
        for identity in private:
            position = line.find(identity)
            if position >= 0:
                yield ForbiddenWord("a client", identity, number, _around(line, position))


def is_plain_name(name: str) -> bool:
    """Return whether the name of an application can be public: short, and nothing in it names a person or place."""
    return bool(re.fullmatch(r"[A-Za-z][\w .+()-]{1,31}", name)) and not any(findings(name))


def _around(line: str, position: int) -> str:
    return line[max(0, position - 30) : position + 50].strip()
