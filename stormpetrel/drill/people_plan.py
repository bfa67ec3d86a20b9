"""The orders of the people's process, as a file of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stormpetrel.drill.scenario import Scenario, from_plain


@dataclass(frozen=True, slots=True)
class PeoplePlan:
    """The process's orders. `start_s`: time.monotonic() of the run's second 0, the same in every process.

    `name`: the front's name in its certificate, which is at the path `certificate`; empty without a front.
    `sms_port`: the instance's port for webhooks, 0 to leave out phones; `carrier_port`: of the carrier.
    """

    host: str
    port: int
    community: str
    scenario: Scenario
    seed: int
    start_s: float
    scale: float = 1.0
    sms_port: int = 0
    carrier_port: int = 0
    name: str = ""
    certificate: str = ""

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def load(path: Path) -> PeoplePlan:
        """Return the plan that `save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return PeoplePlan(**(raw | {"scenario": from_plain(raw["scenario"])}))
