"""Classify: choose the class that a visit waits in. Classes and rules are data, read from top to bottom.

Weights are floors of the work that is done, in parts of 100, and work-conserving: other classes use the work
that a class leaves. The lowest class is the last one.

*Established* means: issued before the present attack began (overload.py). In calm every valid credential is.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.shield.paths import FEED, STREAM

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Lane:
    """A class, or a part of one: `weight` in parts of 100, `deadline_s` after which a ticket stops waiting.

    `newest_first`: under overload the newest is served first; the others are dropped at the deadline.
    `own_places`: this many tickets of the class wait without taking a place of the queue that all classes share.
    """

    name: str
    weight: int
    deadline_s: float
    newest_first: bool = False
    own_places: int = 0


LANES = (
    # A burst of posts waits as long as its deadline allows: 4,096 are served in 10 s at 410 a second.
    Lane("K0", 25, 10.0, own_places=4096),
    # K1 has two parts, so that posts and cheap polls do not wait behind homes that must be read from the store first.
    # The second part is large enough that a flood of strangers leaves room for it.
    Lane("K1", 35, 2.0),
    Lane("K1", 10, 2.0, newest_first=True),
    Lane("K2", 12, 5.0),
    # K3 has two parts, so that strangers from known networks do not drown among those from anywhere.
    Lane("K3", 9, 3.0, newest_first=True),
    Lane("K3", 6, 3.0, newest_first=True),
    Lane("K4", 3, 3.0, newest_first=True),
)
K0, K1, K1_COLD, K2, K3_NEAR, K3_FAR, K4 = range(7)

KNOWN = 1
"""The visit has a credential: an account's token, or a session."""
ESTABLISHED = 2
"""That credential was issued before the attack."""
CHANGES = 4
"""The method writes."""
SIGNS_IN = 8
"""Signing in, exchanging a code for a token, signing up."""
DEVICE = 16
"""A device with a sign-in from before the attack."""
RETURNS = 32
"""A visitor who was here before the attack."""
READER = 64
"""A feed reader that was here before the attack."""
NEAR = 128
"""From a network with recent visits by people with credentials, or the client heeded its Retry-After."""
OVER = 256
"""The budget of all unknown clients together for this kind of request is spent (budgets.py)."""
DEMOTED = 512
"""The identity took far more than its share, or ignored its Retry-After."""
LOOKED_UP = 1024
"""A token that was not looked up yet, within the budget for look-ups."""
ALLOWED = 2048
"""An operator's `allow` names it. That never makes a credential established."""
_COMBINATIONS = 4096


@dataclass(frozen=True, slots=True)
class ClassRule:
    """The first rule whose `needs` (flags) are all set decides. `because`: its name in logs and counts."""

    because: str
    lane: int
    needs: int


RULES = (
    ClassRule("class/demoted", K4, DEMOTED),
    ClassRule("class/known-writes", K0, KNOWN | ESTABLISHED | CHANGES),
    ClassRule("class/known-reads", K1, KNOWN | ESTABLISHED),
    ClassRule("class/known-device", K2, SIGNS_IN | DEVICE),
    ClassRule("class/allowed", K2, ALLOWED),
    ClassRule("class/over-budget", K4, OVER),
    ClassRule("class/unknown-token", K2, LOOKED_UP),
    ClassRule("class/sign-in", K3_NEAR, SIGNS_IN | NEAR),
    ClassRule("class/sign-in", K3_NEAR, SIGNS_IN | RETURNS),
    ClassRule("class/sign-in-far", K3_FAR, SIGNS_IN),
    ClassRule("class/known-reader", K2, READER),
    ClassRule("class/new-credential", K3_NEAR, KNOWN | NEAR),
    ClassRule("class/new-credential-far", K3_FAR, KNOWN),
    ClassRule("class/returning", K2, RETURNS),
    ClassRule("class/near-stranger", K3_NEAR, NEAR),
    ClassRule("class/stranger", K3_FAR, 0),
)

RULE_OF = tuple(
    next(rule for rule in RULES if rule.needs & flags == rule.needs) for flags in range(_COMBINATIONS)
)
"""Rules by flags, computed at import: classifying is one look-up per request."""


def classify(flags: int) -> ClassRule:
    """Return the rule that decides for these flags."""
    return RULE_OF[flags]


def channel_of(kind: int, flags: int, *, is_app: bool) -> str:
    """Return the channel for the reports (reports.CHANNELS)."""
    if kind == STREAM:
        return "streaming"
    if flags & SIGNS_IN:
        return "sign_in"
    if kind == FEED:
        return "feeds"
    if flags & KNOWN:
        if flags & CHANGES:
            return "posting"
        return "apps" if is_app else "web"
    return "returning" if flags & RETURNS else "new"
