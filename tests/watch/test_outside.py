"""The watch on another machine: the same page without database or secret, and the instance's own word beside it."""

from __future__ import annotations

import json
import ssl

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.watch.outside import INSIDE_SILENT_S, NOT_MEASURED, PROBES, InsideView, client_of, compared
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
