"""The canary for text messages: the whole way of a message, without a carrier, and nothing left behind."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormpetrel.config import Config
from stormpetrel.process import secret
from stormpetrel.shield.canary import HEADER, mark
from stormpetrel.storage.sms_spool import canary, inbox, outbox
from stormpetrel.storage.sms_spool.file import FILE_NAME, open_spool
from tests.gateway.phones import drop, route_settings
from tests.instance import Instance, running_instance
from tests.waiting import eventually

KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def drop_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def instance(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, drop_in: Path
) -> Iterator[Instance]:
    directory = tmp_path_factory.mktemp("canary")
    database = directory / "stormpetrel.db"
    database.write_bytes(Path(sqlite_template).read_bytes())
    with running_instance(directory, f"sqlite:///{database}", **route_settings(drop_in)) as running:
        yield running


def fetch(url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data=body, headers=headers or {}), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def channels(instance: Instance) -> dict[str, str]:
    """Return what the status page says of each channel of text messages."""
    found = json.loads(fetch(f"{instance.status_url}/api/v2/components.json")[1])["components"]
    return {one["name"]: one["status"] for one in found if one["name"].startswith("SMS ")}


def own_mark(instance: Instance) -> dict[str, str]:
    key = secret.load(Config(data_dir=Path(instance.environ["STORMPETREL_DATA_DIR"])))
    return {HEADER.decode(): mark(key, at_epoch_s=int(time.time()))}


def status(instance: Instance) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(instance.run_cli("sms", "status", "--json").stdout)
    return found


def spooled(instance: Instance, question: str) -> int:
    raw = sqlite3.connect(Path(instance.environ["STORMPETREL_DATA_DIR"]) / FILE_NAME)
    try:
        return int(raw.execute(question).fetchone()[0])
    finally:
        raw.close()


def test_both_channels_are_on_the_status_page_and_work(instance: Instance) -> None:
    eventually(
        lambda: channels(instance), lambda found: found == {"SMS in": "operational", "SMS out": "operational"}
    )
    page = fetch(f"{instance.status_url}/")[1]
    assert re.search(r"<h3>SMS in</h3><small>\d+ ms · measured <time ", page)


def test_the_canary_is_in_no_figure_and_in_no_log(instance: Instance, drop_in: Path) -> None:
    eventually(lambda: spooled(instance, "SELECT count(*) FROM inbox WHERE number = 'canary'"))
    found = status(instance)
    assert found["inbox"] == {"stored": 0, "waiting": 0, "dropped": 0}
    assert (found["outbox"]["waiting"], found["outbox"]["sent"]) == (0, 0)
    assert instance.run_cli("sms", "log").stdout == ""
    assert list((drop_in / "out").glob("*.json")) == []


def test_sending_fails_alone_while_every_route_is_paused(instance: Instance) -> None:
    instance.run_cli("sms", "pause", "drop")
    eventually(
        lambda: channels(instance),
        lambda found: found == {"SMS in": "operational", "SMS out": "major_outage"},
    )
    instance.run_cli("sms", "resume", "drop")
    eventually(lambda: channels(instance).get("SMS out"), lambda found: found == "operational")


@pytest.mark.parametrize("forged", [{}, {HEADER.decode(): "1.0"}, {HEADER.decode(): "x" * 200}])
def test_a_stranger_can_send_none(instance: Instance, forged: dict[str, str]) -> None:
    url = f"{instance.sms_url}/sms/{canary.ROUTE}?key={KEY}"
    assert fetch(url, body=b"HELP", headers=forged)[0] == 403
    assert fetch(url, headers=forged)[0] == 403
    assert spooled(instance, f"SELECT count(*) FROM inbox WHERE key LIKE '%{KEY}'") == 0


def test_only_help_with_a_key_is_taken_and_only_once(instance: Instance) -> None:
    url = f"{instance.sms_url}/sms/{canary.ROUTE}?key="
    for key, body in (("", b"HELP"), (KEY, b"hello"), ("x" * 16, b"HELP")):
        assert fetch(url + key, body=body, headers=own_mark(instance))[0] == 400
    for _ in range(2):
        assert fetch(url + KEY, body=b"HELP", headers=own_mark(instance)) == (200, '{"receives": true}')
    eventually(
        lambda: json.loads(fetch(url + KEY, headers=own_mark(instance))[1]),
        lambda found: found == {"answered": True, "sends": True},
    )
    assert spooled(instance, f"SELECT count(*) FROM outbox WHERE key LIKE '%{KEY}%'") == 1


def test_no_provider_can_hand_over_its_number(instance: Instance, drop_in: Path) -> None:
    drop(drop_in, canary.NUMBER, "STATUS")
    eventually(lambda: not list((drop_in / "in").glob("*.json")))
    assert spooled(instance, "SELECT count(*) FROM inbox WHERE route = 'drop'") == 0


def test_what_is_older_is_deleted_and_messages_of_people_stay(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool, spool.transaction() as db:
        assert canary.put(db, key="_canary:a", text="HELP", now_ms=1000)
        assert not canary.put(db, key="_canary:a", text="HELP", now_ms=1000)
        assert canary.put(db, key="_canary:b", text="", now_ms=3000)
        inbox.put(db, key="r:1", route="r", number="+1", receiver="", text="hello", now_ms=1000)
        made = outbox.put(
            db, key="_canary:a#0", route=canary.ROUTE, number=canary.NUMBER, text="up", kind="status", lane=2,
            segments=1, now_ms=1000, expires_ms=9000,
        )  # fmt: skip
        assert made is not None
        assert canary.message_key(db, message_id=made) == "_canary:a"
        assert inbox.waiting_count(db) == 1
        assert outbox.lanes(db) == {}
        assert canary.prune(db, before_ms=2000) == ["_canary:a"]
        assert canary.message_key(db, message_id=made) == ""
        left = [key for (key,) in db.execute("SELECT key FROM inbox ORDER BY id")]
        assert left == ["_canary:b", "r:1"]
