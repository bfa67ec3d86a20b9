"""A real feed reader, in its own process."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.parts import NODE, require

TIMEOUT_S = 60


def read_by_a_reader(base_url: str, path: str) -> Any:
    """Return what rss-parser reads from the feed."""
    require("node")
    done = subprocess.run(
        ["node", NODE / "read_feed.mjs", f"{base_url}{path}"],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
