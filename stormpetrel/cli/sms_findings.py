"""The checks of `check` for SMS routes; no text is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stormpetrel.cli.findings import Finding, Severity
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.config import Config


def sms_findings(config: Config) -> Iterator[Finding]:
    """Check the keys of each route, and if its number can be trusted and its costs are limited."""
    from stormpetrel.gateway.providers.registry import make

    routes = [route for route in config.sms.routes if route.enabled]
    for route in routes:
        subject = f"sms route {route.name}"
        try:
            make(route)
        except SetupError as error:
            yield Finding(subject, Severity.FAIL, error.safe_text, "correct it, or set enabled to false")
            continue
        trust = f"{route.provider}, trust {route.trust}"
        if route.trust == "aggregator":
            trust += ": members need a PIN to post"
        yield Finding(subject, Severity.OK, trust)
    if any(route.price or route.prices for route in routes) and not config.sms.cap_day:
        yield Finding(
            "sms money",
            Severity.WARN,
            "texts cost money, and nothing limits it",
            "set sms.cap_day and sms.cap_month",
        )
