"""Machines that share an instance: a rule given on one holds on the others, and so does its removal."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

from tests.instance import Instance, prepared_instance

WITHIN_S = 20.0


def rules(instance: Instance) -> list[tuple[str, str]]:
    """Return the rules in force on that machine: (verdict, value)."""
    told = json.loads(instance.run_cli("shield", "status", "--json", expect_exit=None).stdout)
    return sorted((verdict, one["value"]) for verdict in ("allowed", "denied") for one in told[verdict])


def until(look: Any, expected: Any) -> None:
    """Wait until the machine has received the change. The delay depends on the machine."""
    ends_s = time.monotonic() + WITHIN_S
    while (found := look()) != expected:
        assert time.monotonic() < ends_s, f"{found} instead of {expected}"


def test_rules_reach_every_machine(postgresql_url: str, valkey_url: str, tmp_path: Path) -> None:
    shared = {
        "valkey_url": valkey_url,
        "secret_key": secrets.token_hex(32),
        "public_url": "http://127.0.0.1:8999",
        "web_workers": 1,
    }
    with (
        prepared_instance(tmp_path / "one", postgresql_url, **shared) as one,
        prepared_instance(tmp_path / "two", postgresql_url, **shared) as two,
    ):
        for instance in (one, two):
            instance.start()
        one.run_cli("shield", "deny", "203.0.113.0/24", "--reason", "scans")
        two.run_cli("shield", "allow", "198.51.100.0/24", "--reason", "a school")
        both = [("allowed", "198.51.100.0/24"), ("denied", "203.0.113.0/24")]
        for instance in (one, two):
            until(lambda instance=instance: rules(instance), both)
        # A rule can be removed on another machine, and the removal survives a restart.
        two.run_cli("shield", "deny", "203.0.113.0/24", "--undo")
        until(lambda: rules(one), both[:1])
        one.stop()
        one.start()
        until(lambda: rules(one), both[:1])
        one.stop()
        two.stop()
