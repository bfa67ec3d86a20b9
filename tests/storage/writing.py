"""A process that writes to a store, which a test may kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.repository import ROOT

PROGRAM = Path(__file__).with_name("writer_process.py")


@contextmanager
def writer(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that writes. Kill it when the block ends, unless it has already exited."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, url, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line of its standard output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
