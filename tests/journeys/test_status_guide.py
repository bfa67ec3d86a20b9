"""docs/status.md: every command of the page, in order, beside a running server, and the figures that it names."""

from __future__ import annotations

import re
import shlex
import subprocess
import time

from stormpetrel.cli.main import main
from stormpetrel.config import StatusConfig
from stormpetrel.courier import status_webhooks, webhook_client
from stormpetrel.model import quota
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.status_subscription import PENDING_KEPT_MS, signature, signing_key
from stormpetrel.rules import status_subscriptions
from stormpetrel.storage.status_history import MAX_NOTICES
from stormpetrel.watch import canaries
from stormpetrel.watch.status import automatic, channels, history, summary
from tests.instance import running_instance
from tests.repository import ROOT
from tools import try_install

PAGE = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
COMMANDS = [command for commands in try_install.commands(PAGE).values() for _, command in commands]


def test_every_command_of_the_page_does_what_it_says(tmp_path, sqlite_url, monkeypatch, capsys):
    assert len(COMMANDS) >= 12
    with running_instance(tmp_path / "place", sqlite_url, web_workers=1) as instance:
        for name, value in instance.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(instance.directory)
        id = ""
        for command in COMMANDS:
            words = shlex.split(
                command.replace("http://127.0.0.1:8001", instance.status_url).replace(" ID", f" {id}")
            )
            if words[0] != "stormpetrel":
                assert subprocess.run(words, capture_output=True, check=True).stdout
                continue
            capsys.readouterr()
            assert main(words[1:]) == 0, command
            said = capsys.readouterr().out
            assert said.strip(), command
            found = re.match(r"(?:incident|maintenance) (\w{12}) is ", said)
            id = found[1] if found else id


def test_the_example_of_a_receiver_accepts_what_is_signed_and_nothing_else():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(example, names)
    key, at_s, body = signing_key(b"s" * 32, "nonce"), int(time.time()), b'{"version": 1}'

    def said(at_s, signed):
        headers = {"Stormpetrel-Timestamp": str(at_s)}
        return headers | {"Stormpetrel-Signature": signature(key, at_s=at_s, body=signed)}

    is_genuine = names["is_genuine"]
    assert is_genuine(key, said(at_s, body), body)
    assert not is_genuine(key, said(at_s, body), body + b" ")
    assert not is_genuine(key, said(at_s - 600, body), body)
    assert not is_genuine("0" * 64, said(at_s, body), body)


def test_the_limits_of_subscriptions_are_those_of_the_code():
    assert (quota.STATUS_NETWORK.burst, quota.STATUS_NETWORK.every_s) == (20, 180)
    assert (quota.STATUS_ALL.burst, quota.STATUS_ALL.every_s) == (2000, 10)
    assert (quota.STATUS_WEBHOOK_ALL.burst, quota.STATUS_WEBHOOK_ALL.every_s) == (60, 60)
    assert status_subscriptions.MAIL_EVERY_MS == 86_400_000
    assert (quota.STATUS_WEBHOOK.burst, quota.STATUS_WEBHOOK.every_s) == (3, 3600)
    assert (StatusConfig().webhooks_per_host, StatusConfig().max_subscriptions) == (20, 50_000)
    assert (status_subscriptions.FAILURES, status_subscriptions.FAILING_MS) == (12, 3 * 3_600_000)
    assert (status_subscriptions.REFUSALS, status_webhooks.CHALLENGES) == (5, 3)
    assert (webhook_client.CALL_S, PENDING_KEPT_MS, MAX_NOTICES) == (10.0, 2 * 86_400_000, 1000)


def test_what_the_page_says_of_figures_is_what_the_code_has():
    assert (canaries.EVERY_S, canaries.AGAIN_S, canaries.PATIENCE_S) == (3.0, 1.0, 4.0)
    assert (channels.COUNTS_S, channels.SILENT_S, channels.SLOW_MS, channels.GOOD_SHARE) == (
        3.0,
        30.0,
        2000.0,
        0.95,
    )
    assert (automatic.OPENS_AFTER_S, automatic.RESOLVES_AFTER_S) == (60.0, 60.0)
    assert (history.SHOWN_DAYS, history.BAD_S) == (90, 60.0)
    assert [channel for channel in CHANNEL_NAMES if f"`{channel}`" not in PAGE] == []
    assert [name for name in CHANNEL_NAMES.values() if name not in PAGE] == []
    for path in summary.ENDPOINTS:
        assert path.removeprefix("api/v2").removeprefix("/scheduled-maintenances") in PAGE
