"""Phones that write by a route of files, and read the answers: the whole way through the sms role."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stormpetrel.config import Config
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.process import secret
from stormpetrel.rules import phones
from stormpetrel.storage.sms_spool import state
from stormpetrel.storage.sms_spool.file import open_spool
from tests.people import Person, Place, now_ms
from tests.waiting import eventually

_ids = itertools.count(1)
TO = "40404"


def route_settings(directory: Path) -> dict[str, object]:
    """Return the settings of an instance with a route of files, named drop, and no limits that tests meet."""
    return {
        "web_workers": 1,
        "sms_route_drop_provider": "file",
        "sms_route_drop_directory": directory,
        "sms_route_drop_trust": "device",
        "sms_route_drop_sender": TO,
        "sms_in_per_minute": 1000,
        "sms_in_per_hour": 10_000,
        "sms_out_per_hour": 1000,
        "sms_out_per_day": 1000,
    }


def new_number() -> str:
    """Return a number in Georgia."""
    return f"+9955{secrets.randbelow(10**8):08}"


def drop(directory: Path, number: str, text: str, message_id: str | None = None) -> str:
    """Let a message from the number come in; return its id."""
    message_id = message_id or f"m{os.getpid()}x{next(_ids)}"
    path = directory / "in" / f"{message_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_text(
        json.dumps({"id": message_id, "from": number, "to": TO, "text": text}), encoding="utf-8"
    )
    path.with_suffix(".tmp").rename(path)
    return message_id


def sent(directory: Path) -> list[dict[str, Any]]:
    """Return the texts that were sent, in the order of the ids."""
    records = []
    for path in (directory / "out").glob("o*.json"):
        with contextlib.suppress(FileNotFoundError):
            records.append(json.loads(path.read_text(encoding="utf-8")))
    return sorted(records, key=lambda record: int(record["id"][1:]))


@dataclass
class Handset:
    """A phone. `seen`: how many of the texts that came were read by `next_text`."""

    texting: Texting
    number: str = field(default_factory=new_number)
    seen: int = 0

    def write(self, text: str) -> str:
        """Send a text; return its id."""
        return drop(self.texting.directory, self.number, text)

    def texts(self) -> list[str]:
        """Return all texts that came, in order."""
        return [record["text"] for record in sent(self.texting.directory) if record["to"] == self.number]

    def next_text(self) -> str:
        """Wait for the next text and return it."""
        texts: list[str] = eventually(self.texts, lambda found: len(found) > self.seen)
        self.seen += 1
        return texts[self.seen - 1]

    def ask(self, text: str) -> str:
        """Send a text and return the answer."""
        self.write(text)
        return self.next_text()

    def effect(self, text: str) -> dict[str, Any]:
        """Send a text, wait until it had its effect, and return its record in the log."""
        before = len(self.log("in"))
        self.write(text)
        found: list[dict[str, Any]] = eventually(
            lambda: self.log("in")[before:], lambda records: records and records[0]["state"] == "done"
        )
        return found[0]

    def log(self, direction: str) -> list[dict[str, Any]]:
        """Return the records of `stormpetrel sms log`, read as that command reads them."""
        with open_spool(self.texting.data_dir) as spool:
            found = state.log(spool.raw, direction=direction, number=self.number, since_ms=0, limit=1000)
        return [record for _, _, record in found]

    def show(self) -> dict[str, Any]:
        """Return `stormpetrel sms show`."""
        done = self.texting.place.instance.run_cli("sms", "show", self.number, "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@dataclass
class Texting:
    """A running instance, and the directory of its route."""

    place: Place
    directory: Path

    @property
    def data_dir(self) -> Path:
        """Return the instance's data directory."""
        return Path(self.place.instance.environ["STORMPETREL_DATA_DIR"])

    @property
    def keys(self) -> PhoneKeys:
        """Return the instance's keys."""
        return PhoneKeys(secret.load(Config(data_dir=self.data_dir)))

    def phone(self) -> Handset:
        """Return a phone without an account."""
        return Handset(self)

    def member(self, name: str = "texter", *, pin: str | None = None) -> tuple[Person, Handset]:
        """Return a new member and the member's phone."""
        person, phone = self.place.person(name), self.phone()
        self.place.write(
            phones.link, account_id=person.id, number=phone.number, route="drop", keys=self.keys, zone="UTC",
            language="en", now_ms=now_ms(), pin=pin,
        )  # fmt: skip
        if pin is not None:
            # The role must know it, to tell a PIN from other digits before a text.
            eventually(lambda: self.keys.number_hash(phone.number) in self._known())
        return person, phone

    def _known(self) -> set[bytes]:
        with open_spool(self.data_dir) as spool:
            return {one.number_hash for one in state.known(spool.raw)}
