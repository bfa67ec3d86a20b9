"""The scripts of bench/ that load with wrk refuse a fraction of a second: wrk reads whole ones only."""

from __future__ import annotations

import runpy
import sys

import pytest

from tests.repository import ROOT

SCRIPTS = [
    path
    for path in sorted((ROOT / "bench").glob("*.py"))
    if "peers.wrk(" in (text := path.read_text(encoding="utf-8")) and '"--seconds"' in text
]


def test_the_scripts_are_found():
    assert len(SCRIPTS) >= 8


@pytest.mark.parametrize("seconds", ["0.5", "1.5", "0", "-1", "soon"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_length_that_wrk_cannot_read_is_one_clear_line(monkeypatch, capsys, script, seconds):
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), f"--seconds={seconds}"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 2
    assert f"'{seconds}': wrk runs for whole seconds, 1 or more" in capsys.readouterr().err
