"""Each kind of job does its work, from the JSON that the rules write to the outbox."""

from __future__ import annotations

import json

import pytest

from stormpetrel.courier.deliveries import DELIVERIES
from stormpetrel.model.event import AccessChanged, AccountChanged, AllChanged, PostCreated
from stormpetrel.model.ids import IdMaker
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.connection import connect, transaction

NOW_MS = 1_700_000_000_000


@pytest.fixture
def connection(database_url):
    connection = connect(database_url, ids=IdMaker(1))
    yield connection
    connection.close()


def deliver(connection, kind, payload):
    """Run the delivery and return the events that it publishes."""
    with transaction(connection):
        DELIVERIES[kind](connection, payload, NOW_MS)
        return list(connection.events)


def test_a_commands_events_are_told_as_they_were(connection):
    events = [
        AccessChanged(5, b"\x00\xff"),
        AccountChanged(2**62, hidden=True),
        PostCreated(7, 8, 1, mentioned_ids=(1, 2), tags=("täg",)),
        AllChanged(),
    ]
    with transaction(connection):
        outbox.put_events(connection, events, NOW_MS)
        (job,) = outbox.lease(connection, now_ms=NOW_MS, lease_ms=1000, count=1)
    assert deliver(connection, job.kind, job.payload) == events


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("post_notices", {"post_id": 123}),
        ("sign_up", {"account_id": 123}),
        ("poll_ended", {"post_id": 123, "expires_at_ms": 5}),
        (
            "scheduled_post",
            {"scheduled_id": 123, "due_at_ms": 5, "max_characters": 500, "domain": "here.example"},
        ),
        ("post_edited", {"post_id": 123, "edited_at_ms": 5}),
    ],
)
def test_what_is_gone_meanwhile_is_nobodys_fault(connection, kind, payload):
    assert deliver(connection, kind, json.dumps(payload)) == []


@pytest.mark.parametrize("kind", sorted(DELIVERIES))
def test_a_payload_of_another_release_is_an_error_that_says_so(connection, kind):
    with pytest.raises(ValueError, match=r"Expected|missing"):
        DELIVERIES[kind](connection, '{"x": 1}', NOW_MS)
