"""The simulated phones of the demo: their numbers, and the route of files through which they text."""

from __future__ import annotations

from pathlib import Path

from stormpetrel.config_sms import FileKeys, RouteConfig

ROUTE = "demo"
SENDER = "40404"
NUMBERS = ("+12025550142", "+12025550167", "+12025550188")
"""Numbers for fiction (555-0100 to 555-0199). The demo links the first one to an account."""


def demo_route(routes: tuple[RouteConfig, ...]) -> tuple[RouteConfig, Path] | None:
    """Return the demo's route and its directory; None on every other instance."""
    for route in routes:
        if (
            route.name == ROUTE
            and route.enabled
            and isinstance(route.keys, FileKeys)
            and route.keys.directory
        ):
            return route, Path(route.keys.directory)
    return None
