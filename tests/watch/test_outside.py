"""The watch on another machine: the same page without database or secret, and the instance's own word beside it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.watch.outside import (
    INSIDE_SILENT_S,
    NOT_MEASURED,
    PROBES,
    InsideView,
    client_of,
    compared,
    keep_looking_inside,
    status_address,
)
from tests.broken_channels import fetch, stopped
from tests.instance import Instance, clean_environment, running_instance
from tests.ports import reserved_ports
from tests.waiting import eventually
from tests.watch.status.viewing import a_status

MEASURED = {CHANNEL_NAMES[one.channel] for one in PROBES}


def components(instance):
    found = json.loads(fetch(f"{instance.status_url}/api/v2/components.json")[1])["components"]
    return {one["name"]: (one["status"], one["description"]) for one in found}


def test_it_serves_the_page_of_an_instance_that_it_knows_by_its_address_alone(tmp_path, sqlite_url):
    with (
        running_instance(tmp_path / "inside", sqlite_url, web_workers=1) as inside,
        reserved_ports(4) as ports,
    ):
        directory = tmp_path / "outside"
        directory.mkdir()
        environ = clean_environment(
            data_dir=directory / "data", status_port=ports[1], status_export=directory / "page"
        )
        outside = Instance(directory, environ, ports)
        outside.start("--role", "watch", "--of", inside.base_url)
        try:
            found = eventually(
                lambda: components(outside),
                lambda found: (
                    {found[name][0] for name in MEASURED} == {"operational"} and "SMS in" not in found
                ),
            )
            assert set(found) == MEASURED | {"Posting", "Media"}
            said = ("unknown", f"{NOT_MEASURED} The instance itself says: operational.")
            eventually(lambda: components(outside)["Posting"], lambda found: found == said)
            status = json.loads(fetch(f"{outside.status_url}/api/v2/status.json")[1])
            assert status["status"]["indicator"] == "none"
            assert status["page"]["name"] == "Stormpetrel from outside"
            with stopped(inside, "petrel-web-"):
                eventually(
                    lambda: components(outside),
                    lambda found: {found[name][0] for name in MEASURED} == {"major_outage"},
                )
            eventually(
                lambda: components(outside),
                lambda found: {found[name][0] for name in MEASURED} == {"operational"},
            )
            assert sorted(path.name for path in (directory / "data").iterdir())[:2] == [
                "serve-watch.lock",
                "status.sqlite",
            ]
            assert (directory / "page" / "index.html").is_file()
            assert fetch(f"{outside.status_url}/health")[0] == 200
        finally:
            outside.stop()


def test_differences_are_told_and_agreement_is_not():
    channels = [a_status("web"), a_status("apps", ChannelState.MAJOR, reason="Requests fail.")]
    names = dict.fromkeys(CHANNEL_NAMES.values(), "operational")
    shown = {one.channel: one.reason for one in compared(channels, names)}
    assert shown["web"] == ""
    assert shown["apps"] == "Requests fail. The instance itself says: operational."
    assert shown["media"] == f"{NOT_MEASURED} The instance itself says: operational."
    silent = {one.channel: one.reason for one in compared(channels, {})}
    assert silent["apps"] == "Requests fail."
    assert silent["sms_in"] == NOT_MEASURED


def test_what_the_instance_said_long_ago_is_not_shown():
    inside = InsideView(states={"Media": "operational"}, at_s=100.0)
    assert inside.fresh(100.0 + INSIDE_SILENT_S - 1) == {"Media": "operational"}
    assert inside.fresh(100.0 + INSIDE_SILENT_S) == {}


def answer_of(body, head=b""):
    return b"HTTP/1.1 200 OK\r\n" + (head or b"content-length: %d\r\n" % len(body)) + b"\r\n" + body


def instance_says(title, page_url):
    return answer_of(
        json.dumps({"title": title, "configuration": {"urls": {"status": page_url}}}).encode("ascii")
    )


def looked_at(*answers):
    """Return what is known of an instance with these answers, the last one for good, and the seconds it took."""

    async def main():
        given = list(answers)

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            found = given.pop(0) if len(given) > 1 else given[0]
            writer.write(found.replace(b"PORT_", b"%d" % port))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        inside, stop = InsideView(), asyncio.Event()
        looking = asyncio.create_task(keep_looking_inside(inside, f"http://127.0.0.1:{port}", stop))
        began_s = time.perf_counter()
        for _ in range(50):
            await asyncio.sleep(0.02)
            if inside.states:
                break
        assert not looking.done()
        stop.set()
        await looking
        server.close()
        return inside, time.perf_counter() - began_s

    return asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        answer_of(b"[" * 1_000_000),
        answer_of(b'{"title": "x", "configuration": []}'),
        answer_of(b"9" * 10_000),
        answer_of(b'{"title": "x", "configuration": {"urls": {"status": "http://\\u0000\\ud800/"}}}'),
        answer_of(b"", "content-length: \u00b2\r\n".encode("latin-1")),
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
        answer_of(b"1\r\n[\r\n" * 170_000, b"transfer-encoding: chunked\r\n"),
    ],
)
def test_no_answer_of_the_instance_ends_or_stops_the_watch_outside(answer):
    inside, seconds = looked_at(answer)
    assert inside.states == {}
    assert seconds < 5


def test_the_title_of_the_instance_is_short_and_printable():
    page = "http://127.0.0.1:PORT_"
    states = answer_of(b'{"components": [{"name": "Media", "status": "operational"}]}')
    inside, _ = looked_at(instance_says("\ud800Storm\x1b[2J\u202e\n" + "x" * 500, page), states)
    assert inside.title == f"Storm [2J {'x' * 90}"
    assert inside.states == {"Media": "operational"}


def test_an_instance_by_https_names_a_status_page_by_https():
    assert status_address("https://status.example.org", is_tls=True) == "https://status.example.org"
    assert status_address("http://169.254.169.254/latest", is_tls=True) == ""
    assert status_address("http://127.0.0.1:8001", is_tls=False) == "http://127.0.0.1:8001"


def test_an_address_says_how_to_connect():
    client, path = client_of("https://status.example.org/status/")
    assert (client.host, client.port, client.host_header, path) == (
        "status.example.org",
        443,
        "status.example.org",
        "/status",
    )
    assert client.tls.verify_mode is ssl.CERT_REQUIRED
    plain, _ = client_of("http://127.0.0.1:8000")
    assert (plain.port, plain.host_header, plain.tls) == (8000, "127.0.0.1:8000", None)


@pytest.mark.parametrize(
    "wrong", ["example.org", "ftp://example.org", "https://", "http://x:port", "http://[x"]
)
def test_anything_else_is_a_mistake(wrong):
    with pytest.raises(SetupError, match="is not an address"):
        client_of(wrong)
