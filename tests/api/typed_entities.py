"""Check answers against Mastodon.py's typed entities: every required field is present and has its type.

Mastodon.py itself is lenient: it casts what it can and sets None for the rest. These checks therefore look at
both the entity and the JSON that it was made from.
"""

from __future__ import annotations

import datetime
import typing
from typing import Any

from mastodon import return_types
from mastodon.types_base import AttribAccessDict, MaybeSnowflakeIdType

# The documented Status[application] has only a name and a website. Mastodon.py uses the type of /api/v1/apps.
NAME_AND_WEBSITE_ONLY = {"id", "vapid_key", "redirect_uri", "redirect_uris", "scopes"}
IDS = (str, MaybeSnowflakeIdType)


def problems(value: Any, wanted: Any, where: str = "") -> list[str]:
    """Return the differences between `value` and `wanted` (a type of Mastodon.py's), each with its path."""
    origin = typing.get_origin(wanted)
    if wanted is Any or isinstance(wanted, typing.TypeVar):
        return []
    if origin is typing.Union:
        options = typing.get_args(wanted)
        if value is None:
            return [] if type(None) in options else [f"{where}: missing"]
        every = [
            problems(value, option, where)
            for option in options
            if option not in (type(None), datetime.datetime) or len(options) == 2
        ]
        return [] if [] in every else every[0]
    if value is None:
        return [f"{where}: missing"]
    if origin is not None and issubclass(origin, list):
        if not isinstance(value, list):
            return [f"{where}: {type(value).__name__} in place of a list"]
        (inner,) = typing.get_args(wanted)
        return [one for n, item in enumerate(value) for one in problems(item, inner, f"{where}[{n}]")]
    kind = origin or wanted
    if issubclass(kind, AttribAccessDict):
        return _entity_problems(value, kind, where)
    if issubclass(kind, list):
        return [] if isinstance(value, list) else [f"{where}: not a list"]
    if issubclass(kind, MaybeSnowflakeIdType):
        kind = IDS  # type: ignore[assignment]
    if isinstance(value, bool) is not (kind is bool):
        return [f"{where}: {type(value).__name__} in place of {kind}"]
    return [] if isinstance(value, kind) else [f"{where}: {type(value).__name__} in place of {kind}"]


def _entity_problems(value: Any, kind: type[AttribAccessDict], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {type(value).__name__} in place of {kind.__name__}"]
    if kind is AttribAccessDict:
        return []
    if not isinstance(value, kind):
        return [f"{where}: Mastodon.py could not make it a {kind.__name__}"]
    found = []
    for name, hint in typing.get_type_hints(kind, vars(return_types)).items():
        if name.startswith("_"):
            continue
        here = f"{where}.{name}" if where else name
        if where.endswith("application") and name in NAME_AND_WEBSITE_ONLY:
            continue
        found += problems(value.get(name), hint, here)
    return found


def check(value: Any, wanted: Any) -> None:
    """Assert that no field is missing or mistyped. `wanted` may be a type in a list: `[Status]`."""
    if isinstance(wanted, list):
        assert isinstance(value, list)
        for item in value:
            check(item, wanted[0])
        return
    found = problems(value, wanted)
    assert not found, "\n".join(found)
