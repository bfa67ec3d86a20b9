"""The addresses of an instance, as the commands that set one up print them."""

from __future__ import annotations

from stormpetrel.config import Config
from stormpetrel.model.demo_phone import demo_route


def addresses(config: Config) -> list[str]:
    """Return the addresses of this instance for people and operators, one per line."""
    host = "127.0.0.1" if config.status.host in ("0.0.0.0", "::", "") else config.status.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    status_url = config.status.public_url or f"http://{host}:{config.status.port}"
    lines = [f"web:          {config.base_url}", f"status page:  {status_url}"]
    if demo_route(config.sms.routes) is not None:
        lines.append(f"phones:       {config.base_url}/demo/phone")
    return lines
