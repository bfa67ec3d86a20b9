"""An instance whose phones are reached by a carrier (npm smpp): the whole way of a text, through the real roles."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stormpetrel.config import Config
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.process import secret
from stormpetrel.rules import phones
from tests.gateway.carrier import PASSWORD, Carrier, message, running_carrier
from tests.instance import Instance, prepared_instance
from tests.people import Person, Place, now_ms, place_of
from tests.ports import reserved_ports
from tests.waiting import eventually

WINDOW = 50
TO = "40404"
PAGE = 40


def carrier_settings(port: int) -> dict[str, object]:
    """Return the settings of an instance with a route of SMPP, named one, and no limits that tests meet."""
    return {
        "web_workers": 1,
        "sms_route_one_provider": "smpp",
        "sms_route_one_trust": "network",
        "sms_route_one_sender": TO,
        "sms_route_one_host": "127.0.0.1",
        "sms_route_one_port": port,
        "sms_route_one_system_id": "storm",
        "sms_route_one_password": PASSWORD,
        "sms_route_one_window": WINDOW,
        "sms_in_per_minute": 100_000,
        "sms_in_per_hour": 1_000_000,
        "sms_out_per_hour": 100_000,
        "sms_out_per_day": 100_000,
        "shield_requests_per_5min": 0,
    }


@dataclass
class Member:
    """A member and the number of the member's phone, in E.164."""

    person: Person
    number: str

    def text(self, text: str, **pdu: Any) -> dict[str, Any]:
        """Return a message of this phone, for `Carrier.deliver`."""
        return message(self.number[1:], TO, text, **pdu)

    def posts(self) -> list[str]:
        """Return the texts of all posts that the API shows, the oldest first."""
        found: list[str] = []
        last: dict[str, str] = {}
        while True:
            page = self.person.get(f"/api/v1/accounts/{self.person.id}/statuses", limit=PAGE, **last)
            if not page:
                return found[::-1]
            found += [re.sub("<[^>]+>", "", one["content"]) for one in page]
            last = {"max_id": page[-1]["id"]}


@dataclass
class CarrierPlace:
    """An instance, its carrier, and members with phones."""

    place: Place
    carrier: Carrier
    members: list[Member] = field(default_factory=list)

    @property
    def instance(self) -> Instance:
        return self.place.instance

    @property
    def data_dir(self) -> Path:
        return Path(self.instance.environ["STORMPETREL_DATA_DIR"])

    def add_members(self, count: int) -> list[Member]:
        """Create members with linked phones."""
        keys = PhoneKeys(secret.load(Config(data_dir=self.data_dir)))
        made = []
        for _ in range(count):
            member = Member(
                self.place.person("texter"), f"+1555{2_000_000 + len(self.members) + len(made):07}"
            )
            self.place.write(
                phones.link, account_id=member.person.id, number=member.number, route="one", keys=keys,
                zone="UTC", language="en", now_ms=now_ms(),
            )  # fmt: skip
            made.append(member)
        self.members += made
        return made

    def send(self, texts: Sequence[tuple[str, str]], *, lane: int = 2) -> list[str]:
        """Queue texts (number, text) by the command line; return their ids."""
        path = self.instance.directory / "texts.jsonl"
        path.write_text("".join(json.dumps({"to": to, "text": text}) + "\n" for to, text in texts), "utf-8")
        done = self.instance.run_cli("sms", "send", "--from", str(path), "--lane", str(lane), "--json")
        ids: list[str] = json.loads(done.stdout)["ids"]
        return ids

    def log(self, direction: str, *more: str) -> list[dict[str, Any]]:
        """Return the records of `stormpetrel sms log`."""
        done = self.instance.run_cli("sms", "log", "--direction", direction, "--limit", "100000", *more)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def status(self) -> dict[str, Any]:
        """Return `stormpetrel sms status`."""
        found: dict[str, Any] = json.loads(self.instance.run_cli("sms", "status", "--json").stdout)
        return found

    def wait_until_done(self, within_s: float = 60.0) -> None:
        """Wait until no message waits for its effect and no text for the carrier."""
        eventually(
            self.status,
            lambda found: not found["inbox"]["waiting"] and not found["outbox"]["waiting"],
            within_s,
        )

    def restart_by_kill(self, *arguments: str) -> None:
        """Send SIGKILL to all processes of the instance at once, and start it again."""
        self.instance.kill()
        self.instance.start(*arguments)


@contextlib.contextmanager
def carrier_place(
    directory: Path, database_url: str, *, carrier: dict[str, Any] | None = None, **settings: object
) -> Iterator[CarrierPlace]:
    """Yield a running instance and its carrier. `carrier`: settings of carrier.mjs."""
    with (
        reserved_ports(1) as (port,),
        running_carrier(port=port, window=WINDOW, **(carrier or {})) as smsc,
        prepared_instance(directory, database_url, **(carrier_settings(port) | settings)) as instance,
    ):
        instance.start()
        with place_of(instance, database_url) as place:
            yield CarrierPlace(place, smsc)


def submitted_texts(carrier: Carrier) -> Counter[tuple[str, str]]:
    """Return how often the carrier has accepted each (number, text in GSM's default alphabet or UCS-2)."""
    return Counter(
        (f"+{event['pdu']['destination_addr']}", _text_of(event["pdu"])) for event in carrier.all("submitted")
    )


def _text_of(pdu: dict[str, Any]) -> str:
    short = pdu["short_message"]
    found = short.get("message", short)
    octets = bytes.fromhex(found["hex"]) if isinstance(found, dict) else None
    if octets is None:
        return str(found)
    return octets.decode("utf-16-be") if pdu["data_coding"] == 8 else octets.decode("latin-1")
