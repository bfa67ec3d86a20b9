"""Lines of a run with one attack, for the tests of its results."""

from __future__ import annotations

from typing import Any

from stormpetrel.drill.record import OK, REFUSED, Line
from stormpetrel.drill.scenario import build

SCENARIO = build("only A3", (10, "calm", ()), (20, "few", (("A3", 0.5),)), (10, "calm again", ()))


def line(t: float, outcome: str = OK, **more: Any) -> Line:
    """Return a line for a request of a member's app."""
    fields = {"kind": "own", "channel": "apps", "who": "ann", "app": "Tusky", "address_kind": "own"} | more
    status = {OK: 200, REFUSED: 429}.get(outcome, 0)
    return Line(
        **{
            "t": t,
            "phase": SCENARIO.at(t).name,
            "status": status,
            "ms": 20.0,
            "late_ms": 0.1,
            "outcome": outcome,
            "known": True,
            "contract": True if outcome == REFUSED else None,
            **fields,
        }
    )
