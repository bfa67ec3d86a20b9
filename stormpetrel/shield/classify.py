"""Classify: which class a visit waits in. The classes and the rules are data, read from top to bottom.

Weights are floors of the work that is done, in parts of 100, and work-conserving: what a class does not use
goes to the others. The lowest class is the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.shield.identify import Identity

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SIGN_IN_PATHS = frozenset({b"/auth/sign_in", b"/oauth/token"})


@dataclass(frozen=True, slots=True)
class Lane:
    """A class: `weight` in parts of 100, `deadline_s` after which nobody waits for the answer any more."""

    name: str
    weight: int
    deadline_s: float


LANES = (
    Lane("K0", 20, 10.0),
    Lane("K1", 50, 2.0),
    Lane("K2", 12, 5.0),
    Lane("K3", 15, 3.0),
    Lane("K4", 3, 3.0),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """The first rule that fits decides. `known`: the identity is not just an address; None: either."""

    because: str
    lane: int
    known: bool | None = None
    writes: bool | None = None
    sign_in: bool | None = None

    def fits(self, *, known: bool, writes: bool, sign_in: bool) -> bool:
        """True when each condition that the rule has is met."""
        return (
            (self.known is None or self.known == known)
            and (self.writes is None or self.writes == writes)
            and (self.sign_in is None or self.sign_in == sign_in)
        )


RULES = (
    Rule("class/known-writes", 0, known=True, writes=True),
    Rule("class/known-reads", 1, known=True),
    Rule("class/sign-in", 2, sign_in=True, writes=True),
    Rule("class/stranger", 3),
)


def _decide(*, known: bool, writes: bool, sign_in: bool) -> Rule:
    return next(rule for rule in RULES if rule.fits(known=known, writes=writes, sign_in=sign_in))


# Every combination is decided at import: classifying is one dictionary look-up per request.
_DECIDED = {
    (known, writes, sign_in): _decide(known=known, writes=writes, sign_in=sign_in)
    for known in (False, True)
    for writes in (False, True)
    for sign_in in (False, True)
}


def classify(identity: Identity, *, method: str, path: bytes) -> Rule:
    """The rule that decides; `.lane` is the index into LANES, `.because` its name in logs and counts."""
    return _DECIDED[(identity.kind != "address", method in WRITES, path in SIGN_IN_PATHS)]
