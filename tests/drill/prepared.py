"""A small place that is ready to be drilled, made once for all tests that run one."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path

from stormpetrel.cli import drill_community
from stormpetrel.drill.run import Setting

USERS, POSTS = 2000, 8000
_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def setting() -> Setting:
    """The setting; its directory goes with the test process."""
    _kept.append(tempfile.TemporaryDirectory(prefix="stormpetrel-test-drill-"))
    prepared = Path(_kept[-1].name) / "prepared"
    drill_community.prepare(
        prepared, seed=1, users=USERS, posts=POSTS, popular_followers=100, tell=lambda doing: None
    )
    return Setting(
        prepared=prepared,
        community=prepared / drill_community.COMMUNITY_FILE,
        command=(sys.executable, "-m", "stormpetrel", "serve"),
        environment=drill_community.environment,
    )
