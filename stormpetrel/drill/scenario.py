"""Scenarios: which vectors attack when, and how hard. Times are in seconds since the start of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

VECTORS = (
    *("A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10"),
    *("A11", "A12", "A15", "A16", "A17", "A18", "A19", "A20", "A21", "A22", "A23", "A24"),
)
"""All vectors. Their rates are defined in drill/vectors/ and multiplied by the phase's scale."""
CALM = "calm"
RESTART = "restart"
RESTART_S = 10.0
"""A restart has this long until its requests count again."""
MIXED_LEAST, MIXED_MOST = 0.25, 4.0
"""The factors between which `mixed` draws the rate of a vector."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase from `start_s` to `end_s`. `vectors`: pairs of a vector's name and the factor on its rate.

    `restarts`: the instance is restarted at its beginning, as an operator does it.
    """

    name: str
    start_s: float
    end_s: float
    vectors: tuple[tuple[str, float], ...] = ()
    restarts: bool = False

    @property
    def is_calm(self) -> bool:
        """Return True if no vector attacks."""
        return not self.vectors


@dataclass(frozen=True, slots=True)
class Scenario:
    """Phases without gaps, starting at 0."""

    name: str
    phases: tuple[Phase, ...]

    @property
    def seconds(self) -> float:
        """Return the duration."""
        return self.phases[-1].end_s

    def at(self, t: float) -> Phase:
        """Return the phase of a moment; the last phase for all times after the end."""
        return next((phase for phase in self.phases if t < phase.end_s), self.phases[-1])


def from_plain(raw: dict[str, Any]) -> Scenario:
    """Return the scenario from its `dataclasses.asdict` form, also after a round trip through JSON."""
    phases = tuple(
        Phase(**(phase | {"vectors": tuple((name, scale) for name, scale in phase["vectors"])}))
        for phase in raw["phases"]
    )
    return Scenario(raw["name"], phases)


def build(name: str, *steps: tuple[float, str, Sequence[tuple[str, float]]]) -> Scenario:
    """Return a scenario of consecutive steps (seconds, name, vectors)."""
    phases: list[Phase] = []
    start_s = 0.0
    for seconds, phase, vectors in steps:
        phases.append(Phase(phase, start_s, start_s + seconds, tuple(vectors)))
        start_s += seconds
    return Scenario(name, tuple(phases))


def smoke(*, scale: float = 1.0) -> Scenario:
    """Return a minute for tests: six vectors, up to three at once; too much for a server without defence."""
    return build(
        "smoke",
        (8, CALM, ()),
        (8, "crowd", (("A1", scale),)),
        (20, "flood", (("A3", scale), ("A7", scale), ("A8", scale))),
        (20, "inside", (("A3", scale), ("A5", scale), ("A6", scale))),
        (4, "calm again", ()),
    )


def august_2009(*, scale: float = 1.0) -> Scenario:
    """Return the attack of August 2009: a crowd sent to an activist's page, then bots, then other kinds."""
    return build(
        "august-2009",
        (30, CALM, ()),
        (45, "the crowd", (("A1", scale),)),
        (45, "crowd and bots", (("A1", scale), ("A2", scale))),
        (30, "wide and slow", (("A4", scale),)),
        (30, "passwords", (("A5", scale),)),
        (30, "slow sockets", (("A10", scale),)),
        (45, "inside", (("A6", scale),)),
        (45, "calm again", ()),
    )


def cold(*, scale: float = 1.0) -> Scenario:
    """Return the crowd and the bots of August 2009, with a restart in the middle, after which all memory is empty."""
    crowd, bots = ("A1", scale), ("A2", scale)
    whole = build(
        "cold",
        (30, CALM, ()),
        (30, "the crowd", (crowd,)),
        (20, "crowd and bots", (crowd, bots)),
        (RESTART_S, RESTART, (crowd, bots)),
        (40, "cold", (crowd, bots)),
        (30, "wide and slow", (("A4", scale),)),
        (30, "calm again", ()),
    )
    phases = tuple(replace(phase, restarts=phase.name == RESTART) for phase in whole.phases)
    return replace(whole, phases=phases)


def april_2026(*, scale: float = 1.0) -> Scenario:
    """Return an attack as microblogging services had in April 2026: feeds, notifications and search from many
    networks, then also streams, then also stolen tokens, while people hold their apps open.
    """
    return build(
        "april-2026",
        (30, CALM, ()),
        (60, "feeds, notifications, search", (("A21", scale),)),
        (45, "and streams", (("A21", scale), ("A11", scale))),
        (45, "and stolen tokens", (("A21", scale), ("A7", scale))),
        (30, "calm again", ()),
    )


def storm(*, seed: int, scale: float = 1.0) -> Scenario:
    """Return all vectors in an order drawn from `seed`, two pairs of them at once; A17 runs within A3."""
    rng = Random(f"storm {seed}")  # noqa: S311 - an order, not a secret
    order = [name for name in VECTORS if name != "A17"]
    rng.shuffle(order)
    pairs, alone = order[:4], order[4:]
    steps: list[tuple[float, str, Sequence[tuple[str, float]]]] = [
        (20, "+".join(names), [(one, scale) for one in names] + ([("A17", 1.0)] if "A3" in names else []))
        for names in [tuple(pairs[:2]), tuple(pairs[2:]), *((one,) for one in alone)]
    ]
    rng.shuffle(steps)
    return build("storm", (20, CALM, ()), *steps, (30, "calm again", ()))


def mixed(*, seed: int, scale: float = 1.0) -> Scenario:
    """Return attacks that `seed` draws, so that nothing can be tuned to them: which vectors, and how hard.

    Eight phases of 20 s with one to three vectors each, every one at MIXED_LEAST to MIXED_MOST times its rate, evenly
    by the logarithm; their connections are bounded as in every phase (vectors/catalogue.py).
    """
    rng = Random(f"mixed {seed}")  # noqa: S311 - an attack, not a secret
    names = [name for name in VECTORS if name != "A17"]
    steps: list[tuple[float, str, Sequence[tuple[str, float]]]] = []
    for _ in range(8):
        drawn = sorted(rng.sample(names, rng.randint(1, 3)), key=names.index)
        factors = [MIXED_LEAST * (MIXED_MOST / MIXED_LEAST) ** rng.random() for _ in drawn]
        label = "+".join(f"{name} x{factor:.1f}" for name, factor in zip(drawn, factors, strict=True))
        steps.append(
            (20, label, [(name, factor * scale) for name, factor in zip(drawn, factors, strict=True)])
        )
    return build("mixed", (20, CALM, ()), *steps, (30, "calm again", ()))


def only(names: Sequence[str], *, scale: float = 1.0, seconds: float = 40.0) -> Scenario:
    """Return calm, the named vectors together, calm. Raise ValueError for an unknown name."""
    for name in names:
        if name not in VECTORS:
            raise ValueError(name)
    steps = [(name, 1.0 if name == "A17" else scale) for name in names]
    return build(
        f"only {' '.join(names)}", (15, CALM, ()), (seconds, "+".join(names), steps), (15, "calm again", ())
    )
