"""The outcome of a message, and what its effect needs to know besides the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from stormpetrel.errors import Refusal
from stormpetrel.gateway.commands import TextCommand
from stormpetrel.model.phone import Phone, PhoneKeys
from stormpetrel.model.quota import Quota
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.sms_spool.inbox import InboxMessage


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A text to send back. `kind` and `lane` as in the log. `once`: only once per number in some time."""

    kind: str
    text: str
    lane: int
    once: str = ""


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """The effect and error in the log's words, the post that was made or changed, and the answers."""

    effect: str
    error: str | None = None
    status_id: int | None = None
    replies: list[AnswerText] = field(default_factory=list)

    def encode(self) -> str:
        """Return the outcome as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> MessageOutcome:
        """Return the outcome that `encode` wrote."""
        return msgspec.json.decode(text, type=MessageOutcome)


class Failure(Refusal):
    """A command that cannot be carried out: `word` of the log's words, `values` for its answer."""

    def __init__(self, word: str, **values: str) -> None:
        super().__init__(word)
        self.word = word
        self.values = values


@dataclass(frozen=True, slots=True)
class PhoneContext:
    """Facts of the instance and of its routes.

    `status(language)` returns the answer to STATUS from memory. `slot(text)` is a row of the quotas' table. `nonces`:
    codes that may be sent per prefix, of which `nonces_of_strangers` for strangers. `joins`: numbers per prefix that
    may begin to follow or sign up on a route whose senders can be forged.
    """

    keys: PhoneKeys
    title: str
    contact: str
    per_day: int
    domain: str
    language: str
    registration: str
    max_characters: int
    delete_window_ms: int
    trusts: Mapping[str, str]
    nonces: Quota
    nonces_of_strangers: Quota
    joins: Quota
    status: Callable[[str], str]
    slot: Callable[[str], int]
    zone_of: Callable[[str], str]
    prefix_of: Callable[[str], str]
    draw_code: Callable[[], str]

    @property
    def legal(self) -> dict[str, object]:
        """Return the values of texts that begin or explain a subscription."""
        return {"site": self.title, "contact": self.contact, "per_day": self.per_day}

    def trust_of(self, route: str) -> str:
        """Return the trust of a route; that of an aggregator for one that is not configured any more."""
        return self.trusts.get(route, "aggregator")


@dataclass(frozen=True, slots=True)
class PhoneRun:
    """One message that is carried out: its command and its phone, None if the number is new."""

    connection: Connection
    message: InboxMessage
    command: TextCommand
    phone: Phone | None
    context: PhoneContext
    now_ms: int

    @property
    def language(self) -> str:
        """Return the language of the phone, or else of the instance."""
        return self.phone.language if self.phone is not None else self.context.language


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One command of a member that is carried out."""

    connection: Connection
    command: TextCommand
    phone: Phone
    account_id: int
    context: PhoneContext
    now_ms: int
