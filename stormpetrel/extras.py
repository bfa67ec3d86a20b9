"""Optional packages: only servers that use PostgreSQL, an S3-compatible store or Valkey need them."""

from __future__ import annotations

import importlib

from stormpetrel.config import Config
from stormpetrel.errors import SetupError

PACKAGES = {"postgresql": "psycopg", "s3": "boto3", "valkey": "redis"}
"""The module of each extra in pyproject.toml."""
NOT_INSTALLED = "the configuration needs the package {package}, which is not installed"
INSTALL = "run `make install EXTRAS={extra}`, or install stormpetrel[{extra}]"


def missing(config: Config) -> list[str]:
    """Return the extras that the configuration needs and whose package is not installed."""
    needs = {
        "postgresql": not config.database_url.startswith("sqlite:"),
        "s3": config.media.store == "s3" or config.status.export.startswith("s3://"),
        "valkey": bool(config.valkey.url),
    }
    return [extra for extra, is_needed in needs.items() if is_needed and not _is_installed(extra)]


def require(extra: str) -> None:
    """Import the module of an extra. Raise SetupError, which says how to install it, if it is not installed."""
    if not _is_installed(extra):
        raise SetupError(f"{NOT_INSTALLED.format(package=PACKAGES[extra])}: {INSTALL.format(extra=extra)}")


def _is_installed(extra: str) -> bool:
    try:
        importlib.import_module(PACKAGES[extra])
    except ImportError:
        return False
    return True
