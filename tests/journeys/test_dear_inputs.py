"""No input blocks a worker's event loop for long: the most expensive texts that searches found, at every
door.

Limits are CPU time on a machine as fast as the one where they were set. bench/machine.py measures this
machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.repository import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import dear_inputs
import doors
import loop_meter
import machine

TRIES = 3


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_no_input_holds_the_loop_for_long(tmp_path: Path) -> None:
    over = []
    with loop_meter.measured_worker(tmp_path) as place:
        for door in doors.doors(place):
            for _ in range(TRIES):
                scale = machine.slowness()
                found = dear_inputs.dearest(place, door, dear_inputs.DEAREST, scale=scale)
                if not found.is_over:
                    break
            else:
                over.append(found)
    assert not over, "\n".join(str(found) for found in over)
