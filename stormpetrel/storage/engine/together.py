"""The decorator for writes of which a store does many at once (sqlite_writer.py, postgresql_writer.py)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

from stormpetrel.storage.engine.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")


class _Sign(enum.Enum):
    APART = enum.auto()


Apart: TypeAlias = Literal[_Sign.APART]
APART: Final = _Sign.APART
"""In place of a result: nothing was done for this call, which must run by itself."""

Several = Callable[[Connection, Sequence[dict[str, Any]]], Sequence[T | Apart]]
"""Does the same as calls of a write with these keyword arguments, in one transaction.

It returns a result or APART for each call, in order. It raises nothing that belongs to one call: a call that is to be
refused is APART. If it raises, all is undone, and each call runs by itself.
"""


def together(several: Several[T]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Mark a write: `several` does the work of many waiting calls of it."""

    def mark(fn: Callable[P, T]) -> Callable[P, T]:
        fn.together = several  # type: ignore[attr-defined]  # a mark on the function itself keeps the call direct
        return fn

    return mark


def several_of(fn: Callable[..., Any]) -> Several[Any] | None:
    """Return the function that does the work of many calls of `fn`; None if there is none."""
    found: Several[Any] | None = getattr(fn, "together", None)
    return found
