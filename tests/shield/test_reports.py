"""The messages between workers and `watch` survive JSON, and contain no token."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from stormpetrel.shield.reports import (
    Directions,
    HeldSample,
    IdentityRefusal,
    Offender,
    OperatorEntry,
    WorkerReport,
    identity_text,
)

REPORT = WorkerReport(
    worker=1,
    sequence=7,
    started_epoch_s=1.0,
    at_epoch_s=2.0,
    period_s=1.0,
    mode="full",
    running=4,
    connections=10,
    worst_wait_s=0.5,
    loop_lag_s=0.01,
    writer_wait_s=0.0,
    overload_since_epoch_s=0.0,
    onset_epoch_s=0.0,
    directions_version=3,
    paused=False,
    demoted=0,
    classes={"K1": {"served": 3}},
    because={"queue/full": 1},
    held={"apps": HeldSample(2, (4, 6))},
    offenders=(Offender("account:1", 0.5, 10, 1, 0),),
    refusals=(IdentityRefusal(1.5, "account:1", "Tusky", "apps", "queue/full"),),
    prefixes=(("192.0.2.0/24", 20_000),),
)
DIRECTIONS = Directions(
    version=1,
    expires_epoch_s=9.0,
    denied=(OperatorEntry("address", "192.0.2.0/24", 8.0, "floods"),),
    offenders=(Offender("address:192.0.2.1", 0.5, 10, 1, 9),),
    known_prefixes=(("198.51.100.0/24", 20_000),),
)


@pytest.mark.parametrize("value", [REPORT, DIRECTIONS])
def test_both_survive_json(value: object) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_an_identity_as_text_never_tells_a_token() -> None:
    digest = hashlib.sha256(b"secret").digest()
    assert identity_text("token", digest) == "token:" + digest.hex()[:16]
    assert identity_text("account", 12) == "account:12"
    assert identity_text("address", "192.0.2.1") == "address:192.0.2.1"
