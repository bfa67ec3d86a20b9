"""`check` names an SMS route with a wrong key, and `serve` does not start with it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def routes(monkeypatch, tmp_path):
    def configure(**keys):
        for key, value in keys.items():
            monkeypatch.setenv(f"STORMPETREL_SMS_ROUTE_DROP_{key.upper()}", value)

    return configure


def checks(run, expect):
    answer = json.loads(run("check", "--json", expect=expect).out)
    return {one["subject"]: one for one in answer["checks"] if one["subject"].startswith("sms ")}


def test_a_good_route_says_how_far_it_is_trusted(run, place, routes, tmp_path):
    routes(provider="file", directory=str(tmp_path / "drop"), price="0.01")
    found = checks(run, None)
    assert found["sms route drop"]["verdict"] == "ok"
    assert "need a PIN" in found["sms route drop"]["text"]
    assert found["sms money"]["verdict"] == "warn"


def test_a_missing_key_is_named_before_anything_starts(run, place, routes):
    routes(provider="file")
    found = checks(run, 1)
    assert found["sms route drop"]["verdict"] == "fail"
    assert "sms.route.drop.directory is missing" in found["sms route drop"]["text"]
    complaint = run("serve", "--role", "sms", expect=2).complaint
    assert "sms.route.drop.directory is missing" in complaint


def test_a_disabled_route_may_be_unfinished(run, place, routes):
    routes(provider="file", enabled="false")
    assert checks(run, None) == {}
