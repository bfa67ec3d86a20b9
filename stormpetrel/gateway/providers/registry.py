"""The kinds of provider by name: those of this package, imported when a route uses them, and installed ones."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Iterable

from stormpetrel.config_sms import ENTRY_POINTS, KEYS, RouteConfig
from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import Provider, ProviderKind


def kind_of(name: str) -> ProviderKind:
    """Return the kind of provider with this name. Raise SetupError if there is none, or if it cannot be loaded."""
    kind = _built_in(name) if name in KEYS else _installed(name)
    if not isinstance(kind, ProviderKind):
        raise SetupError(f"the SMS provider {name} does not define a ProviderKind")
    return kind


def make(route: RouteConfig) -> Provider:
    """Return the route's provider. Raise SetupError with the key that is missing or wrong."""
    return kind_of(route.provider).make(route)


def check(routes: Iterable[RouteConfig]) -> None:
    """Raise SetupError for the first enabled route with a key that is missing or wrong."""
    for route in routes:
        if route.enabled:
            make(route)


def _built_in(name: str) -> object:
    return importlib.import_module(f"stormpetrel.gateway.providers.{name}").KIND


def _installed(name: str) -> object:
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    for point in found:
        if point.name == name:
            try:
                return point.load()
            except (ImportError, AttributeError) as error:
                raise SetupError(
                    f"the SMS provider {name} ({point.value}) cannot be loaded: {error}"
                ) from error
    near = difflib.get_close_matches(name, [*KEYS, *found.names], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise SetupError(f"there is no SMS provider {name!r}{hint}")
