"""The directory as a provider, with real files."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import Accepted, LinkState, SubmitFailed
from stormpetrel.gateway.providers import file as file_provider
from stormpetrel.gateway.providers.file import BATCH, FileProvider, make
from tests.gateway.inbox import MemoryInbox, route, run, unit, until


def provider_in(directory) -> FileProvider:
    return make(route("file", directory=str(directory)))


def put(directory, name, content, age_s=0.0):
    path = directory / "in" / name
    unfinished = directory / f"{name}.new"
    unfinished.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    now = time.time() - age_s
    os.utime(unfinished, (now, now))
    unfinished.replace(path)
    return path


def message(id="a", text="hello", **more):
    return {"id": id, "from": "+15551234567", "to": "40404", "text": text} | more


def served(directory, body, inbox=None):
    """Run `body(provider, inbox)` while the provider runs."""
    inbox = inbox or MemoryInbox()

    async def main():
        provider = provider_in(directory)
        await provider.start(inbox)
        try:
            return await body(provider, inbox)
        finally:
            await provider.stop()

    return run(main)


def test_a_file_is_stored_under_its_id_and_removed(tmp_path):
    async def body(provider, inbox):
        path = put(tmp_path, "1.json", message(unknown=[1]))
        await until(lambda: not path.exists())
        (stored,) = inbox.messages
        assert (stored.key, stored.sender, stored.receiver, stored.text) == (
            "a",
            "+15551234567",
            "40404",
            "hello",
        )
        assert provider.state is LinkState.UP

    served(tmp_path, body)


def test_files_are_stored_oldest_first_also_more_than_a_batch(tmp_path):
    count = 2 * BATCH + 5
    provider_in(tmp_path)
    for number in range(count):
        put(tmp_path, f"{count - number}.json", message(str(number), f"text {number}"), age_s=500 - number)

    async def body(provider, inbox):
        await until(lambda: len(inbox.messages) == count)
        assert inbox.texts == [f"text {number}" for number in range(count)]

    served(tmp_path, body)


def test_a_file_stays_until_its_message_is_stored_and_a_repeated_id_is_removed(tmp_path):
    inbox = MemoryInbox()
    inbox.is_full = True

    async def body(provider, inbox):
        path = put(tmp_path, "1.json", message())
        await asyncio.sleep(0.2)
        assert path.exists()
        inbox.is_full = False
        await until(lambda: not path.exists())
        again = put(tmp_path, "2.json", message())
        await until(lambda: not again.exists())
        assert (len(inbox.messages), inbox.repeated) == (1, 1)

    served(tmp_path, body, inbox)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"text": "%s"}' % (b"x" * 70_000),
        message(id=""),
        message(id=7),
        message(id="x" * 201),
        message(text=None),
        message(**{"from": ""}),
    ],
)
def test_a_file_that_is_no_message_is_moved_aside(tmp_path, content):
    provider_in(tmp_path)
    bad = put(tmp_path, "bad.json", content, age_s=10)
    good = put(tmp_path, "good.json", message())

    async def body(provider, inbox):
        await until(lambda: not bad.exists() and not good.exists())
        assert (tmp_path / "in" / "bad" / "bad.json").exists()
        assert len(inbox.messages) == 1

    served(tmp_path, body)


def test_a_file_that_is_still_written_is_given_time(tmp_path, monkeypatch):
    monkeypatch.setattr(file_provider, "SETTLE_S", 30.0)

    async def body(provider, inbox):
        path = tmp_path / "in" / "slow.json"
        whole = json.dumps(message())
        with open(path, "w", encoding="utf-8") as file:
            file.write(whole[:20])
            file.flush()
            await asyncio.sleep(0.2)
            assert path.exists()
            file.write(whole[20:])
        await until(lambda: inbox.messages)

    served(tmp_path, body)


def test_other_files_links_and_directories_are_left_alone(tmp_path):
    provider_in(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(message("secret")))
    (tmp_path / "in" / "link.json").symlink_to(secret)
    (tmp_path / "in" / "folder.json").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.json")
    put(tmp_path, "notes.txt", b"?", age_s=10)
    put(tmp_path, ".hidden.json", message("hidden"))

    async def body(provider, inbox):
        put(tmp_path, "last.json", message("last"))
        await until(lambda: inbox.messages)
        assert [each.key for each in inbox.messages] == ["last"]
        # Its file goes after its text is stored.
        await until(lambda: len(os.listdir(tmp_path / "in")) == 6)

    served(tmp_path, body)


def test_a_lone_surrogate_cannot_break_the_store(tmp_path):
    async def body(provider, inbox):
        put(tmp_path, "1.json", b'{"id": "a", "from": "+1", "to": "", "text": "a\\ud800b"}')
        await until(lambda: inbox.messages)
        assert inbox.texts == ["a?b"]

    served(tmp_path, body)


def test_a_unit_becomes_a_whole_file_and_the_same_unit_again_the_same_file(tmp_path):
    async def body(provider, inbox):
        for _ in range(2):
            assert await provider.send(unit("გამარჯობა", id="12/../x")) == Accepted("12/../x", 1)
        (path,) = (tmp_path / "out").iterdir()
        assert path.name == "12%2F..%2Fx.json"
        assert json.loads(path.read_text(encoding="utf-8")) == {
            "id": "12/../x",
            "to": "+15551234567",
            "from": "40404",
            "text": "გამარჯობა",
            "segments": 1,
        }

    served(tmp_path, body)


def test_a_directory_that_is_gone_is_a_route_that_is_down_until_it_is_back(tmp_path):
    async def body(provider, inbox):
        await until(lambda: provider.state is LinkState.UP)
        (tmp_path / "in").rename(tmp_path / "away")
        (tmp_path / "out").rename(tmp_path / "gone")
        await until(lambda: provider.state is LinkState.DOWN)
        assert isinstance(await provider.send(unit()), SubmitFailed)
        (tmp_path / "away").rename(tmp_path / "in")
        await until(lambda: provider.state is LinkState.UP)

    served(tmp_path, body)


def test_the_directory_must_be_given_and_be_usable(tmp_path):
    with pytest.raises(SetupError, match=r"sms.route.main.directory is missing"):
        make(route("file"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"sms.route.main.directory cannot be used: Not a directory"):
        make(route("file", directory=str(tmp_path / "file")))
