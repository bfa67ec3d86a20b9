"""Fill the drill's instance, each step at its own time in the past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class TimedSteps:
    """Steps to write, each at its time; ids are made in order of time."""

    steps: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)

    def at(self, moment_ms: int, step: Callable[[int], None]) -> None:
        """Schedule `step` for `moment_ms`."""
        self.steps.append((moment_ms, len(self.steps), step))

    def run(self) -> None:
        """Run all steps in order of time, each at a different time."""
        last_ms = 0
        for moment_ms, _, step in sorted(self.steps, key=lambda one: one[:2]):
            last_ms = max(moment_ms, last_ms + 1)
            step(last_ms)
