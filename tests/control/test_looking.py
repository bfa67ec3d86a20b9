"""A worker's shield reports a client's current class and remaining quota. Asking changes nothing."""

from __future__ import annotations

import pytest

from stormpetrel.control.looking import standing
from stormpetrel.control.messages import Look, Standing
from stormpetrel.shield.admit import Policy
from stormpetrel.shield.decide import Shield
from stormpetrel.shield.identify import Identity, TokenTable
from stormpetrel.shield.paths import PathFacts, PathTable
from stormpetrel.shield.reports import Directions

EPOCH_S = 1_900_000_000.0
ONSET_S = EPOCH_S - 10.0


@pytest.fixture
def shield():
    return Shield(
        Policy(requests_per_5min=100),
        tokens=TokenTable(),
        secret=b"a secret that is long enough",
        paths=PathTable(lambda path: PathFacts()),
        at_s=0.0,
        epoch_s=EPOCH_S,
    )


def attacked(shield):
    """Return the shield after the watch has reported the onset of an attack."""
    shield.direct(Directions(version=1, expires_epoch_s=EPOCH_S + 10, onset_epoch_s=ONSET_S), epoch_s=EPOCH_S)
    return shield


def lane(shield, identity, created_epoch_s=0.0):
    look = Look(7, identity, created_epoch_s)
    found = standing(shield, look, at_s=1.0, epoch_s=EPOCH_S + 1.0)
    assert found == standing(shield, look, at_s=1.0, epoch_s=EPOCH_S + 1.0)
    assert found.number == 7
    return found.lane


def test_in_calm_every_credential_is_established(shield):
    assert lane(shield, "account:12", EPOCH_S) == "K1"
    assert lane(shield, "address:192.0.2.1") == "K3"


def test_in_an_attack_the_age_of_the_credential_decides(shield):
    attacked(shield)
    assert lane(shield, "account:12", ONSET_S - 1) == "K1"
    assert lane(shield, "account:12", ONSET_S + 1) == "K3"


def test_who_is_demoted_is_told_so(shield):
    shield.usage.demote(Identity("account", 12), 0.5)
    found = standing(shield, Look(1, "account:12", 0.0), at_s=1.0, epoch_s=EPOCH_S)
    assert (found.lane, found.is_demoted) == ("K4", True)
    assert lane(shield, "account:13") == "K1"


def test_what_is_left_is_told_and_not_spent(shield):
    identity = Identity("account", 12)
    for _ in range(40):
        shield.gate.ceiling.take(identity, 1.0)
    found = standing(shield, Look(1, "account:12", 0.0), at_s=1.0, epoch_s=EPOCH_S)
    assert (found.limit, found.remaining) == (100, 60)
    assert standing(shield, Look(1, "account:12", 0.0), at_s=1.0, epoch_s=EPOCH_S).remaining == 60


@pytest.mark.parametrize(
    "identity", ["token:ab12", "session:5", "account:", "account:x", "account:٣", "planet:3", ""]
)
def test_what_is_nobody_has_no_class(shield, identity):
    assert standing(shield, Look(3, identity, 0.0), at_s=1.0, epoch_s=EPOCH_S) == Standing(3, "", 0, 0, False)
